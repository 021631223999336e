"""Raw exports → checked tables: the whole way, swapped in whole, or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import ibis
import pandas as pd

from helpers.intake import assemble, conversions, privacy, read, staging
from helpers.intake.contract import IntakeError, Problem
from helpers.intake.find import LEAVE_OUT, Found, find, notes_on, unread_files
from helpers.settings import Settings

MEMORY_LIMIT = "1500MB"
IN_MEMORY = 100_000_000
RESTS_ON = {"currency", "time_zone", "history_complete", "data_start", "privacy", "sources"}
CODE = Path(__file__).parent


class BuildResult(NamedTuple):
    """What a build left: the account of each file, whether it is the last build's, and what the reader should know."""

    files: pd.DataFrame
    reused: bool
    remarks: list[str]


def build(settings: Settings, raw: Path | None = None, max_rejected: float | None = None) -> BuildResult:
    """Make data/<client>/tables from the raw exports; the last build is kept when nothing it rests on has changed.

    Raises IntakeError with every problem of every file; the tables of the last good build then stay as they are.
    """
    folder = raw or settings.folder / "raw"
    share = settings.max_rejected if max_rejected is None else max_rejected
    fingerprint = _fingerprint(settings, folder)
    tables, last = settings.folder / "tables", _manifest(settings)
    if last.get("fingerprint") == fingerprint and last["largest_rejected_share"] <= share:
        return BuildResult(pd.read_parquet(tables / "files.parquet"), True, last["remarks"])
    with workbench(settings, folder) as (con, scratch):
        found, batches, problems = staged(con, settings, folder, scratch)
        _stop_if_too_many(settings, found, batches, problems, share)
        files, remarks = assemble.write_tables(con, batches, settings, scratch / "tables")
        remarks += [f"{file}: {said}" for file, said in notes_on(found, folder).items()]
        accounts = [one for batch in batches for one in batch.accounts]
        manifest = {
            "fingerprint": fingerprint,
            "remarks": remarks,
            "largest_rejected_share": max((one.rejected / one.read for one in accounts if one.read), default=0.0),
            "inputs": {one.raw.file: one.raw.sha256 for one in accounts},
        }
        (scratch / "tables" / "build.json").write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
        if tables.exists():  # the old ones go only when the new ones stand
            tables.rename(scratch / "old")
        (scratch / "tables").rename(tables)
    return BuildResult(files, False, remarks)


def check(settings: Settings, raw: Path | None = None) -> pd.DataFrame:
    """What each raw file was taken for, how many rows it has, and its problems; nothing is written but the reject files."""
    folder = raw or settings.folder / "raw"
    with workbench(settings, folder) as (con, scratch):
        found, batches, problems = staged(con, settings, folder, scratch)
    accounts = {one.raw.file: one for batch in batches for one in batch.accounts}
    rows, notes = [], notes_on(found, folder)
    for one in found:
        counted = accounts.get(one.raw.file) or staging.Account(one.raw, one.index)
        said = [f"{p.where}: {p.what}. {p.advice}".strip() for p in problems.get(_label(settings, one.raw.file), [])]
        said += [f"{one.raw.file}: {notes.pop(one.raw.file)}"] if one.raw.file in notes else []
        strange = "not recognised" if one.terms.url or one.raw.path.exists() else "no such file"
        taken = f"left out: {LEAVE_OUT}" if one.terms.skip else one.match.format.title if one.match else strange
        rows.append((one.raw.file, one.source, taken, counted.read, counted.rejected, counted.ignored, "\n".join(said)))
    notes |= _beside(settings.folder) if folder == settings.folder / "raw" else {}
    rows += [(file, "", "not read", 0, 0, 0, f"{file}: {note}") for file, note in notes.items()]
    return pd.DataFrame(rows, columns=["file", "source", "format", "rows_read", "rows_rejected", "rows_ignored", "problems"])


def _beside(folder: Path) -> dict[str, str]:
    """Files that lie in a client's folder as exports do, and not in raw/ as they should."""
    lost = sorted(path.name for path in folder.iterdir() if path.is_file() and path.suffix.lower() in read.SUFFIXES)
    return {f"../{name}": "it is not read: it lies beside raw/. Put it into raw/ if it is for the workbook." for name in lost}


