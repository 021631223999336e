"""Forecasts followed month by month: those of a test, with or without the seasons, and those already published."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.backtest import Holdout, model_occasions
from helpers.metrics.fits import Fit
from helpers.metrics.histories import counts
from helpers.periods import DAYS_PER_MONTH


def monthly_curve(
    occasions: ir.Table, held: Holdout, fits: dict[str, Fit], season: np.ndarray | None = None
) -> pd.DataFrame:
    """Occasions of the customers known at the cut, month by month after it: actual and expected; all, not sampled.

    season: twelve factors, January first, applied to the expected occasions of each month. Months are 30.4 days.
    Columns month (1, 2, …), actual, one per fit; cumulate them for the usual tracking plot.

    >>> bought = ibis.memtable({"customer_id": ["1a"] * 2, "n": [1, 2], "net_sales_rc": [9] * 2, "margin_rc": [3] * 2,
    ...     "date": [date(2026, 1, 1), date(2026, 3, 15)]})
    >>> monthly_curve(bought, Holdout(date(2026, 2, 1), 61, 1.0, pd.DataFrame()), {}).actual.tolist()
    [0, 1]
    """
    ends = np.arange(1, max(1, round(held.days / DAYS_PER_MONTH)) + 1) * DAYS_PER_MONTH
    known = occasions.filter(_.date <= ibis.literal(held.cut)).select("customer_id").distinct()
    later = occasions.filter(_.date > ibis.literal(held.cut)).semi_join(known, "customer_id")
    slot = ((_.date.delta(ibis.literal(held.cut), unit="day") - 1) / DAYS_PER_MONTH).floor().cast("int64")
    actual = later.group_by(slot=slot).agg(n=_.count()).execute().set_index("slot")["n"]
    frame = pd.DataFrame({"month": np.arange(1, len(ends) + 1)})
    frame["actual"] = actual.reindex(range(len(ends)), fill_value=0).to_numpy()
    rows = counts(occasions, held.cut) if fits else None
    for name, fitted in fits.items():
        reached = [0.0, *((model_occasions(fitted, rows, end, nodes=12) * rows["weight"]).sum() for end in ends)]
        frame[name] = np.diff(reached)
        if season is not None:
            middles = [held.cut + timedelta(days=float(end - DAYS_PER_MONTH / 2)) for end in ends]
            frame[name] *= [season[day.month - 1] for day in middles]
    return frame


def published_check(forecasts: pd.DataFrame, occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """Forecasts of earlier reports against what happened: a row per forecast whose horizon has passed.

    forecasts: columns made (the as_of of that report), months (horizon), value, low, high: occasions expected of the
    customers known then. Columns made, months, value, low, high, actual, error (value / actual − 1), inside.

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
        found.append({"made": made, "months": int(row.months), "value": row.value, "low": row.low, "high": row.high,
                      "actual": actual, "error": row.value / actual - 1 if actual else np.nan,
                      "inside": bool(row.low <= actual <= row.high)})
    if not found:
        raise NotEnoughData("No earlier report has published a forecast whose time has passed. The next one will hold "
                            "this one to its word.")
    return pd.DataFrame(found)
