"""Which months of the year lose most customers, and whether that is a season or one event."""

from datetime import date, timedelta
from typing import NamedTuple

import pandas as pd

from helpers.estimates import NotEnoughData
from helpers.metrics.churn.churn import churn_rate, known

YEARS = 2  # a calendar month seen once is an event, seen twice it may be a season


class Season(NamedTuple):
    """The calendar months (1–12) of highest and lowest churn, and when those lost in the highest had last bought.

    clear: the two intervals do not overlap, and in every year the one lay above the year's rate and the other below.
    """

    highest: int
    lowest: int
    last_bought: int
    clear: bool


def seasonality(flows: pd.DataFrame) -> pd.DataFrame:
    """Churn by calendar month over the years: a row per calendar month, each seen in two years or more.

    Sum of lost / sum of start (n) over the years, in which a customer counts once a year. Losses are noticed W days after the last
    purchase: a high January speaks of the time W days before. every_year tells whether the month lay on the same side of its year's
    rate each time; where not, an event may pass for a season. Returns calendar_month (1–12), years, every_year, value, low, high
    (95 % Wilson), n. Raises NotEnoughData while a month has not been seen twice: it might be the highest.

    >>> months = pd.DataFrame({"t1": pd.date_range("2024-01-31", periods=24, freq="ME"), "lost": 10, "start": 100})
    >>> seasonality(months)[["calendar_month", "years", "value"]].head(1).values.tolist()
    [[1.0, 2.0, 0.1]]
    """
    seen = known(flows)
    months = seen.assign(calendar_month=[day.month for day in seen["t1"]], year=[day.year for day in seen["t1"]])
    of_year = months.groupby("year")[["lost", "start"]].transform("sum").astype("float64")
    months["above"] = months["lost"] * of_year["start"] > of_year["lost"] * months["start"]
    pooled = months.groupby("calendar_month", as_index=False).agg(
        years=("year", "size"), every_year=("above", lambda above: above.nunique() == 1), lost=("lost", "sum"), start=("start", "sum"))
    pooled = pooled[pooled["years"] >= YEARS].reset_index(drop=True)
    if len(pooled) < 12:
        raise NotEnoughData(f"Seasons cannot be told yet: {len(pooled)} of the 12 calendar months have a churn rate in two years.")
    return churn_rate(pooled).drop(columns=["lost", "start"])


def season(seasons: pd.DataFrame, window_days: int) -> Season:
    """The months that stand out among those of `seasonality`, and the month about a churn window before the highest.

    >>> months = pd.DataFrame({"calendar_month": [1, 6], "every_year": [True, True], "value": [0.05, 0.12],
    ...                        "low": [0.04, 0.11], "high": [0.06, 0.13]})
    >>> season(months, window_days=180)
    Season(highest=6, lowest=1, last_bought=12, clear=True)
    """
    highest, lowest = seasons.loc[seasons["value"].idxmax()], seasons.loc[seasons["value"].idxmin()]
    clear = highest["every_year"] and lowest["every_year"] and highest["low"] > lowest["high"]
    middle = date(2001, int(highest["calendar_month"]), 15)  # any year: only the month is read
    last_bought = (middle - timedelta(days=window_days)).month
    return Season(int(highest["calendar_month"]), int(lowest["calendar_month"]), last_bought, bool(clear))
