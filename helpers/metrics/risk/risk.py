"""Who is about to leave: the chance of each active customer, by two models, and what goes with leaving."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import linalg, special, stats

from helpers.estimates import ALPHA, Z_95, Estimate, NotEnoughData
from helpers.metrics.groups.comparison import adjusted
from helpers.metrics.occasions import sampled
from helpers.metrics.risk.signals import Tables, signals
from helpers.metrics.value import btyd, histories
from helpers.metrics.value.fits import Fit

MOST_ROWS = 200_000  # customers a model is fitted on; beyond, whole random buckets of customers are left out
LEAST_ROWS = 200
LEAST_OF_A_CLASS = 30  # customers that stayed, and that left, in every snapshot
LEAST_OF_A_KIND = 50  # customers of a market or channel before it is told apart from the rest
KINDS = ("home_market", "first_acquisition_channel")
NOT_SIGNALS = {"customer_id", *KINDS, "times", "age_days", "span_days", "silent_days", "usual_gap_days",
               "last_gap_days", "margin_rc", "left", "alive_log_odds"}


class Model(NamedTuple):
    """A fitted Logit of leaving: what it is called, its columns ("const" first), coefficients and their covariance."""

    name: str
    columns: tuple[str, ...]
    params: np.ndarray
    covariance: np.ndarray
    n: int


def snapshot(tables: Tables, t: date, window_days: int, later: ir.Table | None = None, fitted: Fit | None = None) -> ir.Table:
    """The signals of the customers active at the end of t, the purchase model's view of them, and what they did next.

    The columns of `signals.signals`, lazy; alive_log_odds, of no purchase in the next W days under MBG/NBD (`fitted`, by default to
    the purchases up to t): 1 − P(alive) × (1 − ((α + T) / (α + T + W))^(r + x)); and, with `later`, the occasions as known
    afterwards, left: 1 for customers without an occasion in (t, t + W].

    >>> fitted = Fit("mbg_nbd", {"r": 0.5, "alpha": 40.0, "a": 0.9, "b": 1.6}, np.eye(4), 0, 30, 30)
    >>> from helpers.metrics.risk.signals import _example as bought
    >>> now = snapshot(Tables(bought(), None, None), date(2026, 1, 31), 90, bought(), fitted).execute()
    >>> now.groupby("times")[["left", "alive_log_odds"]].mean().round(2).reset_index().values.tolist()
    [[1.0, 1.0, 1.78], [2.0, 0.5, 0.3]]
    """
    fitted = fitted or btyd.fit(histories.counts(histories.histories(tables.occasions, t)))
    table = signals(tables, t, window_days)
    table = table.mutate(alive_log_odds=_silent_log_odds(table, fitted, window_days))
    if later is None:
        return table
    after = later.date.delta(ibis.literal(t), unit="day")
    back = later.filter(after.between(1, window_days)).customer_id
    return table.mutate(left=(~table.customer_id.isin(back)).cast("int64"))


def _silent_log_odds(table: ir.Table, fitted: Fit, window_days: int) -> ir.FloatingValue:
    r, alpha, a, b = (fitted.params[name] for name in ("r", "alpha", "a", "b"))
    x, span, age = (table[c].cast("float64") for c in ("times", "span_days", "age_days"))
    x = x - 1.0
    gone = np.log(a) - (b + x).ln() + (r + x) * ((alpha + age) / (alpha + span)).ln()
    silent = (-(r + x) * ((alpha + age + window_days) / (alpha + age)).ln()).exp()
    probability = 1.0 - (1.0 - silent) / (1.0 + gone.exp())
    probability = ibis.least(ibis.greatest(probability, 1e-6), 1 - 1e-6)
    return (probability / (1.0 - probability)).ln()


def sample(table: ir.Table, most: int = MOST_ROWS) -> pd.DataFrame:
    """The snapshot's rows for fitting, without customer_id: all, or the same random buckets of customers every run.

    >>> sample(ibis.memtable({"customer_id": ["b01", "a01"], "left": [0, 1]}))["left"].tolist()
    [1, 0]
    """
    return sampled(table, most).order_by("customer_id").drop("customer_id").execute()


def fit_alive(rows: pd.DataFrame) -> Model:
    """Model (a), `alive`: Logit of leaving on the purchase model's log-odds alone, which calibrates P(alive).

    >>> fit_alive(_example()).columns
    ('const', 'alive_log_odds')
    """
    return _fit("alive", _design(rows, ["alive_log_odds"]), labels(rows))


def fit_signals(rows: pd.DataFrame) -> Model:
    """Model (b), `signals`: Logit of leaving on every signal, market and channel that varies among these customers.

    The largest market and channel, with those of under 50 customers, are what others are compared with. Signals that say what
    others say already (collinear) are left out. Raises NotEnoughData when it does not converge.

    >>> fit_signals(_example()).columns
    ('const', 'late_first')
    """
    columns = sorted(c for c in rows.columns if c not in NOT_SIGNALS and rows[c].std() > 0)
    for kind, base in references(rows).items():
        sizes = rows[kind].value_counts().drop(base)
        columns += [f"{kind}={level}" for level in sizes.index[sizes >= LEAST_OF_A_KIND]]
    left, design = labels(rows), _design(rows, columns)
    groups = design.groupby(left.to_numpy())
    both = groups.max() > groups.min()
    design = design[["const", *[c for c in design if both[c].all()]]]  # a signal only leavers show has no finite odds
    return _fit("signals", _independent(design), left)


def references(rows: pd.DataFrame) -> dict[str, str]:
    """The market and the channel that others are compared with in `fit_signals`: the largest of each kind.

    >>> references(pd.DataFrame({"home_market": ["JP", "DE", "DE"]}))
    {'home_market': 'DE'}
    """
    return {kind: rows[kind].mode()[0] for kind in KINDS if kind in rows and rows[kind].notna().any()}


def labels(rows: pd.DataFrame) -> pd.Series:
    """Who left, 1 or 0; NotEnoughData where too few left or stayed for a model.

    >>> int(labels(_example()).sum())
    150
    """
    left = int(rows["left"].sum()) if len(rows) else 0
    if len(rows) < LEAST_ROWS or min(left, len(rows) - left) < LEAST_OF_A_CLASS:
        raise NotEnoughData(f"A churn model needs {LEAST_ROWS} active customers at an earlier date, of whom {LEAST_OF_A_CLASS} left and "
                            f"as many stayed within the churn window; there are {len(rows)}, of whom {left} left. Add older order "
                            "exports, or wait.")
    return rows["left"]


def _design(rows: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    parts = {"const": np.ones(len(rows))}
    for column in columns:
        kind, _equals, level = column.partition("=")
        parts[column] = (rows[kind] == level).to_numpy(float) if level else rows[kind].to_numpy(float)
    return pd.DataFrame(parts, index=rows.index)


def _independent(design: pd.DataFrame) -> pd.DataFrame:
    """The columns that are no combination of the others, by pivoted QR on columns of equal length."""
    triangle, pivots = linalg.qr((design / np.sqrt((design**2).mean())).to_numpy(), mode="r", pivoting=True)
    size = np.abs(np.diag(triangle))
    return design.iloc[:, sorted({0, *pivots[: int((size > 1e-7 * size[0]).sum())]})]


def _fit(name: str, design: pd.DataFrame, left: pd.Series) -> Model:
    try:
        result = sm.Logit(left, design).fit(disp=0, maxiter=100, warn_convergence=False)
    except (np.linalg.LinAlgError, sm.tools.sm_exceptions.PerfectSeparationError) as reason:
        raise NotEnoughData(f"The churn model on {name} does not fit these customers ({reason}).") from None
    if not result.mle_retvals["converged"] or not np.isfinite(result.bse).all():
        raise NotEnoughData(f"The churn model on {name} did not settle on these customers; the simpler one is used.")
    return Model(name, tuple(design.columns), result.params.to_numpy(), result.cov_params().to_numpy(), len(design))


def predict(model: Model, rows: pd.DataFrame) -> np.ndarray:
    """The probability of leaving within W of each row of a snapshot's sample.

    >>> predict(fit_signals(_example()), _example())[[0, -1]].round(3)
    array([0.333, 0.667])
    """
    return special.expit(_design(rows, model.columns[1:]).to_numpy() @ model.params)


def with_probability(table: ir.Table, model: Model) -> ir.Table:
    """The snapshot with churn_probability: the model's probability of no purchase within W, computed in the engine.

    >>> one = with_probability(ibis.memtable({"late_first": [1.0]}), fit_signals(_example()))
    >>> one.churn_probability.execute().round(3).tolist()
    [0.667]
    """
    score = ibis.literal(float(model.params[0]))
    for column, weight in zip(model.columns[1:], model.params[1:], strict=True):
        kind, _equals, level = column.partition("=")
        value = (table[kind] == level).fill_null(False).cast("float64") if level else table[kind]
        score = score + value * float(weight)
    return table.mutate(churn_probability=1.0 / (1.0 + (-score).exp()))


def expected_share(model: Model, rows: pd.DataFrame) -> Estimate:
    """The share of these customers expected to leave within W: the mean probability, with its interval.

    rows: a `sample` of a snapshot, or a group of it. The interval holds the uncertainty of the coefficients (delta method) and of
    who will in fact leave, on the scale of the log-odds; not that the next season may differ (`bias` of `contest.judge`).

    >>> share = expected_share(fit_signals(_example()), _example())
    >>> f"{share.value:.2f} {share.low:.2f} {share.high:.2f}"
    '0.50 0.43 0.57'
    """
    p = predict(model, rows)
    slope = (_design(rows, model.columns[1:]).to_numpy() * (p * (1 - p))[:, None]).mean(axis=0)
    error = np.sqrt(slope @ model.covariance @ slope + (p * (1 - p)).sum() / len(p) ** 2)
    value = float(p.mean())
    half = Z_95 * error / (value * (1 - value)) if 0 < value < 1 else 0.0
    low, high = special.expit(special.logit(value) + np.array([-half, half]))
    return Estimate(value, float(low), float(high), len(p))


def odds_ratios(model: Model) -> pd.DataFrame:
    """What goes with leaving, other signals held equal: a row per signal with its odds ratio and 95 % interval.

    value is the factor on the odds of leaving for a yes against a no, a doubling (signals in log2), or a market or channel
    against the largest one: an association, not a cause. Columns signal, kind and level (of a market or channel; else empty and
    the signal), value, low, high, n, p_adjusted (Benjamini–Hochberg), called (p_adjusted < 5 %); the called first, and the
    furthest from 1 first (1/2 and 2 are equally far).

    >>> odds_ratios(fit_signals(_example()))[["signal", "value", "called"]].round(2).values.tolist()
    [['late_first', 4.0, True]]
    """
    weights, errors = model.params[1:], np.sqrt(np.diag(model.covariance))[1:]
    p_adjusted = adjusted(pd.Series(2 * stats.norm.sf(np.abs(weights / errors))))
    table = pd.DataFrame({"signal": model.columns[1:], "value": np.exp(weights), "n": model.n, "called": p_adjusted < ALPHA,
                          "low": np.exp(weights - Z_95 * errors), "high": np.exp(weights + Z_95 * errors), "p_adjusted": p_adjusted})
    parts = table["signal"].str.partition("=")
    table["kind"], table["level"] = parts[0].where(parts[1] == "=", ""), parts[2].where(parts[1] == "=", parts[0])
    return table.iloc[np.lexsort([-np.abs(weights), ~table["called"]])].reset_index(drop=True)


def _example() -> pd.DataFrame:
    """300 customers of a snapshot: a third of those with punctual first parcels left, two thirds of the others."""
    late = np.repeat([0.0, 1.0], 150)
    left = np.concatenate([np.repeat([0, 1], [100, 50]), np.repeat([0, 1], [50, 100])])
    return pd.DataFrame({"left": left, "late_first": late, "alive_log_odds": 0.5 * late + 0.1 * (np.arange(300) % 7)})
