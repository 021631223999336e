"""Taking a person out of a raw file, whatever its kind: rows of orders lose the person, other rows go."""

import copy
import csv
import itertools
import json
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from openpyxl.cell import MergedCell

from helpers.intake import recognise, unpack
from helpers.intake.read import HEADER_LINES

IDENTITY = ("email", "account", "customer_id", "referrer_email", "comment")
UNREADABLE = (zipfile.BadZipFile, pa.ArrowInvalid, ValueError, KeyError, RecursionError)


class Plan(NamedTuple):
    """What stays of a person's rows: the columns by place (none: the rows go whole), and where the order's number stands."""

    kept: frozenset | None = None
    place: int | None = None


def plan(match: recognise.Match | None, header: list[str]) -> Plan:
    """What stays of a person's rows in a file with this header: of orders and refunds what the tables need, of all else nothing."""
    if match is None:
        return Plan()
    form, columns = match.format, match.columns
    personal = recognise.headers_in([spec.get(c) for spec in form.tables.values() for c in IDENTITY])
    kept = frozenset(header.index(theirs) for ours, theirs in columns.items() if ours not in personal)
    group = form.rule("group")
    place = header.index(columns[group]) if isinstance(group, str) and group in columns else None
    return Plan(kept if {"orders", "refunds"} & set(form.tables) else None, place)


def change(the: Plan, rows: Iterable, is_person: Callable, nothing="") -> Callable:
    """What to make of each row of a file: the row, None to drop it, or the row with the person blanked."""
    def order_of(row):
        """The number of the order that a row belongs to, if it names one."""
        return row[the.place] if the.place is not None and len(row) > the.place else None

    mine = {order_of(row) for row in rows if any(map(is_person, row))} - {None, ""}

    def without(row):
        """The row without the person: itself, None, or with the cells blanked that tell of them."""
        if not any(map(is_person, row)) and order_of(row) not in mine:
            return row
        if the.kept is None:
            return None
        return [nothing if k not in the.kept or is_person(cell) else cell for k, cell in enumerate(row)]

    return without


def from_csv(one, is_person: Callable) -> int:
    """Take a person out of a file of text; returns how many rows changed."""
    if one.match is None:
        return rewritten(one.raw.path, change(Plan(), (), is_person))
    style = one.layout.encoding, one.layout.delimiter, one.match.format.rule("quote", '"')
    return rewritten(one.raw.path, change(plan(one.match, list(one.layout.header)), _read(one.raw.path, *style), is_person), *style)


def _read(path: Path, encoding: str, delimiter: str, quote: str):
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        yield from csv.reader((line.replace("\0", "") for line in file), delimiter=delimiter, **_quoting(quote))


def _quoting(quote: str) -> dict:
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}


def rewritten(path: Path, change: Callable, encoding: str = "utf-8", delimiter: str = ",", quote: str = '"') -> int:
    """Replace a CSV file by its changed rows (None deletes one); returns how many changed. Untouched files stay byte for byte."""
    count, part = 0, path.with_name(f".{path.name}.part")
    with part.open("w", encoding=encoding, errors="replace", newline="") as out:
        writer = csv.writer(out, delimiter=delimiter, lineterminator="\n", **_quoting(quote))
        for row in _read(path, encoding, delimiter, quote):
            after = change(row)
            count += after != row
            if after is not None:
                writer.writerow(after)
    if count:
        part.chmod(path.stat().st_mode)
        part.replace(path)
    else:
        part.unlink()
    return count


def from_xlsx(one, is_person: Callable) -> int:
    """Take a person out of every sheet of a workbook; it is loaded to be written only when the person is in it."""
    book = openpyxl.load_workbook(one.raw.path, read_only=True)
    there = any(is_person(cell) for sheet in book.worksheets for row in sheet.iter_rows(values_only=True) for cell in row)
    book.close()
    if not there:
        return 0
    book, count = openpyxl.load_workbook(one.raw.path), 0
    for sheet in book.worksheets:
        rows = list(sheet.iter_rows())
        values = [[cell.value for cell in row] for row in rows]
        without, kept = change(_sheet_plan(one, values), values, is_person, None), []
        for row, before in zip(rows, values, strict=True):
            after = without(before)
            count += after != before
            if after is not None:
                kept.append([(value, cell.data_type if value is not None else "n") for value, cell in zip(after, row, strict=True)])
        _fill(rows, kept)
        if len(kept) < len(rows):
            sheet.delete_rows(rows[0][0].row + len(kept), len(rows) - len(kept))
    book.save(one.raw.path)
    return count


