"""Markets made comparable: the measure of each with the mix of customers of all of them (direct standardisation).

Everything works on *moments*: a row per market and stratum with n (customers), x and y (sums over them of a numerator
and a denominator) and xx, xy, yy (sums of their squares and product). The measure is Σx / Σy: a share when x is 0 or 1
and y is 1, a mean when y is 1, a ratio of sums otherwise; its variance is always that between customers.
"""

from itertools import permutations

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import Z_95, with_wilson

STRATA = ["age_band", "first_acquisition_channel", "first_product_category"]
SUMS = ["n", "x", "y", "xx", "xy", "yy"]
OWN_VARIANCE_FROM = 10  # customers in a stratum; below it the variance of both groups together is used
LEAST_COVERAGE = 0.8


def moments(units: ir.Table, by: list[str]) -> pd.DataFrame:
    """Moments of a lazy table with a row per customer and columns x, y: the columns of `by`, then SUMS.

    >>> import ibis
    >>> moments(ibis.memtable({"market": ["DE", "DE"], "x": [1.0, 3.0], "y": [1.0, 1.0]}), ["market"]).values.tolist()
    [['DE', 2, 4.0, 2.0, 10.0, 4.0, 2.0]]
    """
    x, y = _.x.cast("float64"), _.y.cast("float64")
    sums = units.group_by(by).agg(n=_.count(), x=x.sum(), y=y.sum(), xx=(x * x).sum(), xy=(x * y).sum(), yy=(y * y).sum())
    return sums.execute().sort_values(by, ignore_index=True)


def shares(counts: pd.DataFrame, successes: str, n: str) -> pd.DataFrame:
    """Moments of a table of counts: successes of n customers per row.

    >>> shares(pd.DataFrame({"market": ["DE"], "kept": [3], "of": [10]}), "kept", "of")[SUMS].values.tolist()
    [[10, 3, 10, 3, 3, 10]]
    """
    k, of = counts[successes].astype("int64"), counts[n].astype("int64")
    return counts.drop(columns=[successes, n, *(set(SUMS) & set(counts))]).assign(n=of, x=k, y=of, xx=k, xy=k, yy=of)


def direct(table: pd.DataFrame, share: bool, strata: list[str]) -> pd.DataFrame:
    """The measure each market would have with the mix of all markets together: directly standardised.

    Σ_s w_s · value_s / Σ_s w_s, w_s being the weight (Σy) of stratum s in all markets, over the strata in which the
    market has customers. Columns market, value, low, high, n, se, coverage (share of the weights those strata hold). share:
    the measure lies between 0 and 1, and so does its interval, Wilson's for the number of customers that would give this
    standard error; for all of them where nobody, or everybody, was counted (Korn & Graubard 1998 do so in surveys).

    >>> table = pd.DataFrame({"market": ["A", "A", "B", "B"], "age_band": ["new", "old"] * 2, "k": [10, 45, 45, 8],
    ...                       "of": [100, 50, 300, 10]})
    >>> direct(shares(table, "k", "of"), True, ["age_band"])["value"].round(3).tolist()  # as they are: 0.367, 0.171
    [0.204, 0.235]
    """
    cells = table.groupby(["market", *strata], dropna=False)[SUMS].sum().reset_index()
    whole = cells.groupby(strata, dropna=False)[SUMS].transform("sum")
    rows = []
    for market, part in cells.groupby("market"):
        own = whole.loc[part.index]
        rows.append((market, *weighted(part[SUMS], own), int(part["n"].sum()), own["y"].sum() / cells["y"].sum()))
    found = pd.DataFrame(rows, columns=["market", "value", "se", "n", "coverage"])
    low, high = found["value"] - Z_95 * found["se"], found["value"] + Z_95 * found["se"]
    if share:
        spread = found["value"] * (1 - found["value"])
        effective = (spread / found["se"] ** 2).where((found["se"] > 0) & (spread > 0), found["n"])
        ends = with_wilson(pd.DataFrame({"k": found["value"].clip(0, 1) * effective, "of": effective}), "k", "of")
        low, high = ends["low"].where(spread >= 0, low), ends["high"].where(spread >= 0, high)
    return found.assign(low=low, high=high)[["market", "value", "low", "high", "n", "se", "coverage"]]


