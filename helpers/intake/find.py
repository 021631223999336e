"""Which raw file is what: every export with its source in client.toml and the format that takes it; and what is not read."""

import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from helpers.codes import nearest
from helpers.intake import read, recognise, unpack
from helpers.intake.contract import IntakeError, Problem
from helpers.settings import Settings, Source

JAPANESE = "cp932"
LEAVE_OUT = "skip = true"  # what leaves a source out, in client.toml
ARCHIVES = {".zip", ".gz", ".7z", ".rar", ".tar", ".bz2", ".xz", ".tgz"}
WORKBOOKS = {".xls", ".xlsm", ".xlsb", ".ods", ".numbers"}


@dataclass(frozen=True)
class Found:
    """A raw file with the format it was taken for, or the problem that kept it from being taken."""

    raw: read.Raw
    source: str
    terms: Source
    match: recognise.Match | None = None
    layout: read.Layout | None = None
    path: Path | None = None
    problem: Problem | None = None
    index: int = 0
    note: str = ""

    @property
    def alike(self) -> tuple:
        """What files must share to be read in one go."""
        if self.raw.kind == "parquet":
            return (self.index,)
        return (self.source, self.match.format.name, self.layout.header, self.layout.delimiter, self.layout.skip)


def find(settings: Settings, folder: Path, workbench: Path) -> list[Found]:
    """Every raw file, database tables included, with its source and the format that takes it."""
    formats = recognise.load_formats(settings.folder / "formats")
    found, taken = [], set()
    for raw in read.raw_files(folder):
        name, terms = _source_of(raw.file, settings)
        taken.add(name)
        one = _recognised(raw, name, terms, formats, workbench)
        found.append(replace(one, problem=None) if terms.skip else one)
    for name, terms in settings.sources.items():
        if terms.active and terms.url:
            found.append(_from_database(name, terms, formats, workbench))
        elif terms.active and not terms.skip and name not in taken:
            pattern = ", ".join(_patterns(terms))
            advice = "Put the export there, or set active = false for a source that has ended."
            problem = Problem(f"[sources.{name}]", f"no file named {pattern} is in {folder.name}/", advice)
            found.append(Found(read.Raw(folder / pattern, pattern, "csv"), name, terms, problem=problem))
    for name in {one.source for one in found if one.terms.columns or one.terms.where}:
        places = [k for k, one in enumerate(found) if one.source == name and one.match]
        if places and (problem := recognise.misnamed([found[k] for k in places])):  # the first file says it for all
            found[places[0]] = replace(found[places[0]], problem=problem)
    return [replace(one, index=index) for index, one in enumerate(found)]


def _patterns(terms: Source) -> list[str]:
    return [terms.files] if isinstance(terms.files, str) else terms.files


def _source_of(file: str, settings: Settings) -> tuple[str, Source]:
    for name, terms in settings.sources.items():
        if any(pattern and (Path(file).match(pattern) or file == pattern) for pattern in _patterns(terms)):
            return name, terms
    return "", Source(files=file)


def _from_database(name: str, terms: Source, formats: dict, workbench: Path) -> Found:
    try:
        raw = read.database_table(name, terms.url, terms.table, workbench)
    except IntakeError as error:
        return Found(read.Raw(workbench / name, f"{name}.{terms.table}", "parquet"), name, terms, problem=error.listed[0])
    return _recognised(raw, name, terms, formats, workbench)


def _recognised(raw: read.Raw, name: str, terms: Source, formats: dict, workbench: Path) -> Found:
    """A file with the format that takes it, by the first way to read it that any format fits."""
    as_found = partial(Found, raw, name, terms)
    if terms.format and terms.format not in formats:
        meant = f"Did you mean {close}? " if (close := nearest(terms.format, formats)) else ""
        what = f"there is no format '{terms.format}'"
        return as_found(problem=Problem(f"[sources.{name}]", what, f"{meant}Known: {', '.join(sorted(formats))}."))
    candidates, header = {terms.format: formats[terms.format]} if terms.format else formats, []
    try:
        if raw.kind == "xlsx":
            return _in_sheets(raw, name, terms, candidates, workbench)
        for path, layout in read.layouts(raw, workbench):
            header = header or list(layout.header)
            best = recognise.recognise(list(layout.header), candidates, terms.columns)
            if best is None or (layout.encoding == JAPANESE and not _is_japanese(path, best.format)):
                continue
            if raw.kind == "csv":
                layout = replace(layout, encoding=_encoding(path, best.format, layout.encoding))
                if layout.encoding is None:
                    return as_found(problem=Problem("the file", "it is in none of the encodings this export comes in", "Save it as UTF-8."))
            return Found(raw, name or best.format.channel, terms, best, layout, path)
    except IntakeError as error:
        return as_found(problem=error.listed[0])
    return as_found(problem=recognise.not_recognised(header, candidates))


