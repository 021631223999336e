"""The measures markets are compared by: their moments by market and the customer's strata."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.metrics.costs.books import existing
from helpers.metrics.costs.costs import quarter
from helpers.metrics.groups.markets import BY, YEAR, Measure, example, with_strata
from helpers.metrics.groups.standardise import moments, shares
from helpers.metrics.occasions import COUNTED_STATUSES, UNDATED_REFUND_RC
from helpers.metrics.retention import buyers, cohorts
from helpers.periods import Period

AGES = (1, 3, 6, 12)


def retention(stratified: ir.Table, as_of: date) -> dict[str, Measure]:
    """Retention 1, 3, 6 and 12 months after the first: retention_1 … retention_12, of the cohorts observed that long.

    Cells of `cohorts.retention_table`: customers back in that month / customers of the cohort.

    >>> found = retention(_stratified(), date(2026, 6, 30))
    >>> found["retention_1"].table.groupby("market")[["x", "n"]].sum().values.tolist()
    [[1, 2], [0, 1]]
    """
    cells = cohorts.retention_table(stratified, as_of, by=BY).dropna(subset=["active"])
    found = {}
    for age in AGES:
        at = cells[cells["age"] == age]
        if len(at):
            counts = at.groupby(BY)[["active", "n"]].sum().reset_index()
            found[f"retention_{age}"] = Measure(shares(_named(counts), "active", "n"), True, "percent")
    return found


def repurchase(stratified: ir.Table, as_of: date) -> dict[str, Measure]:
    """`repeat_purchase_rate` of the trailing 12 months.

    >>> repurchase(_stratified(), date(2026, 6, 30))["repeat_purchase_rate"].table["n"].sum()
    np.int64(3)
    """
    counts = buyers.repeat_purchase_rate(stratified, as_of, YEAR, by=BY)
    return {"repeat_purchase_rate": Measure(shares(_named(counts), "repeaters", "n"), True, "percent")}


def churned(stratified: ir.Table, as_of: date, window: int, data_start: date | None = None) -> dict[str, Measure]:
    """The churn rate of the newest quarter: of those active on its eve, not active on its last day.

    A quarter, so that small markets lose some. The sets are `churn.active`'s; no measure when the eve lies before the
    data's start plus W.

    >>> found = churned(_stratified(), date(2026, 6, 30), 90, date(2025, 12, 1))
    >>> found["churn_rate_quarter"].table.groupby("market")[["x", "n"]].sum().values.tolist()
    [[1, 1], [1, 1]]
    """
    period = quarter(as_of)
    if data_start is not None and data_start + timedelta(days=window) > period.t0:
        return {}
    strata = stratified.filter(_.n == 1).select("customer_id", *BY)
    active = existing(stratified, period, window).filter(_.before).drop("home_market").join(strata, "customer_id")
    counts = active.group_by(BY).agg(lost=(~_.after).sum(), start=_.count()).execute().sort_values(BY)
    table = shares(_named(counts), "lost", "start")
    return {"churn_rate_quarter": Measure(table, True, "percent", -1)} if len(table) else {}


def spending(stratified: ir.Table, as_of: date, currency_unit: float, costed: bool = True) -> dict[str, Measure]:
    """Of 12 months' purchase occasions: order_value (net sales / occasions) and margin_rate (margin / net sales).

    Ratios of sums, which vary between customers. costed: whether any order line knows its unit cost; a margin that is
    a rate of client.toml alone is shown and not tested. currency_unit: minor units in a major one (100 for EUR).

    >>> found = spending(_stratified(), date(2026, 6, 30), 100)
    >>> found["order_value"].table.groupby("market")[["x", "y"]].sum().values.tolist()
    [[180.0, 3.0], [40.0, 1.0]]
    """
    year = Period.trailing(as_of, YEAR)
    each = stratified.filter(year.covers(_.date)).group_by("customer_id", *BY).agg(
        net=_.net_sales_rc.sum() / currency_unit, margin=_.margin_rc.sum() / currency_unit, times=_.count()
    )
    value, margin = each.mutate(x=_.net, y=_.times), each.mutate(x=_.margin, y=_.net)
    return {"order_value": _measure(value, "money"), "margin_rate": _measure(margin, "percent")._replace(tested=costed)}


def after_sales(
    orders: ir.Table, refunds: ir.Table, stratified: ir.Table, as_of: date, currency_unit: float, names: dict[str, str] | None = None
) -> dict[str, Measure]:
    """Of 12 months' orders: refund_rate (refunds / net sales), cod_refusal_rate (refused / all cash on delivery).

    Identified customers' orders, by home market; who kept nothing and so has no occasion counts in the market (as
    shown by `names`) of the first order. Refunds, dated or not, count at the order's date; pending and cancelled orders
    are left out. Refusals have no measure when nobody pays cash on delivery.

    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["a1", "c1"], "net_rc": [5000, 4000], "market": "DE"})
    >>> orders = orders.assign(source="s", status="paid", is_cod=False, net_minor=orders.net_rc, refund_undated_minor=[500, 0],
    ...     acquisition_channel="email", category="tea")
    >>> orders = ibis.memtable(orders).mutate(order_date=ibis.date(2026, 6, 1), ordered_at=ibis.timestamp("2026-06-01"))
    >>> refunds = ibis.memtable({"source": ["s"], "order_id": ["2"], "amount_rc": [1000]})
    >>> found = after_sales(orders, refunds, _stratified(), date(2026, 6, 30), 100)
    >>> list(found), found["refund_rate"].table[["market", "x", "y"]].values.tolist()
    (['refund_rate'], [['DE', 5.0, 50.0], ['FR', 10.0, 40.0]])
    """
    year = Period.trailing(as_of, YEAR)
    who = _buyers(orders, stratified, as_of, names)
    inside = orders.filter(year.covers(_.order_date))
    dated = refunds.group_by("source", "order_id").agg(dated_rc=_.amount_rc.sum())
    bought = inside.filter(_.status.isin(COUNTED_STATUSES))
    money = [bought[name] for name in ("customer_id", "net_rc", "net_minor", "refund_undated_minor")]
    paid = bought.left_join(dated, ["source", "order_id"]).select(*money, dated.dated_rc)
    paid = paid.mutate(refund_rc=_.dated_rc.fill_null(0).cast("int64") + UNDATED_REFUND_RC)
    sums = paid.group_by("customer_id").agg(x=_.refund_rc.sum() / currency_unit, y=_.net_rc.sum() / currency_unit)
    found = {"refund_rate": _measure(sums.join(who, "customer_id"), "percent", -1)._replace(bounded=True)}
    cod = inside.filter(_.is_cod.fill_null(False), _.status.isin([*COUNTED_STATUSES, "refused"]))
    refusals = cod.group_by("customer_id").agg(x=(_.status == "refused").sum(), y=_.count())
    refused = _measure(refusals.join(who, "customer_id"), "percent", -1)._replace(bounded=True)
    return found | ({"cod_refusal_rate": refused} if len(refused.table) else {})


def _buyers(orders: ir.Table, stratified: ir.Table, as_of: date, names: dict[str, str] | None) -> ir.Table:
    """The strata of everybody who ever ordered: of the first occasion, or of the first order where none was kept."""
    kept = stratified.filter(_.n == 1).select("customer_id", *BY)
    others = orders.filter(_.customer_id.notnull()).anti_join(kept, "customer_id")
    earliest = ibis.window(group_by="customer_id", order_by=["ordered_at", "source", "order_id"])
    first = others.mutate(place=ibis.row_number().over(earliest)).filter(_.place == 0).select(
        "customer_id", home_market="market", first_acquisition_channel="acquisition_channel",
        first_product_category="category", first_date="order_date",
    )
    return kept.union(with_strata(first, as_of, names).select("customer_id", *BY))


def valued(customers: ir.Table, stratified: ir.Table, measure: str, currency_unit: float) -> dict[str, Measure]:
    """A value per customer (a lazy table customer_id, `measure` in minor units) as a mean by market: clv.

    >>> values = ibis.memtable({"customer_id": ["a1", "b1", "c1"], "worth": [1000, 3000, 500]})
    >>> valued(values, _stratified(), "worth", 100)["clv"].table["x"].sum()
    np.float64(45.0)
    """
    who = stratified.filter(_.n == 1).select("customer_id", *BY)
    each = customers.select("customer_id", x=customers[measure] / currency_unit, y=ibis.literal(1.0))
    return {"clv": _measure(each.join(who, "customer_id"), "money")}


def _measure(units: ir.Table, unit: str, better: int = 1) -> Measure:
    return Measure(_named(moments(units, BY)), False, unit, better, units.mutate(market=_.home_market))


def _named(table: pd.DataFrame) -> pd.DataFrame:
    return table.rename(columns={"home_market": "market"})


def _stratified() -> ir.Table:
    return with_strata(example(), date(2026, 6, 30))
