"""Around an experiment: was it drawn as planned, could it have seen anything, what does it teach the playbook."""

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_effectsize

from helpers.estimates import ALPHA, Z_95, Estimate
from helpers.metrics.campaigns import effect
from helpers.metrics.groups.markets import UNKNOWN

POWER = 0.8
RATIO_ALARM = 0.001  # Fabijan et al. 2019: a stricter level than 5 %, since it is looked at every month
LEAST_EXPERIMENTS = 3  # fewer experiments than this say nothing about how far assumptions can be trusted


def heterogeneity(groups: pd.DataFrame, by: str) -> tuple[float, str, Estimate]:
    """Does an effect differ between groups by more than chance? The p-value of Cochran's Q, the group furthest off, the others pooled.

    Furthest in standard errors from all others, pooled by their precision. groups: two rows or more of `effect.effects` for one
    outcome, with the column `by`, value, low, high and n.

    >>> groups = pd.DataFrame({"market": ["DE", "FR", "JP"], "value": [0.0, 0.02, 0.16], "n": 900})
    >>> p_value, apart, rest = heterogeneity(groups.assign(low=groups["value"] - 0.05, high=groups["value"] + 0.05), "market")
    >>> round(p_value, 5), apart, round(rest.value, 3)
    (1e-05, 'JP', 0.01)
    """
    value, variance = groups["value"].to_numpy(), ((groups["high"] - groups["low"]) / 2 / Z_95).to_numpy() ** 2
    others = [np.delete(np.arange(len(groups)), k) for k in range(len(groups))]
    means = [float(np.average(value[rest], weights=1 / variance[rest])) for rest in others]
    errors = [float(1 / np.sqrt((1 / variance[rest]).sum())) for rest in others]
    k = int(np.argmax(np.abs(value - means) / np.hypot(np.sqrt(variance), errors)))
    pooled = Estimate(means[k], means[k] - Z_95 * errors[k], means[k] + Z_95 * errors[k], int(groups["n"].to_numpy()[others[k]].sum()))
    homogeneity = combine_effects(value, variance).test_homogeneity()
    return (float(homogeneity.pvalue), groups[by].iloc[k], pooled)


def sample_ratio(n_treated: int, n_holdout: int, planned_holdout: float) -> tuple[float, float]:
    """The share that was held out, and the p-value of the test that it is the planned share (chi-square).

    Under 0.001 the arms are not those that were drawn (customers lost or moved on the way), and cannot be compared.

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

    >>> import datetime
    >>> balance(effect.arm_sums(*effect._example(), datetime.date(2026, 4, 30)), "EUR")[["treated", "holdout"]].values.tolist()
    [[10.0, 10.0]]
    """
    before = sums.assign(margin=sums["pre"], margin_2=sums["pre_2"], cross=sums["pre_2"])
    table = effect.effects(before, currency)
    kept = ["campaign_id", "treated", "holdout", "value", "low", "high", "n", "p_value"]
    return table.loc[table["outcome"] == "margin_raw", kept].reset_index(drop=True)


def customers_needed(base: float, difference: float, holdout_share: float) -> int:
    """Customers in both arms together to see `difference` (a fraction) over a repurchase rate `base` in 80 % of tries.

    Two-sided test at 5 %, normal approximation on the arcsine scale (Cohen 1988).

    >>> customers_needed(0.20, 0.02, 0.10)
    36152
    """
    size = proportion_effectsize(min(base + difference, 1.0), base)
    ratio = holdout_share / (1 - holdout_share)
    treated = NormalIndPower().solve_power(abs(size), alpha=ALPHA, power=POWER, ratio=ratio)
    return int(np.ceil(treated * (1 + ratio)))


def smallest_visible(base: float, n_treated: int, n_holdout: int) -> float:
    """The smallest rise of the repurchase rate `base` that arms of this size would have called in 80 % of tries.

    >>> round(smallest_visible(0.20, 9_000, 1_000), 3)
    0.039
    """
    size = NormalIndPower().solve_power(None, nobs1=n_treated, alpha=ALPHA, power=POWER, ratio=n_holdout / n_treated)
    return float(np.sin(np.arcsin(np.sqrt(base)) + size / 2) ** 2 - base)


