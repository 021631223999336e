"""Any raw file as a DuckDB table of text: CSV and TSV in their encodings, XLSX, JSON, Parquet, a database table."""

import codecs
import csv
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow.parquet as pq

from helpers.intake import unpack
from helpers.intake.contract import IntakeError, Problem

TEXT_SUFFIXES = {".csv", ".tsv", ".txt"}
SUFFIXES = TEXT_SUFFIXES | {".xlsx", ".json", ".parquet"}
ENCODINGS = ("utf-8", "cp932", "cp1252")
DELIMITERS = ",\t;|"
HEADER_LINES = 25
SAMPLE_BYTES = 256_000
CHUNK = 4 << 20
MAX_LINE = 1 << 20
OVERFLOW = "beyond the header"  # DuckDB drops what a line has beyond the columns unless there is one for it
NOTHING = ibis.null("string")
csv.field_size_limit(MAX_LINE)


@dataclass(frozen=True)
class Raw:
    """A raw file as found: its name inside raw/, its bytes' hash, and what its first lines hold."""

    path: Path
    file: str
    sha256: str
    has_nul: bool
    kind: str


@dataclass(frozen=True)
class Layout:
    """How the text of a file is laid out, once its header is known."""

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    skip: int


def raw_files(folder: Path) -> list[Raw]:
    """The files of a folder that hold tables, by name. A link that leaves the folder is refused; hidden files are not data."""
    if not folder.is_dir():
        raise IntakeError({str(folder): [Problem("the folder", "it does not exist", "Put the exports there.")]})
    found, inside = [], folder.resolve()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() or p.is_symlink()):
        relative = path.relative_to(folder)
        if any(part.startswith((".", "~$")) for part in relative.parts) or path.suffix.lower() not in SUFFIXES:
            continue
        if not path.resolve().is_relative_to(inside):
            raise IntakeError({str(relative): [Problem("the file", "it is a link that leaves the folder", "Copy the file itself.")]})
        digest, has_nul = _hashed(path)
        kind = path.suffix.lower().removeprefix(".")
        found.append(Raw(path, str(relative), digest, has_nul, "csv" if path.suffix.lower() in TEXT_SUFFIXES else kind))
    return found


def database_table(name: str, url: str, table: str, workbench: Path) -> Raw:
    """A table of any database Ibis can reach, copied by stream to Parquet: "schema.table" or "table" behind a URL."""
    where, path = f"[sources.{name}] {table}", workbench / f"{name}.parquet"
    *schema, bare = table.split(".")
    try:
        con = ibis.connect(url)
        con.table(bare, database=schema[0] if schema else None).to_parquet(path)
        con.disconnect()
    except ImportError as error:
        raise IntakeError(
            {
                where: [
                    Problem(
                        "url",
                        f"the driver for it is not installed ({error})",
                        "Install Ibis with the extra for this database, such as ibis-framework[postgres].",
                    )
                ]
            }
        ) from None
    except Exception as error:  # noqa: BLE001  every driver has its own; none may show the password in the URL
        raise IntakeError(
            {where: [Problem("url", f"the table cannot be read ({type(error).__name__})", "Check address, password and table name.")]}
        ) from None
    return Raw(path, f"{name}.{bare}", _hashed(path)[0], False, "parquet")


