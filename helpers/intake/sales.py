"""Orders, their lines, refunds and customers: net of tax, in the reporting currency, each order once."""

import ibis
import ibis.expr.types as ir
from ibis import _

from helpers import schema
from helpers.intake.conversions import minor_factor, minor_units
from helpers.money import exponent


def each_once(con, orders: ir.Table) -> ir.Table:
    """Of an order that several exports hold, the newest export's row."""
    newest = orders.group_by("source_name", "order_id").aggregate(file_index=_.file_index.argmax(_.version))
    return con.create_table("orders_once", orders.semi_join(newest, ["source_name", "order_id", "file_index"]))


def tax_as_stated(con, orders: ir.Table, sources: dict) -> tuple[ir.Table, list[str]]:
    """Orders of which client.toml says that prices hold tax at a rate, without the export's tax where that is 0 on every row.

    Such a column is of a shop that does not reckon tax, and the stated rate counts; where none is stated, it is asked for.
    """
    stated = {name: terms.tax_rate for name, terms in sources.items() if terms.tax_included and terms.tax_rate}
    settled = {name for name, terms in sources.items() if terms.tax_included is not None}
    taxed = (_.tax_minor.fill_null(0) != 0) | (_.goods_tax_minor.fill_null(0) != 0)
    zero = _.tax_minor.notnull() | _.goods_tax_minor.notnull()
    found = con.to_pandas(orders.group_by("source_name").aggregate(n=_.count(), taxed=taxed.any(), zero=zero.any()).order_by("source_name"))
    found = found[~found["taxed"] & found["zero"]]
    asked = [
        f"{one.source_name}: the export's tax is 0 on all {one.n:,} orders, so its prices count as net. If they hold tax, set tax_included "
        f"= true and tax_rate under [sources.{one.source_name}] in client.toml; tax_included = false if they do not."
        for one in found[~found["source_name"].isin(settled)].itertuples()
    ]
    found = found[found["source_name"].isin(list(stated))]
    if found.empty:
        return orders, asked
    blank = orders.source_name.isin(found["source_name"].tolist())
    columns = {name: blank.ifelse(ibis.null("int64"), orders[name]) for name in ("tax_minor", "goods_tax_minor")}
    said = [
        f"{one.source_name}: the export's tax is 0 on all {one.n:,} orders; prices are taken to hold {stated[one.source_name]:.1%} tax, "
        "as client.toml says." for one in found.itertuples()
    ]  # fmt: skip
    return orders.mutate(**columns), said + asked


def net_of_tax(orders: ir.Table) -> ir.Table:
    """gross, discount, net and undated refund without tax, whatever the store's prices include.

    Tax is spread over goods and shipping alike unless the export gives the goods' own. A refund is taken to be of goods first,
    tax and all.
    """
    paid = (_.gross_minor.fill_null(0) - _.discount_minor.fill_null(0)).cast("float64")
    share = _.paid / (_.paid + _.shipping_minor.fill_null(0)).cast("float64").nullif(0.0)
    by_rate = _.tax_included.ifelse(_.paid - _.paid / (1 + _.tax_rate), _.paid * _.tax_rate)
    goods_tax = ibis.coalesce(_.goods_tax_minor.cast("float64"), _.tax_minor * share, by_rate, ibis.literal(0.0))
    rows = orders.mutate(gross_minor=_.gross_minor.fill_null(0), paid=paid, tax_included=_.tax_included.fill_null(False))
    rows = rows.mutate(goods_tax=goods_tax.round())
    rows = rows.mutate(net_minor=(_.paid - _.tax_included.ifelse(_.goods_tax, 0.0)).round().cast("int64"))
    factor = _.net_minor.cast("float64") / _.paid.nullif(0.0)
    with_tax = (_.net_minor + _.goods_tax).cast("float64")
    refund = ibis.least(_.refund_undated_minor.fill_null(0).cast("float64"), with_tax) * _.net_minor.cast("float64") / with_tax.nullif(0.0)
    rows = rows.mutate(gross_without=ibis.coalesce((_.gross_minor * factor).round().cast("int64"), _.gross_minor), refund=refund)
    return rows.mutate(
        gross_minor=_.gross_without,
        discount_minor=_.gross_without - _.net_minor,
        refund_undated_minor=_.refund.round().cast("int64").nullif(0),
        added_tax=_.tax_included.ifelse(_.goods_tax, 0.0).cast("int64"),
    )