def _in_sheets(raw: read.Raw, name: str, terms: Source, candidates: dict, workbench: Path) -> Found:
    """A workbook: the sheets of one format, read together, orders before all else and many rows before few; the others named."""
    sheets, fits = unpack.sheets(raw, workbench), {}
    for sheet in sheets:
        for layout in read.text_layouts(sheet.path):
            if best := recognise.recognise(list(layout.header), candidates, terms.columns):
                fits[sheet] = best, layout
                break
    if not fits:
        header = list(next(read.text_layouts(max(sheets, key=lambda sheet: sheet.rows).path)).header[:-1]) if sheets else []
        return Found(raw, name, terms, problem=recognise.not_recognised(header, candidates))
    rows = Counter()
    for sheet, (best, _layout) in fits.items():
        rows[best.format.name] += sheet.rows
    main = max(rows, key=lambda form: ("orders" in candidates[form].tables, rows[form]))
    mine = [(sheet, layout.skip) for sheet, (best, layout) in fits.items() if best.format.name == main]
    best, layout, path = *fits[mine[0][0]], mine[0][0].path
    if len(mine) > 1:
        path = workbench / f"{raw.key}.csv"
        layout = read.Layout("utf-8", ",", unpack.together(mine, path), 1)
        best = recognise.match(list(layout.header), candidates[main], terms.columns)
    read_too = [sheet for sheet, _line in mine]
    other = {sheet: fits[sheet][0].format.title if sheet in fits else f"{sheet.rows:,} rows" for sheet in sheets if sheet not in read_too}
    named, only = ", ".join(f"{sheet.title} ({what})" for sheet, what in other.items()), ", ".join(sheet.title for sheet in read_too)
    note = f"of its sheets only {only} {'is' if len(mine) == 1 else 'are'} read, not {named}. If data stand there"
    note = f"{note}, save that sheet as a file of its own." if other else ""
    return Found(raw, name or best.format.channel, terms, best, layout, path, note=note)


def _encoding(path: Path, form: recognise.Format, of_header: str) -> str | None:
    """The encoding of a whole file: its header's, else the first of the format's that makes sense; Japanese only if it is."""
    encodings = [of_header, *form.rule("encodings", ["utf-8", "cp1252"])]
    return next((one for one in encodings if (_is_japanese(path, form) if one == JAPANESE else read.decodes(path, one))), None)


def _is_japanese(path: Path, form: recognise.Format) -> bool:
    """Whether a file that can be read as Shift-JIS is: most of its wide characters are common ones, which Windows text that
    is misread as Japanese never has, and unless the format is known to come in Japanese there is kana among them."""
    common = wide = 0
    kana = JAPANESE in form.rule("encodings", [])
    if not read.decodes(path, JAPANESE):
        return False
    with path.open(encoding=JAPANESE) as text:
        for line in text:
            found = [c for c in line if ord(c) > 0x2000 and not "｡" <= c <= "ﾟ"]
            wide += len(found)
            common += sum(c.encode(JAPANESE)[0] < 0xA0 for c in found)
            kana = kana or any("ぁ" <= c <= "ヺ" for c in found)
    return kana and 2 * common > wide


def unread_files(folder: Path) -> dict[str, str]:
    """Files of a folder, by name, that are in no way the workbook reads, each with what it is and what to do about it."""
    found = {}
    for path in read.visible(folder):
        if path.suffix.lower() in read.SUFFIXES or not path.is_file():
            continue
        said = f"{path.suffix or 'a file without an ending'} is no table. If it holds data, save it as CSV or .xlsx."
        if path.suffix.lower() in ARCHIVES:
            said = f"an archive{_members(path)}. Unpack it here and take the archive away."
        elif path.suffix.lower() in WORKBOOKS:
            said = "a workbook of another kind. Save it as .xlsx or CSV."
        found[str(path.relative_to(folder))] = f"it is not read: {said}"
    return found


def notes_on(found: Iterable, folder: Path) -> dict[str, str]:
    """By file of a folder, what of it is not read and what to do: whole files, sheets of workbooks, payments left out."""
    said = {one.raw.file: one.note for one in found if one.note}
    said |= {one.raw.file: f"it is left out: [sources.{one.source}] says {LEAVE_OUT}." for one in found if one.terms.skip}
    return said | unread_files(folder)


def _members(path: Path) -> str:
    """The first files in an archive, if it is one that can be looked into."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [member.filename for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return ""
    return f" that holds {', '.join(names[:3])}{' …' if len(names) > 3 else ''}" if names else " that is empty"
