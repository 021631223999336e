"""The one derived table: a row per customer and local day with positive net spend. All customer metrics start here."""

from datetime import date

import ibis
import ibis.expr.types as ir
from ibis import _

FIRSTS = {
    "home_market": "market",
    "first_sales_channel": "sales_channel",
    "first_acquisition_channel": "acquisition_channel",
    "first_product_category": "category",
    "first_discounted": "discounted",
}
COUNTED_STATUSES = ("paid", "delivered")


def occasions(
    orders: ir.Table,
    order_lines: ir.Table,
    refunds: ir.Table,
    customers: ir.Table,
    as_of: date,
    *,
    margin_rate: float,
    margin_by_market: dict[str, float] | None = None,
    margin_by_category: dict[str, float] | None = None,
    refund_window_days: int = 30,
    exclude_renewals: bool = False,
) -> ir.Table:
    """Purchase occasions: one lazy row per customer and local day with positive net spend, up to as_of.

    Built from identified orders that are paid or delivered. Refunds dated on or before as_of and within
    `refund_window_days` of the order reduce the day; undated refunds count at the order's day. A day whose net spend
    is not positive is no occasion. The margin is net sales less unit costs where an order line has one, else net sales
    times the rate of its category, market or the client, in that order; refunds take margin away in proportion.

    Returns columns customer_id, date, n (1, 2, 3 … per customer), home_market, first_sales_channel,
    first_acquisition_channel, first_product_category, first_discounted (all of the customer's first occasion),
    net_sales_rc, margin_rc, discount_rc (minor units of the reporting currency), is_renewal, refund_undated (the day
    holds an undated refund), truncated (the customer's history may begin before the data).

    >>> import pandas as pd
    >>> day = pd.Timestamp("2026-01-05")
    >>> order = dict(source="shop", customer_id="anna", status="paid", is_renewal=False, net_minor=1000, net_rc=1000,
    ...              discount_rc=0, refund_undated_minor=0, market="DE", sales_channel="shopify",
    ...              acquisition_channel="email", ordered_at=day, order_date=day)
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
    bought = _counted_orders(orders, as_of, exclude_renewals)
    bought = _less_refunds(bought, refunds, as_of, refund_window_days)
    bought = _with_margin(bought, order_lines, margin_rate, margin_by_market or {}, margin_by_category or {})
    days = _customer_days(bought)
    return _numbered(days, customers)


def bucket(customer_id: ir.StringColumn) -> ir.StringColumn:
    """One of 4,096 random groups of customers: the first three hex digits of the pseudonym.

    Sums per bucket carry the same sampling variance as sums per customer, so a bootstrap over buckets gives the
    interval of a bootstrap over customers for the price of 4,096 rows.

    >>> ibis.memtable({"customer_id": ["0a1b2c", "0a1fff"]}).select(b=bucket(_.customer_id)).execute().b.tolist()
    ['0a1', '0a1']
    """
    return customer_id.substr(0, 3)


def _counted_orders(orders: ir.Table, as_of: date, exclude_renewals: bool) -> ir.Table:
    counted = orders.filter(
        _.customer_id.notnull(), _.status.isin(COUNTED_STATUSES), _.order_date <= ibis.literal(as_of)
    )
    return counted.filter(~_.is_renewal) if exclude_renewals else counted


def _less_refunds(bought: ir.Table, refunds: ir.Table, as_of: date, window_days: int) -> ir.Table:
    """The orders with refund_rc: dated refunds inside the window, and undated ones at the order's own rate."""
    dated = refunds.filter(_.refund_date <= ibis.literal(as_of)).join(
        bought.select("source", "order_id", "order_date"), ["source", "order_id"]
    )
    inside = dated.filter(_.refund_date.delta(_.order_date, unit="day") <= window_days)
    sums = inside.group_by("source", "order_id").agg(dated_rc=_.amount_rc.sum())
    rate = _.net_rc.cast("float64") / _.net_minor.cast("float64").nullif(0.0)
    undated = (_.refund_undated_minor.fill_null(0).cast("float64") * rate).fill_null(0.0).round().cast("int64")
    joined = bought.left_join(sums, ["source", "order_id"]).select(*[bought[c] for c in bought.columns], sums.dated_rc)
    return joined.mutate(
        refund_rc=_.dated_rc.fill_null(0).cast("int64") + undated,
        refund_undated=_.refund_undated_minor.fill_null(0) > 0,
    ).drop("dated_rc")


