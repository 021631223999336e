"""Retention cost against what it buys: LTV and its bands, CAC, a published range, five points more retention."""

from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.costs.allocation import DISCOUNTS, EXISTING
from helpers.metrics.costs.costs import QUARTERS_PER_YEAR, retention_cost_per_customer
from helpers.metrics.value.clv import sensitivity
from helpers.metrics.value.clv_model import major, per_customer
from helpers.metrics.value.tiers import TIERS
from helpers.money import MissingRate, exchange_rates, exponent, to_major

BANDS = ("adjust", "watch", "healthy")
MARGIN = {"value": "margin", "low": "margin_low", "high": "margin_high"}
COST = ["annual_cost", "annual_cost_low", "annual_cost_high"]


def ltv_by_market(
    ledger: pd.DataFrame, base: pd.DataFrame, valued: ir.Table, customers: ir.Table, currency: str,
    ratios: np.ndarray | None = None, by_market: np.ndarray | dict | None = None,
) -> pd.DataFrame:
    """The frame `ltv_to_retention_cost` reads, a row per market and a last one, market "all", of all customers.

    ledger, base: as of `costs.retention_cost_per_customer`, for a quarter; valued: a lazy row per customer with clv_residual and
    clv_historic (minor units); customers: `books.existing` of the quarter. margin and its ends: what a model expects in the next 12
    months, `clv_model.per_customer` in major units; ratios as there, of all customers, and by_market of each market. annual_cost,
    its ends, and discounts: the quarter's, per active existing customer, × 4.

    >>> import ibis
    >>> ledger = pd.DataFrame({"part": "existing", "market": "DE", "component": ["crm", "discounts"], "amount_rc": [600, 200]})
    >>> base = pd.DataFrame({"market": "DE", "bucket": ["a1", "b1"], "active_existing": 1, "discount_rc": 100})
    >>> valued = ibis.memtable({"customer_id": ["a1", "b1", "c1"], "clv_residual": [1000, 3000, 9000], "clv_historic": [0] * 3})
    >>> customers = ibis.memtable({"customer_id": ["a1", "b1"], "home_market": ["DE", "DE"]})
    >>> found = ltv_by_market(ledger, base, valued, customers, "EUR")
    >>> found[["market", "margin", "margin_low", "n", "annual_cost", "discounts"]].values.tolist()
    [['DE', 20.0, 10.0, 2, 16.0, 4.0], ['all', 20.0, 10.0, 2, 16.0, 4.0]]
    """
    homes = customers.select("customer_id", market="home_market")
    each = valued.select("customer_id", "clv_residual", "clv_historic").join(homes, "customer_id")
    whole = per_customer(each, ratios, (), "clv_residual").assign(market="all")
    margins = pd.concat([per_customer(each, by_market, ("market",), "clv_residual"), whole], ignore_index=True)
    margins = major(margins, currency).rename(columns=MARGIN)
    theirs = ledger[(ledger["part"] == EXISTING) & (ledger["component"] == DISCOUNTS)]
    given = theirs.groupby("market")["amount_rc"].sum()
    given["all"] = given.sum()
    count = base.groupby("market")["active_existing"].sum()
    count["all"] = count.sum()
    costs = [retention_cost_per_customer(ledger, base, currency, market="" if market == "all" else market)[:3]
             for market in margins["market"]]  # fmt: skip
    yearly = to_major(margins["market"].map(given).fillna(0).astype("float64"), currency) * QUARTERS_PER_YEAR
    return margins.assign(**dict(zip(COST, QUARTERS_PER_YEAR * np.array(costs, dtype="float64").T, strict=True)),
                          discounts=yearly / margins["market"].map(count))  # fmt: skip


