"""What orders, the cost ledger and tickets add up to by calendar month: small frames, from which any months are counted.

`begun` is the month of the customer's first purchase occasion, so that whoever counts says what an existing customer is.
"""

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.occasions import COUNTED_STATUSES

LEDGER = ["month", "category", "component", "market", "channel", "currency", "allocation", "existing_share"]


def ledger(costs: ir.Table) -> pd.DataFrame:
    """The cost ledger: LEDGER, rc and minor (in minor units of the reporting currency and of the line's own).

    >>> from helpers.metrics.costs.books import example
    >>> ledger(example().costs)[["month", "component", "rc", "minor"]].values.tolist()[0]
    ['2026-10', 'email', 3000, 3000]
    """
    sums = costs.group_by(LEDGER).agg(rc=_.amount_rc.sum().cast("int64"), minor=_.amount_minor.sum().cast("int64")).execute()
    lines = _labelled(sums.sort_values(LEDGER, ignore_index=True), "month")
    return lines.astype(dict.fromkeys(("market", "channel", "allocation"), "object"))


def sold(orders: ir.Table, occasions: ir.Table) -> pd.DataFrame:
    """Counted orders and net sales: month, market, channel (of sale), identified, begun ("" for none), revenue, orders.

    An order without a market counts in its customer's home market.

    >>> from helpers.metrics.costs.books import example
    >>> sold(example().orders, example().occasions)[["month", "market", "begun", "orders"]].values.tolist()[-1]
    ['2026-10', 'FR', '2026-09', 1]
    """
    firsts = occasions.filter(_.n == 1).select("customer_id", first="date", home="home_market")
    counted = orders.filter(_.status.isin(COUNTED_STATUSES))
    counted = counted.select("order_date", "market", "sales_channel", "customer_id", "net_rc").left_join(firsts, "customer_id")
    by = {
        "month": month(_.order_date), "market": ibis.coalesce(_.market, _.home, UNKNOWN), "channel": _.sales_channel,
        "identified": _.customer_id.notnull(), "begun": month(_["first"]),
    }  # fmt: skip
    sums = counted.group_by(**by).agg(revenue=_.net_rc.sum().cast("int64"), orders=_.count()).execute()
    sums["identified"] = sums["identified"].astype(bool)
    return _labelled(sums, "month", "begun").sort_values(list(by), ignore_index=True)


def discounts(orders: ir.Table, occasions: ir.Table) -> pd.DataFrame:
    """Discounts on orders of days that are purchase occasions: month, market (home), currency, begun, amount_rc, minor.

    amount_rc in minor units of the reporting currency, minor in those of the order's.

    >>> from helpers.metrics.costs.books import example
    >>> discounts(example().orders, example().occasions).values.tolist()[0]
    ['2026-09', 'DE', 'EUR', '2026-09', 200, 200]
    """
    days = occasions.select("customer_id", "first_date", order_date="date", home="home_market")
    taken = orders.filter(_.status.isin(COUNTED_STATUSES), _.discount_rc != 0).join(days, ["customer_id", "order_date"])
    by = {"month": month(_.order_date), "market": _.home.fill_null(UNKNOWN), "currency": _.currency, "begun": month(_.first_date)}
    sums = taken.group_by(**by).agg(amount_rc=_.discount_rc.sum().cast("int64"), minor=_.discount_minor.sum().cast("int64")).execute()
    return _labelled(sums, "month", "begun").sort_values(list(by), ignore_index=True)


def tickets(opened: ir.Table, nowhere: str) -> pd.DataFrame:
    """Support tickets: month, market (`nowhere` for tickets that name none), weight (how many).

    >>> opened = ibis.memtable({"opened_date": ["2026-10-05"], "market": ["DE"]}).cast({"opened_date": "date"})
    >>> tickets(opened, "unallocated").values.tolist()
    [['2026-10', 'DE', 1]]
    """
    by = {"month": month(_.opened_date), "market": _.market.fill_null(nowhere)}
    counts = opened.group_by(**by).agg(weight=_.count()).execute()
    return _labelled(counts, "month").sort_values(list(by), ignore_index=True)


def month(day):
    """The first day of a date column's month, as an expression.

    >>> ibis.memtable({"day": ["2026-10-05"]}).select(m=month(_.day.cast("date"))).execute().m.dt.day.tolist()
    [1]
    """
    return day.truncate("M").cast("date")


def _labelled(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return frame.assign(**{name: pd.to_datetime(frame[name]).dt.strftime("%Y-%m").fillna("") for name in columns})

