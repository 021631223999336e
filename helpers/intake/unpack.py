"""Workbooks and JSON as CSV, so that one reader reads them all."""

import csv
import itertools
import json
import zipfile
from datetime import date, datetime
from pathlib import Path

import openpyxl

from helpers.intake.contract import IntakeError, Problem

MAX_UNZIPPED = 4 << 30
MAX_ZIP_RATIO = 200


def from_xlsx(raw, target: Path) -> None:
    """Every sheet with the first sheet's header, one after the other, with a last column `sheet`."""
    try:
        with zipfile.ZipFile(raw.path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_UNZIPPED or size > MAX_ZIP_RATIO * max(raw.path.stat().st_size, 1):
            raise IntakeError({raw.file: [Problem("the file", f"it unpacks to {size:,} bytes", "Export it again as CSV.")]})
        book = openpyxl.load_workbook(raw.path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, OSError) as error:
        raise IntakeError({raw.file: [Problem("the file", f"it is no XLSX workbook ({first_line(error)})")]}) from None
    with target.open("w", encoding="utf-8", newline="") as out:
        writer, first = csv.writer(out), None
        for sheet in book.worksheets:
            rows = ([_cell(value) for value in row] for row in sheet.iter_rows(values_only=True))
            filled = (row for row in rows if any(row))
            head = next(filled, None)
            if head is None or (first is not None and head != first):
                continue
            if first is None:
                writer.writerow([*head, "sheet"])
                first = head
            writer.writerows([*row, sheet.title] for row in filled)


def from_json(raw, target: Path) -> None:
    """The records of a JSON file or of JSON lines, nested keys joined by dots."""
    try:
        text = raw.path.read_text(encoding="utf-8-sig")
        try:
            document = json.loads(text)
        except json.JSONDecodeError:
            document = [json.loads(line) for line in text.splitlines() if line.strip()]
        records = [_flat(record) for record in _records(document) if isinstance(record, dict)]
    except (ValueError, RecursionError) as error:
        raise IntakeError({raw.file: [Problem("the file", f"it is not JSON ({first_line(error)})")]}) from None
    names = list(dict.fromkeys(itertools.chain.from_iterable(records)))
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(records)


def _records(document) -> list:
    """The longest list of objects anywhere near the top of the document."""
    if isinstance(document, list):
        return document
    lists = [v for v in document.values() if isinstance(v, list) and v and isinstance(v[0], dict)]
    return max(lists, key=len, default=[document])


def _flat(record: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in record.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = json.dumps(value) if isinstance(value, list) else value
    return flat


def _cell(value) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def first_line(error: BaseException) -> str:
    """What an error says, short enough for a sentence."""
    return str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
