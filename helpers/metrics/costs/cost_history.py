"""Retention cost month by month: the series, its fixed and variable part, and where the newest month stands in it."""

from datetime import date
from typing import NamedTuple

import numpy as np
import pandas as pd

from helpers.estimates import Estimate, NotEnoughData, ratio_of_sums
from helpers.metrics.costs.allocation import DISCOUNTS, EXISTING, allocated
from helpers.metrics.costs.books import Books, whole_months
from helpers.metrics.groups.regression import line
from helpers.money import to_major
from helpers.periods import Period, months_of

MONTHS_TO_FIT = 12
MONTHS_SEEN = 6  # in each of which a component has a line before its absence is remarked on
LEAST_MOVEMENT = 0.05  # of the mean number of customers, between the fewest and the most


class FixedAndVariable(NamedTuple):
    """Monthly cost = fixed + unit_cost × active existing customers, with 95 % intervals, in major units."""

    fixed: Estimate
    unit_cost: Estimate
    fixed_share: float
    months: int


def monthly(books: Books, as_of: date, months: int = 24) -> pd.DataFrame:
    """What each component cost in each month and market, beside the customers it served: the ground of the series.

    A row per month, category, component, channel, market and currency of the part that serves existing customers (first occasion
    before the month): spend (major units of the reporting currency), amount (of its own), active_existing (of the market) and
    active_existing_all. Months before the data's start plus the churn window, or without any ledger line, are left out. Raises
    NotEnoughData when nothing is left.

    >>> from helpers.metrics.costs.books import example
    >>> rows = monthly(example(), date(2026, 10, 31))
    >>> rows[["component", "market", "spend", "active_existing", "active_existing_all"]].values.tolist()[0]
    ['discounts', 'DE', 2.0, 1, 2]
    """
    every = months_of(as_of, months)
    last, seen = every[-1].end, [month for month in every if books.observed(month)]
    if not seen:
        books.refuse_unobserved(every[-1])
    ledger = allocated(books, Period(seen[0].start, last), by_month=True)
    booked = ledger.loc[ledger["component"] != DISCOUNTS, "month"]
    ledger = ledger[(ledger["part"] == EXISTING) & ledger["month"].isin(booked)]
    if ledger.empty:
        raise NotEnoughData(f"The cost table has no line between {seen[0].start} and {last}.")
    by = ["month", "category", "component", "channel", "market", "currency"]
    sums = ledger.groupby(by).agg(spend=("amount_rc", "sum"), amount=("amount", "sum")).reset_index()
    counts = books.active_existing([month for month in seen if month.label in set(ledger["month"])])
    sums = sums.merge(counts, how="left", on=["month", "market"]).fillna({"active_existing": 0})
    every_market = sums["month"].map(counts.groupby("month")["active_existing"].sum())
    return sums.assign(
        spend=to_major(sums["spend"].astype("float64"), books.currency),
        active_existing=sums["active_existing"].astype("int64"), active_existing_all=every_market,
    )  # fmt: skip


def series(months: pd.DataFrame, market: str = "", by: str = "") -> pd.DataFrame:
    """Cost per active existing customer by month from `monthly`: of one market or all, whole or by category, component.

    Columns month, the one named by `by`, spend, active_existing, value (spend / active_existing of the month), n.

    >>> rows = pd.DataFrame({"month": ["2026-10"] * 2, "component": ["crm", "email"], "market": ["DE", "DE"],
    ...                      "spend": [30.0, 20.0], "active_existing": [5, 5], "active_existing_all": [10, 10]})
    >>> series(rows)[["month", "spend", "active_existing", "value"]].values.tolist()
    [['2026-10', 50.0, 10, 5.0]]
    """
    rows = months[months["market"] == market] if market else months
    base = "active_existing" if market else "active_existing_all"
    months = rows.groupby(["month", by] if by else ["month"], sort=True)
    sums = months.agg(spend=("spend", "sum"), active_existing=(base, "max")).reset_index()
    return sums.assign(value=sums["spend"] / sums["active_existing"].where(lambda n: n > 0), n=sums["active_existing"])


