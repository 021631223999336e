"""Workbooks and JSON as CSV, so that one reader reads them all; and archives as the files in them."""

import csv
import itertools
import json
import shutil
import stat
import zipfile
import zlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import openpyxl

from helpers.intake.contract import IntakeError, Problem
from helpers.intake.recognise import plain

MAX_UNZIPPED = 4 << 30
MAX_ZIP_RATIO = 200


class Sheet(NamedTuple):
    """A sheet of a workbook as CSV, with a last column `sheet`, and how many filled rows it has."""

    title: str
    path: Path
    rows: int


def sheets(raw, folder: Path) -> list[Sheet]:
    """Every sheet of a workbook that holds anything, each as a CSV file in the folder."""
    try:
        with zipfile.ZipFile(raw.path) as archive:
            if bomb := _too_large(archive, raw.path):
                raise IntakeError({raw.file: [Problem("the file", bomb, "Export it again as CSV.")]})
        book = openpyxl.load_workbook(raw.path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise IntakeError({raw.file: [Problem("the file", f"it is no XLSX workbook ({first_line(error)})")]}) from None
    found = []
    for number, sheet in enumerate(book.worksheets):
        path, count = folder / f"{raw.key}.{number}.csv", 0
        with path.open("w", encoding="utf-8", newline="") as out:
            writer = csv.writer(out)
            for row in sheet.iter_rows(values_only=True):
                if any(cells := [_cell(value) for value in row]):
                    writer.writerow([*cells, sheet.title if count else "sheet"])
                    count += 1
        if count:
            found.append(Sheet(sheet.title, path, count))
    book.close()
    return found


def together(parts: list[tuple[Sheet, int]], target: Path) -> tuple[str, ...]:
    """Sheets under one another, each from below its header line (counted from 1), columns of one name in one place; the header."""
    names, keys = {}, []  # names by what is the same in all sheets: the plain name, and which of its kind it is in its sheet
    for sheet, line in parts:
        with sheet.path.open(encoding="utf-8", newline="") as file:
            header = next(itertools.islice(csv.reader(file), line - 1, None))[:-1]
        alike = [plain(name) for name in header]
        keys.append([(name, alike[:k].count(name)) for k, name in enumerate(alike)])
        names |= {key: name for key, name in zip(keys[-1], header, strict=True) if key not in names}
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        writer.writerow([*names.values(), "sheet"])
        for (sheet, line), mine in zip(parts, keys, strict=True):
            with sheet.path.open(encoding="utf-8", newline="") as file:
                for row in itertools.islice(csv.reader(file), line, None):
                    cells = dict(zip(mine, row[:-1], strict=False))
                    writer.writerow([*(cells.get(key, "") for key in names), sheet.title])
    return (*names.values(), "sheet")


def from_zip(path: Path, target: Path, suffixes: set[str]) -> list[str]:
    """Unpack the tables in a ZIP archive into a folder, as regular files under their bare names; the names.

    Raises ValueError when it is no archive, is locked, or unpacks to more than a machine should hold.
    """
    taken = []
    try:
        with zipfile.ZipFile(path) as archive:
            if bomb := _too_large(archive, path):
                raise ValueError(bomb)
            for member in archive.infolist():
                name = PurePosixPath(member.filename.replace("\\", "/")).name
                link = stat.S_ISLNK(member.external_attr >> 16)
                if member.is_dir() or link or name.startswith((".", "~$")) or Path(name).suffix.lower() not in suffixes:
                    continue
                target.mkdir(parents=True, exist_ok=True)
                while (target / name).exists():
                    name = f"{len(taken)} {name}"
                taken.append(name)
                with archive.open(member) as inside, (target / name).open("xb") as out:
                    shutil.copyfileobj(inside, out)
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error, OSError) as error:
        for name in taken:
            (target / name).unlink(missing_ok=True)
        raise ValueError(f"it cannot be unpacked ({first_line(error)})") from None
    return taken


def _too_large(archive: zipfile.ZipFile, path: Path) -> str:
    """What is wrong with an archive that unpacks to more than it should, or nothing."""
    size = sum(member.file_size for member in archive.infolist())
    return f"it unpacks to {size:,} bytes" if size > MAX_UNZIPPED or size > MAX_ZIP_RATIO * max(path.stat().st_size, 1) else ""


def from_json(raw, target: Path) -> None:
    """The records of a JSON file or of JSON lines, nested keys joined by dots."""
    try:
        document, _lines = json_document(raw.path)
        rows = [flat(record) for record in records(document) if isinstance(record, dict)]
    except (ValueError, RecursionError) as error:
        raise IntakeError({raw.file: [Problem("the file", f"it is not JSON ({first_line(error)})")]}) from None
    names = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(rows)


def json_document(path: Path) -> tuple[object, bool]:
    """What a JSON file holds, and whether it does so as a record a line. Raises ValueError when it is not JSON."""
    text = path.read_text(encoding="utf-8-sig")
    try:
        return json.loads(text), False
    except json.JSONDecodeError:
        return [json.loads(line) for line in text.splitlines() if line.strip()], True


def records(document) -> list:
    """The longest list of objects anywhere near the top of the document."""
    if isinstance(document, list):
        return document
    lists = [v for v in document.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    return max(lists, key=len, default=[document])


def flat(record: dict, prefix: str = "") -> dict:
    """A record's values by their keys joined with dots, lists as JSON.

    >>> flat({"id": 1, "buyer": {"email": "a@mail.test"}, "tags": ["x"]})
    {'id': 1, 'buyer.email': 'a@mail.test', 'tags': '["x"]'}
    """
    found = {}
    for key, value in record.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return found


def _cell(value) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a sentence."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