def ltv_by_tier(
    tiered: ir.Table, valued: ir.Table, customers: ir.Table, whole: pd.Series, currency: str, market: str = "",
    ratios: np.ndarray | None = None,
) -> pd.DataFrame:
    """The frame `ltv_to_retention_cost` reads, a row per tier of expected margin, the best first.

    tiered: `tiers.tiers` of valued; customers: `books.existing` of the quarter; whole: the row of `ltv_by_market` for all or the
    market; ratios: as there. The cost of a customer is the average one with the tier's own discounts in place of
    the average ones, as sure as that. Who was active in the quarter and is no longer at its end has no tier and stands last,
    as "none", so that the rows add up to all existing customers; those won in the quarter stand in no row.

    >>> import ibis
    >>> valued = ibis.memtable({"customer_id": ["a", "b", "c"], "clv_residual": [9000, 1000, 500], "clv_historic": [0] * 3})
    >>> tiered = ibis.memtable({"customer_id": ["a", "b"], "tier": ["vip", "low"]})
    >>> customers = ibis.memtable({"customer_id": ["a", "c"], "home_market": ["DE"] * 2, "discount_rc": [500, 0]})
    >>> whole = pd.Series({"annual_cost": 30.0, "annual_cost_low": 27.0, "annual_cost_high": 33.0, "discounts": 10.0})
    >>> found = ltv_by_tier(tiered, valued, customers, whole, "EUR")
    >>> found[["tier", "margin", "discounts", "n", "annual_cost"]].values.tolist()
    [['vip', 90.0, 20.0, 1, 40.0], ['none', 5.0, 0.0, 1, 20.0]]
    """
    theirs = customers.filter(_.home_market == market) if market else customers
    each = theirs.join(valued.select("customer_id", "clv_residual", "clv_historic"), "customer_id")
    each = each.left_join(tiered.select("customer_id", "tier"), "customer_id").mutate(tier=_.tier.fill_null("none"))
    margins = major(per_customer(each, ratios, ("tier",), "clv_residual"), currency).rename(columns=MARGIN).set_index("tier")
    given = each.group_by("tier").agg(discounts=_.discount_rc.mean()).execute().set_index("tier")["discounts"]
    found = margins.assign(discounts=to_major(given, currency) * QUARTERS_PER_YEAR)
    found = found.loc[[tier for tier in (*TIERS, "none") if tier in found.index]].reset_index()
    cost = whole["annual_cost"] - whole["discounts"] + found["discounts"]
    return found.assign(**{name: cost * whole[name] / whole["annual_cost"] for name in COST})


def ltv_to_retention_cost(frame: pd.DataFrame, thresholds: tuple[float, float] = (1.0, 3.0)) -> pd.DataFrame:
    """Expected margin of the next 12 months over a year's retention cost, its band, and the way to the next band.

    frame: a row per market, tier or whole; margin (12 months, per active existing customer, after discounts) and annual_cost (trailing
    quarter × 4), both with _low and _high, discounts (a year) and n (active existing customers); money per customer, in major units.

    Adds ltv (margin before the discounts, which stand in the cost), value (ltv / cost), low, high (both intervals carried into the
    ratio, as independent, on a log scale), band (adjust < 1, watch 1 to 3, both included, healthy > 3), cheaper (how much less a
    customer may cost, for the next band), cheaper_total (for all n customers and a year) and more_customers (how many more active
    customers at the same spend reach it).

    >>> row = {"margin": 30.0, "margin_low": 28.0, "margin_high": 32.0, "discounts": 10.0, "annual_cost": 20.0,
    ...        "annual_cost_low": 19.0, "annual_cost_high": 21.0, "n": 1000}
    >>> found = ltv_to_retention_cost(pd.DataFrame([row]))
    >>> found[["ltv", "value", "low", "high", "band", "cheaper_total", "more_customers"]].round(2).values.tolist()
    [[40.0, 2.0, 1.86, 2.15, 'watch', 6666.67, 500]]
    """
    cost = frame["annual_cost"].where(frame["annual_cost"] > 0)
    ltv, ends = frame["margin"] + frame["discounts"], [frame[f"margin_{end}"] + frame["discounts"] for end in ("low", "high")]
    ratio = ltv / cost
    with np.errstate(divide="ignore", invalid="ignore"):
        widths = np.log(ends[1] / ends[0]) / 2, np.log(frame["annual_cost_high"] / frame["annual_cost_low"]) / 2
        spread = np.exp(np.hypot(*widths))
    low, high = thresholds
    stands = [ratio < low, ratio <= high, ratio > high]
    goal = np.select(stands, [low, high, np.nan], np.nan)
    cheaper = (cost - ltv / goal).clip(lower=0)
    more = (frame["n"] * (cost * goal / ltv.where(ltv > 0) - 1)).clip(lower=0)
    return frame.assign(
        ltv=ltv, ltv_low=ends[0], ltv_high=ends[1], value=ratio, low=ratio / spread, high=ratio * spread, band=np.select(stands, BANDS, ""),
        cheaper=cheaper, cheaper_total=(cheaper * frame["n"]).round(2), more_customers=more.round().astype("Int64"),
    )  # fmt: skip


