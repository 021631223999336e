"""The one derived table: a row per customer and local day with positive net spend. All customer metrics start here."""

from datetime import date

import ibis
import ibis.expr.types as ir
import pyarrow as pa
from ibis import _

FIRSTS = {  # what an order can say of a customer; an empty text stands for none, which engines do not join
    "home_market": _.market.fill_null(""),
    "first_sales_channel": _.sales_channel.fill_null(""),
    "first_acquisition_channel": _.acquisition_channel.fill_null(""),
    "first_product_category": _.category.fill_null(""),
    "first_discounted": (_.discount_rc > 0).fill_null(False),
}
ORDER = ("source", "order_id")
EARLIEST = ("ordered_at", *ORDER)
DIGITS = "234567abcdefghijklmnopqrstuvwxyz"  # of a pseudonym, in the order in which text is sorted
COUNTED_STATUSES = ("paid", "delivered")
ORDER_RATE = _.net_rc.cast("float64") / _.net_minor.cast("float64").nullif(0.0)
UNDATED_REFUND_RC = (_.refund_undated_minor.fill_null(0).cast("float64") * ORDER_RATE).fill_null(0.0).round().cast("int64")
READ = ("source", "order_id", "customer_id", "order_date", "ordered_at", "market", "sales_channel", "acquisition_channel",
        "category", "is_renewal", "day_orders", "net_minor", "net_rc", "discount_rc", "refund_undated_minor")  # no more is carried along


def occasions(
    orders: ir.Table, order_lines: ir.Table, refunds: ir.Table, customers: ir.Table, as_of: date, *, margin_rate: float,
    margin_by_market: dict[str, float] | None = None, margin_by_category: dict[str, float] | None = None,
    refund_window_days: int = 30, exclude_renewals: bool = False,
) -> ir.Table:
    """Purchase occasions: one lazy row per customer and local day with positive net spend, up to as_of.

    Built from identified orders that are paid or delivered. Refunds dated on or before as_of and within
    `refund_window_days` of the order reduce the day; undated refunds count at the order's day. The margin is net sales
    less unit costs where an order line has one, else net sales times the rate of its category, market or the client, in
    that order (what the lines leave of the order's net sales counts as such); refunds take margin away in proportion.
    Looked up at once: the combinations of market, channels and category that orders have, and whether any line has a cost.

    Returns columns customer_id, date, n (1, 2, 3 … per customer), previous_date (of their occasion before; null at the
    first), first_date, home_market, first_sales_channel, first_acquisition_channel, first_product_category (of the
    costliest line), first_discounted (all of the earliest order of the customer's first occasion),
    net_sales_rc, margin_rc, discount_rc (minor units of the reporting currency), is_renewal, refund_undated (the day
    holds an undated refund), truncated (the customer's history may begin before the data).

    >>> import pandas as pd
    >>> day = pd.Timestamp("2026-01-05")
    >>> order = dict(source="shop", customer_id="anna", status="paid", is_renewal=False, net_minor=1000, net_rc=1000,
    ...              discount_rc=0, refund_undated_minor=0, day_orders=2, market="DE", sales_channel="shopify",
    ...              acquisition_channel="email", category="tents", ordered_at=day, order_date=day)
    >>> orders = ibis.memtable([{**order, "order_id": "1"}, {**order, "order_id": "2"}])
    >>> line = dict(source="shop", order_id="1", category="tents", quantity=1, net_rc=1000, unit_cost_rc=300)
    >>> refund = dict(source="shop", order_id="2", refund_date=pd.Timestamp("2026-01-20"), amount_rc=400)
    >>> known = ibis.memtable([dict(customer_id="anna", truncated=False)])
    >>> lines, refunds = ibis.memtable([line]), ibis.memtable([refund])
    >>> found = occasions(orders, lines, refunds, known, date(2026, 2, 1), margin_rate=0.5)
    >>> found.select("customer_id", "n", "home_market", "net_sales_rc", "margin_rc").execute()
      customer_id  n home_market  net_sales_rc  margin_rc
    0        anna  1          DE          1600       1000
    """
    counted = _counted_orders(orders, as_of, exclude_renewals)
    profiles, refunded = _profiles(counted), _refunded(counted, refunds, as_of, refund_window_days)
    market_rate = ibis.coalesce(_rate(_.market, margin_by_market or {}), ibis.literal(margin_rate))
    own_margins = _own_margins(order_lines, margin_by_category or {})
    own = (_.day_orders == 1).fill_null(False)  # nearly all: taken as they are, since sums by day are the dearest step
    alone, several = (_bought(counted.filter(each), profiles, refunded, own_margins, market_rate) for each in (own, ~own))
    return _described(_customer_days(alone, several), profiles, customers)