def layouts(raw: Raw, workbench: Path) -> Iterator[tuple[Path, Layout]]:
    """The ways the start of a file can be read, likeliest first: each encoding that fits, each early line as the header."""
    path = raw.path
    if raw.kind == "parquet":
        yield path, Layout("", "", tuple(pq.read_schema(path).names), 0)
        return
    if raw.kind in ("xlsx", "json"):
        path = workbench / f"{raw.sha256[:16]}.csv"
        if not path.exists():
            (unpack.from_xlsx if raw.kind == "xlsx" else unpack.from_json)(raw, path)
    sample = _sample(path)
    encodings = ["utf-16"] if sample[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ENCODINGS
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            text = codecs.getincrementaldecoder(encoding)().decode(sample).replace("\0", "").removeprefix("\ufeff")
            yield from ((path, layout) for layout in _header_lines(text, encoding))


def is_empty(found) -> bool:
    """Whether a file holds a header and nothing else, as a template not filled in yet does."""
    if found.raw.kind == "parquet":
        return pq.read_metadata(found.path).num_rows == 0
    sample = _sample(found.path)
    return len(sample) < SAMPLE_BYTES and len(sample.rstrip().splitlines()) <= found.layout.skip


def whole_file_encoding(path: Path, encodings: list[str]) -> str | None:
    """The first of the encodings in which every byte of the file makes sense."""
    for encoding in encodings:
        decoder = codecs.getincrementaldecoder(encoding)()
        with suppress(UnicodeDecodeError), path.open("rb") as file:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
            return encoding
    return None


def load(con, name: str, found: list, workbench: Path, quote: str = '"') -> ir.Table:
    """The wanted columns of files with one layout, as text, with file_index and `row` as a spreadsheet counts (header is 1)."""
    layout, wanted = found[0].layout, list(dict.fromkeys(found[0].match.columns.values()))
    if found[0].raw.kind == "parquet":
        rows = con.read_parquet(found[0].path).select(*wanted)
        table = con.create_table(name, rows.mutate(**{c: rows[c].cast("string") for c in wanted}))
        return table.mutate(**{OVERFLOW: NOTHING}, row=table.rowid() + 2, file_index=ibis.literal(found[0].index, "int64"))
    paths = {str(_as_utf8(one, workbench)): one for one in found}
    options = {
        "columns": dict.fromkeys([*_distinct(layout.header), OVERFLOW], "VARCHAR"),
        "header": False,
        "auto_detect": False,
        "skip": layout.skip,
        "delim": layout.delimiter,
        "quote": quote,
        "escape": quote,
        "strict_mode": False,
        "store_rejects": True,
        "filename": True,
        "rejects_table": f"{name}_broken",
        "rejects_scan": f"{name}_scan",
        "max_line_size": MAX_LINE,
        "null_padding": True,
    }
    try:
        table = _read_csv(con, name, list(paths), wanted, options)
    except duckdb.Error as error:
        if "null_padding" not in str(error):  # short lines beside quoted line breaks want a single thread
            raise _unreadable(found[0].raw.file, error) from None
        try:
            table = _read_csv(con, name, list(paths), wanted, options | {"parallel": False})
        except duckdb.Error as again:
            raise _unreadable(found[0].raw.file, again) from None
    first = dict(con.raw_sql(f"SELECT filename, min(rowid) FROM {name} GROUP BY filename").fetchall())
    starts = [(table.filename == path, one.index, first.get(path, 0)) for path, one in paths.items()]
    index = ibis.cases(*((same, number) for same, number, _start in starts)).cast("int64")
    start = ibis.cases(*((same, begin) for same, _number, begin in starts)).cast("int64")
    return table.mutate(row=table.rowid() - start + layout.skip + 1, file_index=index).drop("filename")


def broken_lines(con, name: str, accounts: list) -> dict[int, list[tuple[int, str, str]]]:
    """By file: lines that could not be split into the header's columns, as line number, what, and the text."""
    if f"{name}_broken" not in con.list_tables():
        return {}
    lines = con.raw_sql(
        f"SELECT file_path, line, any_value(error_type), any_value(csv_line) FROM {name}_broken JOIN {name}_scan "
        "USING (scan_id, file_id) GROUP BY file_path, line ORDER BY file_path, line"
    ).fetchall()
    by_name = {path: [] for path, *_rest in lines}
    for path, line, kind, text in lines:
        by_name[path].append((int(line), str(kind).lower(), text or ""))
    return {one.index: by_name[path] for one in accounts for path in by_name if Path(path).name in (one.raw.path.name, _utf8_name(one.raw))}


def _read_csv(con, name: str, paths: list[str], wanted: list[str], options: dict) -> ir.Table:
    view = con.read_csv(paths, table_name=f"{name}_view", **options)
    return con.create_table(name, view.select(*wanted, OVERFLOW, "filename"), overwrite=True)


def _unreadable(file: str, error: Exception) -> IntakeError:
    return IntakeError(
        {
            file: [
                Problem(
                    "the file",
                    f"it cannot be read as a table: {unpack.first_line(error)}",
                    "Open it in a spreadsheet, and export it again as CSV",
                )
            ]
        }
    )


def _as_utf8(one, workbench: Path) -> Path:
    """The file itself, or a copy in UTF-8 without NUL bytes, made by stream."""
    if one.layout.encoding in ("utf-8", "utf-8-sig") and not one.raw.has_nul:
        return one.path
    target = workbench / _utf8_name(one.raw)
    decoder = codecs.getincrementaldecoder(one.layout.encoding)(errors="replace")
    with one.path.open("rb") as source, target.open("w", encoding="utf-8", newline="") as out:
        while chunk := source.read(CHUNK):
            out.write(decoder.decode(chunk).replace("\0", ""))
        out.write(decoder.decode(b"", final=True))
    return target


def _utf8_name(raw: Raw) -> str:
    return f"{hashlib.sha256(raw.file.encode()).hexdigest()[:16]}.utf8.csv"


def _header_lines(text: str, encoding: str) -> Iterator[Layout]:
    lines = text.splitlines()[:HEADER_LINES]
    for number, line in enumerate(lines):
        delimiter = max(DELIMITERS, key=line.count)
        with suppress(csv.Error, StopIteration):
            reader = csv.reader(lines[number:], delimiter=delimiter)
            header = next(reader)
            yield Layout(encoding, delimiter, tuple(header), number + reader.line_num)


def _hashed(path: Path) -> tuple[str, bool]:
    digest, has_nul = hashlib.sha256(), False
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            has_nul = has_nul or b"\0" in chunk
    return digest.hexdigest(), has_nul


def _sample(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SAMPLE_BYTES)


def _distinct(header: tuple[str, ...]) -> list[str]:
    """Column names as the CSV reader needs them: each once, none empty."""
    names, seen = [], set()
    for k, name in enumerate(header):
        name = name if name and name.casefold() not in seen else f"column_{k + 1}_{name}"
        seen.add(name.casefold())
        names.append(name)
    return names
