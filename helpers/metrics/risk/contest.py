"""Which churn model to trust: both fitted on an earlier day and judged by what customers did afterwards."""

import contextlib
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from helpers.estimates import Z_95, Estimate, NotEnoughData, proportion, with_wilson
from helpers.metrics.risk import risk

TOP_SHARE = 0.10
BINS = 10


class Contest(NamedTuple):
    """How the models did on customers and months they had not seen; see `judge`."""

    quality: pd.DataFrame
    calibration: pd.DataFrame
    auc_gain: Estimate
    brier_gain: Estimate
    chosen: str


def judge(earlier: pd.DataFrame, later: pd.DataFrame) -> Contest:
    """Both models fitted on an earlier snapshot and judged on a later one: who predicts better what happened next.

    quality: model, measure, value, low, high, n. auc: the chance that a customer who left was ranked above one who stayed (interval by
    DeLong et al. 1988); brier: mean squared error of the probability; lift: share lost among the tenth ranked highest / share lost of
    all (Wilson over the fixed share of all); bias: mean probability − share lost. calibration: model, bin (tenths by probability),
    predicted, value (share lost), low, high, n. auc_gain: AUC of signals − AUC of alive; brier_gain: Brier score of alive − that of
    signals; both paired. chosen: `alive`, the simpler one, unless signals is better for certain in one of them (the interval above
    zero) and not worse for certain in the other.

    >>> judged = judge(risk._example(), risk._example())
    >>> judged.chosen, judged.quality.set_index(["model", "measure"])["value"].round(2).loc[("signals", "auc")].item()
    ('alive', 0.67)
    """
    models = [risk.fit_alive(earlier)]
    with contextlib.suppress(NotEnoughData):
        models.append(risk.fit_signals(earlier))
    lost = risk.labels(later).to_numpy()
    scores = {model.name: risk.predict(model, later) for model in models}
    quality = pd.DataFrame([row for name, p in scores.items() for row in _quality(name, lost, p)])
    calibration = pd.concat([_calibration(lost, p).assign(model=name) for name, p in scores.items()], ignore_index=True)
    if len(models) < 2:
        return Contest(quality, calibration, Estimate(float("nan")), Estimate(float("nan")), "alive")
    aucs, covariance = _delong(lost, list(scores.values()))
    spread = np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0))
    gain = aucs[1] - aucs[0]
    gain = Estimate(float(gain), float(gain - Z_95 * spread), float(gain + Z_95 * spread), len(lost))
    closer = Estimate(*map(float, _mean((scores["alive"] - lost) ** 2 - (scores["signals"] - lost) ** 2)), len(lost))
    better = max(gain.low, closer.low) > 0 and min(gain.high, closer.high) >= 0
    return Contest(quality, calibration, gain, closer, "signals" if better else "alive")


def distance(bins: pd.DataFrame) -> dict:
    """How far the shares that left lie from the chances predicted, bin by bin; bins: the calibration of one model in `judge`.

    mean and most: of the absolute differences (bins are tenths, so each weighs the same); left and predicted: of the bin that
    is furthest off; out: bins whose interval leaves out the chance predicted; bins: how many there are.

    >>> bins = pd.DataFrame({"predicted": [0.1, 0.5], "value": [0.2, 0.5], "low": [0.12, 0.4], "high": [0.3, 0.6], "n": [90, 90]})
    >>> {name: round(each, 2) for name, each in distance(bins).items() if name != "left"}
    {'mean': 0.05, 'most': 0.1, 'predicted': 0.1, 'out': 1, 'bins': 2}
    """
    apart = (bins["value"] - bins["predicted"]).abs()
    furthest = bins.loc[apart.idxmax()]
    out = int(((bins["predicted"] < bins["low"]) | (bins["predicted"] > bins["high"])).sum())
    said = {"mean": float(apart.mean()), "most": float(apart.max()), "left": Estimate.of(furthest)}
    return said | {"predicted": float(furthest["predicted"]), "out": out, "bins": len(bins)}


def _delong(lost: np.ndarray, scores: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """AUCs of several scores of the same customers and their covariance (DeLong 1988, by Sun & Xu's midranks, 2014)."""
    left, stayed = lost == 1, lost == 0
    m, n = int(left.sum()), int(stayed.sum())
    aucs, by_left, by_stayed = [], [], []
    for score in scores:
        ranks = stats.rankdata(score)
        by_left.append((ranks[left] - stats.rankdata(score[left])) / n)
        by_stayed.append(1 - (ranks[stayed] - stats.rankdata(score[stayed])) / m)
        aucs.append(by_left[-1].mean())
    return np.array(aucs), np.atleast_2d(np.cov(by_left)) / m + np.atleast_2d(np.cov(by_stayed)) / n


def _quality(name: str, lost: np.ndarray, p: np.ndarray) -> list[dict]:
    aucs, covariance = _delong(lost, [p])
    top = np.argsort(-p, kind="stable")[: max(1, round(TOP_SHARE * len(p)))]
    share = proportion(lost[top].sum(), len(top))
    rows = {"auc": _around(aucs[0], np.sqrt(covariance[0, 0])), "brier": _mean((p - lost) ** 2),
            "lift": tuple(each / lost.mean() for each in share[:3]), "bias": _mean(p - lost)}
    return [{"model": name, "measure": measure, "value": float(v), "low": float(low), "high": float(high),
             "n": len(lost)} for measure, (v, low, high) in rows.items()]


def _mean(values: np.ndarray) -> tuple[float, float, float]:
    return _around(values.mean(), values.std(ddof=1) / np.sqrt(len(values)))


def _around(value: float, error: float) -> tuple[float, float, float]:
    return value, value - Z_95 * error, value + Z_95 * error


def _calibration(lost: np.ndarray, p: np.ndarray) -> pd.DataFrame:
    tenth = np.ceil(stats.rankdata(p, method="ordinal") * BINS / len(p)).astype(int)
    bins = pd.DataFrame({"bin": tenth, "p": p, "k": lost})
    table = bins.groupby("bin").agg(predicted=("p", "mean"), k=("k", "sum"), of=("k", "size"))
    return with_wilson(table.reset_index(), "k", "of").drop(columns=["k", "of"])