def numbered(days: ir.Table, **first) -> ir.Table:
    """The days on which customers bought, one row each, with n (1, 2, 3 …), previous_date (null at the first), first_date.

    `first` names more that every row is to know of its customer's history, such as `market=_.market.first()`.

    >>> days = ibis.memtable({"customer_id": ["a", "a"], "date": [date(2026, 1, 5), date(2026, 2, 9)]})
    >>> numbered(days).order_by("n").execute()[["n", "previous_date", "first_date"]]
       n previous_date first_date
    0  1           NaT 2026-01-05
    1  2    2026-01-05 2026-01-05
    """
    history = ibis.window(group_by="customer_id", order_by="date")
    first = {"first_date": _.date.first()} | first
    return days.mutate(n=(ibis.row_number().over(history) + 1).cast("int64"), previous_date=_.date.lag().over(history),
                       **{name: value.over(history) for name, value in first.items()})


def bucket(customer_id: ir.StringColumn) -> ir.StringColumn:
    """One of 1,024 random groups of customers: the first two digits (base 32) of the pseudonym.

    Sums per bucket carry the same sampling variance as sums per customer, so a bootstrap over buckets gives the
    interval of a bootstrap over customers for the price of 1,024 rows.

    >>> ibis.memtable({"customer_id": ["ga1b2c", "ga1fff"]}).select(b=bucket(_.customer_id)).execute().b.tolist()
    ['ga', 'ga']
    """
    return customer_id.substr(0, 2)


