"""Purchase models of each market or channel, drawn toward the common one as far as their own data are thin."""

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
from statsmodels.stats.meta_analysis import combine_effects

from helpers.estimates import Z_95, NotEnoughData
from helpers.metrics.value import btyd, expectations
from helpers.metrics.value.fits import Fit
from helpers.periods import DAYS_PER_YEAR

SMALLEST = 200  # customers below whom a group takes the common model as it is
AIC_CLEARLY = 2.0  # the gain above which models of groups are used


def own_fits(rows: pd.DataFrame, by: str, pooled: Fit) -> dict[str, Fit]:
    """Each group's own fit, of the pooled model's kind; groups that are too small or cannot be fitted are left out.

    None is made where only one group is large enough: it has nothing to differ from.
    rows: `histories.counts(..., by=(by,))`.

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5],
    ...     "home_market": "DE"})
    >>> own_fits(rows, "home_market", btyd.fit(rows))
    {}
    """
    own = {}
    large = {name: group for name, group in rows.groupby(by) if group["weight"].sum() >= SMALLEST}
    for name, group in large.items() if len(large) > 1 else ():
        with contextlib.suppress(NotEnoughData):
            own[name] = btyd.fit(group, pooled.model)
    return own


def shrunk(own: dict[str, Fit], pooled: Fit) -> dict[str, Fit]:
    """The groups' fits drawn toward the pooled fit.

    The weight of a group's own fit is τ² / (τ² + σ²): σ its standard error of the (log) occasions a new customer makes
    in a year, τ² the true variance of that number between groups (Paule–Mandel). The logarithms of the parameters are
    mixed with it. A single group has nothing to differ from, and gets the pooled parameters.

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5]})
    >>> pooled = btyd.fit(rows)
    >>> round(shrunk({"DE": pooled}, pooled)["DE"].params["r"] / pooled.params["r"], 6)
    1.0
    """
    if len(own) < 2:
        return {name: _mix(fitted, pooled, 0.0) for name, fitted in own.items()}
    values, variances = np.transpose([_new_customer(fitted) for fitted in own.values()])
    between = max(float(combine_effects(values, variances, method_re="iterated").tau2), 0.0)
    return {name: _mix(fitted, pooled, between / (between + variance))
            for (name, fitted), variance in zip(own.items(), variances, strict=True)}


def _new_customer(fitted: Fit) -> tuple[float, float]:
    """log occasions of a new customer in a year, and its variance from 60 draws."""
    fits = (fitted, *fitted.draws(60))
    each = np.log([expectations.p_alive(f, 0, 0, 0) * expectations.living_occasions(f, 0, 0, DAYS_PER_YEAR) for f in fits])
    return float(each[0]), float(np.var(each[1:], ddof=1))


def _mix(own: Fit, pooled: Fit, weight: float) -> Fit:
    logs = {name: weight * np.log(own.params[name]) + (1 - weight) * np.log(pooled.params[name]) for name in own.params}
    covariance = weight ** 2 * own.covariance + (1 - weight) ** 2 * pooled.covariance
    return replace(own, params={name: float(np.exp(log)) for name, log in logs.items()}, covariance=covariance)


def group_table(rows: pd.DataFrame, by: str, pooled: Fit, fits: dict[str, Fit]) -> pd.DataFrame:
    """Occasions a new customer makes in a year, a row per group.

    Columns by, value, low, high (normal on a log scale, from parameter draws), pooled (the common model's), own (whether
    the group has a model of its own), n (customers).

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5],
    ...     "home_market": "DE"})
    >>> group_table(rows, "home_market", btyd.fit(rows), {})[["home_market", "own", "n"]].values.tolist()
    [['DE', False, 100]]
    """
    n, common = rows.groupby(by)["weight"].sum(), _new_customer(pooled)
    found = []
    for name in sorted(n.index):
        log, variance = _new_customer(fits[name]) if name in fits else common
        half = Z_95 * np.sqrt(variance)
        found.append((name, *np.exp([log, log - half, log + half]), np.exp(common[0]), name in fits, int(n[name])))
    return pd.DataFrame(found, columns=[by, "value", "low", "high", "pooled", "own", "n"])


def better_apart(rows: pd.DataFrame, by: str, pooled: Fit, own: dict[str, Fit]) -> float:
    """AIC of the pooled model less that of the groups' own: above 0, separate models describe the data better.

    Both are held against the same customers, without the accounts that the pooled fit set aside. Customers of groups
    without a fit of their own keep the pooled parameters, which count among those of the separate models by their share:
    the fewer customers the own fits cover, the less have these been fitted by the pooled one already.

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5],
    ...     "home_market": "DE"})
    >>> pooled = btyd.fit(rows)
    >>> abs(better_apart(rows, "home_market", pooled, {"DE": pooled})) < 1e-6
    True
    """
    usual = rows.sort_values("x").iloc[:len(rows) - pooled.set_aside]
    parts = {name: usual[usual[by] == name] for name in own}
    gains = [btyd.log_likelihood(part, pooled.model, own[name].params)
             - btyd.log_likelihood(part, pooled.model, pooled.params) for name, part in parts.items()]
    covered = sum(part["weight"].sum() for part in parts.values()) / usual["weight"].sum()
    return float(2 * sum(gains) - 2 * len(pooled.params) * (len(own) - covered))
