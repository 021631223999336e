"""Which markets really differ: against the rest and in pairs, with effect sizes, corrected for the number of tests."""

from itertools import combinations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats import proportion
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests

from helpers.estimates import ALPHA, Z_95
from helpers.metrics.groups.standardise import SUMS, pooled, weighted

COLUMNS = ["difference", "difference_low", "difference_high", "effect", "p", "n"]


def against_rest(table: pd.DataFrame, share: bool, strata: list[str]) -> pd.DataFrame:
    """Each market against all others together: market, difference, difference_low, difference_high, effect, p, n.

    Compared inside each stratum where both sides have customers, with the weights of both together, and tested by z. effect is Cohen's h
    for shares and d otherwise (0.2 small, 0.5 medium, 0.8 large); n is that of the market.

    >>> from helpers.metrics.groups.standardise import shares
    >>> counts = pd.DataFrame({"market": ["A", "B", "C"], "age_band": "new", "k": [30, 60, 31], "of": [100, 100, 100]})
    >>> found = against_rest(shares(counts, "k", "of"), True, ["age_band"])
    >>> found[["market", "difference", "p"]].round(3).values.tolist()
    [['A', -0.155, 0.008], ['B', 0.295, 0.0], ['C', -0.14, 0.016]]
    """
    markets, sums = _sums(table, strata)
    rows = [(market, *_compare(sums[k], np.delete(sums, k, axis=0).sum(axis=0), share)) for k, market in enumerate(markets)]
    return pd.DataFrame(rows, columns=["market", *COLUMNS])


def pairwise(table: pd.DataFrame, share: bool, strata: list[str]) -> pd.DataFrame:
    """Every pair of markets, as `against_rest`, the largest effect first; difference is market − other, p the corrected one.

    >>> from helpers.metrics.groups.standardise import shares
    >>> counts = pd.DataFrame({"market": ["A", "B"], "age_band": "new", "k": [30, 60], "of": [100, 100]})
    >>> pairwise(shares(counts, "k", "of"), True, ["age_band"])[["market", "other", "difference"]].round(2).values.tolist()
    [['A', 'B', -0.3]]
    """
    return _pairs([(one, other, *_compare(mine, theirs, share))
                   for (one, mine), (other, theirs) in combinations(zip(*_sums(table, strata), strict=True), 2)])  # fmt: skip


def pairs_of(estimates: pd.DataFrame) -> pd.DataFrame:
    """Every pair of markets, as `pairwise`, where only each market's value, low, high and n are known.

    Standard errors are read off the 95 % intervals, taken as independent; for values that are no mean of customers'
    own numbers, such as a cost per customer of which only a part varies between them.

    >>> cost = pd.DataFrame({"market": ["A", "B"], "value": [12.0, 10.0], "low": [11.0, 9.0], "high": [13.0, 11.0],
    ...     "n": [400, 400]})
    >>> pairs_of(cost)[["market", "other", "difference", "difference_low", "p"]].round(3).values.tolist()
    [['A', 'B', 2.0, 0.586, 0.006]]
    """
    rows = []
    for one, other in combinations(estimates.dropna(subset=["value", "low"]).itertuples(), 2):
        errors = [(each.high - each.low) / (2 * Z_95) for each in (one, other)]
        spread = np.sqrt(np.average([e**2 * each.n for e, each in zip(errors, (one, other), strict=True)]))
        rows.append((one.market, other.market, *_tested(one.value - other.value, float(np.hypot(*errors)), spread), one.n))
    return _pairs(rows)


def shrunk(found: pd.DataFrame) -> pd.DataFrame:
    """Each market drawn toward the average as far as its own uncertainty asks (empirical Bayes): adds shrunk.

    shrunk = pull × average + (1 − pull) × value, pull = se² / (se² + τ²), τ² the variance between markets (Paule–Mandel, statsmodels
    `combine_effects`). A market without se keeps its value; fewer than three are left as they are.

    >>> frame = pd.DataFrame({"market": list("ABCD"), "value": [0.2, 0.3, 0.4, 0.9], "se": [0.01, 0.01, 0.01, 0.4]})
    >>> shrunk(frame)["shrunk"].round(2).tolist()
    [0.2, 0.3, 0.4, 0.38]
    """
    known = found["se"].notna() & (found["se"] > 0) & found["value"].notna()
    if known.sum() < 3:
        return found.assign(shrunk=found["value"])
    variance = found.loc[known, "se"].to_numpy() ** 2
    combined = combine_effects(found.loc[known, "value"].to_numpy(), variance, method_re="iterated")
    tau2, average = max(float(combined.tau2), 0.0), float(combined.mean_effect_re)
    pull = (found["se"] ** 2 / (found["se"] ** 2 + tau2)).where(known, 0.0)
    return found.assign(shrunk=pull * average + (1 - pull) * found["value"])


def adjusted(p: pd.Series) -> pd.Series:
    """p-values corrected for the number of tests (Benjamini–Hochberg); missing ones were not tested and stay missing.

    >>> adjusted(pd.Series([0.01, None, 0.04])).tolist()
    [0.02, nan, 0.04]
    """
    tested = p.dropna().astype("float64")
    corrected = multipletests(tested, alpha=ALPHA, method="fdr_bh")[1] if len(tested) else []
    return pd.Series(corrected, tested.index, dtype="float64").reindex(p.index)


def _sums(table: pd.DataFrame, strata: list[str]) -> tuple[pd.Index, np.ndarray]:
    """The markets in order, and their moments as an array market × stratum × SUMS; zero where a market has nobody."""
    market, markets = pd.factorize(table["market"], sort=True)
    stratum = table.groupby(strata, dropna=False).ngroup()
    sums = np.zeros((len(markets), stratum.max() + 1, len(SUMS)))
    np.add.at(sums, (market, stratum), table[SUMS].to_numpy(dtype="float64"))
    return markets, sums


def _compare(one: np.ndarray, other: np.ndarray, share: bool) -> tuple:
    """COLUMNS of two groups given by their moments per stratum."""
    common = (one[:, 0] > 0) & (other[:, 0] > 0)
    if not common.any():
        return (*[float("nan")] * 5, 0)
    a, b = one[common], other[common]
    (value, se), (rest, rest_se) = (weighted(each, a + b) for each in (a, b))
    customers = np.concatenate([a[:, 0], b[:, 0]])
    variances = np.concatenate([pooled(a, a + b), pooled(b, a + b)]) * customers  # of one customer
    found = _tested(value - rest, float(np.hypot(se, rest_se)), np.sqrt(np.average(variances, weights=customers)))
    if share:
        found = (*found[:3], float(proportion.proportion_effectsize(*np.clip([value, rest], 0, 1))), found[4])
    return (*found, int(a[:, 0].sum()))


def _tested(difference: float, error: float, spread: float) -> tuple:
    """A difference, its 95 % interval, its effect in standard deviations of a customer (spread), and its p by z."""
    effect, z = (difference / each if each > 0 else float("nan") for each in (spread, error))
    return difference, difference - Z_95 * error, difference + Z_95 * error, effect, float(2 * stats.norm.sf(abs(z)))


def _pairs(rows: list[tuple]) -> pd.DataFrame:
    pairs = pd.DataFrame(rows, columns=["market", "other", *COLUMNS])
    return pairs.assign(p=adjusted(pairs["p"])).sort_values("effect", key=abs, ascending=False)
