"""Whole report runs through the command line, in a folder of their own: what the cron job does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Finished(NamedTuple):
    """A finished `workbook` command: its exit code, what it printed, and the project folder it worked in."""

    code: int
    said: str
    home: Path

    def metrics(self, client: str, month: str) -> list[dict]:
        """The rows of a report's metrics.json."""
        return json.loads((self.home / "reports" / client / month / "metrics.json").read_text(encoding="utf-8"))


def project_in(folder: Path, *clients: str) -> Path:
    """A project folder with the notebooks and the committed settings of some clients, and nothing else."""
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    for name in ("_template", *clients):
        shutil.copytree(ROOT / "data" / name, folder / "data" / name,
                        ignore=shutil.ignore_patterns("raw", "tables", "cache", "rejected", "actions"))
    return folder


def workbook(home: Path, *arguments: str, timeout: int = 540) -> Finished:
    """Run `workbook` with its data and reports in `home`, and its keys in a folder beside them."""
    environment = os.environ | {"WORKBOOK_HOME": str(home), "WORKBOOK_KEYS": str(home / "keys"), "COLUMNS": "200"}
    command = [Path(sys.executable).with_name("workbook"), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    return Finished(done.returncode, done.stdout + done.stderr, home)


def published(rows: list[dict], metric: str, **labels) -> list[dict]:
    """The rows of a metric that carry exactly these labels, whatever their period."""
    known = {"metric", "value", "low", "high", "n", "unit", "period", "as_of", "notebook", "suppressed"}
    return [row for row in rows if row["metric"] == metric
            and {key: value for key, value in row.items() if key not in known} == labels]


def headline(rows: list[dict], metric: str, period: str, **labels) -> dict:
    """The one row of a metric in a period."""
    found = [row for row in published(rows, metric, **labels) if row.get("period") == period]
    assert len(found) == 1, (metric, period, labels, found)
    return found[0]
