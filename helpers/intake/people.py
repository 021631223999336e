"""Persons: the way back from pseudonyms to addresses for one action list, and erasing somebody from everything a client has."""

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd

from helpers.intake import build, erase, privacy, read
from helpers.intake.contract import defused
from helpers.intake.find import find, unread_files
from helpers.intake.recognise import headers_in
from helpers.periods import label, month_start
from helpers.settings import Settings, load_settings


def contacts(client: str, month: str, raw: Path | None = None) -> Path:
    """A month's action list with e-mail addresses, for the mailing tool: data/<client>/actions/<month>-contacts.csv.

    Customers held out at random are left out: they must not be contacted. Addresses are looked up in the raw exports and stand
    nowhere else; the file is readable by its owner only. Raises ValueError when the month has no list.
    """
    settings, month = load_settings(client), label(month_start(month))
    path = settings.folder / "actions" / f"{month}.csv"
    if not path.is_file():
        raise ValueError(f"There is no action list for {month}: {path} does not exist. Notebook 06 issues it.")
    listed = pd.read_csv(path, dtype=str, keep_default_na=False)
    listed = listed[listed["arm"] != "holdout"]
    known = addresses(settings, raw)
    listed.insert(0, "email", listed["customer_id"].map(known).map(defused, na_action="ignore"))
    out = path.with_name(f"{month}-contacts.csv")
    out.touch(0o600)
    listed.dropna(subset="email").to_csv(out, index=False)
    return out


def addresses(settings: Settings, raw: Path | None = None) -> dict[str, str]:
    """Pseudonym → e-mail of everybody in the raw exports. Keep it in memory, and no longer than needed."""
    folder, key, found = raw or settings.folder / "raw", privacy.client_key(settings.client), {}
    with build.workbench(settings, folder) as (con, scratch):
        for one in find(settings, folder, scratch):
            if one.match is None:
                continue
            specs = [spec.get(c) for spec in one.match.format.tables.values() for c in ("email", "referrer_email")]
            if columns := {ours: theirs for ours, theirs in one.match.columns.items() if ours in headers_in(specs)}:
                only = replace(one, match=replace(one.match, columns=columns))
                rows = read.load(con, f"raw_{one.index}", [only], scratch)
                for header in columns.values():
                    for email in con.to_pandas(rows.select(email=rows[header]).distinct())["email"].dropna():
                        mail = privacy.normalised(email, settings.privacy.gmail_aliases)
                        found[privacy.pseudonym(key, mail)] = mail
    return found


def forget(client: str, email: str) -> str:
    """Erase a person from a client's data and say what was touched, and what could not be searched.

    Rows of orders and refunds stay, for the books, with every cell emptied that the tables do not need; all other rows of the
    person are deleted. A name without the address, in a note of somebody else's order say, cannot be found.
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
            if one.terms.url:
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
    part, kept = path.with_name(f".{path.name}.part"), f"SELECT * FROM everybody WHERE customer_id IS DISTINCT FROM '{pseudonym}'"
    if path.stem == "orders":
        kept = f"""SELECT * REPLACE (nullif(customer_id, '{pseudonym}') AS customer_id, nullif(referred_by, '{pseudonym}') AS referred_by,
            CASE WHEN customer_id = '{pseudonym}' THEN 'none' ELSE identity_scope END AS identity_scope) FROM everybody"""
    con.execute(f"COPY ({kept}) TO '{part}' (FORMAT parquet)")
    part.replace(path)
    return count