def converted(rows: ir.Table, fx: ir.Table, day: str, reporting: str, columns: dict[str, str]) -> ir.Table:
    """The rows with amounts in the reporting currency, at the rate of their day: {"net_rc": "net_minor"}."""
    rates = fx.select(fx_currency="currency", fx_date="date", fx_rate="rate")
    rated = rows.left_join(rates, [("currency", "fx_currency"), (day, "fx_date")]).drop("fx_currency", "fx_date")
    scale = 10.0 ** exponent(reporting) / minor_factor(rated.currency)
    made = {name: (rated[minor].cast("float64") * scale * rated.fx_rate).round().cast("int64") for name, minor in columns.items()}
    return rated.mutate(**made).drop("fx_rate")


def located(con, refs: ir.Table, orders: ir.Table, name: str) -> ir.Table:
    """Rows that name an order, with the source of that order: their own if it has one of that name, else the only one."""
    ids = orders.group_by("order_id").aggregate(known_source=_.source.min(), stores=_.source.nunique())
    own = orders.select("order_id", own_source="source").distinct()
    found = refs.left_join(ids, "order_id").drop("order_id_right")
    found = found.left_join(own, [found.order_id == own.order_id, found.source_name == own.own_source]).drop("order_id_right")
    source = ibis.coalesce(_.own_source, (_.stores == 1).ifelse(_.known_source, ibis.null("string")))
    return con.create_table(name, found.mutate(source=source).drop("known_source", "stores", "own_source"))


def cancelled_purchases(con, refunds: ir.Table, orders: ir.Table, lines: ir.Table) -> ir.Table:
    """Refunds that name no order, laid on the buyer's latest earlier order of the same product."""
    known = orders.filter(_.customer_id.notnull()).select("source", "order_id", "customer_id", "ordered_at")
    bought = lines.select("source", "order_id", "product_id").distinct().join(known, ["source", "order_id"])
    loose = refunds.filter(_.source.isnull(), _.customer_id.notnull(), _.product_id.notnull())
    pairs = loose.select("refund_row", "customer_id", "product_id", "refunded_at").join(bought, ["customer_id", "product_id"])
    order = ibis.struct({"at": _.ordered_at, "source": _.source, "order_id": _.order_id})
    latest = pairs.filter(_.ordered_at <= _.refunded_at).group_by("refund_row").aggregate(order=order.max())
    laid = refunds.left_join(latest, "refund_row").drop("refund_row_right")
    laid = laid.mutate(
        source=ibis.coalesce(_.source, _.order["source"], _.source_name),
        order_id=_.source.isnull().ifelse(ibis.coalesce(_.order["order_id"], _.order_id), _.order_id),
    )
    return con.create_table("refunds_laid", laid.drop("order"))


def returned_goods(returns: ir.Table, orders: ir.Table, lines: ir.Table, refunds: ir.Table | None) -> ir.Table:
    """Returned pieces as refunds, at what the order's line was sold for; orders that another file refunds are left out."""
    sold = lines.group_by("source", "order_id", "product_id").aggregate(pieces=_.quantity.sum(), sold_rc=_.net_rc.sum())
    facts = orders.select("source", "order_id", "net_minor", "net_rc", "currency")
    rows = returns.filter(_.source.notnull()).join(sold, ["source", "order_id", "product_id"]).join(facts, ["source", "order_id"])
    if refunds is not None:
        rows = rows.anti_join(refunds, ["source", "order_id"])
    share = _.sold_rc.cast("float64") / _.net_rc.cast("float64").nullif(0.0)
    part = ibis.least(_.quantity, _.pieces).cast("float64") / _.pieces.cast("float64").nullif(0.0)
    amount = (_.net_minor.cast("float64") * share * part).round().cast("int64")
    return rows.mutate(amount_minor=amount, refund_date=_.return_date)


def delivered(orders: ir.Table, deliveries: ir.Table | None) -> ir.Table:
    """Orders with the carriers' days; a parcel handed over makes a paid (or cash on delivery) order delivered."""
    if deliveries is None:
        return orders
    facts = {"came": _.delivered_date.max(), "promise": _.promised_date.max(), "outcome": _.status.argmax(_.version)}
    last = deliveries.filter(_.source.notnull()).group_by("source", "order_id").aggregate(**facts)
    rows = orders.left_join(last, ["source", "order_id"]).drop("source_right", "order_id_right")
    outcome = _.outcome.lower()
    arrived = _.came.notnull() & ((_.status == "paid") | ((_.status == "pending") & _.is_cod.fill_null(False)))
    status = ibis.cases((outcome.isin(schema.ORDER_STATUSES), outcome), (arrived, "delivered"), else_=_.status)
    came, promise = ibis.coalesce(_.came, _.delivered_date), ibis.coalesce(_.promise, _.promised_date)
    return rows.mutate(status=status, delivered_date=came, promised_date=promise).drop("came", "promise", "outcome")


