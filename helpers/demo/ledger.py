"""Costs and advertising: the retention ledger, what its channels bring, the ad platforms' exports, the dirham's rate."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers.demo.people import FIRST, LAST, fact, moments, text, world
from helpers.money import exchange_rates

AED_PER_USD = 3.6725  # the official peg


def dirham_rates() -> pd.DataFrame:
    """fx.csv: what one dirham is worth in euro on each day of the calendar, by the peg to the dollar."""
    dollar = exchange_rates(["USD"], "EUR", FIRST, moments([LAST])[0].date())
    rate = (dollar["rate"] / AED_PER_USD).round(6)
    return pd.DataFrame({"date": text(dollar["date"]), "currency": "AED", "rate": rate})


def _pushes(seed: int) -> pd.DataFrame:
    """Spend beside the usual of its channel (columns), by month and market: flights of a campaign, about 1 on average."""
    rng, unsteady = np.random.default_rng([seed, 153]), world()["flights"]
    months = pd.period_range(FIRST, periods=36, freq="M").astype(str)
    cells = pd.MultiIndex.from_product([months, fact("share")])
    draws = rng.lognormal(-(unsteady**2) / 2, unsteady, (len(cells), len(world()["reach"])))
    return pd.DataFrame(draws, cells, list(world()["reach"]))


def visits(orders: pd.DataFrame, seed: int) -> pd.Series:
    """The channel that brought each order, were it a later one; blank where nobody can tell.

    A channel brings its market's share of the later orders × (spend / usual) ^ elasticity: the response that the page
    on retention cost looks for.
    """
    rng, month = np.random.default_rng([seed, 154]), text(orders["day"]).str[:7]
    push = _pushes(seed).reindex(pd.MultiIndex.from_arrays([month, orders["market"]])).fillna(1.0).set_axis(orders.index)
    share = pd.DataFrame(fact("reach")).reindex(orders["market"]).set_axis(orders.index)
    chance = (share * push ** pd.Series(world()["reach"])).sort_index(axis="columns")
    rest = (1 - chance.sum(axis=1)).clip(lower=0.05)
    chance = chance.assign(**{name: rest * part for name, part in world()["unpaid"].items()})
    place = (rng.random(len(orders))[:, None] > chance.cumsum(axis=1).to_numpy()).sum(axis=1)
    return pd.Series(np.array([*chance, None], object)[place], orders.index)


def retention_costs(orders: pd.DataFrame, seed: int) -> pd.DataFrame:
    """retention_costs.csv: the ledger by month and component, lines of a channel or a service for a market, the rest to
    be spread.

    What is staffed and paid follows the customers of the last five months; support costs more after the price rise.
    """
    rng, rise, push, rows = np.random.default_rng([seed, 6]), world()["price_rise"], _pushes(seed), []
    for month, active in _served(orders).iterrows():
        for name, line in world()["costs"].items():
            euro = {"": line["each"] * active.sum() + line.get("fixed", 0) * (active.sum() / 4500) ** 0.5}
            if line["allocation"] == "direct":
                times = push.loc[str(month)[:7], line["channel"]] if "channel" in line else pd.Series(fact("service_cost"))
                euro = line["each"] * active * times
                if name == "support" and month >= pd.Timestamp(rise["day"]):
                    euro[rise["market"]] *= rise["support_factor"]
            for market, amount in euro.items():
                currency = fact("currency")[market] if line["currency"] == "own" else line["currency"]
                amount = round(amount * rng.normal(1, 0.04) * world()["invoiced"][currency], 0 if currency == "JPY" else 2)
                rows.append({"component": name, "channel": ""} | line | {
                    "month": month, "market": market, "amount": amount, "currency": currency})
    table = pd.DataFrame(rows).query("amount > 0")
    return table.assign(month=text(table["month"]), source="bookkeeping")[[
        "month", "category", "component", "market", "channel", "amount", "currency", "existing_share", "allocation", "source"]]


def _served(orders: pd.DataFrame) -> pd.DataFrame:
    """Customers with an order in the five months to each month end, by market."""
    day, known, rows = moments(orders["day"]), (orders["person"] >= 0).to_numpy(), {}
    for end in pd.date_range(FIRST, periods=36, freq="ME"):
        near = orders[known & (day <= end) & (day > end - pd.DateOffset(months=5))]
        rows[end] = near.drop_duplicates("person")["market"].value_counts()
    return pd.DataFrame(rows).T.reindex(columns=list(fact("share"))).fillna(0)


def ad_spend(orders: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Media euro a day by market and channel: the planned cost of winning one times the customers won that month."""
    rng, won = np.random.default_rng([seed, 7]), orders[orders["first_order"]]
    month = text(won["day"]).str[:7].rename("month")
    plan = won.groupby([month, "market", "channel"]).size().rename("won").reset_index()
    each = plan["market"].map(fact("cac")) * plan["channel"].map(world()["channels"]["cost"])
    drift = 0.9 + 0.2 * plan["month"].rank(method="dense") / plan["month"].nunique()
    plan["euro"] = plan["won"] * each * drift * rng.lognormal(0, 0.08, len(plan))
    days = pd.DataFrame({"date": moments(np.arange(LAST + 1))})
    days["month"], days["share"] = text(days["date"]).str[:7], 1 / days["date"].dt.days_in_month
    table = plan[plan["euro"] > 0].merge(days, on="month")
    table["euro"] *= table["share"] * rng.lognormal(0, 0.25, len(table))
    table["campaign"] = "NL | " + table["channel"] + " | " + table["market"]
    return table.sort_values(["date", "market", "channel"], ignore_index=True)


