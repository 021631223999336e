"""Around an experiment: was it drawn as planned, could it have seen anything, what does it teach the playbook."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from helpers.estimates import ALPHA, NotEnoughData
from helpers.metrics import effect
from helpers.metrics.effect import HORIZON_DAYS, LEAST_OF_AN_ARM
from helpers.money import to_major

POWER = 0.8
RATIO_ALARM = 0.001  # Fabijan et al. 2019: a stricter level than 5 %, since it is looked at every month
LEAST_MATCHED = 0.5  # a comparison for less than half of the treated is about others than those treated
YEAR_DAYS = 364  # the same weekday and season a year before
LEAST_EXPERIMENTS = 3  # fewer experiments than this say nothing about how far assumptions can be trusted
Z_95 = stats.norm.ppf(1 - ALPHA / 2)


def sample_ratio(n_treated: int, n_holdout: int, planned_holdout: float) -> tuple[float, float]:
    """The share that was held out, and the p-value of the test that it is the planned share (chi-square).

    A p-value under 0.001 means that the arms are not those that were drawn (customers lost or moved on the way), and no
    comparison between them can be trusted.

    >>> share, p_value = sample_ratio(900, 100, 0.10)
    >>> share, round(p_value, 2)
    (0.1, 1.0)
    """
    total = n_treated + n_holdout
    expected = [total * (1 - planned_holdout), total * planned_holdout]
    return n_holdout / total, float(stats.chisquare([n_treated, n_holdout], expected).pvalue)


def balance(sums: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Were the arms alike before the contact? Difference of their mean margin in the year before, per campaign.

    sums is the result of `effect.arm_sums`. Columns campaign_id, treated, holdout, value, low, high, n, p_value.

    >>> contacts, bought = effect._example()
    >>> balance(effect.arm_sums(contacts, bought, date(2026, 4, 30)), "EUR")[["treated", "holdout"]].values.tolist()
    [[10.0, 10.0]]
    """
    before = sums.assign(margin=sums["pre"], margin_2=sums["pre_2"], cross=sums["pre_2"])
    table = effect.effects(before, currency)
    kept = ["campaign_id", "treated", "holdout", "value", "low", "high", "n", "p_value"]
    return table.loc[table["outcome"] == "margin_raw", kept].reset_index(drop=True)


def customers_needed(base: float, difference: float, holdout_share: float, power: float = POWER) -> int:
    """Customers in both arms together to see `difference` (a fraction) over a repurchase rate `base` in 80 % of tries.

    Two-sided test at 5 %, normal approximation on the arcsine scale (Cohen 1988).

    >>> customers_needed(0.20, 0.02, 0.10)
    36152
    """
    size = proportion_effectsize(min(base + difference, 1.0), base)
    ratio = holdout_share / (1 - holdout_share)
    treated = NormalIndPower().solve_power(abs(size), alpha=ALPHA, power=power, ratio=ratio)
    return int(np.ceil(treated * (1 + ratio)))


def smallest_visible(base: float, n_treated: int, n_holdout: int, power: float = POWER) -> float:
    """The smallest rise of the repurchase rate `base` that arms of this size would have called in 80 % of tries.

    >>> round(smallest_visible(0.20, 9_000, 1_000), 3)
    0.039
    """
    size = NormalIndPower().solve_power(None, nobs1=n_treated, alpha=ALPHA, power=power, ratio=n_holdout / n_treated)
    return float(np.sin(np.arcsin(np.sqrt(base)) + size / 2) ** 2 - base)


def matched_change(campaigns: ir.Table, occasions: ir.Table, as_of: date, campaign_id: str, currency: str,
                   horizon_days: int = HORIZON_DAYS) -> pd.DataFrame:
    """Without a holdout: how treated customers changed, less how comparable customers changed who were not written to.

    Difference in differences on matched customers: each treated customer is compared with others of the same home
    market, number of purchases (1, 2, 3, 4+) and months since the last, by the change from the `horizon_days` before
    the contact to those from it on. The others are customers not contacted around then ("uncontacted"); where fewer
    than half of the treated find one, as when everybody recent was written to, the customers of the same kinds 364 days
    before ("year_before"), which is weaker still. Either is weaker than an experiment: whoever chose the customers may
    have known more than these three things, and a year changes more than mailings.

    Columns outcome (repurchase, margin in major units), value, low, high, n (treated and matched), n_controls,
    matched_share, compared_with. Raises NotEnoughData when neither finds a match for half and for 30 of the treated.

    >>> contacts, bought = effect._example()
    >>> contacts = contacts.filter(_.arm == "treated")
    >>> matched_change(contacts, bought, date(2026, 4, 30), "spring", "EUR")[["outcome", "value"]]
          outcome  value
    0  repurchase   0.25
    1      margin   3.00
    """
    contacts = campaigns.filter(_.campaign_id == campaign_id, _.arm != "holdout")
    first = contacts.sent_date.min().execute()
    if pd.isna(first):
        raise NotEnoughData(f"Campaign {campaign_id} has no treated customers up to {as_of}.")
    start = pd.Timestamp(first).date()
    if as_of < start + timedelta(days=horizon_days - 1):
        raise NotEnoughData(f"Campaign {campaign_id} began on {start}; its {horizon_days} days are not over yet.")
    states = _states(occasions, start, horizon_days)
    near = campaigns.filter(_.sent_date.delta(ibis.literal(start), unit="day").abs() < horizon_days, _.arm != "holdout")
    treated = _cells(states.semi_join(contacts, "customer_id"))
    for compared_with in ("uncontacted", "year_before"):
        others = (states.anti_join(near, "customer_id") if compared_with == "uncontacted"
                  else _states(occasions, start - timedelta(days=YEAR_DAYS), horizon_days))
        controls = _cells(others)
        both = treated.join(controls[controls["n"] >= 2], rsuffix="_c", how="inner")
        share = both["n"].sum() / max(treated["n"].sum(), 1)
        if both["n"].sum() >= LEAST_OF_AN_ARM and share >= LEAST_MATCHED:
            break
    else:
        raise NotEnoughData(f"Too few customers of campaign {campaign_id} can be matched with customers like them who "
                            "were not written to, then or a year before. Keep a random holdout next time.")
    rows = [_matched(both, outcome) for outcome in ("repurchase", "margin")]
    table = pd.DataFrame(rows).assign(n=int(both["n"].sum()), n_controls=int(both["n_c"].sum()),
                                      matched_share=share, compared_with=compared_with)
    table.loc[table["outcome"] == "margin", ["value", "low", "high"]] *= to_major(1.0, currency)
    return table


