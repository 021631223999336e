"""Customers as the purchase models see them: one row each in the engine, few unique rows in Python."""

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData

DAY_ROWS = 100_000  # unique rows above which days are rounded to whole weeks
SPEND_ROWS = 200_000  # repeat customers above which mean spend is rounded to the nearest per cent
SPEND_STEP = 0.01
MINIMUM_CUSTOMERS, MINIMUM_DAYS, NEWEST_DAYS = 500, 180, 30


def histories(occasions: ir.Table, as_of: date) -> ir.Table:
    """One row per customer (lazy): x, t_x, T in days, the dates, first market and channels, money to date.

    spend_rc is net sales of the repeat occasions, so spend_rc / x is what the Gamma–Gamma model reads; net_sales_rc and
    margin_rc hold all occasions. Purchases after as_of are not seen.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "n": [1, 2, 1], "net_sales_rc": [900, 700, 500],
    ...     "margin_rc": [300, 200, 100], "date": [date(2026, 1, 1), date(2026, 1, 11), date(2026, 1, 5)]})
    >>> histories(bought, date(2026, 1, 31)).select("customer_id", "x", "t_x", "T", "spend_rc").order_by("T").execute()
      customer_id  x  t_x   T  spend_rc
    0           b  0    0  26         0
    1           a  1   10  30       700
    """
    seen = occasions.filter(occasions.date <= as_of)
    firsts = [c for c in ("home_market", "first_sales_channel", "first_acquisition_channel") if c in seen.columns]
    each = seen.group_by("customer_id", *firsts).agg(  # the same on every row of a customer: cheaper than their maximum
        first=seen.date.min(), last=seen.date.max(), x=seen.count() - 1,
        spend_rc=seen.net_sales_rc.sum(where=seen.n > 1).fill_null(0).cast("int64"),
        net_sales_rc=seen.net_sales_rc.sum().cast("int64"), margin_rc=seen.margin_rc.sum().cast("int64"),
    )
    return each.mutate(
        t_x=each["last"].delta(each["first"], unit="day"),
        T=ibis.literal(as_of).delta(each["first"], unit="day"),
    )


def counts(each: ir.Table, by: tuple[str, ...] = ()) -> pd.DataFrame:
    """The unique rows (x, t_x, T) of `histories` with weight (customers) and spend_rc (their sum): what every model is fitted on.

    Days up to 100,000 unique rows; beyond, t_x and T are rounded to whole weeks (still written in days), which moves
    alpha by some 0.2 % (measured on a million simulated customers); the column `weekly` says so.

    >>> bought = ibis.memtable({"customer_id": ["a", "b"], "n": [1, 1], "net_sales_rc": [900, 500],
    ...     "margin_rc": [300, 100], "date": [date(2026, 1, 1)] * 2})
    >>> counts(histories(bought, date(2026, 1, 31)))[["x", "t_x", "T", "weight"]]
       x  t_x   T  weight
    0  0    0  30       2
    """
    keys, sums = [*by, "x", "t_x", "T"], {"weight": _.count(), "spend_rc": _.spend_rc.sum().cast("int64")}
    rows = each.group_by(keys).agg(**sums)
    weekly = int(rows.count().execute()) > DAY_ROWS
    if weekly:
        weeks = {name: ((each[name] / 7).round() * 7).cast("int64") for name in ("t_x", "T")}
        rows = each.mutate(**weeks).group_by(keys).agg(**sums)
    return rows.execute().sort_values(keys, ignore_index=True).assign(weekly=weekly)


def spend_counts(each: ir.Table) -> pd.DataFrame:
    """Unique (x, m) of `histories` with weight: m is a repeat customer's mean net sales per repeat occasion, in minor units.

    Up to 200,000 repeat customers m is exact; beyond, it is rounded to the nearest per cent (on a log scale), so a
    million customers are some ten thousand rows and the parameters move far less than their standard errors.

    >>> bought = ibis.memtable({"customer_id": ["a"] * 3, "n": [1, 2, 3], "net_sales_rc": [900, 700, 500],
    ...     "margin_rc": [0] * 3, "date": [date(2026, 1, day) for day in (1, 2, 3)]})
    >>> spend_counts(histories(bought, date(2026, 1, 31)))
       x      m  weight
    0  2  600.0       1
    """
    repeat = each.filter((each.x > 0) & (each.spend_rc > 0))
    exact, many = repeat.spend_rc / repeat.x.cast("float64"), repeat.count().as_scalar() > SPEND_ROWS
    mean = ibis.ifelse(many, ((exact.ln() / SPEND_STEP).round() * SPEND_STEP).exp(), exact)
    rows = repeat.group_by(x=repeat.x, m=mean).agg(weight=_.count()).execute()
    return rows.sort_values(["x", "m"], ignore_index=True)


def require_minimum(rows: pd.DataFrame) -> None:
    """Raise NotEnoughData, with every reason in one sentence, where a customer model would be a guess.

    Asked: 500 customers, 180 days of history, an order in the last 30 days, somebody with three occasions.

    >>> rows = pd.DataFrame({"x": [0, 3], "t_x": [0, 90], "T": [200, 200], "weight": [400, 60]})
    >>> try:
    ...     require_minimum(rows)
    ... except NotEnoughData as reason:
    ...     print(str(reason)[:75])
    A customer-level forecast needs 500 customers (found: 460), orders in the l
    """
    customers, most = int(rows["weight"].sum()), rows["x"].max() if len(rows) else 0
    days, silent = (rows["T"].max(), (rows["T"] - rows["t_x"]).min()) if len(rows) else (0, 0)
    asked = {
        f"{MINIMUM_CUSTOMERS} customers (found: {customers:,})": customers >= MINIMUM_CUSTOMERS,
        f"{MINIMUM_DAYS} days of history (found: {days:.0f})": days >= MINIMUM_DAYS,
        f"orders in the last {NEWEST_DAYS} days (the newest is {silent:.0f} days old)": silent <= NEWEST_DAYS,
        "a customer who bought on three days": most >= 2,
    }
    missing = [text for text, met in asked.items() if not met]
    if missing:
        raise NotEnoughData(f"A customer-level forecast needs {', '.join(missing)}. Add older order exports if there are any.")
