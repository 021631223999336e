"""Erasing a person: out of the raw exports, the tables, the action lists and the rejected rows."""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import openpyxl
import pandas as pd

from helpers.intake import privacy
from helpers.intake.find import find
from helpers.intake.recognise import headers_in
from helpers.settings import load_settings

IDENTITY = ("email", "account", "customer_id", "referrer_email", "comment")


def forget(client: str, email: str) -> str:
    """Erase a person from a client's data and say what was touched.

    Rows of orders and refunds stay, for the books, with every cell emptied that the tables do not need; all other rows of the
    person are deleted. Tables and action lists lose the pseudonym, rejected rows the address. A name without the address, in a
    note of somebody else's order say, cannot be found. Exports outside data/<client>/raw are not touched.
    """
    settings = load_settings(client)
    gmail = settings.privacy.gmail_aliases
    person = privacy.normalised(email, gmail)
    pseudonym = privacy.pseudonym(privacy.client_key(client), person)

    def is_person(cell) -> bool:
        """Whether a cell holds the e-mail, however it is written."""
        return isinstance(cell, str) and "@" in cell and privacy.normalised(cell, gmail) == person

    touched = _from_raw(settings, is_person)
    for path in [*sorted((settings.folder / "rejected").glob("*.csv")), *sorted((settings.folder / "actions").glob("*.csv"))]:
        gone = _rewritten(path, lambda row: None if pseudonym in row or any(map(is_person, row)) else row)
        touched[f"{path.parent.name}/{path.name}"] = gone
    for path in sorted((settings.folder / "tables").glob("*.parquet")):
        touched[f"tables/{path.name}"] = _from_table(path, pseudonym)
    shutil.rmtree(settings.folder / "cache", ignore_errors=True)
    lines = [f"  {name}: {count:,} rows" for name, count in touched.items() if count]
    said = "\n".join([f"Erased from data/{client}:", *lines]) if lines else f"data/{client} holds nobody of that address."
    return f"{said}\nReports hold sums only; run the month again to make them without this person."


def _from_raw(settings, is_person: Callable) -> dict[str, int]:
    touched = {}
    folder = settings.folder / "raw"
    if not folder.is_dir():
        return touched
    with tempfile.TemporaryDirectory(prefix=".build-", dir=settings.folder) as name:
        for one in find(settings, folder, Path(name)):
            if one.raw.path.is_file():
                erase = {"csv": _from_csv, "xlsx": _from_xlsx, "json": _from_json, "parquet": _from_parquet}[one.raw.kind]
                touched[f"raw/{one.raw.file}"] = erase(one, is_person)
    return touched


def _from_csv(one, is_person: Callable) -> int:
    if one.match is None:
        return _rewritten(one.raw.path, lambda row: None if any(map(is_person, row)) else row)
    form, columns, header = one.match.format, one.match.columns, list(one.layout.header)
    group, personal = form.rule("group"), headers_in([spec.get(c) for spec in form.tables.values() for c in IDENTITY])
    place = header.index(columns[group]) if isinstance(group, str) and group in columns else None
    kept = {header.index(theirs) for ours, theirs in columns.items() if ours not in personal}
    style = one.layout.encoding, one.layout.delimiter, form.rule("quote", '"')

    def order_of(row):
        """The number of the order that a row belongs to, if it names one."""
        return row[place] if place is not None and len(row) > place else None

    mine = {order_of(row) for row in _read(one.raw.path, *style) if any(map(is_person, row))} - {None}

    def without(row):
        """The row, None to drop it, or the row with the person blanked."""
        if not any(map(is_person, row)) and order_of(row) not in mine:
            return row
        if not {"orders", "refunds"} & set(form.tables):
            return None
        return ["" if k not in kept or is_person(cell) else cell for k, cell in enumerate(row)]

    return _rewritten(one.raw.path, without, *style)


def _read(path: Path, encoding: str, delimiter: str, quote: str):
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        yield from csv.reader((line.replace("\0", "") for line in file), delimiter=delimiter, **_quoting(quote))


def _quoting(quote: str) -> dict:
    return {"quotechar": quote} if quote else {"quoting": csv.QUOTE_NONE, "quotechar": None}


def _rewritten(path: Path, change: Callable, encoding: str = "utf-8", delimiter: str = ",", quote: str = '"') -> int:
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


def _from_xlsx(one, is_person: Callable) -> int:
    book, count = openpyxl.load_workbook(one.raw.path), 0
    for sheet in book.worksheets:
        for row in range(sheet.max_row, 1, -1):
            if any(is_person(cell.value) for cell in sheet[row]):
                sheet.delete_rows(row)
                count += 1
    if count:
        book.save(one.raw.path)
    return count


def _from_json(one, is_person: Callable) -> int:
    count = 0

    def without(value):
        """The value without the items of its lists that hold the person."""
        nonlocal count
        if isinstance(value, list):
            kept = [item for item in value if not holds(item)]
            count += len(value) - len(kept)
            return [without(item) for item in kept]
        return {k: without(v) for k, v in value.items()} if isinstance(value, dict) else value

    def holds(item) -> bool:
        """Whether the person stands in an item itself; lists in it are looked through on their own."""
        if isinstance(item, dict):
            return any(holds(v) for v in item.values() if not isinstance(v, list))
        return is_person(item)

    text = one.raw.path.read_text(encoding="utf-8-sig")
    try:
        after = json.dumps(without(json.loads(text)), ensure_ascii=False)
    except json.JSONDecodeError:
        lines = without([json.loads(line) for line in text.splitlines() if line.strip()])
        after = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines) + "\n"
    if count:
        one.raw.path.write_text(after, encoding="utf-8")
    return count


def _from_parquet(one, is_person: Callable) -> int:
    frame = pd.read_parquet(one.raw.path)
    mine = frame.map(is_person).any(axis=1)
    if mine.any():
        frame[~mine].to_parquet(one.raw.path, index=False)
    return int(mine.sum())


def _from_table(path: Path, pseudonym: str) -> int:
    """Take a pseudonym out of one table: orders stay without a buyer, other rows go."""
    con = duckdb.connect()
    rows = con.read_parquet(str(path))
    rows.create_view("everybody")
    named = [c for c in ("customer_id", "referred_by") if c in rows.columns]
    count = sum(con.execute(f"SELECT count(*) FROM everybody WHERE {c} = ?", [pseudonym]).fetchone()[0] for c in named)
    if not count:
        return 0
    part = path.with_name(f".{path.name}.part")
    if path.stem == "orders":
        con.execute(f"""COPY (SELECT * REPLACE (nullif(customer_id, '{pseudonym}') AS customer_id, nullif(referred_by, '{pseudonym}') AS
            referred_by, CASE WHEN customer_id = '{pseudonym}' THEN 'none' ELSE identity_scope END AS identity_scope) FROM everybody)
            TO '{part}' (FORMAT parquet)""")
    else:
        con.execute(f"COPY (SELECT * FROM everybody WHERE customer_id IS DISTINCT FROM '{pseudonym}') TO '{part}' (FORMAT parquet)")
    part.replace(path)
    return count
