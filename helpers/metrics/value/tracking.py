"""Forecasts followed month by month: those of a test, with or without the seasons, and those already published."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.value import expectations
from helpers.metrics.value.backtest import Holdout
from helpers.metrics.value.fits import Fit
from helpers.metrics.value.histories import counts, histories
from helpers.periods import DAYS_PER_MONTH, last_complete_month, month_end

SEASON_MONTHS = 24


def _monthly_curve(occasions: ir.Table, held: Holdout, fitted: Fit) -> pd.DataFrame:
    """Occasions of all customers known at the cut, by month after it (of 30.4 days): month, actual, plain (what the fit expects)."""
    ends = np.arange(1, max(1, round(held.days / DAYS_PER_MONTH)) + 1) * DAYS_PER_MONTH
    known = occasions.filter(_.date <= ibis.literal(held.cut)).select("customer_id").distinct()
    later = occasions.filter(_.date > ibis.literal(held.cut)).semi_join(known, "customer_id")
    slot = ((_.date.delta(ibis.literal(held.cut), unit="day") - 1) / DAYS_PER_MONTH).floor().cast("int64")
    actual = later.group_by(slot=slot).agg(n=_.count()).execute().set_index("slot")["n"]
    rows = counts(histories(occasions, held.cut))
    reached = [expectations.occasions(fitted, rows["x"], rows["t_x"], rows["T"], end, nodes=12) @ rows["weight"] for end in ends]
    return pd.DataFrame({"month": np.arange(1, len(ends) + 1), "actual": actual.reindex(range(len(ends)), fill_value=0).to_numpy(),
                         "plain": np.diff([0.0, *reached])})


def published_check(forecasts: pd.DataFrame, occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """Forecasts of earlier reports against what happened: a row per forecast whose horizon has passed.

    forecasts: columns made (the as_of of that report), months (horizon), value, low, high: occasions expected of the customers known
    then. Adds actual, error (value / actual − 1), inside.

    >>> bought = ibis.memtable({"customer_id": ["a", "a"], "date": [date(2026, 1, 5), date(2026, 2, 9)]})
    >>> said = pd.DataFrame({"made": ["2026-01-31"], "months": [1], "value": [1.1], "low": [0.9], "high": [1.3]})
    >>> published_check(said, bought, date(2026, 2, 28))[["actual", "inside"]].values.tolist()
    [[1, True]]
    """
    found = []
    for row in forecasts.itertuples():
        made = date.fromisoformat(str(row.made))
        end = made + timedelta(days=round(row.months * DAYS_PER_MONTH))
        if end > as_of + timedelta(days=3):  # months are 30.4 days, and a report's months are whole ones
            continue
        known = occasions.filter(_.date <= ibis.literal(made)).select("customer_id").distinct()
        later = occasions.filter(_.date > ibis.literal(made), _.date <= ibis.literal(min(end, as_of)))
        actual = int(later.semi_join(known, "customer_id").count().execute())
        found.append((made, int(row.months), row.value, row.low, row.high, actual,
                      row.value / actual - 1 if actual else np.nan, bool(row.low <= actual <= row.high)))
    if not found:
        raise NotEnoughData("No earlier report has published a forecast whose time has passed. The next one will hold "
                            "this one to its word.")
    return pd.DataFrame(found, columns=["made", "months", "value", "low", "high", "actual", "error", "inside"])


def _season_index(occasions: ir.Table, on: date, fitted: Fit) -> np.ndarray:
    """Twelve factors, January first: repeat occasions of a calendar month over what the model expects; their mean is 1.

    The expectation of each complete month up to a day is that of customers of their age, whatever they did, so growth is no season. 24
    months are needed. A calendar month's years are summed before they are divided.
    """
    last = month_end(last_complete_month(on))
    seen = occasions.filter(_.date <= ibis.literal(last))
    rows = seen.group_by(day=_.date, repeat=_.n > 1).agg(n=_.count()).order_by("day").execute()
    rows["day"] = pd.to_datetime(rows["day"])
    first, repeat = (part.groupby("day")["n"].sum() for part in (rows[~rows["repeat"]], rows[rows["repeat"]]))
    starts = pd.date_range(first.index.min(), last, freq="MS") if len(first) else []
    if len(starts) < SEASON_MONTHS:
        raise NotEnoughData(f"A season shows in {SEASON_MONTHS} months of history; there are {len(starts)}.")
    reached = expectations.occasions(fitted, 0, 0, 0, np.arange((pd.Timestamp(last) - first.index.min()).days + 2))
    expected, actual = np.zeros(12), np.zeros(12)
    for start in starts:
        end = start + pd.offsets.MonthEnd(0)
        known = first[:end]
        to, since = ((day - known.index).days.to_numpy().clip(0) for day in (end, start - pd.Timedelta(days=1)))
        expected[start.month - 1] += (known.to_numpy() * (reached[to] - reached[since])).sum()
        actual[start.month - 1] += repeat[start:end].sum()
    index = actual / expected
    return index / index.mean()


def monthly_error(curve: pd.DataFrame, name: str) -> float:
    """Mean absolute error of a monthly curve over the mean of what happened.

    >>> monthly_error(pd.DataFrame({"actual": [10, 30], "model": [20.0, 20.0]}), "model")
    0.5
    """
    return float((curve[name] - curve["actual"]).abs().mean() / curve["actual"].mean())


def with_season(occasions: ir.Table, held: Holdout, fitted: Fit) -> tuple[pd.DataFrame, str, np.ndarray | None]:
    """The monthly curve of a test with and without the seasons, the name of the closer one, and the index if kept.

    The index is estimated up to the cut only. Returns (columns month, actual, plain and, where there is an index, seasonal; "plain" or
    "seasonal"; twelve factors as of today's knowledge or None).

    >>> bought = ibis.memtable({"customer_id": ["1a"] * 2, "n": [1, 2], "net_sales_rc": [9] * 2, "margin_rc": [3] * 2,
    ...     "date": [date(2026, 1, 1), date(2026, 3, 15)]})
    >>> fitted = Fit("bg_nbd", {"r": 0.243, "alpha": 30.9, "a": 0.793, "b": 2.426}, np.eye(4), 0, 1, 1)
    >>> with_season(bought, Holdout(date(2026, 2, 1), 61, pd.DataFrame()), fitted)[1:]
    ('plain', None)
    """
    curve = _monthly_curve(occasions, held, fitted)
    try:
        index = _season_index(occasions, held.cut, fitted)
    except NotEnoughData:
        return curve, "plain", None
    middles = [held.cut + timedelta(days=(month - 0.5) * DAYS_PER_MONTH) for month in curve["month"]]
    curve["seasonal"] = curve["plain"] * [index[day.month - 1] for day in middles]
    better = monthly_error(curve, "seasonal") < monthly_error(curve, "plain")
    kept = _season_index(occasions, held.cut + timedelta(days=held.days), fitted) if better else None
    return curve, "seasonal" if better else "plain", kept


def forecasts(rows: list[dict], market: str = "") -> pd.DataFrame:
    """The forecasts of occasions in the rows of earlier metrics.json files, for `published_check`.

    >>> row = {"metric": "expected_occasions", "as_of": "2026-09-30", "age": 1, "value": 9.0, "low": 8.0, "high": 10.0}
    >>> forecasts([row, {"metric": "nps", "value": 30}]).values.tolist()
    [['2026-09-30', 1, 9.0, 8.0, 10.0]]
    """
    wanted = [row for row in rows if row["metric"] == "expected_occasions" and row.get("market", "") == market]
    table = pd.DataFrame([[row["as_of"], row["age"], *(row.get(name) for name in ("value", "low", "high"))]
                          for row in wanted], columns=["made", "months", "value", "low", "high"])
    return table.sort_values(["made", "months"], ignore_index=True)
