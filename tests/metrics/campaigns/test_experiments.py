"""experiments.py: known values, simulated truths, bad input, edges."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from helpers.estimates import Z_95
from helpers.metrics.campaigns import effect, experiments
from helpers.metrics.groups.markets import UNKNOWN

PLAYS = pd.DataFrame({"name": ["coupon", "call", "bundle", "survey"], "segment": "lapsed", "effect": 0.05})


def seen(*rows, segment="lapsed"):
    return pd.DataFrame(rows, columns=["action", "value", "low", "high"]).assign(segment=segment)


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
    assert (learned["source"] == "assumption").all()
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
    assert learned.loc["survey", "source"] == "assumption"


def test_an_action_learns_from_its_own_segment_alone():
    """By hand on the segment's result: prior 0.05 ± 0.05/1.96, observed 0.02 with the same error, so halfway: 0.035."""
    lapsed, new = seen(("coupon", 0.02, -0.03, 0.07)), seen(("coupon", 0.20, 0.19, 0.21), segment="new")
    learned = experiments.learn(PLAYS, pd.concat([new, lapsed])).set_index("name").loc["coupon"]
    assert learned["effect"] == pytest.approx(0.035)
    assert (learned["experiments"], learned["source"]) == (1, "segment")


def test_what_was_found_in_other_segments_leaves_the_assumption():
    """Three results far off the assumption, all in another segment: neither the action nor the others move."""
    other = seen(*[(name, 0.20, 0.19, 0.21) for name in ("coupon", "call", "bundle")], segment="new")
    learned = experiments.learn(PLAYS, other).set_index("name")
    assert learned["effect"].tolist() == [0.05] * 4
    assert learned["source"].tolist() == ["elsewhere"] * 3 + ["assumption"]


def test_an_experiment_without_segments_speaks_for_all_but_measured_ones():
    whole = seen(("coupon", 0.02, -0.03, 0.07), segment=UNKNOWN)
    learned = experiments.learn(PLAYS, whole).set_index("name").loc["coupon"]
    assert (learned["effect"], learned["source"]) == (pytest.approx(0.035), "campaign")
    both = pd.concat([whole.assign(value=0.90, low=0.85, high=0.95), seen(("coupon", 0.02, -0.03, 0.07))])
    assert experiments.learn(PLAYS, both).set_index("name").loc["coupon", "effect"] == pytest.approx(0.035)


def test_learning_beats_assuming():
    """Simulated playbooks with half the effects assumed: the learned effects are closer to the truth."""
    rng, gains = np.random.default_rng(5), []
    for _k in range(20):
        plays = pd.DataFrame({"name": [f"a{i}" for i in range(8)], "segment": "lapsed", "effect": rng.uniform(0.02, 0.08, 8)})
        truth = plays["effect"] * rng.normal(0.5, 0.2, 8)
        value = truth + rng.normal(0, 0.015, 8)
        tried = pd.DataFrame({"action": plays["name"], "segment": "lapsed", "value": value})[:5]
        tried = tried.assign(low=tried["value"] - 0.0294, high=tried["value"] + 0.0294)
        learned = experiments.learn(plays, tried)["effect"]
        gains.append(np.mean((plays["effect"] - truth) ** 2) - np.mean((learned - truth) ** 2))
    assert np.mean(gains) > 0
    assert np.mean(np.array(gains) > 0) > 0.8


def test_effects_that_are_alike_do_not_differ_and_one_apart_is_named():
    """Cochran 1954: Q = sum of w (x - mean)^2 on k - 1 degrees of freedom; here by hand for three groups of one precision."""
    groups = pd.DataFrame({"market": ["DE", "FR", "JP"], "value": [0.01, 0.03, 0.11], "n": [100, 200, 300]})
    se = 0.02
    groups = groups.assign(low=groups["value"] - Z_95 * se, high=groups["value"] + Z_95 * se)
    q = sum(((groups["value"] - 0.05) / se) ** 2)
    p_value, apart, rest = experiments.heterogeneity(groups, "market")
    assert p_value == pytest.approx(float(stats.chi2.sf(q, 2)), rel=1e-9)
    assert (apart, rest.n) == ("JP", 300)
    assert rest.value == pytest.approx(0.02) and rest.high - rest.value == pytest.approx(Z_95 * se / 2**0.5)
    alike = groups.assign(value=0.03, low=-0.01, high=0.07)
    assert experiments.heterogeneity(alike, "market")[0] == pytest.approx(1.0)


def test_learning_says_what_was_found_and_how_much_it_counts_for():
    """Normal prior and normal result: the weight of the result is the prior's share of both variances."""
    plays = pd.DataFrame({"name": ["coupon"], "segment": "lapsed", "effect": [0.03]})
    seen = pd.DataFrame({"action": ["coupon"], "segment": "lapsed", "value": [0.01], "low": [0.01 - 0.03], "high": [0.01 + 0.03]})
    row = experiments.learn(plays, seen).iloc[0]
    assert row["weight"] == pytest.approx(0.5) and row["found"] == pytest.approx(0.01)
    assert row["effect"] == pytest.approx(0.5 * 0.01 + 0.5 * 0.03)


def test_an_action_that_worked_elsewhere_is_worth_listing_only_where_it_is_not_listed_and_clearly_worked():
    plays = pd.DataFrame({"name": ["coupon", "call"], "segment": ["lapsed", "new"], "effect": 0.03})
    rows = [("coupon", "lapsed", 0.05, 0.02), ("coupon", "new", 0.07, 0.03), ("coupon", "steady", 0.07, -0.01),
            ("flyer", "new", 0.09, 0.05), ("coupon", "unknown", 0.09, 0.05)]
    seen = pd.DataFrame(rows, columns=["action", "segment", "value", "low"]).assign(high=0.2)
    assert experiments.elsewhere(plays, seen)[["action", "segment"]].values.tolist() == [["coupon", "new"]]
    assert experiments.elsewhere(plays, seen.iloc[:0]).empty