def _with_margin(bought, order_lines, rate: float, by_market: dict, by_category: dict) -> ir.Table:
    """The orders with the category of their costliest line, and margin_rc after refunds."""
    lines = order_lines.mutate(rated=_rate(_.category, by_category), net=_.net_rc.cast("float64"))
    known_cost = lines.net - lines.quantity.cast("float64") * lines.unit_cost_rc.cast("float64")
    per_order = lines.mutate(known=known_cost).group_by("source", "order_id").agg(
        lines_net=_.net.sum(),
        own_margin=ibis.coalesce(_.known, _.net * _.rated).sum(),
        own_net=(ibis.coalesce(_.known, _.rated).notnull()).ifelse(_.net, 0.0).sum(),
        costliest=ibis.struct({"net": _.net_rc, "category": _.category}).max(),
    )
    per_order = per_order.mutate(category=_.costliest["category"])
    market_rate = ibis.coalesce(_rate(_.market, by_market), ibis.literal(rate))
    added = [per_order[c] for c in ("lines_net", "own_margin", "own_net", "category")]
    joined = bought.left_join(per_order, ["source", "order_id"]).select(*[bought[c] for c in bought.columns], *added)
    from_lines = (_.own_margin.fill_null(0.0) + (_.lines_net - _.own_net) * market_rate) / _.lines_net.nullif(0.0)
    kept = (_.net_rc - _.refund_rc).cast("float64")
    return joined.mutate(
        kept_rc=_.net_rc - _.refund_rc,
        margin_rc=(kept * ibis.coalesce(from_lines, market_rate)).round().cast("int64"),
        discounted=_.discount_rc > 0,
    )


def _rate(column, rates: dict[str, float]):
    """The rate of a market or category, null where the client gives none."""
    if not rates:
        return ibis.null("float64")
    return column.cases(*rates.items(), else_=ibis.null("float64"))


def _customer_days(bought: ir.Table) -> ir.Table:
    """Orders summed to customer and day; the day's attributes are those of its earliest order."""
    earliest = ibis.struct({name: _[name] for name in ("ordered_at", "source", "order_id", *FIRSTS.values())}).min()
    days = bought.group_by("customer_id", date=_.order_date).agg(
        net_sales_rc=_.kept_rc.sum().cast("int64"),
        margin_rc=_.margin_rc.sum().cast("int64"),
        discount_rc=_.discount_rc.sum().cast("int64"),
        is_renewal=_.is_renewal.min(),
        refund_undated=_.refund_undated.max(),
        earliest=earliest,
    )
    return days.filter(_.net_sales_rc > 0)


def _numbered(days: ir.Table, customers: ir.Table) -> ir.Table:
    history = ibis.window(group_by="customer_id", order_by="date")
    first = {name: _.earliest[column].first().over(history) for name, column in FIRSTS.items()}
    numbered = days.mutate(n=ibis.row_number().over(history) + 1, **first).drop("earliest")
    known = customers.select("customer_id", "truncated")
    joined = numbered.left_join(known, "customer_id")
    return joined.select(
        "customer_id", "date", n=_.n.cast("int64"), **{name: _[name] for name in FIRSTS},
        net_sales_rc=_.net_sales_rc, margin_rc=_.margin_rc, discount_rc=_.discount_rc, is_renewal=_.is_renewal,
        refund_undated=_.refund_undated, truncated=_.truncated.fill_null(False),
    )
