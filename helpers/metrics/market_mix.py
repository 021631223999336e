"""What markets pay with, and what exchange rates did to their order value."""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import ALPHA, NotEnoughData, bootstrap_weights
from helpers.metrics.groups.markets import OTHER, UNKNOWN, together
from helpers.metrics.occasions import COUNTED_STATUSES, bucket
from helpers.periods import Period


def payment_mix(orders: ir.Table, as_of: date, names: dict[str, str] | None = None) -> pd.DataFrame:
    """Share of each market's orders of the trailing 12 months by payment method: market, payment_method, value, n.

    By the order's market; paid, delivered and refused orders. n is the market's buyers, each order without identity one.
    Raises NotEnoughData when no order names its payment method.

    >>> sold = _example().filter(_.order_date >= ibis.literal(date(2026, 1, 1)))
    >>> payment_mix(sold, date(2026, 6, 30))[["payment_method", "value", "n"]].values.tolist()
    [['card', 0.75, 1], ['cod', 0.25, 1]]
    """
    asked = Period.trailing(as_of, 12).covers(_.order_date), _.status.isin([*COUNTED_STATUSES, "refused"]), _.payment_method.notnull()
    placed = _as_shown(orders, names).filter(asked)
    counts = placed.group_by("market", "payment_method").agg(orders=_.count()).order_by("market", "payment_method").execute()
    if counts.empty:
        raise NotEnoughData("No order names its payment method. Add the column to the export to see the mix by market.")
    value, n = counts["orders"] / counts.groupby("market")["orders"].transform("sum"), counts["market"].map(_buyers(placed))
    return counts.assign(value=value, n=n).sort_values(["market", "value"], ascending=[True, False])


def constant_currency(orders: ir.Table, as_of: date, names: dict[str, str] | None = None) -> pd.DataFrame:
    """Order value now and a year ago, at the rates of the day and at last year's rates: what the exchange rate did.

    Counted orders, identified or not, by market, of the trailing 12 months and the 12 before. Last year's rate of a currency is the net
    sales in the reporting currency over those in it; one not sold in last year keeps this year's. Columns market, value (minor units,
    now), before, change, change_constant (fractions; _low and _high: a bootstrap over customers, or orders whose buyer is not identified,
    at known rates), and the buyers behind each, an order without identity being one: n (now), before_n, change_n and change_constant_n
    (the fewer of both). Raises NotEnoughData when nothing was sold in the trailing 12 months.

    >>> found = constant_currency(_example(), date(2026, 6, 30))
    >>> found[["market", "change", "change_constant", "n", "before_n"]].round(2).values.tolist()
    [['GB', 0.0, -0.2, 1, 1]]
    """
    now, before = Period.trailing(as_of, 12), Period.trailing(Period.trailing(as_of, 12).t0, 12)
    sold = _as_shown(orders, names).filter(_.status.isin(COUNTED_STATUSES), _.order_date >= ibis.literal(before.start))
    group = ibis.coalesce(bucket(_.customer_id), "#" + _.order_id.right(2))  # of customers, or of unidentified orders
    sums = sold.group_by("market", "currency", now=_.order_date >= ibis.literal(now.start), group=group).agg(
        rc=_.net_rc.sum(), minor=_.net_minor.sum(), orders=_.count()).execute()
    if not sums["now"].any():
        raise NotEnoughData(f"Nothing was sold in the 12 months to {as_of:%Y-%m-%d}: there is no order value to compare with a year ago.")
    old, new = sums[~sums["now"].astype(bool)], sums[sums["now"].astype(bool)]
    rates = old.groupby("currency")[["rc", "minor"]].sum()
    rate = new["currency"].map(rates["rc"] / rates["minor"].where(rates["minor"] != 0))
    new = new.assign(constant=(new["minor"] * rate).fillna(new["rc"]))
    a = new.groupby("market")[["rc", "constant", "orders"]].sum()
    b = old.groupby("market")[["rc", "orders"]].sum().reindex(a.index)
    found = pd.DataFrame({"value": a["rc"] / a["orders"], "before": b["rc"] / b["orders"].where(b["orders"] > 0)})
    n, before_n = (_buyers(sold.filter(year.covers(_.order_date))).reindex(found.index, fill_value=0) for year in (now, before))
    fewer = np.minimum(n, before_n)
    found = found.assign(change=found["value"] / found["before"] - 1, change_constant=a["constant"] / a["orders"] / found["before"] - 1,
                         n=n, before_n=before_n, change_n=fewer, change_constant_n=fewer)  # fmt: skip
    found[["change_constant_low", "change_constant_high"]] = [_ends(new, old, market) for market in found.index]
    return found.reset_index()


def _as_shown(orders: ir.Table, names: dict[str, str] | None) -> ir.Table:
    """The orders with their market as it is shown: one without a name, where nobody is identified, is among the others."""
    return together(orders, {} if names is None else {UNKNOWN: OTHER} | names)


def _buyers(orders: ir.Table) -> pd.Series:
    """By market: the customers, and each order without identity as a buyer."""
    return orders.group_by("market").agg(n=_.customer_id.nunique() + _.customer_id.isnull().sum()).execute().set_index("market")["n"]


def _ends(new: pd.DataFrame, old: pd.DataFrame, market: str) -> np.ndarray:
    """The 95 % bootstrap interval of a market's change of order value at constant rates, over its random groups."""
    parts = [year[year["market"] == market].groupby("group")[[money, "orders"]].sum() for year, money in ((new, "constant"), (old, "rc"))]
    each = pd.concat(parts, axis="columns").fillna(0).astype("float64").sort_index()
    if len(each) < 2 or not len(parts[1]):
        return np.full(2, np.nan)
    value, orders, before, orders_before = (bootstrap_weights(len(each)) @ each.to_numpy()).T
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (value / orders) / (before / orders_before) - 1
    return np.quantile(change[np.isfinite(change)], [ALPHA / 2, 1 - ALPHA / 2])


def _example() -> ir.Table:
    """Four orders of 80 pounds in 2026 and one of 100 the year before; the pound rose from 1.0 to 1.25 euro."""
    orders = pd.DataFrame({
        "order_date": ["2025-03-01", *["2026-03-01"] * 4], "net_rc": 10_000, "net_minor": [10_000, *[8_000] * 4],
        "payment_method": ["card"] * 4 + ["cod"],
    }).assign(market="GB", currency="GBP", status="paid", customer_id="a1", order_id="1")  # fmt: skip
    return ibis.memtable(orders).mutate(order_date=_.order_date.cast("date"))