def sampled(table: ir.Table, most: int) -> ir.Table:
    """About `most` rows of a table of customers: whole buckets, the same ones every time. All of a smaller table.

    >>> many = ibis.memtable({"customer_id": [f"{each}x" for each in DIGITS]})
    >>> sampled(many, 8).order_by("customer_id").execute().customer_id.tolist()
    ['2x', '3x', '4x', '5x', '6x', '7x', 'ax', 'bx']
    """
    kept = max(1, len(DIGITS) ** 2 * most // max(int(table.count().execute()), 1))
    if kept >= len(DIGITS) ** 2:
        return table
    return table.filter(bucket(_.customer_id) < DIGITS[kept // len(DIGITS)] + DIGITS[kept % len(DIGITS)])


def _counted_orders(orders: ir.Table, as_of: date, exclude_renewals: bool) -> ir.Table:
    counted = orders.filter(_.customer_id.notnull(), _.status.isin(COUNTED_STATUSES), _.order_date <= ibis.literal(as_of))
    return (counted.filter(~_.is_renewal) if exclude_renewals else counted).select(*READ)


def _profiles(counted: ir.Table) -> ir.Table:
    """Each combination of FIRSTS that orders have, by number: texts are dear to sort and to carry along."""
    found = counted.select(**FIRSTS).distinct().to_pyarrow().sort_by([(name, "ascending") for name in FIRSTS])
    return ibis.memtable(found.append_column("profile", pa.array(range(len(found)), pa.int32())))


def _refunded(counted: ir.Table, refunds: ir.Table, as_of: date, window_days: int) -> ir.Table:
    """Orders with refunds dated up to as_of and inside the window: their sum, refunded_rc."""
    dated = refunds.filter(_.refund_date <= ibis.literal(as_of)).join(counted.select(*ORDER, "order_date"), ORDER)
    inside = dated.filter(_.refund_date.delta(_.order_date, unit="day") <= window_days)
    return inside.group_by(ORDER).agg(refunded_rc=_total(_.amount_rc))


def _own_margins(order_lines: ir.Table, by_category: dict) -> ir.Table | None:
    """Orders that have lines with a margin of their own: that margin, in whole minor units, and those lines' net sales.

    Orders without one are not there; None where no line can have one: the join is the dearest step.
    """
    if not by_category and not order_lines.unit_cost_rc.count().execute():
        return None
    own, has_own = _.net_rc - _.quantity * _.unit_cost_rc, _.unit_cost_rc.notnull()
    if by_category:
        rated = (_.net_rc.cast("float64") * _rate(_.category, by_category)).round().cast("int64")
        own, has_own = ibis.coalesce(own, rated), has_own | _.category.isin(list(by_category))
    known = order_lines.filter(has_own).select(*ORDER, "net_rc", own=own)
    return known.group_by(ORDER).agg(own_margin=_.own.sum().cast("float64"), own_net=_.net_rc.sum().cast("float64"))


def _bought(counted: ir.Table, profiles: ir.Table, refunded: ir.Table, own_margins: ir.Table | None, market_rate) -> ir.Table:
    """The orders with what refunds leave of them, its margin, and the number of their profile: everything joined at once.

    Undated refunds count at the order's own rate; the margin is the lines' own, and the market's rate on the rest.
    """
    same = [value.resolve(counted) == profiles[name] for name, value in FIRSTS.items()]
    joined, margin_rate = counted.join(profiles, same).left_join(refunded, ORDER), market_rate
    if own_margins is not None:
        joined = joined.left_join(own_margins, ORDER, rname="{name}_own")
        rest = ibis.greatest(_.net_rc.cast("float64") - _.own_net, 0.0)
        from_lines = (_.own_margin + rest * market_rate) / (_.own_net + rest).nullif(0.0)
        margin_rate = ibis.coalesce(from_lines, market_rate)
    kept = _.net_rc - _.refunded_rc.fill_null(0) - UNDATED_REFUND_RC
    return joined.select(
        "customer_id", *EARLIEST, "discount_rc", "is_renewal", "profile", date=_.order_date, net_sales_rc=kept,
        margin_rc=(kept.cast("float64") * margin_rate).round().cast("int64"), refund_undated=_.refund_undated_minor.fill_null(0) > 0,
    )


def _rate(column, rates: dict[str, float]):
    """The rate of a market or category, null where the client gives none."""
    if not rates:
        return ibis.null("float64")
    return column.cases(*rates.items(), else_=ibis.null("float64"))


def _customer_days(alone: ir.Table, several: ir.Table) -> ir.Table:
    """Orders alone on their day, and several of one day summed: numbered, with the profile of the customer's earliest order.

    A day without positive net spend is none.
    """
    together = several.group_by("customer_id", "date").agg(
        **{name: _total(_[name]) for name in ("net_sales_rc", "margin_rc", "discount_rc")},
        is_renewal=_.is_renewal.min(), refund_undated=_.refund_undated.max(),
        profile=_.profile.argmin(ibis.struct({name: _[name] for name in EARLIEST})))
    return numbered(alone.select(together.columns).union(together).filter(_.net_sales_rc > 0), profile=_.profile.first())


def _total(amounts):
    """The sum as an int64: DuckDB's is of 128 bits, and what follows would carry twice the weight."""
    return amounts.sum().cast("decimal(18, 0)").cast("int64")


def _described(days: ir.Table, profiles: ir.Table, customers: ir.Table) -> ir.Table:
    begun_earlier = customers.filter(_.truncated).customer_id
    named = profiles.mutate(**{name: profiles[name].nullif("") for name in FIRSTS if profiles[name].type().is_string()})
    joined = days.join(named, "profile").mutate(truncated=_.customer_id.isin(begun_earlier))
    sums = ("net_sales_rc", "margin_rc", "discount_rc", "is_renewal", "refund_undated")
    return joined.select("customer_id", "date", "n", "previous_date", "first_date", *FIRSTS, *sums, "truncated")
