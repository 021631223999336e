"""Erasing a person: out of the raw exports, the tables, the action lists and the rejected rows."""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import duckdb

from helpers.intake import erase, privacy
from helpers.intake.find import find
from helpers.intake.unread import unread_files
from helpers.settings import load_settings


def forget(client: str, email: str) -> str:
    """Erase a person from a client's data and say what was touched.

    Rows of orders and refunds stay, for the books, with every cell emptied that the tables do not need; all other rows of the
    person are deleted. Tables and action lists lose the pseudonym, rejected rows the address. A name without the address, in a
    note of somebody else's order say, cannot be found. Exports outside data/<client>/raw are not touched; files in it that the
    workbook does not read, and databases, are named as not searched.
    """
    settings = load_settings(client)
    gmail = settings.privacy.gmail_aliases
    person = privacy.normalised(email, gmail)
    pseudonym = privacy.pseudonym(privacy.client_key(client), person)

    def is_person(cell) -> bool:
        """Whether a cell holds the e-mail, however it is written."""
        return isinstance(cell, str) and "@" in cell and privacy.normalised(cell, gmail) == person

    touched, unsearched = _from_raw(settings, is_person)
    for path in [*sorted((settings.folder / "rejected").glob("*.csv")), *sorted((settings.folder / "actions").glob("*.csv"))]:
        gone = erase.rewritten(path, lambda row: None if pseudonym in row or any(map(is_person, row)) else row)
        touched[f"{path.parent.name}/{path.name}"] = gone
    for path in sorted((settings.folder / "tables").glob("*.parquet")):
        touched[f"tables/{path.name}"] = _from_table(path, pseudonym)
    shutil.rmtree(settings.folder / "cache", ignore_errors=True)
    lines = [f"  {name}: {count:,} rows" for name, count in touched.items() if count]
    said = "\n".join([f"Erased from data/{client}:", *lines]) if lines else f"data/{client} holds nobody of that address."
    if unsearched:
        said += f"\nNot searched, because the workbook does not read them (look there yourself): {', '.join(unsearched)}"
    return f"{said}\nReports hold sums only; run the month again to make them without this person."


def _from_raw(settings, is_person: Callable) -> tuple[dict[str, int], list[str]]:
    """Rows changed by raw file, and what could not be searched."""
    touched, folder = {}, settings.folder / "raw"
    if not folder.is_dir():
        return touched, []
    unsearched = [f"raw/{file}" for file in unread_files(folder)]
    with tempfile.TemporaryDirectory(prefix=".build-", dir=settings.folder) as name:
        for one in find(settings, folder, Path(name)):
            if one.terms is not None and one.terms.url:
                unsearched.append(f"the database of [sources.{one.source}]")
            elif one.raw.path.is_file():
                try:
                    touched[f"raw/{one.raw.file}"] = erase.ERASE[one.raw.kind](one, is_person)
                except erase.UNREADABLE:
                    unsearched.append(f"raw/{one.raw.file}")
    return touched, unsearched


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