def write_ads(spend: pd.DataFrame, folder: Path) -> None:
    """Write the exports of Google Ads (preamble, totals), Meta Ads (dollars, in its header), TikTok Ads (from 2025)."""
    table = spend.assign(day=text(spend["date"]), clicks=(spend["euro"] * 1.4).round())
    table["country"] = table["market"].map(fact("country"))
    search, social = table[table["channel"] == "paid_search"], table[table["channel"] == "paid_social"]
    tiktok = world()["tiktok"]
    shared = (social["date"] >= pd.Timestamp(tiktok["since"])) & social["market"].isin(tiktok["markets"])
    short = social[shared].assign(euro=social["euro"] * tiktok["share"])
    dollars = social["euro"] * (1 - tiktok["share"] * shared) * world()["invoiced"]["USD"]
    lines = {
        "google_ads_report.csv": [
            "Campaign performance", '"November 1, 2023 - October 31, 2026"',
            "Day,Campaign,Country/Territory (User location),Currency code,Clicks,Impr.,Cost",
            *(f"{r.day},{r.campaign},{r.country},EUR,{r.clicks:.0f},--,{_thousands(r.euro)}" for r in search.itertuples()),
            f"Total: Account,--,--,EUR,--,--,{_thousands(search['euro'].round(2).sum())}"],
        "meta_ads_report.csv": [
            "Reporting starts,Reporting ends,Campaign name,Day,Country,Amount spent (USD),Impressions,Link clicks",
            *(f"{r.day},{r.day},{r.campaign},{r.day},{r.market},{_thousands(usd)},,{r.clicks:.0f}"
              for r, usd in zip(social.itertuples(), dollars, strict=True))],
        "tiktok_ads_report.csv": [
            "Date,Campaign name,Country,Cost (EUR),Impressions,Clicks (destination)",
            *(f"{r.day},{r.campaign},{r.market},{r.euro:.2f},,{r.clicks:.0f}" for r in short.itertuples()),
            f"Total of {len(short)} results,-,-,{short['euro'].round(2).sum():.2f},-,-"],
    }
    for name, rows in lines.items():
        (folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8-sig" if "meta" in name else "utf-8")


def _thousands(amount: float) -> str:
    return f'"{amount:,.2f}"' if amount >= 1000 else f"{amount:.2f}"


def other_spend(spend: pd.DataFrame) -> pd.DataFrame:
    """acquisition_spend.csv: influencers, rewards for referrals and mailings; agency, salaries and tools, by month."""
    rest = spend[~spend["channel"].isin(["paid_search", "paid_social"])]
    rest = rest.groupby(["month", "channel", "campaign", "market"])["euro"].sum().reset_index().assign(kind="media")
    paid = spend["euro"].sum() / spend["month"].nunique()
    fixed = [pd.DataFrame({"month": spend["month"].unique(), "channel": channel, "kind": kind, "euro": paid * share})
             for kind, shares in world()["overhead"].items() for channel, share in shares.items()]
    table = pd.concat([rest, *fixed]).sort_values(["month", "kind", "channel", "market"], ignore_index=True)
    table = table.assign(date=table["month"] + "-01", amount=table["euro"].round(2), currency="EUR")
    return table[["date", "channel", "campaign", "market", "amount", "currency", "kind"]]