def remarks(settings: Settings) -> list[str]:
    """What the last build wants the reader to know: placeholders left out, exports that overlap, refunds without an order."""
    return _manifest(settings).get("remarks", [])


@contextmanager
def workbench(settings: Settings, folder: Path):
    """A DuckDB connection with bounded memory, in memory for small exports, on a file that large ones spill to; and its scratch folder."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=settings.folder, ignore_cleanup_errors=True) as name:
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        place = Path(name) / "build.duckdb" if size > IN_MEMORY else ":memory:"
        con = ibis.duckdb.connect(place, memory_limit=MEMORY_LIMIT, temp_directory=str(Path(name) / "spill"))
        con.raw_sql(conversions.MACROS)
        try:
            yield con, Path(name)
        finally:
            con.disconnect()


def staged(con, settings: Settings, folder: Path, scratch: Path) -> tuple[list[Found], list, dict]:
    """Every file found, the batches they were staged in, and the problems of each file by its label."""
    found = find(settings, folder, scratch)
    problems = {_label(settings, one.raw.file): [one.problem] for one in found if one.problem}
    batches, groups, rejected = [], {}, settings.folder / "rejected"
    shutil.rmtree(rejected, ignore_errors=True)
    for one in found:
        if not one.problem and not one.terms.skip:
            groups.setdefault(one.alike, []).append(one)
    for alike in groups.values():
        try:
            batches.append(staging.stage(con, alike, settings, scratch, rejected))
            problems |= {_label(settings, a.raw.file): a.problems for a in batches[-1].accounts if a.problems}
        except IntakeError as error:
            named = [one.raw.file for one in alike if one.raw.file in error.problems] or [one.raw.file for one in alike]
            problems |= {_label(settings, file): error.problems.get(file, error.listed) for file in named}
    return found, batches, problems


def _label(settings: Settings, file: str) -> str:
    return f"data/{settings.client}/raw/{file}"


def _stop_if_too_many(settings: Settings, found: list, batches: list, problems: dict, share: float) -> None:
    """Raise with all problems when a file could not be used at all, or when too many of its rows were rejected."""
    accounts = [one for batch in batches for one in batch.accounts]
    too_many = [one for one in accounts if one.rejected > share * one.read]
    for one in too_many:
        what = f"{one.rejected:,} of {one.read:,} rows are rejected, more than the {share:.1%} that may be"
        advice = "See data/<client>/rejected; --max-rejected or max_rejected in client.toml raises the limit."
        problems[_label(settings, one.raw.file)].append(Problem("the file", what, advice))
    if too_many or len(accounts) < sum(not one.terms.skip for one in found):
        raise IntakeError(problems)
    if not any("orders" in batch.tables for batch in batches):
        raise IntakeError({"the raw folder": [Problem("orders", "no export holds orders", "Put an order export there.")]})


def _fingerprint(settings: Settings, folder: Path) -> str:
    """A hash of everything the tables rest on."""
    digest = hashlib.sha256()
    digest.update("".join(unread_files(folder)).encode())
    for raw in read.raw_files(folder):
        digest.update(f"{raw.file}\0{raw.sha256}\0".encode())
    digest.update(settings.model_dump_json(include=RESTS_ON).encode())
    code = [*CODE.rglob("*.py"), *CODE.rglob("*.toml"), *CODE.parent.glob("schema.*"), CODE.parent / "money.py"]
    for path in [*sorted(code), *sorted((settings.folder / "formats").glob("*.toml"))]:
        digest.update(path.read_bytes())
    digest.update(version("currencyconverter").encode())
    digest.update(privacy.pseudonym(privacy.client_key(settings.client), "fingerprint").encode())
    if any(terms.url for terms in settings.sources.values()):
        digest.update(os.urandom(8))  # a database has no hash: read it again
    return digest.hexdigest()


def _manifest(settings: Settings) -> dict:
    path = settings.folder / "tables" / "build.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