def strata_for(table: pd.DataFrame) -> list[str]:
    """The finest strata that leave every market at least 80 % of the common mix to be compared on.

    Cohort age × first channel × product category, else without the category, else cohort age alone.

    >>> counts = pd.DataFrame({"market": ["A", "B"], "age_band": "new", "first_acquisition_channel": ["ad", "mail"],
    ...                        "first_product_category": "x", "k": [1, 1], "of": [5, 5]})
    >>> strata_for(shares(counts, "k", "of"))
    ['age_band']
    """
    for depth in range(len(STRATA), 1, -1):
        if direct(table, share=False, strata=STRATA[:depth])["coverage"].min() >= LEAST_COVERAGE:
            return STRATA[:depth]
    return STRATA[:1]


def reversals(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Pairs of markets whose order turns round when their mix is made equal (Simpson's paradox), the widest first.

    before and after hold market, value, low, high, as they are and of `direct`. One of the two orders must be more than
    chance (the difference wider than its interval). Columns better (ahead as they are), worse, raw, standardised: the
    differences better − worse before and after.

    >>> plain = pd.DataFrame({"market": ["A", "B"], "value": [0.37, 0.17], "low": [0.35, 0.15], "high": [0.39, 0.19]})
    >>> found = reversals(plain, plain.assign(value=[0.20, 0.24]))
    >>> found[["better", "worse"]].values.tolist()
    [['A', 'B']]
    """
    sides = {"raw": before.set_index("market"), "even": after.set_index("market")}
    both = pd.DataFrame({name: side["value"] for name, side in sides.items()}).dropna()
    chance = pd.DataFrame({name: (side["high"] - side["low"]) / 2 for name, side in sides.items()})
    rows = []
    for better, worse in permutations(both.index, 2):
        apart = both.loc[better] - both.loc[worse]
        if apart["raw"] > 0 > apart["even"] and (apart.abs() > np.hypot(chance.loc[better], chance.loc[worse])).any():
            rows.append((better, worse, *apart))
    found = pd.DataFrame(rows, columns=["better", "worse", "raw", "standardised"])
    return found.sort_values("standardised", kind="stable", ignore_index=True)


def _ratio(sums) -> tuple[np.ndarray, np.ndarray]:
    """Σx / Σy of each row of SUMS and its variance between customers (linearised, with the small-sample factor)."""
    n, x, y, xx, xy, yy = np.asarray(sums, dtype="float64").T
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(y > 0, x / y, np.nan)
        spread = np.maximum(xx - 2 * value * xy + value**2 * yy, 0.0)
        return value, np.where(n > 1, spread / y**2 * n / (n - 1), np.nan)


def pooled(sums, whole) -> np.ndarray:
    """For each row of SUMS the variance it would have with the spread of its whole stratum (`whole`, row by row).

    >>> two = shares(pd.DataFrame({"k": [0, 5], "of": [5, 5]}), "k", "of")[SUMS]
    >>> pooled(two, [two.sum()] * 2).round(3).tolist()
    [0.056, 0.056]
    """
    n, _x, y, *_rest = np.asarray(sums, dtype="float64").T
    of, _x, weight, *_rest = np.asarray(whole, dtype="float64").T
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(np.where(y > 0, _ratio(whole)[1] * (weight**2 / of) * n / y**2, 0.0))


def weighted(sums, whole) -> tuple[float, float]:
    """The mean of the rows' measures, weighted by Σy of their whole strata, and its standard error.

    Small cells take the variance of the stratum (`pooled`).

    >>> two = shares(pd.DataFrame({"k": [30, 10], "of": [100, 100]}), "k", "of")[SUMS]
    >>> weighted(two, two.to_numpy() * [[1], [3]])[0]
    0.15000000000000002
    """
    value, variance = _ratio(sums)
    own = (np.asarray(sums, dtype="float64")[:, 0] >= OWN_VARIANCE_FROM) & (variance > 0)
    share = np.where(np.isnan(value), 0.0, np.asarray(whole, dtype="float64")[:, SUMS.index("y")])
    if not share.sum() > 0:
        return float("nan"), float("nan")
    share = share / share.sum()
    return float(np.nansum(share * value)), float(np.sqrt((share**2 * np.where(own, variance, pooled(sums, whole))).sum()))