def learn(playbook: pd.DataFrame, experiments: pd.DataFrame) -> pd.DataFrame:
    """What to expect of each action now: its assumed effect, moved toward what the client's own experiments showed.

    playbook has columns name, segment, effect (assumed rise of the repurchase rate); experiments is `effect.by_action`. An action learns
    from its own segment, else from experiments that name no segment ("unknown"), and not from what it did to others. An assumption
    counts as an observation with a 95 % interval from zero to twice itself. With three results or more, how far this client's results
    fall short of assumptions (or exceed them) scales every assumption first, so that actions never tried learn from those that were
    (empirical Bayes, Efron & Morris 1975). Several experiments of an action are pooled with random effects (DerSimonian–Laird).

    Returns the playbook with effect, low, high, experiments (number), found (their pooled result), weight (what it counts for beside
    the assumption, 0 to 1) and source: "segment", "campaign" (no segment was named), "elsewhere" (tried on other segments alone: an
    assumption) or "assumption" (never tried).

    >>> plays = pd.DataFrame({"name": ["coupon", "call"], "segment": "lapsed", "effect": [0.06, 0.06]})
    >>> seen = pd.DataFrame({"action": "coupon", "segment": ["lapsed", "new"], "value": [0.02, 0.09],
    ...                      "low": [0.01, 0.08], "high": [0.03, 0.10]})
    >>> learn(plays, seen)[["name", "effect", "weight", "source"]].round(3).values.tolist()
    [['coupon', 0.021, 0.973, 'segment'], ['call', 0.06, 0.0, 'assumption']]
    """
    seen = experiments.assign(se=(experiments["high"] - experiments["low"]) / 2 / Z_95)
    found = [_about(play, seen[seen["se"] > 0]) for play in playbook.itertuples()]
    trust = _trust(pd.concat([own.assign(assumed=each) for (own, _source), each in zip(found, playbook["effect"], strict=True)]))
    rows = []
    for play, (own, source) in zip(playbook.itertuples(), found, strict=True):
        prior, sd, mean, weight = play.effect * trust, play.effect / Z_95, np.nan, 0.0
        if len(own) and sd > 0:
            mean, se = _pooled(own)
            weight = sd**2 / (sd**2 + se**2)
            prior, sd = weight * mean + (1 - weight) * prior, np.sqrt(weight) * se
        ends = {"low": prior - Z_95 * sd, "high": prior + Z_95 * sd}
        rows.append({"effect": prior, **ends, "experiments": len(own), "found": mean, "weight": weight, "source": source})
    return playbook.drop(columns="effect").join(pd.DataFrame(rows, index=playbook.index))


def _about(play, seen: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """The results that speak for an action of the playbook, and where they come from."""
    tried = seen[seen["action"] == play.name]
    for segment, source in ((play.segment, "segment"), (UNKNOWN, "campaign")):
        own = tried[tried["segment"] == segment]
        if len(own):
            return own, source
    return tried[:0], "elsewhere" if len(tried) else "assumption"


def elsewhere(playbook: pd.DataFrame, experiments: pd.DataFrame) -> pd.DataFrame:
    """What experiments clearly found in segments for which the playbook does not list their action: worth adding to it.

    Arguments as for `learn`. Rows of experiments whose interval lies above zero, the largest rise first.

    >>> plays = pd.DataFrame({"name": ["coupon"], "segment": "lapsed", "effect": [0.06]})
    >>> seen = pd.DataFrame({"action": "coupon", "segment": ["lapsed", "new"], "value": 0.09, "low": 0.05, "high": 0.13})
    >>> elsewhere(plays, seen)[["action", "segment"]].values.tolist()
    [['coupon', 'new']]
    """
    listed = set(zip(playbook["name"], playbook["segment"], strict=True))
    new = [pair not in listed for pair in zip(experiments["action"], experiments["segment"], strict=True)]
    found = experiments[np.array(new, dtype=bool) & (experiments["segment"] != UNKNOWN) & (experiments["low"] > 0)]
    return found[found["action"].isin(playbook["name"])].sort_values("value", ascending=False, ignore_index=True)


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
