"""Any raw file as a DuckDB table of text: CSV and TSV in their encodings, XLSX, JSON, Parquet, a database table."""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from helpers.intake import quotes, repeats, unpack
from helpers.intake.contract import NOTHING, IntakeError, Problem

SUFFIXES = {".csv", ".tsv", ".txt", ".xlsx", ".json", ".parquet"}
ENCODINGS = ("utf-8", "cp932", "cp1252")
DELIMITERS = ",\t;|"
HEADER_LINES = 25
SAMPLE_BYTES = 256_000
MAX_LINE = 1 << 20
OVERFLOW = "beyond the header"  # DuckDB drops what a line has beyond the columns unless there is one for it
csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True)
class Raw:
    """A raw file as found: its name inside raw/, and csv, xlsx, json or parquet."""

    path: Path
    file: str
    kind: str

    @cached_property
    def sha256(self) -> str:
        """The hash of its bytes."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    @property
    def key(self) -> str:
        """A name for copies made of it: two files of one content are still two files."""
        return hashlib.sha256(self.file.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Layout:
    """How the text of a file is laid out, once its header is known."""

    encoding: str | None
    delimiter: str
    header: tuple[str, ...]
    skip: int


def raw_files(folder: Path) -> list[Raw]:
    """The files of a folder that hold tables, by name. A link that leaves the folder is refused; hidden files are not data."""
    if not folder.is_dir():
        raise IntakeError({str(folder): [Problem("the folder", "it does not exist", "Put the exports there.")]})
    found = []
    for path in visible(folder):
        file, kind = str(path.relative_to(folder)), path.suffix.lower().removeprefix(".")
        if path.suffix.lower() not in SUFFIXES:
            continue
        if not path.resolve().is_relative_to(folder.resolve()):
            raise IntakeError({file: [Problem("the file", "it is a link that leaves the folder", "Copy the file itself.")]})
        found.append(Raw(path, file, "csv" if kind in ("tsv", "txt") else kind))
    return found


def visible(folder: Path) -> list[Path]:
    """The files of a folder and the folders in it, by name, without those that are hidden or that a spreadsheet has open."""
    every = (path for path in folder.rglob("*") if path.is_file() or path.is_symlink())
    return sorted(path for path in every if not any(part.startswith((".", "~$")) for part in path.relative_to(folder).parts))


def database_table(name: str, url: str, table: str, workbench: Path) -> Raw:
    """A table of any database Ibis can reach, copied by stream to Parquet: "schema.table" or "table" behind a URL."""
    where, path = f"[sources.{name}] {table}", workbench / f"{name}.parquet"
    *schema, bare = table.split(".")
    try:
        con = ibis.connect(url)
        con.table(bare, database=schema[0] if schema else None).to_parquet(path)
        con.disconnect()
    except ImportError as error:
        advice = "Install Ibis with the extra for this database, such as ibis-framework[postgres]."
        raise IntakeError({where: [Problem("url", f"the driver for it is not installed ({error})", advice)]}) from None
    except Exception as error:  # noqa: BLE001  every driver has its own; none may show the password in the URL
        what = f"the table cannot be read ({type(error).__name__})"
        raise IntakeError({where: [Problem("url", what, "Check address, password and table name.")]}) from None
    return Raw(path, f"{name}.{bare}", "parquet")


def layouts(raw: Raw, workbench: Path) -> Iterator[tuple[Path, Layout]]:
    """The ways the start of a file (a workbook comes as its sheets) can be read, likeliest first: by encoding, then header line."""
    path = raw.path
    if raw.kind == "parquet":
        yield path, Layout("", "", tuple(pq.read_schema(path).names), 0)
        return
    if raw.kind == "json":
        path = workbench / f"{raw.key}.csv"
        unpack.from_json(raw, path)
    yield from ((path, layout) for layout in text_layouts(path))


def text_layouts(path: Path) -> Iterator[Layout]:
    """The ways the start of a file of text can be read."""
    sample = _sample(path)
    encodings = ["utf-16"] if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ENCODINGS
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            text = codecs.getincrementaldecoder(encoding)().decode(sample).replace("\0", "").removeprefix("\ufeff")
            lines = text.splitlines()[:HEADER_LINES]
            for number, line in enumerate(lines):
                delimiter = max(DELIMITERS, key=line.count)
                with suppress(csv.Error, StopIteration):
                    reader = csv.reader(lines[number:], delimiter=delimiter)
                    yield Layout(encoding, delimiter, tuple(next(reader)), number + reader.line_num)


def is_empty(found) -> bool:
    """Whether a file holds a header and nothing else, as a template not filled in yet does."""
    if found.raw.kind == "parquet":
        return pq.read_metadata(found.path).num_rows == 0
    sample = _sample(found.path)
    return len(sample) < SAMPLE_BYTES and len(sample.rstrip().splitlines()) <= found.layout.skip


def decodes(path: Path, encoding: str) -> bool:
    """Whether every byte of a file makes sense in an encoding."""
    try:
        return all(True for _text in codecs.iterdecode(quotes.chunks(path), encoding))
    except UnicodeDecodeError:
        return False


def load(con, name: str, found: list, workbench: Path) -> ir.Table:
    """The wanted columns of files with one layout, as text, with file_index and `row` as a spreadsheet counts (header is 1)."""
    layout, wanted = found[0].layout, list(dict.fromkeys(found[0].match.columns.values()))
    quote = found[0].match.format.rule("quote", '"')
    if found[0].raw.kind == "parquet":
        rows, hashed = repeats.with_hash(con, con.read_parquet(found[0].path, table_name=f"{name}_view"), found[0].match)
        table = con.create_table(name, rows.select(*hashed, **{c: rows[c].cast("string") for c in wanted}))
        return table.mutate(**{OVERFLOW: NOTHING}, row=table.rowid() + 2, file_index=ibis.literal(found[0].index, "int64"))
    paths = {str(_as_utf8(one, workbench)): one for one in found}
    options = {
        "columns": dict.fromkeys([*_distinct(layout.header), OVERFLOW], "VARCHAR"), "header": False, "auto_detect": False,
        "skip": layout.skip, "delim": layout.delimiter, "quote": quote, "escape": quote, "strict_mode": False, "null_padding": True,
        "max_line_size": MAX_LINE, "filename": True,
        "store_rejects": True, "rejects_table": f"{name}_broken", "rejects_scan": f"{name}_scan",
    }  # fmt: skip
    for parallel in (True, False):  # short lines beside quoted line breaks want a single thread
        try:
            view = con.read_csv(list(paths), table_name=f"{name}_view", parallel=parallel, **options)
            view, hashed = repeats.with_hash(con, view, found[0].match)
            table = con.create_table(name, view.select(*wanted, *hashed, OVERFLOW, "filename"), overwrite=True)
            break
        except duckdb.Error as error:
            if not parallel or "null_padding" not in str(error):
                what, advice = unpack.first_line(error), "Open it in a spreadsheet, and export it again as CSV"
                raise IntakeError({found[0].raw.file: [Problem("the file", f"it cannot be read as a table: {what}", advice)]}) from None
    counted = con.to_pandas(table.group_by("filename").aggregate(first=table.rowid().min(), rows=table.count())).set_index("filename")
    if quote:
        quotes.stop_if_swallowed(paths, counted["rows"], quote)
    start = table.filename.cases(*((path, int(counted["first"].get(path, 0))) for path in paths)).cast("int64")
    index = table.filename.cases(*((path, one.index) for path, one in paths.items())).cast("int64")
    return table.mutate(row=table.rowid() - start + layout.skip + 1, file_index=index).drop("filename")


def broken_lines(con, name: str, accounts: list) -> dict[int, list[tuple[int, str, str]]]:
    """By file: lines that could not be split into the header's columns, as line number, what, and the text."""
    if f"{name}_broken" not in con.list_tables():
        return {}
    lines = con.raw_sql(
        f"SELECT file_path, line, any_value(error_type), any_value(csv_line) FROM {name}_broken JOIN {name}_scan "
        "USING (scan_id, file_id) GROUP BY file_path, line ORDER BY file_path, line"
    ).fetchall()
    found = {}
    for one in accounts:  # by the whole path: two folders may hold files of one name
        mine = [line for line in lines if line[0] == str(one.raw.path) or Path(line[0]).name == _utf8_name(one.raw)]
        found[one.index] = [(int(line), str(kind).lower(), text or "") for _path, line, kind, text in mine]
    return found


def _as_utf8(one, workbench: Path) -> Path:
    """The file itself, or a copy in UTF-8 without NUL bytes, made by stream."""
    if one.layout.encoding in ("utf-8", "utf-8-sig") and not any(b"\0" in chunk for chunk in quotes.chunks(one.path)):
        return one.path
    target = workbench / _utf8_name(one.raw)
    with target.open("w", encoding="utf-8", newline="") as out:
        out.writelines(text.replace("\0", "") for text in codecs.iterdecode(quotes.chunks(one.path), one.layout.encoding, "replace"))
    return target


def _utf8_name(raw: Raw) -> str:
    return f"{raw.key}.utf8.csv"


def _sample(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SAMPLE_BYTES)


def _distinct(header: tuple[str, ...]) -> list[str]:
    """Column names as the CSV reader needs them: each once, none empty."""
    plain = [name.casefold() for name in header]
    return [name if name and plain.index(name.casefold()) == k else f"column_{k + 1}_{name}" for k, name in enumerate(header)]
