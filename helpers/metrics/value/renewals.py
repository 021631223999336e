"""Subscriptions: how many renew, by the shifted beta-geometric model, and what one still to come is worth.

`lifetimes` has no fitter for it; the likelihood is two lines and scipy finds its top.
"""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import optimize, special
from statsmodels.tools.numdiff import approx_hess3

from helpers.estimates import Estimate, NotEnoughData, proportion
from helpers.metrics.value.fits import Fit
from helpers.metrics.value.likelihoods import LOG_BOUND
from helpers.periods import DAYS_PER_MONTH

AIC_GAIN = 1.0  # of log-likelihood: what one parameter more must bring
FEWEST = 20  # subscriptions that ended, below which nothing is fitted


def subscription_lives(subscriptions: ir.Table, as_of: date) -> pd.DataFrame:
    """Monthly renewal counts of all subscriptions up to a day: period, lost, still (last seen alive at that age).

    A subscription begins with its movement `new` and ends with its first `churn`; its age is in whole months (of 30.4
    days), counted up. One that has not reached its first renewal tells nothing and is left out.

    >>> moves = ibis.memtable({"subscription_id": ["a", "a", "b"], "kind": ["new", "churn", "new"],
    ...     "date": [date(2026, 1, 1), date(2026, 2, 15), date(2026, 1, 1)]})
    >>> subscription_lives(moves, date(2026, 4, 15)).values.tolist()
    [[2, 1, 0], [3, 0, 1]]
    """
    seen = subscriptions.filter(_.date <= ibis.literal(as_of))
    each = seen.group_by("subscription_id").agg(
        start=seen.date.min(where=seen.kind == "new"), end=seen.date.min(where=seen.kind == "churn"))
    each = each.filter(_.start.notnull())
    days = ibis.coalesce(_.end, ibis.literal(as_of)).delta(_.start, unit="day").cast("float64")
    rows = each.mutate(days=days, ended=_.end.notnull()).group_by("days", "ended").agg(n=_.count()).execute()
    months = rows["days"] / DAYS_PER_MONTH
    rows["period"] = np.where(rows["ended"], np.ceil(months).clip(lower=1), np.floor(months)).astype("int64")
    counts = rows[rows["period"] > 0].pivot_table(index="period", columns="ended", values="n", aggfunc="sum", fill_value=0)
    counts = counts.reindex(columns=[True, False], fill_value=0).astype("int64")
    return counts.set_axis(["lost", "still"], axis=1).sort_index().reset_index()


def _log_likelihood(table: pd.DataFrame, alpha: float, beta: float) -> float:
    """Σ lost × log P(lost in the period) + still × log S(period), of period counts.

    P(t) = B(α+1, β+t−1) / B(α, β) and S(t) = B(α, β+t) / B(α, β): Fader & Hardie (2007).
    """
    t = table["period"].to_numpy(dtype="float64")
    lost = special.betaln(alpha + 1, beta + t - 1) - special.betaln(alpha, beta)
    still = special.betaln(alpha, beta + t) - special.betaln(alpha, beta)
    return float((table["lost"] * lost).sum() + (table["still"] * still).sum())


def average_rate(table: pd.DataFrame) -> Estimate:
    """The share of renewals due that were made, with its Wilson interval; n: subscriptions. 1 / (1 − it) is how long one lasts.

    table: `subscription_lives`. One that ended in its period t renewed t − 1 times of t, one seen alive at t every time.

    >>> average_rate(pd.DataFrame({"period": [1, 3], "lost": [1, 0], "still": [0, 1]}))[::3]
    (0.75, 2)
    """
    lost, people = int(table["lost"].sum()), int(table[["lost", "still"]].to_numpy().sum())
    due = int((table["period"] * (table["lost"] + table["still"])).sum())
    return proportion(due - lost, due)._replace(n=people)


def fit_sbg(table: pd.DataFrame) -> Fit | None:
    """The shifted beta-geometric model by maximum likelihood: each customer leaves at a renewal with a chance of their own.

    table: `subscription_lives`. None where its second parameter tells no more than one rate for all does (by AIC): they leave
    as if all were alike, and `average_rate` tells all. NotEnoughData where fewer than 20 left.
    Source: Fader & Hardie (2007), J. Interactive Marketing 21(1).

    >>> lost, still = [369, 163, 86, 56, 37, 27, 21], [0, 0, 0, 0, 0, 0, 241]
    >>> fitted = fit_sbg(pd.DataFrame({"period": range(1, 8), "lost": lost, "still": still}))
    >>> {name: round(value, 3) for name, value in fitted.params.items()}
    {'alpha': 0.704, 'beta': 1.182}
    """
    lost, still = int(table["lost"].sum()), int(table["still"].sum())
    if lost < FEWEST or table["period"].nunique() < 2:
        raise NotEnoughData(f"{lost} subscriptions have ended; {FEWEST} at two different ages are needed to model renewals.")

    def loss(logs):
        """What the search makes small."""
        return -_log_likelihood(table, *np.exp(logs))

    found = optimize.minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=[(-LOG_BOUND, LOG_BOUND)] * 2, tol=1e-12)
    curvature = approx_hess3(found.x, loss, epsilon=1e-4)
    gain = -float(found.fun) - _one_rate(table)
    if gain < AIC_GAIN or np.abs(found.x).max() > LOG_BOUND - 0.01 or np.linalg.eigvalsh(curvature).min() <= 0:
        return None
    alpha, beta = (float(each) for each in np.exp(found.x))
    return Fit("sbg", {"alpha": alpha, "beta": beta}, np.linalg.inv(curvature), -float(found.fun), lost + still, len(table))


def _one_rate(table: pd.DataFrame) -> float:
    """The log-likelihood of the lives when everybody renews at the average rate."""
    rate, lost = average_rate(table).value, table["lost"].sum()
    due = (table["period"] * (table["lost"] + table["still"])).sum()
    return float(lost * np.log(1 - rate) + special.xlogy(due - lost, rate))


def survival(fitted: Fit, periods) -> np.ndarray:
    """The share of a cohort still subscribed after so many periods.

    >>> survival(Fit("sbg", {"alpha": 1.0, "beta": 1.0}, np.eye(2), 0, 1, 1), [0, 1, 3]).tolist()
    [1.0, 0.5, 0.25]
    """
    alpha, beta = fitted.params.values()
    return np.exp(special.betaln(alpha, beta + np.asarray(periods, dtype="float64")) - special.betaln(alpha, beta))


def derl(fitted: Fit, renewals, discount_rate: float) -> np.ndarray:
    """Discounted expected residual lifetime, in periods, of a customer who has renewed so many times and is due again.

    (β + n) / (α + β + n) × 2F1(1, β + n + 1; α + β + n + 1; 1 / (1 + d)) for n renewals, the payment now due counted;
    d per period. Source: Fader & Hardie (2010), Marketing Science 29(1), eq. 6.

    >>> derl(Fit("sbg", {"alpha": 3.8, "beta": 15.2}, np.eye(2), 0, 1, 1), [1, 5], 0.1).round(2).tolist()
    [3.45, 3.96]
    """
    alpha, beta = fitted.params.values()
    n = np.asarray(renewals, dtype="float64")
    series = special.hyp2f1(1, beta + n + 1, alpha + beta + n + 1, 1 / (1 + discount_rate))
    return (beta + n) / (alpha + beta + n) * series
