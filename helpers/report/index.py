"""The front of a report: headline numbers with their change and history, every answer, what failed, what is missing."""

import html
import itertools
import json
import math
import re
from pathlib import Path

from helpers import periods
from helpers.estimates import Estimate
from helpers.report.wording import Words

HEADLINES = {  # metric → the way that is good
    "repeat_purchase_rate": "up", "churn_rate": "down", "retention_cost_per_customer": "down", "clv_12m": "up",
    "clv_to_cac": "up", "payback_months": "down", "nps": "up",
}  # fmt: skip
KINDS = {"fraction": "percent", "ratio": "ratio", "months": "count.1 month", "points": "number.0"}
ABOUT = {"metric", "value", "low", "high", "n", "unit", "period", "as_of", "notebook", "suppressed"}
HISTORY = 13  # months drawn: the same month last year is the first of them
SPARK_WIDTH, SPARK_HEIGHT, SPARK_EDGE = 160, 34, 4


def _headline_rows(rows: list[dict], market: str) -> dict[tuple[str, str], dict]:
    """The rows that speak for the whole client (or the whole market), by metric and period."""
    found = {}
    for row in rows:
        labels = {name: value for name, value in row.items() if name not in ABOUT}
        if row["metric"] in HEADLINES and row.get("period") and labels == ({"market": market} if market else {}):
            found.setdefault((row["metric"], row["period"]), row)
    return found


def earlier_rows(reports: Path, before: str, suffix: str = "") -> list[dict]:
    """All rows of the earlier monthly reports in a client's reports folder, the newest report first."""
    names = sorted({path.parent.name for path in reports.glob("*/metrics.json")}, reverse=True)
    wanted = [name for name in names if re.fullmatch(r"\d{4}-\d{2}" + re.escape(suffix), name) and name[:7] < before]
    return [row for name in wanted for row in json.loads((reports / name / "metrics.json").read_text(encoding="utf-8"))]


def cards(rows: list[dict], earlier: list[dict], period: str, words: Words, market: str = "") -> list[dict]:
    """One card per headline metric shown for the period: value, interval, changes, spark line, page."""
    known = _headline_rows(earlier, market) | _headline_rows(rows, market)  # this report's own history wins
    moved = {(row["metric"], row["since"]): _estimate(row) for row in rows if "since" in row and "value" in row}
    return [_card(metric, known, moved, period, words) for metric in HEADLINES if "value" in known.get((metric, period), {})]


def _card(metric: str, known: dict, moved: dict, period: str, words: Words) -> dict:
    row = known[metric, period]
    kind, now = _kind(row), _estimate(row)
    months = [periods.label(periods.add_months(periods.month_start(period), -back)) for back in range(HISTORY)]
    history = {month: _estimate(known.get((metric, month), {})) for month in months}
    changes = []
    for then in (months[1], months[12]):
        if history[then].value == history[then].value:
            compared = now, history[then], kind
            since = moved.get((f"{metric}_change", then))  # inside its interval a change has no tone
            direction = words.direction(*compared, since)
            tone = "good" if direction == HEADLINES[metric] else "bad" if direction in ("up", "down") else ""
            changes.append((tone, words.change(*compared, then, since)))
    values = [(month, each.value) for month, each in history.items()]
    unbroken = list(itertools.takewhile(lambda point: point[1] == point[1], values))  # back to the first unknown month
    label = words.say(f"common.kpi.{metric}")
    return {
        "label": label,
        "page": row["notebook"],
        "value": words.format_field(now.value, kind),
        "interval": _rests_on(now, kind, words),
        "changes": changes,
        "spark": _spark(label, unbroken[::-1], kind, words),
    }


def _rests_on(now: Estimate, kind: str, words: Words) -> str:
    """The interval of a headline and its n: "8.2% to 9.7%, n = 5,182"; whole months say it where their interval has no width or no end."""
    known = words.format_field(now, f"{kind}!range") if now.low < now.high else ""  # else none, or narrower than it is written
    if kind.endswith("month") and now.low == now.low and not known:
        known = words.say(f"common.index.{'one_month' if now.low == now.high else 'open_month'}", low=now.low)
    return ", ".join(filter(None, [known, words.say("common.n", n=now.n) if now.n > 0 else ""]))


def _kind(row: dict) -> str:
    unit = row.get("unit", "")
    if unit == "months" and row.get("value", 0) == int(row.get("value", 0)):
        return "count month"
    return KINDS.get(unit) or ("money" if re.fullmatch(r"[A-Z]{3}", unit) else "number")


def _estimate(row: dict) -> Estimate:
    return Estimate(*(row.get(name, math.nan) for name in ("value", "low", "high")), row.get("n", 0))


def _spark(label: str, series: list[tuple[str, float]], kind: str, words: Words) -> str:
    """A small line of the months so far, with its text alternative; nothing for fewer than three months."""
    if len(series) < 3:
        return ""
    values = [value for _, value in series]
    low, spread = min(values), (max(values) - min(values)) or 1.0
    step, up = (SPARK_WIDTH - 2 * SPARK_EDGE) / (len(series) - 1), SPARK_HEIGHT - 2 * SPARK_EDGE
    points = [
        f"{SPARK_EDGE + step * place:.1f},{SPARK_EDGE + up * (1 - (value - low) / spread):.1f}"
        for place, value in enumerate(values)
    ]
    said = words.say(
        "common.index.spark", label=label, first=series[0][0], last=series[-1][0],
        before=words.format_field(values[0], kind), now=words.format_field(values[-1], kind),
    )  # fmt: skip
    x, y = points[-1].split(",")
    return (
        f'<svg class="spark" role="img" viewBox="0 0 {SPARK_WIDTH} {SPARK_HEIGHT}"><title>{html.escape(said)}</title>'
        f'<polyline points="{" ".join(points)}" fill="none" stroke="var(--muted)" stroke-width="1.6"/>'
        f'<circle cx="{x}" cy="{y}" r="3" fill="var(--link)"/></svg>'
    )


def reasons(runs, words: Words) -> dict[str, str]:
    """Why each page without an answer has none, by its name: the first thing it misses, or which page above tells it."""
    told: dict[str, str] = {}
    found = {}
    for run in (run for run in runs if not run.answers and not run.failure):
        reason = run.missing[0] if run.missing else words.say("common.index.no_answer")
        found[run.name] = words.say("common.index.told", page=told[reason]) if reason in told else reason
        told.setdefault(reason, run.title)
    return found


def missing_inputs(runs, told=()) -> list[tuple[str, str]]:
    """Every sentence about missing data once, with the titles of the pages that say it; without those `told` before."""
    said: dict[str, list[str]] = {}
    for run in runs:
        for sentence in dict.fromkeys(run.missing):
            said.setdefault(sentence, []).append(run.title)
    return [(sentence, " · ".join(titles)) for sentence, titles in said.items() if sentence not in told]
