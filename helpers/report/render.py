"""A dated report: notebooks executed, their pages, metrics.json and run.json, moved into place when all is there."""

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path

from helpers import periods, settings
from helpers.client import open_client
from helpers.report import rows, site
from helpers.report.execute import Run, execute

VERSIONS = (
    "retention-workbook", "duckdb", "ibis-framework", "pandas", "numpy", "lifetimes", "statsmodels", "scikit-learn",
    "matplotlib",
)  # fmt: skip


@dataclass(frozen=True)
class Report:
    """Where a report was written, and what did not finish."""

    folder: Path
    failures: dict[str, str]
    seconds: float

    @property
    def front(self) -> Path:
        """The page to open first."""
        return self.folder / "index.html"


def report(client: str, as_of: date, market: str = "", jobs: int = 2, tell: Callable[[str, str], None] | None = None) -> Report:
    """The report of a client as of a day, in reports/<client>/<YYYY-MM> (YYYY-MM-DD when the day ends no month).

    With failures it is written beside, as <YYYY-MM>.failed, with the executed notebooks; the last good report stays.
    A killed run leaves nothing but a hidden folder that the next run removes. `tell` is called as execute does.
    """
    began = time.monotonic()
    shop = open_client(client, as_of, market)
    home = settings.reports_folder(client)
    label = folder_label(as_of, market)
    paths = [settings.home() / "notebooks" / f"{name}.ipynb" for name in shop.settings.report.notebooks]
    if absent := [path.name for path in paths if not path.is_file()]:
        raise FileNotFoundError(f"There is no {', '.join(absent)} in notebooks/, which client.toml asks for.")
    building = _fresh_folder(home, label)
    runs = execute(paths, {"client": client, "as_of": as_of.isoformat(), "market": market}, building, jobs, tell)
    published = [row for run in runs if not run.failure for row in run.metrics]
    published = rows.merged(published, shop.minimum_cell)
    facts = _run_facts(shop, runs, began)
    noted = json.dumps(facts, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (building / "metrics.json").write_text(rows.as_lines(published), encoding="utf-8", newline="\n")
    (building / "run.json").write_text(noted, encoding="utf-8", newline="\n")
    site.write_pages(building, shop, runs, published, facts)
    if not (failures := facts["failures"]):
        for path in paths:
            (building / path.name).unlink(missing_ok=True)
    target = home / (f"{label}.failed" if failures else label)
    _swap(building, target)
    if not failures:
        shutil.rmtree(home / f"{label}.failed", ignore_errors=True)
    return Report(target, failures, round(time.monotonic() - began, 1))


def folder_label(as_of: date, market: str = "") -> str:
    """The name of a report's folder.

    >>> folder_label(date(2026, 10, 31)), folder_label(date(2026, 10, 15), "DE")
    ('2026-10', '2026-10-15-DE')
    """
    day = periods.label(as_of) if as_of == periods.month_end(as_of) else as_of.isoformat()
    return f"{day}-{market}" if market else day


def _run_facts(shop, runs: list[Run], began: float) -> dict:
    """What run.json records: parameters, inputs with their hashes, versions, exchange rates, seconds."""
    told = ["file", "sha256", "rows_read", "rows_accepted", "rows_rejected"]
    files = shop.files.drop_duplicates("file").sort_values("file")[told]
    return {
        "parameters": {"client": shop.settings.client, "as_of": shop.as_of.isoformat(), "market": shop.market},
        "inputs": files.astype(dict.fromkeys(told[2:], "int64")).to_dict("records"),
        "engine": shop.settings.engine.kind,
        "versions": {name: metadata.version(name) for name in VERSIONS},
        "fx": _rates(shop.table("fx")),
        "seconds": {run.name: run.seconds for run in runs},
        "seconds_total": round(time.monotonic() - began, 1),
        "failures": {run.name: run.failure for run in runs if run.failure},
    }  # fmt: skip


def _rates(fx) -> dict:
    foreign = fx.filter(fx.source != "same currency").group_by("source").aggregate(last=fx.date.max()).to_pandas()
    if foreign.empty:
        return {}
    return {"source": ", ".join(sorted(foreign["source"])), "last_rate": f"{foreign['last'].max():%Y-%m-%d}"}


def _fresh_folder(home: Path, label: str) -> Path:
    """A hidden folder to build in, after clearing what a killed run left and putting back what it had set aside."""
    home.mkdir(parents=True, exist_ok=True)
    for left in home.glob(f".{label}.*"):
        owner = left.suffix.removeprefix(".")
        if left.name == f".{label}.old" and not (home / label).exists():
            left.rename(home / label)
        elif not (owner.isdigit() and owner != str(os.getpid()) and Path(f"/proc/{owner}").exists()):
            shutil.rmtree(left, ignore_errors=True)
    building = home / f".{label}.{os.getpid()}"
    building.mkdir()
    return building


def _swap(building: Path, target: Path) -> None:
    aside = target.parent / f".{target.name}.old"
    shutil.rmtree(aside, ignore_errors=True)
    if target.exists():
        target.rename(aside)
    building.rename(target)
    shutil.rmtree(aside, ignore_errors=True)
