"""Which markets really differ: against the rest and in pairs, with effect sizes, corrected for the number of tests."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats import proportion
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

from helpers.estimates import ALPHA
from helpers.metrics.standardise import SUMS, Z_95, pooled, weighted


def against_rest(table: pd.DataFrame, share: bool, strata: list[str] = ()) -> pd.DataFrame:
    """Each market against all others together: difference, low, high, effect, p, adjusted (Benjamini–Hochberg), n.

    strata: compared inside each stratum where both sides have customers, with the weights of both together; without,
    as they are. effect is Cohen's h for shares and d otherwise (0.2 small, 0.5 medium, 0.8 large). Raw shares
    are tested by the score test with Newcombe's interval, everything else by z.

    >>> from helpers.metrics.standardise import shares
    >>> counts = pd.DataFrame({"market": ["A", "B", "C"], "k": [30, 60, 31], "of": [100, 100, 100]})
    >>> found = against_rest(shares(counts, "k", "of"), share=True)
    >>> found[["market", "difference", "adjusted"]].round(3).values.tolist()
    [['A', -0.155, 0.015], ['B', 0.295, 0.0], ['C', -0.14, 0.02]]
    """
    markets = sorted(table["market"].unique())
    rows = [(market, *_compare(table[table["market"] == market], table[table["market"] != market], share, list(strata)))
            for market in markets]  # fmt: skip
    return _adjusted(pd.DataFrame(rows, columns=["market", "difference", "low", "high", "effect", "p", "n"]))


def pairwise(table: pd.DataFrame, share: bool, strata: list[str] = ()) -> pd.DataFrame:
    """Every pair of markets, as `against_rest`; the columns market and other name it, difference is market − other.

    >>> from helpers.metrics.standardise import shares
    >>> counts = pd.DataFrame({"market": ["A", "B"], "k": [30, 60], "of": [100, 100]})
    >>> pairwise(shares(counts, "k", "of"), share=True)[["market", "other", "difference"]].round(2).values.tolist()
    [['A', 'B', -0.3]]
    """
    markets = sorted(table["market"].unique())
    parts = {market: table[table["market"] == market] for market in markets}
    rows = [(one, other, *_compare(parts[one], parts[other], share, list(strata)))
            for one, other in combinations(markets, 2)]  # fmt: skip
    return _adjusted(pd.DataFrame(rows, columns=["market", "other", "difference", "low", "high", "effect", "p", "n"]))


def pairs_of(estimates: pd.DataFrame) -> pd.DataFrame:
    """Every pair of markets, as `pairwise`, where only each market's value, low, high and n are known.

    Standard errors are read off the 95 % intervals, taken as independent; for values that are no mean of customers'
    own numbers, such as a cost per customer of which only a part varies between them.

    >>> cost = pd.DataFrame({"market": ["A", "B"], "value": [12.0, 10.0], "low": [11.0, 9.0], "high": [13.0, 11.0],
    ...     "n": [400, 400]})
    >>> pairs_of(cost)[["market", "other", "difference", "low", "adjusted"]].round(3).values.tolist()
    [['A', 'B', 2.0, 0.586, 0.006]]
    """
    rows = []
    for one, other in combinations(estimates.dropna(subset=["value", "low"]).itertuples(), 2):
        errors = [(each.high - each.low) / (2 * Z_95) for each in (one, other)]
        spread = np.sqrt(np.average([e**2 * each.n for e, each in zip(errors, (one, other), strict=True)]))
        difference, error = one.value - other.value, float(np.hypot(*errors))
        effect, z = (difference / each if each > 0 else float("nan") for each in (spread, error))
        rows.append((one.market, other.market, difference, difference - Z_95 * error, difference + Z_95 * error, effect,
                     2 * stats.norm.sf(abs(z)), one.n))  # fmt: skip
    return _adjusted(pd.DataFrame(rows, columns=["market", "other", "difference", "low", "high", "effect", "p", "n"]))


def largest_first(pairs: pd.DataFrame) -> pd.DataFrame:
    """Pairs for a table: the largest effect first, p the corrected one, the interval beside the difference.

    >>> pairs = pd.DataFrame({"difference": [1.0, -5.0], "low": 0.0, "high": 0.0, "effect": [0.1, -0.5],
    ...     "p": 0.01, "adjusted": [0.03, 0.02]})
    >>> largest_first(pairs)[["difference", "p"]].values.tolist()
    [[-5.0, 0.02], [1.0, 0.03]]
    """
    ends = {"low": "difference_low", "high": "difference_high", "adjusted": "p"}
    return pairs.drop(columns="p").rename(columns=ends).sort_values("effect", key=abs, ascending=False)


def shrunk(found: pd.DataFrame) -> pd.DataFrame:
    """Each market drawn toward the average as far as its own uncertainty asks (empirical Bayes): adds shrunk, pull.

    shrunk = pull × average + (1 − pull) × value, pull = se² / (se² + τ²), τ² the variance between markets
    (Paule–Mandel, statsmodels `combine_effects`). A market without se keeps its value; fewer than three
    markets are left as they are.

    >>> frame = pd.DataFrame({"market": list("ABCD"), "value": [0.2, 0.3, 0.4, 0.9], "se": [0.01, 0.01, 0.01, 0.4]})
    >>> shrunk(frame)["shrunk"].round(2).tolist()
    [0.2, 0.3, 0.4, 0.38]
    """
    known = found["se"].notna() & (found["se"] > 0) & found["value"].notna()
    if known.sum() < 3:
        return found.assign(shrunk=found["value"], pull=0.0)
    variance = found.loc[known, "se"].to_numpy() ** 2
    combined = combine_effects(found.loc[known, "value"].to_numpy(), variance, method_re="iterated")
    tau2, average = max(float(combined.tau2), 0.0), float(combined.mean_effect_re)
    pull = (found["se"] ** 2 / (found["se"] ** 2 + tau2)).where(known, 0.0)
    return found.assign(shrunk=pull * average + (1 - pull) * found["value"], pull=pull)


def _compare(one: pd.DataFrame, other: pd.DataFrame, share: bool, strata: list[str]) -> tuple:
    """(difference, low, high, effect, p, n of the first)."""
    strata = strata or ["all"]
    a, b = (part.assign(all="").groupby(strata, dropna=False)[SUMS].sum() for part in (one, other))
    common = a.index.intersection(b.index)
    a, b = a.loc[common].reset_index(), b.loc[common].reset_index()
    if not len(common):
        return (*[float("nan")] * 5, 0)
    cells = pd.concat([a, b], ignore_index=True)
    fallback, weights = pooled(cells, strata), (a["y"] + b["y"]).to_numpy(dtype="float64")
    (value, se), (rest, rest_se) = (
        weighted(part, fallback[k : k + len(a)], weights) for part, k in ((a, 0), (b, len(a)))
    )
    difference, error, n = value - rest, float(np.hypot(se, rest_se)), int(a["n"].sum())
    if share:
        effect = 2 * (np.arcsin(np.sqrt(np.clip(value, 0, 1))) - np.arcsin(np.sqrt(np.clip(rest, 0, 1))))
    else:
        spread = np.sqrt(np.average(fallback * cells["n"], weights=cells["n"]))  # of one customer
        effect = difference / spread if spread > 0 else float("nan")
    if share and strata == ["all"]:
        k = [int(part["x"].iloc[0]) for part in (a, b)], [int(part["y"].iloc[0]) for part in (a, b)]
        (k1, k2), (n1, n2) = k
        low, high = proportion.confint_proportions_2indep(k1, n1, k2, n2, method="newcomb")
        p = _score_p(k1, n1, k2, n2)
        return difference, float(low), float(high), float(effect), p, n
    p = float(2 * stats.norm.sf(abs(difference) / error)) if error > 0 else float("nan")
    return difference, difference - Z_95 * error, difference + Z_95 * error, float(effect), p, n


def _score_p(k1: int, n1: int, k2: int, n2: int) -> float:
    if not 0 < k1 + k2 < n1 + n2:
        return 1.0
    return float(proportion.test_proportions_2indep(k1, n1, k2, n2, method="score").pvalue)


def _adjusted(found: pd.DataFrame) -> pd.DataFrame:
    known = found["p"].notna()
    adjusted = pd.Series(float("nan"), found.index)
    if known.any():
        adjusted[known] = multipletests(found.loc[known, "p"], alpha=ALPHA, method="fdr_bh")[1]
    return found.assign(adjusted=adjusted)
