"""Scores fit to be shown: enough answers behind them, and two groups at least where groups are compared."""

import contextlib

import ibis.expr.types as ir
import pandas as pd

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics import voice
from helpers.periods import Period

UNITS = {"csat": "fraction", "ces_mean": "score", "ces_index": "index", "ces_top_box": "fraction"}


def needed(said: ir.Table | None) -> ir.Table:
    """The answers, or NotEnoughData when none were supplied: for everything built upon them.

    >>> int(needed(voice._example()).count().execute())
    9
    """
    if said is None:
        raise NotEnoughData("This needs survey answers; how to supply them stands above.")
    return said


def headline(table: pd.DataFrame, least: int) -> Estimate:
    """The first row of a table as an Estimate; NotEnoughData when fewer than `least` respondents stand behind it.

    >>> headline(voice.nps(voice._example()), least=3).n
    3
    """
    row = table.iloc[0]
    if row["n"] < least:
        raise NotEnoughData(f"Fewer than {least} customers answered this question in the last twelve months: too few "
                            "to show, and too few to tell anything.")
    return Estimate(*(float(row[name]) for name in ("value", "low", "high")), int(row["n"]))


def comparable(groups: pd.DataFrame) -> pd.DataFrame:
    """The groups that may be shown, highest value first; NotEnoughData when there are not two of them to compare.

    groups: any table with column value, blank where a group is too small to be shown.

    >>> comparable(pd.DataFrame({"market": ["DE", "FR", "JP"], "value": [20.0, None, 30.0]}))["market"].tolist()
    ['JP', 'DE']
    """
    shown = groups.dropna(subset="value").sort_values("value", ascending=False, kind="stable", ignore_index=True)
    if len(shown) < 2:
        raise NotEnoughData("There are no two groups with enough answers to compare.")
    return shown


def by_group(surveys: ir.Table, period: Period | None, by: str, top_boxes: int = 2) -> pd.DataFrame:
    """CSAT and the three forms of CES by one grouping: measure, that column, value, low, high, n; months as YYYY-MM.

    Groups without a name are left out, and so is a kind that was not asked.

    >>> by_group(voice._example(), None, "market")[["measure", "market", "n"]].values.tolist()[:2]
    [['csat', 'DE', 3], ['ces_mean', 'DE', 3]]
    """
    found = []
    with contextlib.suppress(NotEnoughData):
        found.append(voice.csat(surveys, period, [by], top_boxes).assign(measure="csat"))
    with contextlib.suppress(NotEnoughData):
        found.append(voice.ces(surveys, period, [by], top_boxes).rename(columns={"variant": "measure"}))
    if not found:
        raise NotEnoughData("There are no CSAT and no CES answers in this period; see the head of this page for how to "
                            "supply them.")
    table = pd.concat(found, ignore_index=True).dropna(subset=by)
    if by == "month":
        table["month"] = table["month"].dt.strftime("%Y-%m")
    return table[["measure", by, "value", "low", "high", "n"]].reset_index(drop=True)
