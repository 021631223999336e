"""When customers come back: gaps between occasions, Kaplan–Meier life tables, the churn window."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import Z_95, Estimate, NotEnoughData, with_wilson

RETURN_SHARE = 0.90  # W: the day by which 90 % of the returns within the horizon have happened
HORIZON_DAYS = 365
AT_RISK = 100  # a curve is not read where fewer gaps than this are still followed
SHORTEST_WINDOW = 7  # days; the least client.toml takes
FIRST_ORDERS = 4  # 1→2, 2→3, 3→4, and all later ones together


class Window(NamedTuple):
    """A churn window and what it rests on: W in days, the horizon and F(horizon)."""

    days: int
    horizon_days: int
    returned_by_horizon: Estimate


def gaps(occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """How many gaps of each length follow a purchase occasion: counts, made in the engine.

    A gap runs from an occasion to the customer's next one (returned is true), or, when there is none yet, to as_of (returned is false:
    still open, censored). Returns order_number (of the occasion the gap begins with, the fourth and later ones together; for
    truncated customers only the least it can be), truncated, gap_days, returned, count.

    >>> from helpers.metrics.occasions import numbered
    >>> bought = numbered(ibis.memtable({"customer_id": ["a", "a", "b"], "truncated": [False] * 3,
    ...                         "date": [date(2026, 1, 5), date(2026, 2, 4), date(2026, 1, 20)]}))
    >>> gaps(bought, date(2026, 2, 28))[["order_number", "gap_days", "returned", "count"]].values.tolist()
    [[1, 30, True, 1], [1, 39, False, 1], [2, 24, False, 1]]
    """
    seen = occasions.filter(_.date <= ibis.literal(as_of))
    again = seen.filter(_.previous_date.notnull())
    number, before = (ibis.least(n, FIRST_ORDERS).cast("int64") for n in (_.n, _.n - 1))
    length = {"gap_days": _.date.delta(_.previous_date, unit="day"), "returned": ibis.literal(True)}
    ended = again.group_by("truncated", order_number=before, **length).agg(count=_.count())
    # open are the gaps begun on a day less those of them that have ended: no join of customers to themselves
    begun = seen.group_by("truncated", order_number=number, day=_.date).agg(left=_.count())
    followed = again.group_by("truncated", order_number=before, day=_.previous_date).agg(left=-_.count())
    still = begun.union(followed).group_by("order_number", "truncated", "day").agg(count=_.left.sum())
    still = still.filter(still["count"] > 0).mutate(gap_days=ibis.literal(as_of).delta(still.day, unit="day"), returned=False)
    keys = ["order_number", "truncated", "gap_days", "returned"]
    return ended.select(*keys, "count").union(still.select(*keys, "count")).execute().sort_values(keys, ignore_index=True)


def life_table(counts: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """The share that has bought again by each day after a purchase; open gaps count while followed (Kaplan–Meier).

    F(day) = 1 − Π over days ≤ day of (1 − returns / at_risk); at_risk are the gaps at least that long, open ones ending that day
    included. Errors by Greenwood; the 95 % interval on the log(−log) scale, which stays inside 0..1. A customer's gaps are taken as
    independent, so for the heaviest buyers the interval is somewhat narrow.

    counts: gap_days, returned, count (see `gaps`); by: columns to make one table each for. Returns the `by` columns, day, at_risk,
    returns, value (F), se, low, high, n (all gaps), a row per day on which a gap ends. Raises NotEnoughData without any gap.
    Source: Kaplan & Meier 1958; Greenwood 1926; Kalbfleisch & Prentice 1980.

    >>> life_table(pd.DataFrame({"gap_days": [10, 20, 20], "returned": [True, True, False], "count": [1, 1, 2]}))[
    ...     ["day", "at_risk", "returns", "value"]].values.tolist()
    [[10.0, 4.0, 1.0, 0.25], [20.0, 3.0, 1.0, 0.5]]
    """
    if not counts["count"].sum():
        raise NotEnoughData("No purchase can be followed yet: how soon customers return is unknown.")
    if by:
        return _each(counts, by, life_table)
    ended = counts.assign(returns=counts["count"].where(counts["returned"], 0))
    days = ended.groupby("gap_days")[["count", "returns"]].sum().sort_index()
    at_risk = days["count"][::-1].cumsum()[::-1]
    left = at_risk - days["returns"]
    with np.errstate(divide="ignore", invalid="ignore"):  # the last day can see everybody return: no error is defined
        survival = (left / at_risk).cumprod()
        greenwood = np.sqrt((days["returns"] / (at_risk * left)).cumsum())
        log_survival = np.log(survival)
        spread = np.exp(Z_95 * greenwood / log_survival)  # below 1, log S being negative
        low, high = 1 - survival**spread, 1 - survival ** (1 / spread)
    table = pd.DataFrame({
        "day": days.index, "at_risk": at_risk, "returns": days["returns"], "value": 1 - survival,
        "se": survival * greenwood, "low": low.fillna(0.0).where(survival > 0), "high": high.where(survival > 0),
        "n": int(days["count"].sum())}).reset_index(drop=True)
    return table[table["day"] > 0].reset_index(drop=True)


def at_day(table: pd.DataFrame, day: int, by: Sequence[str] = ()) -> pd.DataFrame:
    """The life table read at one day, blank where no gap is followed that long: a row (per group) with value, low, high,
    n, and at_risk, gaps followed till then.

    >>> table = life_table(pd.DataFrame({"gap_days": [10, 20], "returned": [True, False], "count": [1, 3]}))
    >>> at_day(table, 15)[["day", "value", "n", "at_risk"]].values.tolist()
    [[15.0, 0.25, 4.0, 3.0]]
    """
    if by:
        return _each(table, by, lambda part: at_day(part, day))
    past, longer = table[table["day"] <= day].tail(1), table.loc[table["day"] >= day, "at_risk"]
    value, low, high = past[["value", "low", "high"]].iloc[0] if len(past) else (0.0, 0.0, np.nan)
    at_risk, n = (int(column.iloc[0]) if len(column) else 0 for column in (longer, table["n"]))
    read = pd.DataFrame([{"day": day, "value": value, "low": low, "high": high, "n": n, "at_risk": at_risk}])
    return read if at_risk else read.assign(value=np.nan, low=np.nan, high=np.nan)


def readable(table: pd.DataFrame, horizon_days: int = HORIZON_DAYS) -> pd.DataFrame:
    """The part of a life table that may be shown: up to the horizon, where 100 gaps or more are still followed.

    >>> table = life_table(pd.DataFrame({"gap_days": [10, 20], "returned": [True, False], "count": [30, 99]}))
    >>> readable(table).day.tolist()
    [10]
    """
    part = table[(table["at_risk"] >= AT_RISK) & (table["day"] <= horizon_days)].reset_index(drop=True)
    if part.empty:
        raise NotEnoughData(f"When customers return cannot be told: fewer than {AT_RISK} purchases were followed.")
    return part


def churn_window(counts: pd.DataFrame) -> Window:
    """The churn window W: by when 90 % of the returns that happen within 365 days have happened.

    The first day with F(day) / F(365) ≥ 0.90, F from the life table of all gaps, open ones censored at as_of; percentiles of completed
    gaps would be too short. Where fewer than 100 gaps are followed for 365 days, the horizon is the longest time with 100
    (horizon_days; say so). Raises NotEnoughData where not even 100 gaps are known or nobody returned.

    >>> counts = pd.DataFrame({"gap_days": [30, 60, 200, 400], "returned": [True, True, True, False],
    ...                        "count": [80, 60, 10, 250]})
    >>> churn_window(counts)[:2]
    (60, 365)
    """
    table = life_table(counts)
    followed = table.loc[table["at_risk"] >= AT_RISK, "day"]
    horizon = min(HORIZON_DAYS, int(followed.max())) if len(followed) else 0
    by_horizon = Estimate.of(at_day(table, horizon).iloc[0])
    if not horizon or not by_horizon.value > 0:
        known = int(table["n"].iloc[0]) if len(table) else 0
        raise NotEnoughData(
            f"The churn window, after which a silent customer counts as lost, cannot be found yet: {AT_RISK} purchases "
            f"followed long enough are needed, some of them by another one, and there {'is' if known == 1 else 'are'} "
            f"{known}. Until then, set churn_window_days in client.toml to what you know of your customers.")
    reached = table[(table["value"] >= RETURN_SHARE * by_horizon.value) & (table["day"] <= horizon)]
    return Window(max(int(reached["day"].iloc[0]), SHORTEST_WINDOW), horizon, by_horizon)


def median_return_days(table: pd.DataFrame) -> int:
    """The day by which half of all returns seen in the life table's reliable part (100 followed) have happened.

    A window shorter than this compares customers who were not due yet.

    >>> counts = pd.DataFrame({"gap_days": [30, 60, 90], "returned": [True] * 3, "count": [100] * 3})
    >>> median_return_days(life_table(counts))
    60
    """
    read = readable(table, int(table["day"].max()))
    return int(read.loc[read["value"] >= read["value"].max() / 2, "day"].iloc[0])


def lapsed(occasions: ir.Table, as_of: date, days: int = 30) -> pd.DataFrame:
    """The share of all customers who have not bought for `days` days: no occasion in (as_of − days, as_of].

    A segment to write to, not churn (see `flagged_returners`). Returns one row: lapsed, n (all who ever bought), value, low, high (Wilson).

    >>> bought = ibis.memtable({"customer_id": ["a", "b"], "date": [date(2026, 1, 1), date(2026, 1, 2)]})
    >>> lapsed(bought, date(2026, 1, 31))[["lapsed", "n", "value"]].values.tolist()
    [[1.0, 2.0, 0.5]]
    """
    seen = occasions.filter(_.date <= ibis.literal(as_of))
    lasts = seen.group_by("customer_id").agg(last=_.date.max())
    silent = (_.last <= ibis.literal(as_of - timedelta(days=days))).sum().fill_null(0)
    return with_wilson(lasts.agg(lapsed=silent, n=_.count()).execute(), "lapsed", "n")


def flagged_returners(table: pd.DataFrame, days: int = 30) -> float:
    """Of customers who buy again within 365 days, the share silent for `days` first, so flagged as "lapsed".

    1 − F(days) / F(365) from the life table, or as far as it reaches: high means that the flag mostly marks people who
    return by themselves.

    >>> counts = pd.DataFrame({"gap_days": [10, 50, 400], "returned": [True, True, False], "count": [1, 3, 4]})
    >>> flagged_returners(life_table(counts), 30)
    0.75
    """
    soon, late = (at_day(table, day)["value"].iloc[0] for day in (days, min(HORIZON_DAYS, int(table["day"].max()))))
    return float(1 - soon / late) if late > 0 else float("nan")


def _each(frame: pd.DataFrame, by: Sequence[str], make) -> pd.DataFrame:
    """What is made of each part of a frame, below one another, the columns of `by` first."""
    return frame.groupby(list(by), dropna=False).apply(make).reset_index(list(by)).reset_index(drop=True)