def _states(occasions: ir.Table, start: date, horizon_days: int) -> ir.Table:
    """Customers known before `start`: their stratum on its eve, and how purchase and margin changed after it."""
    days = occasions.date.delta(ibis.literal(start), unit="day")
    seen = occasions.mutate(days=days).filter(_.days < horizon_days)
    after, before, known = _.days.between(0, horizon_days - 1), _.days.between(-horizon_days, -1), _.days < 0
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


def learn(playbook: pd.DataFrame, experiments: pd.DataFrame) -> pd.DataFrame:
    """What to expect of each action now: its assumed effect, moved toward what the client's own experiments showed.

    playbook has columns name, effect (assumed rise of the repurchase rate); experiments has action, value, low, high
    (differences in repurchase, from `effect.effects`). An assumption counts as an observation with a 95 % interval from
    zero to twice itself. With three experiments or more, how far this client's results fall short of assumptions
    (or exceed them) scales every assumption first, so that actions never tried learn from those that were (empirical
    Bayes, Efron & Morris 1975). Several experiments of an action are pooled with random effects (DerSimonian–Laird).

    Returns the playbook with effect, low, high, experiments (number) and learned (False: an assumption alone).

    >>> plays = pd.DataFrame({"name": ["coupon", "call"], "effect": [0.06, 0.06]})
    >>> seen = pd.DataFrame({"action": ["coupon"], "value": [0.02], "low": [0.01], "high": [0.03]})
    >>> learn(plays, seen)[["name", "effect", "experiments"]].round(3).values.tolist()
    [['coupon', 0.021, 1], ['call', 0.06, 0]]
    """
    seen = experiments.assign(se=(experiments["high"] - experiments["low"]) / 2 / Z_95)
    assumed = playbook.set_index("name")["effect"].rename("assumed")
    seen = seen[seen["se"] > 0].merge(assumed, left_on="action", right_index=True)
    trust = _trust(seen)
    rows = []
    for play in playbook.itertuples():
        own, prior, sd = seen[seen["action"] == play.name], play.effect * trust, play.effect / Z_95
        if len(own) and sd > 0:
            mean, se = _pooled(own)
            weight = sd**2 / (sd**2 + se**2)
            prior, sd = weight * mean + (1 - weight) * prior, np.sqrt(weight) * se
        rows.append({"effect": prior, "low": prior - Z_95 * sd, "high": prior + Z_95 * sd, "experiments": len(own)})
    learned = pd.DataFrame(rows, index=playbook.index)
    return playbook.drop(columns="effect").join(learned).assign(learned=learned["experiments"] > 0)


def _trust(seen: pd.DataFrame) -> float:
    """Results as a multiple of assumptions, over all experiments; 1 while there are too few of them."""
    if len(seen) < LEAST_EXPERIMENTS:
        return 1.0
    weight = 1 / (seen["se"] ** 2 + (seen["assumed"] / Z_95) ** 2)
    return max(0.0, float((weight * seen["value"] * seen["assumed"]).sum() / (weight * seen["assumed"] ** 2).sum()))


def _pooled(own: pd.DataFrame) -> tuple[float, float]:
    if len(own) == 1:
        return float(own["value"].iloc[0]), float(own["se"].iloc[0])
    result = combine_effects(own["value"].to_numpy(), own["se"].to_numpy() ** 2, method_re="dl")
    between = max(float(result.tau2), 0.0)
    weight = 1 / (own["se"] ** 2 + between)
    return float((weight * own["value"]).sum() / weight.sum()), float(np.sqrt(1 / weight.sum()))