def with_referrers(orders: ir.Table, referrals: ir.Table | None) -> ir.Table:
    """Orders with the referrer on the first order of each referred customer."""
    if referrals is None:
        return orders.mutate(referred_by=ibis.null("string"))
    brought = referrals.filter(_.customer_id.notnull(), _.referrer_id.notnull(), _.customer_id != _.referrer_id)
    brought = brought.group_by("customer_id").aggregate(referrer=_.referrer_id.min())
    order = ibis.struct({"at": _.ordered_at, "source": _.source, "order_id": _.order_id})
    first = orders.filter(_.customer_id.notnull()).group_by("customer_id").aggregate(first=order.min())
    marks = first.join(brought, "customer_id").select(source=_.first["source"], order_id=_.first["order_id"], referrer=_.referrer)
    rows = orders.left_join(marks, ["source", "order_id"]).drop("source_right", "order_id_right")
    return rows.rename(referred_by="referrer")


def order_lines(lines: ir.Table, orders: ir.Table, products: ir.Table | None, fx: ir.Table, reporting: str) -> ir.Table:
    """Order lines with their share of the order's net, by what the export asks for each line."""
    facts = orders.select("source", "order_id", "order_date", "net_rc", "order_currency")
    fine = (_.amount.fill_null(0.0) * 10_000).round().cast("int64")
    rows = lines.mutate(fine=fine).join(facts, ["source", "order_id"])
    totals = rows.group_by("source", "order_id").aggregate(all_fine=_.fine.sum(), all_lines=_.count())
    rows = rows.join(totals, ["source", "order_id"])
    share = (_.all_fine != 0).ifelse(_.fine.cast("float64") / _.all_fine.cast("float64").nullif(0.0), 1.0 / _.all_lines)
    rows = rows.mutate(net_rc=(_.net_rc.cast("float64") * share).round().cast("int64"), currency=_.order_currency)
    rows = rows.mutate(cost_minor=ibis.null("int64"))
    if products is not None:
        facts = {"product_category": _.category.max(), "cost": _.unit_cost_minor.max(), "cost_currency": _.currency.max()}
        rows = rows.left_join(products.group_by("product_id").aggregate(**facts), "product_id").drop("product_id_right")
        names = {"category": "product_category", "currency": "cost_currency", "cost_minor": "cost"}
        rows = rows.mutate(**{ours: ibis.coalesce(rows[theirs], rows[ours]) for ours, theirs in names.items()})
    rows = rows.mutate(cost_minor=ibis.coalesce(_.cost_minor, minor_units(_.unit_cost, _.order_currency)))
    return converted(rows, fx, "order_date", reporting, {"unit_cost_rc": "cost_minor"})


def with_category(orders: ir.Table, lines: ir.Table | None) -> ir.Table:
    """Orders with the category of their line with the highest net sales; of equal ones the last by name."""
    if lines is None:
        return orders.mutate(category=ibis.null("string"))
    line = ibis.struct({"net": _.net_rc, "category": _.category})
    main = lines.filter(_.category.notnull()).group_by("source", "order_id").aggregate(main=line.max())
    rows = orders.left_join(main, ["source", "order_id"]).drop("source_right", "order_id_right")
    return rows.mutate(category=_.main["category"]).drop("main")


def with_day_orders(orders: ir.Table) -> ir.Table:
    """Orders with how many their buyer placed on that local day in all sources; null where the buyer is not known."""
    days = orders.filter(_.customer_id.notnull()).group_by("customer_id", "order_date").aggregate(day_orders=_.count())
    return orders.left_join(days, ["customer_id", "order_date"]).drop("customer_id_right", "order_date_right")


def customers(orders: ir.Table, contacts: ir.Table | None, complete: bool, start) -> ir.Table:
    """One row per customer: first order, whether older orders may be missing, and what the CRM knows."""
    known = orders.filter(_.customer_id.notnull()).group_by("customer_id").aggregate(first_order_date=_.order_date.min())
    said = {"consent_email": "boolean", "consent_sms": "boolean", "preferred_channel": "string", "signup_date": "date"}
    if contacts is None:
        known = known.mutate(**{name: ibis.null(dtype) for name, dtype in said.items()})
    else:
        newest = {name: _[name].argmax(_.version) for name in said} | {"signup_date": _.signup_date.min()}
        newest = contacts.filter(_.customer_id.notnull()).group_by("customer_id").aggregate(**newest)
        known = known.left_join(newest, "customer_id").drop("customer_id_right")
    early = (_.first_order_date.truncate("M") == ibis.literal(start).truncate("M")) if start else ibis.literal(False)
    older = (_.signup_date < ibis.literal(start)).fill_null(False) if start else ibis.literal(False)
    return known.mutate(truncated=ibis.literal(False) if complete else early | older)