def with_intervals(by_month: pd.DataFrame, books: Books, market: str = "") -> pd.DataFrame:
    """The whole cost's `series` of the same market, with low and high: as `costs.retention_cost_per_customer` has them.

    A bootstrap over customers with the invoices held fixed: how many are active and what discounts they take varies. A month
    in which nobody was active has none.

    >>> from helpers.metrics.costs.books import example
    >>> rows = pd.DataFrame({"month": ["2026-10"], "spend": [74.0], "value": [37.0]})
    >>> with_intervals(rows, example()).round(2).values.tolist()
    [['2026-10', 74.0, 37.0, 25.33, 72.0]]
    """
    each = books.active_buckets([Period.month(month) for month in by_month["month"]], market)
    ends = []
    for month, spend in zip(by_month["month"], by_month["spend"], strict=True):
        part = each[each["month"] == month]
        given = to_major(part["discount_rc"].astype("float64"), books.currency)
        invoices = (spend - given.sum()) / max(len(part), 1)
        ends.append(ratio_of_sums(given + invoices, part["active_existing"])[1:3])
    return by_month.assign(**dict(zip(("low", "high"), np.array(ends).T, strict=True)))


def absent(months: pd.DataFrame, period: Period) -> pd.DataFrame:
    """Components booked in each of the six months before a period and not in all of its own: component, month (the first).

    A line that came every month and now does not was more often forgotten than saved. months: `monthly`. Empty when the
    six months are not all there. A line of 0 is booked; discounts come from the orders and are left out.

    >>> rows = [(f"2026-{month:02}", "crm") for month in range(2, 11)] + [(f"2026-{month:02}", "email") for month in range(2, 10)]
    >>> absent(pd.DataFrame(rows, columns=["month", "component"]), Period(date(2026, 8, 1), date(2026, 10, 31)))
      component    month
    0     email  2026-10
    """
    booked = months[months["component"] != DISCOUNTS].groupby("component")["month"].agg(set)
    before = {month.label for month in whole_months(Period.trailing(period.t0, MONTHS_SEEN))}
    inside = [month.label for month in whole_months(period)]
    found = [(component, next(month for month in inside if month not in seen))
             for component, seen in booked.items() if before <= seen and not seen.issuperset(inside)]  # fmt: skip
    return pd.DataFrame(found, columns=["component", "month"])


def fixed_and_variable(by_month: pd.DataFrame) -> FixedAndVariable:
    """The part of the monthly cost that does not move with customers, and the cost of one more active customer.

    The `regression.line` of `series`' spend on active_existing: the cost at the margin over the range seen, with prices that
    rose while the customers did. Raises NotEnoughData below 12 months, or when customers moved by less than 5 %.

    >>> active = list(range(100, 112))
    >>> fit = fixed_and_variable(pd.DataFrame({"active_existing": active, "spend": [1000 + 2.0 * n for n in active]}))
    >>> round(fit.fixed.value), round(fit.unit_cost.value, 2), f"{fit.fixed_share:.2f}"
    (1000, 2.0, '0.83')
    """
    known = by_month[["active_existing", "spend"]].dropna().astype("float64")
    active, spend = (known[name].to_numpy() for name in known)
    if len(active) < MONTHS_TO_FIT:
        raise NotEnoughData(f"Fixed and variable cost cannot be told apart in {len(active)} months; {MONTHS_TO_FIT} are needed.")
    if np.ptp(active) <= LEAST_MOVEMENT * active.mean():
        raise NotEnoughData("Fixed and variable cost cannot be told apart: the customer count hardly moved.")
    fixed, unit = line(active, spend)
    return FixedAndVariable(fixed, unit, fixed.value / spend.mean(), len(active))


def cheaper_months(by_month: pd.DataFrame) -> tuple[int, int]:
    """How many of the client's own earlier months were cheaper per customer than the newest one, and how many there are.

    >>> cheaper_months(pd.DataFrame({"month": ["2026-08", "2026-09", "2026-10"], "value": [9.0, 12.0, 10.0]}))
    (1, 2)
    """
    values = by_month.sort_values("month")["value"].dropna()
    if len(values) < 2:
        raise NotEnoughData("There is no earlier month to compare the cost with yet.")
    return int((values.iloc[:-1] < values.iloc[-1]).sum()), len(values) - 1
