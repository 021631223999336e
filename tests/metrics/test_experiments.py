"""experiments.py: known values, simulated truths, bad input, edges."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from helpers.metrics import effect, experiments

PLAYS = pd.DataFrame({"name": ["coupon", "call", "bundle", "survey"], "effect": [0.05, 0.05, 0.05, 0.05]})


def seen(*rows):
    return pd.DataFrame(rows, columns=["action", "value", "low", "high"])


# known values


def test_sample_ratio_by_hand():
    """1,000 customers, 10 % planned, 150 held out: chi-square = 50²/900 + 50²/100 = 27.8, p under 0.001."""
    share, p_value = experiments.sample_ratio(850, 150, 0.10)
    assert share == 0.15
    assert p_value == pytest.approx(1.35e-7, rel=0.01)


def test_power_by_simulation():
    """The number of customers asked for finds the difference in about 80 % of 3,000 simulated campaigns."""
    n = experiments.customers_needed(0.20, 0.05, 0.30)
    rng, treated = np.random.default_rng(1), round(n * 0.7)
    held = n - treated
    a, b = rng.binomial(treated, 0.25, 3_000), rng.binomial(held, 0.20, 3_000)
    pooled = (a + b) / n
    z = (a / treated - b / held) / np.sqrt(pooled * (1 - pooled) * (1 / treated + 1 / held))
    assert np.mean(np.abs(z) > 1.96) == pytest.approx(0.80, abs=0.03)


def test_smallest_visible_undoes_customers_needed():
    n = experiments.customers_needed(0.20, 0.03, 0.10)
    assert experiments.smallest_visible(0.20, round(n * 0.9), round(n * 0.1)) == pytest.approx(0.03, rel=0.01)


def test_balance_of_arms_that_spent_alike():
    sums = effect.arm_sums(*effect._example(), date(2026, 4, 30))
    assert experiments.balance(sums, "EUR").loc[0, ["treated", "holdout", "value"]].tolist() == [10, 10, 0]


# what experiments teach


def test_without_experiments_assumptions_stand():
    learned = experiments.learn(PLAYS, seen())
    assert learned["effect"].tolist() == [0.05] * 4
    assert not learned["learned"].any()
    assert learned["low"].tolist() == pytest.approx([0] * 4)  # an assumption reaches from zero to twice itself


def test_a_precise_experiment_replaces_the_assumption():
    learned = experiments.learn(PLAYS, seen(("coupon", 0.01, 0.009, 0.011))).set_index("name")
    assert learned.loc["coupon", "effect"] == pytest.approx(0.01, abs=0.001)
    assert learned.loc["call", "effect"] == 0.05


def test_a_vague_experiment_hardly_moves_it():
    learned = experiments.learn(PLAYS, seen(("coupon", -0.50, -1.5, 0.5))).set_index("name")
    assert learned.loc["coupon", "effect"] == pytest.approx(0.05, abs=0.01)


def test_normal_update_by_hand():
    """Prior 0.05 ± 0.05/1.96, observed 0.02 with the same error: halfway, and the variance halves."""
    learned = experiments.learn(PLAYS, seen(("coupon", 0.02, -0.03, 0.07))).set_index("name").loc["coupon"]
    assert learned["effect"] == pytest.approx(0.035)
    assert learned["high"] - learned["effect"] == pytest.approx(0.05 / np.sqrt(2))


def test_three_experiments_teach_the_actions_never_tried():
    half = seen(("coupon", 0.02, 0.01, 0.03), ("call", 0.03, 0.02, 0.04), ("bundle", 0.025, 0.015, 0.035))
    learned = experiments.learn(PLAYS, half).set_index("name")
    assert learned.loc["survey", "effect"] == pytest.approx(0.025)
    assert not learned.loc["survey", "learned"]


def test_learning_beats_assuming():
    """Simulated playbooks with half the effects assumed: the learned effects are closer to the truth."""
    rng, gains = np.random.default_rng(5), []
    for _k in range(20):
        plays = pd.DataFrame({"name": [f"a{i}" for i in range(8)], "effect": rng.uniform(0.02, 0.08, 8)})
        truth = plays["effect"] * rng.normal(0.5, 0.2, 8)
        value = truth + rng.normal(0, 0.015, 8)
        tried = pd.DataFrame({"action": plays["name"], "value": value})[:5]
        tried = tried.assign(low=tried["value"] - 0.0294, high=tried["value"] + 0.0294)
        learned = experiments.learn(plays, tried)["effect"]
        gains.append(np.mean((plays["effect"] - truth) ** 2) - np.mean((learned - truth) ** 2))
    assert np.mean(gains) > 0
    assert np.mean(np.array(gains) > 0) > 0.8
