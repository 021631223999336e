"""Customer lifetime value as the articles write it, and what the business would gain by keeping customers longer."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.value.clv_model import per_customer
from helpers.periods import DAYS_PER_MONTH, Period

FIVE_POINTS = 0.05


def clv_formula(
    aov: float, frequency: float, churn_rate: float, margin_rate: float = 1.0, *, frequency_months: float,
    churn_months: float,
) -> float:
    """The articles' CLV: AOV × F × T × margin, in the currency of the AOV.

    AOV is net sales / orders, F the orders per customer active at the period's start, T = 1 / churn rate in periods. F and churn must be
    of the same period: a yearly F with a monthly churn rate is refused. It discounts nothing and assumes the same churn for ever.

    >>> clv_formula(50.0, 4, 0.25, 0.4, frequency_months=12, churn_months=12)
    320.0
    """
    if frequency_months != churn_months:
        raise ValueError(f"F counts orders over {frequency_months} months and churn those lost over {churn_months}: "
                         "bring both to one period (helpers.periods.convert_rate).")
    if not 0 < churn_rate <= 1:
        raise NotEnoughData("Nobody was lost in the period, so 1 / churn has no end: take a longer period."
                            if churn_rate == 0 else f"A churn rate lies between 0 and 1, not {churn_rate}.")
    return aov * frequency / churn_rate * margin_rate


def formula_inputs(occasions: ir.Table, period: Period, window_days: int) -> dict[str, float]:
    """What `clv_formula` needs, of one period and the customers active at its start (money in minor units).

    Keys: aov, frequency, churn_rate, margin_rate, customers, months. Active means an occasion in the last
    `window_days`; orders are purchase occasions.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "net_sales_rc": [900, 700, 500],
    ...     "margin_rc": [300, 200, 100], "date": [date(2026, 1, 9), date(2026, 2, 11), date(2026, 1, 5)]})
    >>> found = formula_inputs(bought, Period.month("2026-02"), 30)
    >>> found["aov"], found["frequency"], found["churn_rate"], found["customers"]
    (700.0, 0.5, 0.5, 2)
    """
    window = timedelta(days=window_days)
    seen = occasions.filter(occasions.date <= period.t1)
    inside = seen.date > period.t0
    each = seen.group_by("customer_id").agg(
        before=((seen.date > period.t0 - window) & (seen.date <= period.t0)).max(),
        after=(seen.date > period.t1 - window).max(), orders=inside.sum(),
        sales=seen.net_sales_rc.sum(where=inside), margin=seen.margin_rc.sum(where=inside),
    ).filter(ibis._.before)
    row = each.agg(customers=each.count(), lost=(~each.after).sum(), orders=each.orders.sum(), sales=each.sales.sum(),
                   margin=each.margin.sum()).execute().fillna(0).iloc[0]
    if not row["customers"] or not row["orders"]:
        raise NotEnoughData(f"No customer active on {period.t0} ordered from {period.start} to {period.end}: no formula CLV.")
    return {
        "aov": float(row["sales"] / row["orders"]), "frequency": float(row["orders"] / row["customers"]),
        "churn_rate": float(row["lost"] / row["customers"]), "margin_rate": float(row["margin"] / row["sales"]),
        "customers": int(row["customers"]), "months": round(period.days / DAYS_PER_MONTH),
    }


def clv_discounted(
    margin: float, retention: float, discount_rate: float, periods: int | None = None, *, periods_per_year: int = 1,
    include_first: bool = False,
) -> float:
    """Σ margin × retention^t / (1 + d)^t over t = 1..periods (None: for ever); `include_first` starts at t = 0.

    margin is per period and retention per period; discount_rate is per year and converted: (1 + d)^(1/n) − 1.
    Closed forms of the endless sum: m r / (1 + d − r), and m (1 + d) / (1 + d − r) with the first.

    >>> round(clv_discounted(100, 0.8, 0.1), 2), round(clv_discounted(100, 0.8, 0.1, include_first=True), 2)
    (266.67, 366.67)
    """
    if not 0 <= retention <= 1 or discount_rate <= -1:
        raise ValueError(f"Retention lies between 0 and 1 ({retention}), the discount rate above −1 ({discount_rate}).")
    ratio, first = retention / (1 + discount_rate) ** (1 / periods_per_year), 0 if include_first else 1
    if periods is not None:
        return margin * sum(ratio ** t for t in range(first, periods + 1))
    if ratio >= 1:
        raise ValueError("With full retention and no discount the sum has no end: give the number of periods.")
    return margin * ratio ** first / (1 - ratio)


def cohort_average(occasions: ir.Table, as_of: date, months: int = 12) -> Estimate:
    """What customers known `months` before as_of brought since: mean margin per customer, minor units, bootstrapped.

    The last resort where no purchase model fits. All customers won before count, lapsed ones too.

    >>> bought = ibis.memtable({"customer_id": ["1aa", "1aa", "2bb"], "margin_rc": [300, 200, 100],
    ...     "date": [date(2025, 1, 9), date(2026, 2, 11), date(2025, 1, 5)]})
    >>> cohort_average(bought, date(2026, 2, 28)).value
    100.0
    """
    cut = as_of - timedelta(days=round(months * DAYS_PER_MONTH))
    seen = occasions.filter(occasions.date <= as_of)
    each = seen.group_by("customer_id").agg(
        first=seen.date.min(), clv_historic=seen.margin_rc.sum(where=seen.date > cut).fill_null(0).cast("int64"),
    ).filter(ibis._["first"] <= cut).mutate(clv_residual=ibis.literal(0))
    mean = per_customer(each, measure="clv_historic").iloc[0]
    if not mean["n"]:
        raise NotEnoughData(f"Nobody was a customer on {cut}, so there is no earlier customer to take an average of.")
    return Estimate.of(mean)


def sensitivity(margin: float, margin_per_occasion: float, retention: float, discount_rate: float, customers: int) -> pd.DataFrame:
    """What five points more annual retention, or one more occasion a year, would add: margin of a year and a lifetime.

    margin: of a customer who stays a year; margin_per_occasion: of one more order; retention: share of active customers still active a
    year later; customers: active today. A year: Σ_{t=1..12} margin/12 × r^(t/12), leaving spread evenly; a lifetime: that year and,
    discounted, every later one for those still there, without end. Nothing is charged for the improvement; retention is capped at 1.
    Columns change (now, five_points, one_occasion), year, lifetime, year_more, lifetime_more (totals of all customers).

    >>> sensitivity(100.0, 20.0, 0.8, 0.1, 1000)[["change", "year", "lifetime_more"]].round().values.tolist()
    [['now', 88798.0, 0.0], ['five_points', 91673.0, 77771.0], ['one_occasion', 106557.0, 65118.0]]
    """
    cases = {"now": (margin, retention), "five_points": (margin, min(retention + FIVE_POINTS, 1.0)),
             "one_occasion": (margin + margin_per_occasion, retention)}
    rows = []
    for change, (yearly, stays) in cases.items():
        year = yearly / 12 * sum(stays ** (month / 12) for month in range(1, 13))
        lifetime = clv_discounted(year, stays, discount_rate, include_first=True)
        rows.append((change, customers * year, customers * lifetime))
    table = pd.DataFrame(rows, columns=["change", "year", "lifetime"])
    return table.assign(year_more=table["year"] - table["year"].iloc[0],
                        lifetime_more=table["lifetime"] - table["lifetime"].iloc[0])
