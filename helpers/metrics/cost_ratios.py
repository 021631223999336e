"""Retention cost against what it buys: LTV and its bands, CAC, a published range, five points more retention."""

from datetime import date

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.allocation import DISCOUNTS, EXISTING
from helpers.metrics.clv import sensitivity
from helpers.metrics.costs import QUARTERS_PER_YEAR, retention_cost_per_customer
from helpers.metrics.tiers import TIERS
from helpers.money import MissingRate, exchange_rates, to_major

BANDS = ("adjust", "watch", "healthy")


def band(ratio: float, thresholds: tuple[float, float] = (1.0, 3.0)) -> str:
    """The band of an LTV to retention cost ratio: adjust (< 1), watch (1 to 3, both included), healthy (> 3).

    >>> [band(each) for each in (0.99, 1.0, 3.0, 3.01)]
    ['adjust', 'watch', 'watch', 'healthy']
    """
    low, high = thresholds
    if ratio != ratio:
        return ""
    return BANDS[0] if ratio < low else BANDS[1] if ratio <= high else BANDS[2]


def expected_margin(valued: ir.Table, customers: ir.Table, currency: str) -> pd.DataFrame:
    """What a model expects of the active existing customers in the next 12 months: home_market, margin, n.

    valued: a lazy row per customer with clv_residual (minor units);
    customers: `books.existing` of the period. margin is the mean per customer in major units.

    >>> import ibis
    >>> valued = ibis.memtable({"customer_id": ["a", "b", "c"], "clv_residual": [1000, 3000, 9000]})
    >>> customers = ibis.memtable({"customer_id": ["a", "b"], "home_market": ["DE", "DE"]})
    >>> expected_margin(valued, customers, "EUR").values.tolist()
    [['DE', 20.0, 2]]
    """
    joined = customers.join(valued.select("customer_id", "clv_residual"), "customer_id")
    sums = joined.group_by("home_market").agg(margin=_.clv_residual.mean(), n=_.count()).execute().sort_values("home_market")
    return sums.assign(margin=to_major(sums["margin"].astype("float64"), currency)).reset_index(drop=True)


