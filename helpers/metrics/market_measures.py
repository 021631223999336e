"""The measures markets are compared by: their moments by market and the customer's strata."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.metrics.costs.books import existing
from helpers.metrics.costs.costs import quarter
from helpers.metrics.groups.markets import Measure, example, with_strata
from helpers.metrics.groups.standardise import STRATA, moments, shares
from helpers.metrics.occasions import COUNTED_STATUSES, UNDATED_REFUND_RC
from helpers.metrics.retention import buyers, cohorts
from helpers.periods import Period

AGES = (1, 3, 6, 12)
BY = ["home_market", *STRATA]
NAMED = {"home_market": "market"}


def retention(stratified: ir.Table, as_of: date) -> dict[str, Measure]:
    """Cells of `cohorts.retention_table` at 1, 3, 6 and 12 months: retention_1 … retention_12, of cohorts observed that long.

    >>> found = retention(_stratified(), date(2026, 6, 30))
    >>> found["retention_1"].table.groupby("market")[["x", "n"]].sum().values.tolist()
    [[1, 2], [0, 1]]
    """
    cells = cohorts.retention_table(stratified, as_of, by=BY).dropna(subset=["active"])
    sums = cells.groupby(["age", *BY])[["active", "n"]].sum()
    return {f"retention_{age}": _share(sums.loc[age].reset_index(), "active") for age in AGES if age in sums.index}


def repurchase(stratified: ir.Table, as_of: date) -> dict[str, Measure]:
    """`repeat_purchase_rate` of the trailing 12 months.

    >>> repurchase(_stratified(), date(2026, 6, 30))["repeat_purchase_rate"].table["n"].sum()
    np.int64(3)
    """
    return {"repeat_purchase_rate": _share(buyers.repeat_purchase_rate(stratified, as_of, by=BY), "repeaters")}


def churned(stratified: ir.Table, as_of: date, window: int, data_start: date) -> dict[str, Measure]:
    """The churn rate of the newest quarter: of those active on its eve, not active on its last day.

    A quarter, so that small markets lose some. No measure when the eve lies before the data's start plus W.

    >>> found = churned(_stratified(), date(2026, 6, 30), 90, date(2025, 12, 1))
    >>> found["churn_rate_quarter"].table.groupby("market")[["x", "n"]].sum().values.tolist()
    [[1, 1], [1, 1]]
    """
    period = quarter(as_of)
    if data_start + timedelta(days=window) > period.t0:
        return {}
    active = existing(stratified, period, window).filter(_.before).drop("home_market").join(_firsts(stratified), "customer_id")
    counts = active.group_by(BY).agg(lost=(~_.after).sum(), n=_.count()).execute().sort_values(BY)
    return {"churn_rate_quarter": _share(counts, "lost", better=-1)}


def spending(stratified: ir.Table, as_of: date, currency_unit: float, costed: bool = True) -> dict[str, Measure]:
    """Of 12 months' purchase occasions: order_value (net sales / occasions) and margin_rate (margin / net sales).

    costed: whether any order line knows its unit cost; a margin that is a rate of client.toml alone is shown and not
    tested. currency_unit: minor units in a major one (100 for EUR).

    >>> found = spending(_stratified(), date(2026, 6, 30), 100)
    >>> found["order_value"].table.groupby("market")[["x", "y"]].sum().values.tolist()
    [[180.0, 3.0], [40.0, 1.0]]
    """
    each = stratified.filter(Period.trailing(as_of, 12).covers(_.date)).group_by("customer_id", *BY).agg(
        net=_.net_sales_rc.sum() / currency_unit, margin=_.margin_rc.sum() / currency_unit, times=_.count())
    value, margin = each.mutate(x=_.net, y=_.times), each.mutate(x=_.margin, y=_.net)
    return {"order_value": _measure(value, "money"), "margin_rate": _measure(margin, "percent")._replace(tested=costed)}


def after_sales(
    orders: ir.Table, refunds: ir.Table, stratified: ir.Table, as_of: date, currency_unit: float, names: dict[str, str] | None = None
) -> dict[str, Measure]:
    """Of 12 months' orders: refund_rate (refunds / net sales), cod_refusal_rate (refused / all cash on delivery).

    Identified customers' orders, by home market; who kept nothing and so has no occasion counts in the market (as
    shown by `names`) of the first order. Refunds, dated or not, count at the order's date; pending and cancelled orders
    are left out. The table of refusals is empty when nobody pays cash on delivery.

    >>> orders = pd.DataFrame({"order_id": ["1", "2"], "customer_id": ["a1", "c1"], "net_rc": [5000, 4000], "market": "DE"})
    >>> orders = orders.assign(source="s", status="paid", is_cod=False, net_minor=orders.net_rc, refund_undated_minor=[500, 0],
    ...     acquisition_channel="email", category="tea")
    >>> orders = ibis.memtable(orders).mutate(order_date=ibis.date(2026, 6, 1), ordered_at=ibis.timestamp("2026-06-01"))
    >>> refunds = ibis.memtable({"source": ["s"], "order_id": ["2"], "amount_rc": [1000]})
    >>> found = after_sales(orders, refunds, _stratified(), date(2026, 6, 30), 100)
    >>> found["refund_rate"].table[["market", "x", "y"]].values.tolist()
    [['DE', 5.0, 50.0], ['FR', 10.0, 40.0]]
    """
    who, inside = _buyers(orders, stratified, as_of, names), orders.filter(Period.trailing(as_of, 12).covers(_.order_date))
    dated = refunds.group_by("source", "order_id").agg(dated_rc=_.amount_rc.sum())
    bought = inside.filter(_.status.isin(COUNTED_STATUSES))
    money = [bought[name] for name in ("customer_id", "net_rc", "net_minor", "refund_undated_minor")]
    paid = bought.left_join(dated, ["source", "order_id"]).select(*money, dated.dated_rc)
    paid = paid.mutate(refund_rc=_.dated_rc.fill_null(0).cast("int64") + UNDATED_REFUND_RC)
    sums = paid.group_by("customer_id").agg(x=_.refund_rc.sum() / currency_unit, y=_.net_rc.sum() / currency_unit)
    cod = inside.filter(_.is_cod.fill_null(False), _.status.isin([*COUNTED_STATUSES, "refused"]))
    refusals = cod.group_by("customer_id").agg(x=(_.status == "refused").sum(), y=_.count())
    rates = {"refund_rate": sums, "cod_refusal_rate": refusals}
    return {name: _measure(each.join(who, "customer_id"), "percent", -1)._replace(bounded=True) for name, each in rates.items()}


def _buyers(orders: ir.Table, stratified: ir.Table, as_of: date, names: dict[str, str] | None) -> ir.Table:
    """The strata of everybody who ever ordered: of the first occasion, or of the first order where none was kept."""
    kept = _firsts(stratified)
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
    each = customers.select("customer_id", x=customers[measure] / currency_unit, y=ibis.literal(1.0))
    return {"clv": _measure(each.join(_firsts(stratified), "customer_id"), "money")}


def _firsts(stratified: ir.Table) -> ir.Table:
    return stratified.filter(_.n == 1).select("customer_id", *BY)


def _share(counts: pd.DataFrame, successes: str, better: int = 1) -> Measure:
    return Measure(shares(counts.rename(columns=NAMED), successes, "n"), True, "percent", better)


def _measure(units: ir.Table, unit: str, better: int = 1) -> Measure:
    return Measure(moments(units, BY).rename(columns=NAMED), False, unit, better, units.mutate(market=_.home_market))


def _stratified() -> ir.Table:
    return with_strata(example(), date(2026, 6, 30))