def counted_once(row: pd.Series, currency: str) -> dict[str, float]:
    """A row of `ltv_to_retention_cost` as amounts that add up as printed: ltv − cost = left = margin − rest.

    ltv: margin before discounts to existing customers; cost: a year's, these discounts in it; margin: after them; rest:
    the cost without them. All per customer, rounded to the currency's minor units before the differences are taken.

    >>> counted_once(pd.Series({"ltv": 76.706, "annual_cost": 49.204, "margin": 69.786}), "EUR")
    {'ltv': 76.71, 'cost': 49.2, 'left': 27.51, 'margin': 69.79, 'rest': 42.28}
    """
    places = exponent(currency)
    ltv, cost, margin = (round(float(row[name]), places) for name in ("ltv", "annual_cost", "margin"))
    left = round(ltv - cost, places)
    return {"ltv": ltv, "cost": cost, "left": left, "margin": margin, "rest": round(margin - left, places)}


def cac_to_retention_cost(cac: Estimate, annual_cost: Estimate) -> Estimate:
    """What winning a customer costs beside keeping one for a year: CAC / annual retention cost per customer.

    The ends combine the ends of both intervals, which is cautious. n is that of the retention cost.

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

    value / mean over t = 1..12 of retention ^ (t / 12): the leavers are spread evenly over the year. Raises NotEnoughData where
    nobody stayed.

    >>> round(staying_margin(88.0, 0.8), 1)
    99.1
    """
    if not retention > 0:
        raise NotEnoughData("Nobody who was active a year ago is active now, so what a customer who stays would bring is not known.")
    return value / (sum(retention ** (t / 12) for t in range(1, 13)) / 12)


def retention_plus_5(margin: float, retention: float, customers: int, discount_rate: float) -> dict[str, float]:
    """What five points more annual retention add for today's customers: margin of 12 months (year) and of a lifetime.

    The row five_points of `clv.sensitivity`. margin: contribution margin of a customer who stays active for a year (major
    units); retention: share of active customers still active a year later.

    >>> {name: round(more) for name, more in retention_plus_5(100.0, 0.80, 1000, 0.10).items()}
    {'year': 2876, 'lifetime': 77771}
    """
    more = sensitivity(margin, 0.0, retention, discount_rate, customers).set_index("change").loc["five_points"]
    return {"year": float(more["year_more"]), "lifetime": float(more["lifetime_more"])}


def benchmark(low: float, high: float, currency: str, reporting: str, day: date, own: pd.DataFrame | None = None) -> tuple[float, float]:
    """A published range in the reporting currency, at the rate of the day: the client's own (date, currency, rate), else the ECB's.

    Raises NotEnoughData when there is none.

    >>> benchmark(15, 30, "EUR", "EUR", date(2026, 10, 31))
    (15.0, 30.0)
    """
    try:
        rate = float(exchange_rates([currency], reporting, day, day, own)["rate"].iloc[0])
    except MissingRate as gap:
        raise NotEnoughData(f"The published range cannot be turned from {currency} into {reporting}. {gap}") from None
    return low * rate, high * rate
