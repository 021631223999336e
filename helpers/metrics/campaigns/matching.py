"""Campaigns that held nobody out: what can be said all the same, and how much less surely."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import Z_95, NotEnoughData
from helpers.metrics.campaigns.effect import HORIZON_DAYS, LEAST_OF_AN_ARM
from helpers.money import to_major

LEAST_MATCHED = 0.5  # a comparison for less than half of the treated is about others than those treated
YEAR_DAYS = 364  # the same weekday and season a year before


def without_holdout(campaigns: ir.Table) -> list[str]:
    """The campaigns that held nobody out, newest first: for them `matched_change` is all there is.

    >>> from helpers.metrics.campaigns import effect
    >>> contacts, _bought = effect._example()
    >>> without_holdout(contacts), without_holdout(contacts.filter(_.arm == "treated"))
    ([], ['spring'])
    """
    each = campaigns.group_by("campaign_id").agg(held=(_.arm == "holdout").sum(), sent_date=_.sent_date.min())
    frame = each.filter(_.held == 0).execute().sort_values(["sent_date", "campaign_id"], ascending=False)
    return frame["campaign_id"].tolist()


def matched_change(campaigns: ir.Table, occasions: ir.Table, as_of: date, campaign_id: str, currency: str) -> pd.DataFrame:
    """Without a holdout: how treated customers changed, less how comparable customers changed who were not written to.

    Difference in differences: each treated customer is compared with others of the same home market, number of purchases (1, 2, 3, 4+)
    and months since the last, by the change from the 60 days before the contact to those from it on. The others are customers not
    contacted around then ("uncontacted"); where fewer than half of the treated find one, as when everybody recent was written to, the
    customers of the same kinds 364 days before ("year_before"). Weaker than an experiment: whoever chose the customers may have known
    more than these three things, and a year changes more than mailings.

    Columns outcome (repurchase, margin in major units), value, low, high, n (treated and matched), contacted (all treated),
    compared_with. Raises NotEnoughData when neither finds a match for half and for 30 of the treated.

    >>> from helpers.metrics.campaigns import effect
    >>> contacts, bought = effect._example()
    >>> contacts = contacts.filter(_.arm == "treated")
    >>> matched_change(contacts, bought, date(2026, 4, 30), "spring", "EUR")[["outcome", "value"]]
          outcome  value
    0  repurchase   0.25
    1      margin   3.00
    """
    contacts = campaigns.filter(_.campaign_id == campaign_id, _.arm != "holdout")
    first, contacted = contacts.agg(first=_.sent_date.min(), n=_.customer_id.nunique()).execute().iloc[0]
    if pd.isna(first):
        raise NotEnoughData(f"Campaign {campaign_id} has no treated customers up to {as_of}.")
    start = pd.Timestamp(first).date()
    if as_of < start + timedelta(days=HORIZON_DAYS - 1):
        raise NotEnoughData(f"Campaign {campaign_id} began on {start}; its {HORIZON_DAYS} days are not over yet.")
    states = _states(occasions, start)
    near = campaigns.filter(_.sent_date.delta(ibis.literal(start), unit="day").abs() < HORIZON_DAYS, _.arm != "holdout")
    treated = _cells(states.semi_join(contacts, "customer_id"))
    for compared_with in ("uncontacted", "year_before"):
        others = (states.anti_join(near, "customer_id") if compared_with == "uncontacted"
                  else _states(occasions, start - timedelta(days=YEAR_DAYS)))
        controls = _cells(others)
        both = treated.join(controls[controls["n"] >= 2], suffixes=("", "_c"), how="inner")
        if both["n"].sum() >= max(LEAST_OF_AN_ARM, LEAST_MATCHED * contacted):
            break
    else:
        raise NotEnoughData(f"Too few customers of campaign {campaign_id} can be matched with customers like them who "
                            "were not written to, then or a year before. Keep a random holdout next time.")
    rows = [_matched(both, outcome) for outcome in ("repurchase", "margin")]
    table = pd.DataFrame(rows).assign(n=int(both["n"].sum()), contacted=int(contacted), compared_with=compared_with)
    table.loc[table["outcome"] == "margin", ["value", "low", "high"]] *= to_major(1.0, currency)
    return table


def _states(occasions: ir.Table, start: date) -> ir.Table:
    """Customers known before `start`: their stratum on its eve, and how purchase and margin changed after it."""
    days = occasions.date.delta(ibis.literal(start), unit="day")
    seen = occasions.mutate(days=days).filter(_.days < HORIZON_DAYS)
    after, before, known = _.days.between(0, HORIZON_DAYS - 1), _.days.between(-HORIZON_DAYS, -1), _.days < 0
    money = _.margin_rc.cast("float64")
    each = seen.group_by("customer_id").agg(
        home_market=_.home_market.max(), times=known.cast("int64").sum(), last=known.ifelse(_.days, -9_999).max(),
        repurchase=after.cast("int64").max() - before.cast("int64").max(),
        margin=after.ifelse(money, 0.0).sum() - before.ifelse(money, 0.0).sum())
    each = each.filter(_.times > 0)
    months, times = (-each["last"] / 30).floor().cast("int64"), ibis.least(each.times, 4)
    stratum = each.home_market.fill_null("") + "|" + times.cast("string") + "|" + months.cast("string")
    return each.select("customer_id", "repurchase", "margin", stratum=stratum)


def _cells(states: ir.Table) -> pd.DataFrame:
    """Number, sums and sums of squares of the changes by stratum."""
    sums = {f"{name}{power}": (_[name] * _[name] if power else _[name]).sum().cast("float64")
            for name in ("repurchase", "margin") for power in ("", "_2")}
    return states.group_by("stratum").agg(n=_.count(), **sums).execute().set_index("stratum").sort_index()


def _matched(both: pd.DataFrame, outcome: str) -> dict:
    n, n_c, weight = both["n"], both["n_c"], both["n"] / both["n"].sum()
    mean, mean_c = both[outcome].sum() / n.sum(), both[f"{outcome}_c"] / n_c
    variance = (both[f"{outcome}_2"].sum() / n.sum() - mean**2) / n.sum()
    variance_c = (both[f"{outcome}_2_c"] - n_c * mean_c**2).clip(lower=0) / (n_c - 1) / n_c
    value, half = mean - (weight * mean_c).sum(), Z_95 * np.sqrt(variance + (weight**2 * variance_c).sum())
    return {"outcome": outcome, "value": value, "low": value - half, "high": value + half}
