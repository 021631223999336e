"""Which raw file is what: every export with its source in client.toml and the format that takes it."""

from dataclasses import dataclass, replace
from pathlib import Path

from helpers.intake import read, recognise
from helpers.intake.contract import IntakeError, Problem
from helpers.settings import Settings, Source


@dataclass(frozen=True)
class Found:
    """A raw file with the format it was taken for, or the problem that kept it from being taken."""

    raw: read.Raw
    source: str = ""
    terms: Source | None = None
    match: recognise.Match | None = None
    layout: read.Layout | None = None
    path: Path | None = None
    problem: Problem | None = None
    index: int = 0

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
        try:
            found.append(_recognised(raw, name, terms, formats, workbench))
        except IntakeError as error:
            found.append(Found(raw, name, terms, problem=next(p for several in error.problems.values() for p in several)))
    for name, terms in settings.sources.items():
        if terms.url and terms.active:
            found.append(_from_database(name, terms, formats, workbench))
        elif not terms.url and name not in taken and terms.active:
            pattern = terms.files if isinstance(terms.files, str) else ", ".join(terms.files)
            missing = read.Raw(folder / pattern, pattern, "", False, "csv")
            found.append(
                Found(
                    missing,
                    name,
                    terms,
                    problem=Problem(
                        f"[sources.{name}]",
                        f"no file named {pattern} is in {folder.name}/",
                        "Put the export there, or set active = false for a source that has ended.",
                    ),
                )
            )
    return [replace(one, index=index) for index, one in enumerate(found)]


def _from_database(name: str, terms: Source, formats: dict, workbench: Path) -> Found:
    try:
        return _recognised(read.database_table(name, terms.url, terms.table, workbench), name, terms, formats, workbench)
    except IntakeError as error:
        nothing = read.Raw(workbench / name, f"{name}.{terms.table}", "", False, "parquet")
        return Found(nothing, name, terms, problem=next(p for several in error.problems.values() for p in several))


def _source_of(file: str, settings: Settings) -> tuple[str, Source]:
    for name, terms in settings.sources.items():
        patterns = [terms.files] if isinstance(terms.files, str) else terms.files
        if any(pattern and (Path(file).match(pattern) or file == pattern) for pattern in patterns):
            return name, terms
    return "", Source(files=file)


def _recognised(raw, name: str, terms: Source, formats: dict, workbench: Path) -> Found:
    if terms.format and terms.format not in formats:
        return Found(
            raw,
            name,
            terms,
            problem=Problem(f"[sources.{name}]", f"there is no format '{terms.format}'", f"Known: {', '.join(sorted(formats))}"),
        )
    candidates = {terms.format: formats[terms.format]} if terms.format else formats
    header = []
    for path, layout in read.layouts(raw, workbench):
        header = header or list(layout.header)
        fits = [m for one in candidates.values() if not (m := recognise.match(list(layout.header), one, terms.columns)).missing]
        if fits:
            best = max(fits, key=lambda m: (len(m.format.required) + len(m.format.rule("any_of", [])), len(m.columns)))
            encoding = (
                read.whole_file_encoding(path, [layout.encoding, *best.format.rule("encodings", ["utf-8", "cp1252"])])
                if raw.kind == "csv"
                else layout.encoding
            )
            if raw.kind == "csv" and encoding is None:
                return Found(
                    raw,
                    name,
                    terms,
                    problem=Problem("the file", "it is in none of the encodings this export comes in", "Save it as UTF-8."),
                )
            source = name or best.format.rule("sales_channel") or best.format.name
            layout = read.Layout(encoding, layout.delimiter, layout.header, layout.skip)
            return Found(raw, source, terms, best, layout, path)
    return Found(raw, name, terms, problem=recognise.not_recognised(header, candidates))