def _sheet_plan(one, values: list[list]) -> Plan:
    """The plan of a sheet: that of the workbook's format where one of its first lines is the format's header."""
    for row in values[:HEADER_LINES] if one.match is not None else ():
        header = ["" if value is None else str(value) for value in row]
        found = recognise.match(header, one.match.format, one.terms.columns)
        if not found.missing:
            return plan(found, header)
    return Plan()


def _fill(rows: list, kept: list[list[tuple]]) -> None:
    """Write values into a sheet's rows from the top, where they differ; links and notes of a changed cell go with what it was."""
    for row, cells in zip(rows, kept, strict=False):
        for cell, (value, kind) in zip(row, cells, strict=True):
            if not isinstance(cell, MergedCell) and (type(cell.value), cell.value) != (type(value), value):
                cell.value, cell.hyperlink, cell.comment = value, None, None
                cell.data_type = kind  # a text that begins with = stays a text


def from_json(one, is_person: Callable) -> int:
    """Take a person out of JSON: out of the records of orders, and the items of any list that hold the person."""
    document, lines = unpack.json_document(one.raw.path)
    records = [each for each in unpack.records(document) if isinstance(each, dict)] if isinstance(document, list | dict) else []
    header = list(dict.fromkeys(itertools.chain.from_iterable(map(unpack.flat, records))))
    the, count = plan(one.match, header), 0

    def holds(value, in_lists: bool) -> bool:
        """Whether the person stands in a value or below it."""
        if isinstance(value, list):
            return in_lists and any(holds(item, True) for item in value)
        return any(holds(v, in_lists) for v in value.values()) if isinstance(value, dict) else is_person(value)

    def blank(record: dict, above: str = "") -> None:
        """Empty what the tables do not need of the record of an order."""
        for key, value in record.items():
            if isinstance(value, dict):
                blank(value, f"{above}{key}.")
            elif f"{above}{key}" not in names or holds(value, True):
                record[key] = None

    def without(value):
        """The value without the items of its lists that hold the person; lists in an item are looked through on their own."""
        nonlocal count
        if isinstance(value, list):
            kept = [item for item in value if not holds(item, False)]
            count += len(value) - len(kept)
            return [without(item) for item in kept]
        return {k: without(v) for k, v in value.items()} if isinstance(value, dict) else value

    if the.kept is not None:
        names, number = {header[k] for k in the.kept}, None if the.place is None else header[the.place]
        orders = [unpack.flat(record).get(number) for record in records]
        mine = {order for order, record in zip(orders, records, strict=True) if holds(record, True)} - {None, ""}
        for order, record in zip(orders, records, strict=True):
            if holds(record, True) or order in mine:
                before = copy.deepcopy(record)
                blank(record)
                count += record != before
    document = without(document)
    if count:
        texts = [json.dumps(line, ensure_ascii=False) for line in (document if lines else [document])]
        one.raw.path.write_text("\n".join(texts) + ("\n" if lines else ""), encoding="utf-8")
    return count


def from_parquet(one, is_person: Callable) -> int:
    """Take a person out of a Parquet file; each distinct text is looked at once, and columns keep their types."""
    table = pq.read_table(one.raw.path)
    the, mine = plan(one.match, table.column_names), np.zeros(len(table), dtype=bool)
    for column in table.columns:
        if len(found := _of_person(column, is_person)):
            mine |= np.asarray(pc.is_in(column.cast(pa.string()), found))
    if not mine.any():
        return 0
    if the.place is not None:
        orders = table.column(the.place)
        mine |= np.asarray(pc.is_in(orders, pc.drop_null(orders.filter(pa.array(mine)).unique())))
    if the.kept is None:
        table = table.filter(pa.array(~mine))
    else:
        for k, name in enumerate(table.column_names):
            if k not in the.kept or len(_of_person(table.column(k), is_person)):
                column = table.column(k)
                table = table.set_column(k, name, pc.if_else(pa.array(mine), pa.scalar(None, column.type), column))
    pq.write_table(table, one.raw.path)
    return int(mine.sum())


def _of_person(column: pa.ChunkedArray, is_person: Callable) -> pa.Array:
    """The distinct texts of a column that are the person's; none in a column of another kind."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    texts = column.cast(pa.string()).unique().to_pylist() if pa.types.is_string(kind) or pa.types.is_large_string(kind) else []
    return pa.array([text for text in texts if is_person(text)], pa.string())


ERASE = {"csv": from_csv, "xlsx": from_xlsx, "json": from_json, "parquet": from_parquet}
