"""What is true about the demo: read off the simulation itself, the unobserved future included, never off an export."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from helpers.demo.baskets import WHOLESALE
from helpers.demo.people import FIRST, LAST, fact, moments, number, world
from helpers.money import exchange_rates

FAR = 365  # returns later than this are not waited for
REFUND_WINDOW = 30
QUARTER = date(2026, 8, 1)  # the last three months observed


@dataclass(frozen=True)
class Truth:
    """Facts for tests: money in euro, shares as fractions, markets by code; best market first where ordered."""

    occasions: pd.DataFrame            # customer, market, channel, day, net and discount (euro): the observed ones
    orders: dict[str, int]             # Shopify orders by store
    net: dict[str, float]              # by currency: goods less discounts, without tax, paid or delivered, Shopify
    churn_window_days: int             # 90 % of the returns within 365 days have happened by then
    retention: dict[str, float]        # mean share buying in months 1-6 after the first
    retention_cost: dict[str, float]   # trailing quarter: per active existing customer, and its parts. The ledger's
                                       # part holds what orders without a buyer share (some 2 %)
    cac: pd.DataFrame                  # market × channel: media (euro), won
    media_per_customer: dict[str, float]  # all media of the market / all customers won there
    margin_by_age: pd.DataFrame        # age in months × market: cumulative margin per customer won
    campaign_lift: float               # in the share buying within campaign_days
    campaign_days: int
    nps: dict[str, float]              # of the last answer of each customer

    @property
    def retention_order(self) -> list[str]:
        """Markets by retention, the best first."""
        return sorted(self.retention, key=self.retention.get, reverse=True)

    def payback_months(self) -> dict[str, float]:
        """First age at which margin per customer reaches the media spent on winning one; nan: not yet."""
        reached = self.margin_by_age >= pd.Series(self.media_per_customer)
        return {market: float(rows.idxmax()) if rows.any() else np.nan for market, rows in reached.items()}


def facts(every, spend, costs, answers, fx) -> Truth:
    """The truth about one simulated demo, from all orders of its people and what was spent on them."""
    rates = exchange_rates(list(fact("currency").values()), "EUR", FIRST, moments([LAST])[0].date(), fx)
    rates, plan = rates.set_index(["currency", "date"])["rate"], world()["campaign"]
    days = _occasions(every)
    seen = days[days["day"] <= LAST].copy()
    window = int(seen.loc[seen["gap"] <= FAR, "gap"].quantile(0.9))
    for column in ("net", "discount"):
        seen[column] *= _euro(rates, seen["currency"], moments(seen["day"]))
    shown = every[every["day"] <= LAST]
    sold = shown[shown["status"].isin(["paid", "delivered"])].groupby("currency")
    firsts, by = seen[seen["n"] == 1], ["market", "channel"]
    cac = pd.DataFrame({"media": spend.groupby(by)["euro"].sum(), "won": firsts.groupby(by).size()})
    cac = cac.fillna({"media": 0.0})
    nps = answers[answers["kind"] == "nps"].sort_values("score", ascending=False, kind="stable")
    nps = nps.sort_values(["answered_date", "survey_id"], kind="stable")
    nps = nps.drop_duplicates(["email", "market"], keep="last")
    points = (100 * (nps["score"] >= 9)).where(nps["score"] > 6, -100)
    return Truth(
        occasions=seen.drop(columns="gap"), orders=shown.groupby("store").size().to_dict(),
        net=(sold["net"].sum() / 10.0 ** sold["places"].first()).to_dict(), churn_window_days=window,
        retention=_retention(seen), retention_cost=_retention_cost(seen, costs, rates, window), cac=cac,
        media_per_customer=(cac.groupby("market")["media"].sum() / firsts["market"].value_counts()).to_dict(),
        margin_by_age=_margin_by_age(seen), campaign_lift=plan["lift"], campaign_days=plan["within_days"],
        nps=points.groupby(nps["market"]).mean().to_dict(),
    )


def _occasions(every: pd.DataFrame) -> pd.DataFrame:
    """Customer days with something kept, the future too, with the days to the next one; money in major units."""
    early = ~every["refund_dated"] | (every["refund_day"] - every["day"] <= REFUND_WINDOW)
    kept = every["status"].isin(["paid", "delivered"]) | ((every["day"] > LAST) & (every["status"] == "pending"))
    rows = every.assign(net=(every["net"] - every["refund"] * early) / 10.0 ** every["places"],
                        discount=every["discount"] / 10.0 ** every["places"])[kept & (every["person"] >= WHOLESALE)]
    days = rows.groupby(["person", "day"], as_index=False).agg(
        net=("net", "sum"), discount=("discount", "sum"), currency=("currency", "first"), market=("market", "first"),
        channel=("visit", "first"))
    days = days[days["net"] > 0]
    person = days.groupby("person")
    return days.assign(n=person.cumcount() + 1, first=person["day"].transform("first"), gap=-person["day"].diff(-1),
                       channel=days["person"].map(days.drop_duplicates("person").set_index("person")["channel"]),
                       market=person["market"].transform("first"))


def _euro(rates: pd.Series, currency: pd.Series, when: pd.DatetimeIndex) -> np.ndarray:
    return rates.reindex(pd.MultiIndex.from_arrays([currency, when.astype("datetime64[ns]")])).to_numpy()


def _month(day) -> np.ndarray:
    return np.asarray(12 * moments(day).year + moments(day).month)


def _retention(seen: pd.DataFrame) -> dict[str, float]:
    cohort = _month(seen["first"])
    table = seen.assign(age=_month(seen["day"]) - cohort)[cohort + 6 <= _month([LAST])]
    came = table[table["age"].between(1, 6)].drop_duplicates(["person", "age"]).groupby("market").size()
    return (came / table.groupby("market")["person"].nunique() / 6).to_dict()


def _retention_cost(seen: pd.DataFrame, costs: pd.DataFrame, rates: pd.Series, window: int) -> dict[str, float]:
    """Trailing quarter: active existing is active on its eve or returned in it, and was a customer before it."""
    start, quarter = number(QUARTER), costs[costs["month"] > str(QUARTER)]
    before = seen[seen["first"] < start]
    active = before.loc[before["day"] >= start - window, "person"].nunique()
    euro = quarter["amount"] * _euro(rates, quarter["currency"], pd.DatetimeIndex(quarter["month"]))
    ledger, given = (euro * quarter["existing_share"]).sum(), before.loc[before["day"] >= start, "discount"].sum()
    return {"ledger": ledger, "discounts": given, "active_existing": active, "per_customer": (ledger + given) / active}


def _margin_by_age(seen: pd.DataFrame) -> pd.DataFrame:
    """Cumulative margin per customer won; each age in calendar months over the customers whose whole month is seen."""
    last, curves = _month([LAST])[0], {}
    for market, rows in seen.groupby("market"):
        cohort = _month(rows["first"])
        gained = rows["net"].groupby(_month(rows["day"]) - cohort).sum() * fact("margin")[market]
        first = cohort[rows["n"] == 1]
        ages = range(last - first.min() + 1)
        curves[market] = pd.Series([gained.get(k, 0) / (first + k <= last).sum() for k in ages]).cumsum()
    return pd.DataFrame(curves)
