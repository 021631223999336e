"""contest.py: known values, oracles, simulated winners, edges."""

import numpy as np
import pandas as pd
import pytest
from churners import plain
from scipy import special
from sklearn.metrics import brier_score_loss, roc_auc_score

from helpers.metrics.risk import contest, risk


def measured(result, model, measure):
    return result.quality.set_index(["model", "measure"]).loc[(model, measure)]


# oracles


def test_auc_and_brier_are_those_of_scikit_learn():
    earlier, later = plain(a=1.0), plain(a=1.0, seed=2)
    result = contest.judge(earlier, later)
    p = risk.predict(risk.fit_signals(earlier), later)
    assert measured(result, "signals", "auc")["value"] == pytest.approx(roc_auc_score(later["left"], p))
    assert measured(result, "signals", "brier")["value"] == pytest.approx(brier_score_loss(later["left"], p))


def test_delong_covers_the_true_auc():
    """Two normals one apart: AUC = Φ(1/√2) = 0.7602; the 95 % interval holds it in 91–99 % of 300 draws."""
    rng, lost, held = np.random.default_rng(1), np.repeat([0, 1], [120, 80]), 0
    for _k in range(300):
        auc, covariance = contest._delong(lost, [rng.normal(lost, 1)])
        held += abs(auc[0] - 0.76025) < 1.96 * np.sqrt(covariance[0, 0])
    assert 0.91 < held / 300 < 0.99


def test_delong_by_counting_pairs():
    """Its definition, pair by pair: Var = Var(share beaten by each leaver) / m + Var(share above each stayer) / n."""
    rng, lost = np.random.default_rng(2), np.repeat([0, 1], [60, 15])
    score = rng.normal(lost, 1).round(1)  # with ties
    above = (score[lost == 1][:, None] > score[lost == 0]) + 0.5 * (score[lost == 1][:, None] == score[lost == 0])
    expected = above.mean(axis=1).var(ddof=1) / 15 + above.mean(axis=0).var(ddof=1) / 60
    auc, covariance = contest._delong(lost, [score])
    assert auc[0] == pytest.approx(above.mean())
    assert covariance[0, 0] == pytest.approx(expected)


def test_lift_at_ten_percent_of_a_perfect_ranking():
    """A fifth leaves and the ten percent ranked highest all do: 1 / 0.2 = 5."""
    lost = np.repeat([0, 1], [80, 20])
    rows = {row["measure"]: row for row in contest._quality("m", lost, lost * 0.8 + 0.1)}
    assert rows["lift"]["value"] == pytest.approx(5)
    assert rows["auc"]["value"] == 1


def test_calibration_of_true_probabilities():
    """Outcomes drawn from the stated probabilities: at least eight of ten bins cover theirs."""
    rng = np.random.default_rng(3)
    p = rng.random(4_000)
    table = contest._calibration((rng.random(4_000) < p).astype(int), p)
    assert table["n"].tolist() == [400] * 10
    assert table["predicted"].between(table["low"], table["high"]).sum() >= 8


# who wins


def test_signals_win_where_they_matter():
    result = contest.judge(plain(a=2.0, b=-1.0), plain(a=2.0, b=-1.0, seed=2))
    assert result.chosen == "signals"
    assert result.auc_gain.low > 0


@pytest.mark.parametrize(("off", "chosen"), [(0.15, "signals"), (0.0, "alive"), (-0.04, "signals")])
def test_chances_clearly_closer_to_what_happened_win_where_the_ranking_is_the_same(monkeypatch, off, chosen):
    """Both models rank alike; the simple one's chances are all too high, or just as good."""
    later, rng = plain(a=0.0, b=0.0, seed=2), np.random.default_rng(6)
    p = rng.uniform(0.05, 0.8, len(later))
    later["left"] = (rng.random(len(later)) < p).astype(int)
    monkeypatch.setattr(risk, "predict", lambda model, rows: p + (off if model.name == "alive" else 0.0))
    result = contest.judge(plain(a=0.0, b=0.0), later)
    assert (result.auc_gain.value, result.chosen) == (0.0, chosen)
    simple, full = (measured(result, name, "brier")["value"] for name in ("alive", "signals"))
    assert result.brier_gain.value == pytest.approx(simple - full)


def test_the_simpler_model_wins_ties():
    result = contest.judge(plain(a=0.0, b=0.0), plain(a=0.0, b=0.0, seed=2))
    assert result.chosen == "alive"


def test_a_gain_that_may_be_chance_is_a_tie():
    """400 customers, a weak signal: the full model is ahead in AUC and Brier score, but not surely."""
    result = contest.judge(plain(400, seed=9, a=0.5), plain(400, seed=509, a=0.5))
    assert measured(result, "signals", "brier")["value"] < measured(result, "alive", "brier")["value"]
    assert result.auc_gain.low < 0 < result.auc_gain.value
    assert result.chosen == "alive"


def test_bias_shows_a_season_that_changed():
    later = plain(a=0.5, seed=2)
    later["left"] = (np.random.default_rng(4).random(len(later)) < special.expit(-1.5)).astype(int)
    bias = measured(contest.judge(plain(a=0.5), later), "alive", "bias")
    assert bias["low"] > 0.2


def test_the_distance_of_chances_from_what_happened_is_that_of_the_bins_and_its_furthest_bin_is_named():
    bins = pd.DataFrame({"predicted": [0.1, 0.5, 0.9], "value": [0.1, 0.4, 0.7], "low": [0.05, 0.3, 0.6], "high": [0.2, 0.5, 0.8], "n": 60})
    found = contest.distance(bins)
    assert (found["mean"], found["most"]) == pytest.approx((0.1, 0.2))
    assert found["left"] == (0.7, 0.6, 0.8, 60) and found["predicted"] == 0.9
    assert (found["out"], found["bins"]) == (1, 3)


# edges


def test_without_varying_signals_the_simple_model_stands_alone():
    rows = plain(300).assign(home_market="DE")
    result = contest.judge(rows, rows)
    assert result.chosen == "alive"