def ltv_inputs(ledger: pd.DataFrame, base: pd.DataFrame, margins: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The frame `ltv_to_retention_cost` reads: a row per market of `margins` (market, margin, n) and one for "all".

    annual_cost and discounts: the quarter's, per active existing customer, × 4.

    >>> ledger = pd.DataFrame({"part": "existing", "market": ["DE", "DE"], "component": ["crm", "discounts"],
    ...                        "amount_rc": [3000, 1000]})
    >>> base = pd.DataFrame({"market": ["DE"], "bucket": ["0a1"], "active_existing": [10], "discount_rc": [1000]})
    >>> ltv_inputs(ledger, base, pd.DataFrame({"market": ["DE"], "margin": [50.0], "n": [10]}), "EUR").values.tolist()
    [['DE', 50.0, 10, 16.0, 4.0], ['all', 50.0, 10, 16.0, 4.0]]
    """
    every = (margins["margin"] * margins["n"]).sum() / margins["n"].sum()
    frame = pd.concat([margins, pd.DataFrame([{"market": "all", "margin": every, "n": margins["n"].sum()}])])
    theirs = ledger[(ledger["part"] == EXISTING) & (ledger["component"] == DISCOUNTS)]
    given = theirs.groupby("market")["amount_rc"].sum()
    given["all"] = given.sum()
    count = base.groupby("market")["active_existing"].sum()
    count["all"] = count.sum()
    names = {market: "" if market == "all" else market for market in frame["market"]}
    cost = {key: retention_cost_per_customer(ledger, base, currency, market=name).value for key, name in names.items()}
    yearly = to_major(frame["market"].map(given).fillna(0).astype("float64"), currency) * QUARTERS_PER_YEAR
    return frame.assign(annual_cost=frame["market"].map(cost) * QUARTERS_PER_YEAR,
                        discounts=yearly / frame["market"].map(count)).reset_index(drop=True)  # fmt: skip


def ltv_by_tier(
    tiered: ir.Table, valued: ir.Table, customers: ir.Table, whole: pd.Series, currency: str, market: str = ""
) -> pd.DataFrame:
    """The frame `ltv_to_retention_cost` reads, a row per tier of expected margin, the best first.

    tiered: `tiers.tiers` of valued, what a model expects of every customer (customer_id, clv_residual); customers:
    `books.existing` of the quarter; whole: the row of `ltv_inputs` for all or the market. The cost of a customer is the
    average one with the tier's own discounts in place of the average ones. Who was active in the quarter and is no
    longer at its end has no tier and stands last, as "none", so that the rows add up to all existing customers; active
    customers won in the quarter are no existing ones and stand in no row.

    >>> import ibis
    >>> valued = ibis.memtable({"customer_id": ["a", "b", "c"], "clv_residual": [9000, 1000, 500]})
    >>> tiered = ibis.memtable({"customer_id": ["a", "b"], "tier": ["vip", "low"]})
    >>> customers = ibis.memtable({"customer_id": ["a", "c"], "home_market": ["DE"] * 2, "discount_rc": [500, 0]})
    >>> whole = pd.Series({"annual_cost": 30.0, "discounts": 10.0})
    >>> ltv_by_tier(tiered, valued, customers, whole, "EUR").values.tolist()
    [['vip', 90.0, 20.0, 1, 40.0], ['none', 5.0, 0.0, 1, 20.0]]
    """
    theirs = customers.filter(_.home_market == market) if market else customers
    each = theirs.join(valued.select("customer_id", "clv_residual"), "customer_id")
    each = each.left_join(tiered.select("customer_id", "tier"), "customer_id").mutate(tier=_.tier.fill_null("none"))
    sums = each.group_by("tier").agg(margin=_.clv_residual.mean(), discounts=_.discount_rc.mean(), n=_.count())
    found = sums.execute().set_index("tier").reindex([*TIERS, "none"]).dropna().reset_index()
    found[["margin", "discounts"]] = to_major(found[["margin", "discounts"]].astype("float64"), currency)
    found["discounts"] *= QUARTERS_PER_YEAR
    return found.astype({"n": "int64"}).assign(annual_cost=whole["annual_cost"] - whole["discounts"] + found["discounts"])


def ltv_to_retention_cost(frame: pd.DataFrame, thresholds: tuple[float, float] = (1.0, 3.0)) -> pd.DataFrame:
    """Expected margin of the next 12 months over a year's retention cost, its band, and the way to the next band.

    frame has a row per market, tier or whole: margin (12 months, per active existing customer, after discounts),
    discounts (a year, per customer), the annual cost per customer (trailing quarter × 4) and n (active existing
    customers). All money is per customer, in major units. Adds

    ltv (margin before the discounts, which stand in the cost), value (ltv / cost), band, cheaper (how much less a
    customer may cost, for the next band), cheaper_total (the same for all n customers and a year) and more_customers
    (how many more active customers at the same spend reach it).

    >>> row = pd.DataFrame({"margin": [30.0], "discounts": [10.0], "annual_cost": [20.0], "n": [1000]})
    >>> found = ltv_to_retention_cost(row)
    >>> found[["ltv", "value", "band", "cheaper_total", "more_customers"]].values.tolist()
    [[40.0, 2.0, 'watch', 6666.67, 500]]
    """
    cost = frame["annual_cost"].where(frame["annual_cost"] > 0)
    ltv = frame["margin"] + frame["discounts"]
    ratio = ltv / cost
    bands = [band(each, thresholds) for each in ratio]
    goal = pd.Series(bands, frame.index).map(dict(zip(BANDS, (*thresholds, float("nan")), strict=True)))
    goal = goal.astype("float64")
    cheaper = (cost - ltv / goal).clip(lower=0)
    more = (frame["n"] * (cost * goal / ltv.where(ltv > 0) - 1)).clip(lower=0)
    return frame.assign(
        ltv=ltv, value=ratio, band=bands, cheaper=cheaper, cheaper_total=(cheaper * frame["n"]).round(2),
        more_customers=more.round().astype("Int64"),
    )  # fmt: skip


def cac_to_retention_cost(cac: Estimate, annual_cost: Estimate) -> Estimate:
    """What winning a customer costs beside keeping one for a year: CAC / annual retention cost per customer.

    The ends combine the ends of both intervals, which is cautious. The articles quote 5 to 10 times; this is the
    client's own number. n is that of the retention cost.

    >>> cac_to_retention_cost(Estimate(60.0, 50.0, 70.0, 900), Estimate(20.0, 16.0, 25.0, 4000))
    Estimate(value=3.0, low=2.0, high=4.375, n=4000)
    """
    if not annual_cost.value or annual_cost.value != annual_cost.value:
        return Estimate(float("nan"))
    low = cac.low / annual_cost.high if annual_cost.high else float("nan")
    high = cac.high / annual_cost.low if annual_cost.low else float("nan")
    return Estimate(cac.value / annual_cost.value, low, high, annual_cost.n)


def staying_margin(value: float, retention: float) -> float:
    """The margin of a customer who stays the whole year, from what 12 months bring of all, leavers included.

    value / mean over t = 1..12 of retention ^ (t / 12): the leavers are spread evenly over the year.

    >>> round(staying_margin(88.0, 0.8), 1)
    99.1
    """
    return value / (sum(retention ** (t / 12) for t in range(1, 13)) / 12)


def retention_plus_5(margin: float, retention: float, customers: int, discount_rate: float) -> dict[str, float]:
    """What five points more annual retention add for today's customers: margin of 12 months (year) and of a lifetime.

    The row five_points of `clv.sensitivity`, which says how a year and a lifetime are counted. margin: contribution
    margin of a customer who stays active for a year (major units); retention: share of active customers still active a
    year later.

    >>> {name: round(more) for name, more in retention_plus_5(100.0, 0.80, 1000, 0.10).items()}
    {'year': 2876, 'lifetime': 77771}
    """
    more = sensitivity(margin, 0.0, retention, discount_rate, customers).set_index("change").loc["five_points"]
    return {"year": float(more["year_more"]), "lifetime": float(more["lifetime_more"])}


def benchmark(
    low: float, high: float, currency: str, reporting: str, day: date, own: pd.DataFrame | None = None
) -> tuple[float, float]:
    """A published range in the reporting currency, at the rate of the day; NotEnoughData when there is none.

    own: the client's rates (date, currency, rate); otherwise the ECB's.

    >>> benchmark(15, 30, "EUR", "EUR", date(2026, 10, 31))
    (15.0, 30.0)
    """
    try:
        rate = float(exchange_rates([currency], reporting, day, day, own)["rate"].iloc[0])
    except MissingRate as gap:
        raise NotEnoughData(f"The published range cannot be turned from {currency} into {reporting}. {gap}") from None
    return low * rate, high * rate


def against_benchmark(value: float, low: float, high: float) -> str:
    """Where a value stands beside a range: "below", "inside" or "above".

    >>> against_benchmark(10.0, 15.0, 30.0)
    'below'
    """
    return "below" if value < low else "above" if value > high else "inside"
