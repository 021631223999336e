"""The rows of metrics.json: as a notebook publishes them, and all notebooks' together."""

import json
import math

import pandas as pd

from helpers import periods
from helpers.report.suppress import NUMBERS, hidden_rows

DIGITS = 12  # of the floats: more than any rounding of sums, fewer than noise between machines
ORDER = ("metric", "period", "market", "sales_channel", "acquisition_channel", "cohort", "age", "tier")


def row(labels: dict, hiding: bool) -> dict:
    """One row as JSON knows it: absent where not applicable, without its value where it must not be shown.

    >>> row({"metric": "churn_rate", "value": 1 / 3, "low": float("nan"), "n": 90}, hiding=False)
    {'metric': 'churn_rate', 'value': 0.333333333333, 'n': 90}
    """
    made = {name: _plain(value) for name, value in labels.items()}
    if made.get("n") == 0 and made.get("value") is not None:
        made.pop("n")  # an Estimate that counts nobody says nothing about n
    if hiding:
        made |= {"suppressed": True, "value": None, "low": None, "high": None}  # n goes when all rows are together
    return {name: value for name, value in made.items() if value is not None and value != ""}


def _plain(value):
    """A value as JSON knows it: no nan, dates as text, floats at twelve digits, months as YYYY-MM."""
    if value is None or (not isinstance(value, list | tuple) and pd.isna(value)):
        return None
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return None if math.isinf(value) else float(f"{value:.{DIGITS}g}")
    if hasattr(value, "isoformat"):
        return periods.label(value) if value.day == 1 else f"{value:%Y-%m-%d}"
    return value


def conflict(published: list[dict]) -> str:
    """What is wrong with a notebook that gives two values to one metric and set of labels; empty if none does.

    >>> conflict([{"metric": "churn_rate", "value": 0.1}, {"metric": "churn_rate", "value": 0.2}])
    "churn_rate is published twice with different values: {'metric': 'churn_rate'}"
    """
    once: dict[str, dict] = {}
    for each in published:
        labels = {name: value for name, value in each.items() if name not in NUMBERS}
        if once.setdefault(repr(sorted(labels.items())), each) != each:
            return f"{each['metric']} is published twice with different values: {labels}"
    return ""


def merged(published: list[dict], minimum: int) -> list[dict]:
    """The rows of all notebooks as metrics.json has them: sorted, each once, small cells and their tell-tales hidden.

    >>> merged([{"metric": "b", "value": 1.0, "n": 50}, {"metric": "a", "value": 2.0, "n": 4}], minimum=10)
    [{'metric': 'a', 'suppressed': True}, {'metric': 'b', 'value': 1.0, 'n': 50}]
    """
    kept = list({json.dumps(each, sort_keys=True): dict(each) for each in published}.values())
    for each, hide in zip(kept, hidden_rows(kept, minimum), strict=True):
        if hide:
            for name in NUMBERS:
                each.pop(name, None)
            each["suppressed"] = True
    return sorted(kept, key=_sorting)


def as_lines(published: list[dict]) -> str:
    """The rows as JSON, one a line, so that two reports can be compared line by line."""
    lines = [json.dumps(each, ensure_ascii=False, allow_nan=False) for each in published]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def _sorting(each: dict) -> tuple:
    labels = [f"{each[name]:09d}" if isinstance(each.get(name), int) else str(each.get(name, "")) for name in ORDER]
    return (*labels, json.dumps(each, sort_keys=True, default=str))
