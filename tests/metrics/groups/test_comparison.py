"""Tests between markets, their correction, and shrinkage."""

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_effectsize

from helpers.metrics.groups.comparison import adjusted, against_rest, pairs_of, pairwise, shrunk
from helpers.metrics.groups.standardise import shares

ALL = ["age_band"]  # one stratum that holds everybody: the groups are compared as they are


def table_of(**markets):
    rows = [(market, k, n) for market, (k, n) in markets.items()]
    return shares(pd.DataFrame(rows, columns=["market", "k", "of"]), "k", "of").assign(**{ALL[0]: "all"})


# known values


def test_the_effect_is_cohens_h():
    found = pairwise(table_of(A=(56, 70), B=(48, 80)), True, ALL).iloc[0]
    assert found["difference"] == pytest.approx(0.2)
    assert found["effect"] == pytest.approx(proportion_effectsize(0.8, 0.6))


def test_pairs_of_estimates_are_those_of_the_customers_behind_them():
    """Two roads: means of customers compared by `pairwise`, and by their values and intervals alone."""
    draw = np.random.default_rng(1)
    spent = {market: draw.normal(mean, 10.0, 400) for market, mean in (("A", 50.0), ("B", 51.0), ("C", 54.0))}
    sums = [dict(market=m, n=400, x=x.sum(), y=400.0, xx=(x**2).sum(), xy=x.sum(), yy=400.0) for m, x in spent.items()]
    ends = [(m, x.mean(), 1.959964 * x.std(ddof=1) / 20) for m, x in spent.items()]
    known = pd.DataFrame([dict(market=m, value=v, low=v - e, high=v + e, n=400) for m, v, e in ends])
    one, other = pairwise(pd.DataFrame(sums).assign(age_band="all"), False, ALL), pairs_of(known)
    assert other[["difference", "p"]].to_numpy() == pytest.approx(one[["difference", "p"]].to_numpy(), rel=0.02)


def test_the_mean_difference_in_standard_deviations():
    """Two groups of 100 with sd 10 and means 50 and 55: d = −0.5 but for the pooled mean's share of the spread."""
    frame = pd.DataFrame(
        {
            "market": ["A", "B"],
            "age_band": "all",
            "n": 100,
            "x": [5000.0, 5500.0],
            "y": 100.0,
            "xy": [5000.0, 5500.0],
            "yy": 100.0,
            "xx": [100 * 2500 + 9900.0, 100 * 3025 + 9900.0],
        }
    )
    found = pairwise(frame, False, ALL).iloc[0]
    assert found["difference"] == pytest.approx(-5.0)
    assert found["difference_high"] - found["difference_low"] == pytest.approx(2 * 1.96 * np.sqrt(2 * 100 / 100), rel=0.01)
    assert -0.5 < found["effect"] < -0.45


# two roads to one number


def test_p_values_are_corrected_as_benjamini_and_hochberg_do():
    p = against_rest(table_of(A=(30, 100), B=(45, 100), C=(31, 100), D=(33, 100)), True, ALL)["p"]
    assert adjusted(p).tolist() == pytest.approx(multipletests(p, method="fdr_bh")[1].tolist())
    assert (adjusted(p) >= p - 1e-12).all()


def test_few_markets_are_called_different_when_none_is():
    """30 simulations of five equal markets: at most four have any difference that holds (5 % are expected)."""
    draw, wrong = np.random.default_rng(4), 0
    for _ in range(30):
        k = draw.binomial(300, 0.2, 5)
        found = against_rest(
            table_of(**{name: (int(each), 300) for name, each in zip("ABCDE", k, strict=True)}), True, ALL
        )
        wrong += (adjusted(found["p"]) < 0.05).any()
    assert wrong <= 4


def test_a_difference_of_mix_alone_vanishes_in_its_strata():
    rows = [("A", "new", 20, 200), ("A", "old", 30, 60), ("B", "new", 10, 100), ("B", "old", 200, 400)]
    table = shares(pd.DataFrame(rows, columns=["market", "age_band", "k", "of"]), "k", "of")
    assert pairwise(table.assign(whole="all"), True, ["whole"])["p"].iloc[0] < 1e-6
    even = pairwise(table, True, ["age_band"]).iloc[0]
    assert even["difference"] == pytest.approx(0) and even["p"] > 0.9


def test_shrinking_cuts_the_error_of_small_markets():
    """30 markets whose true shares spread by 5 points, seen with an error of 10: the shrunken are nearer the truth."""
    draw = np.random.default_rng(6)
    truth = draw.normal(0.3, 0.05, 30)
    seen = pd.DataFrame(
        {"market": [f"M{k:02}" for k in range(30)], "value": truth + draw.normal(0, 0.10, 30), "se": 0.10}
    )
    found = shrunk(seen)
    error, pulled = (np.sqrt(((found[name] - truth) ** 2).mean()) for name in ("value", "shrunk"))
    assert pulled < 0.7 * error
    average = seen["value"].mean()  # alike in their errors: all are drawn to it, and none beyond
    assert ((found["shrunk"] - average).abs() <= (found["value"] - average).abs()).all()


# edges


def test_nobody_and_everybody():
    """No success anywhere, or nothing but successes: no difference, and nothing to test it by."""
    for k in (0, 50):
        found = pairwise(table_of(A=(k, 50), B=(k, 50)), True, ALL).iloc[0]
        assert found["difference"] == 0.0 and np.isnan(found["p"])


def test_markets_without_a_stratum_in_common_cannot_be_compared():
    rows = [("A", "new", 20, 200), ("B", "old", 200, 400)]
    table = shares(pd.DataFrame(rows, columns=["market", "age_band", "k", "of"]), "k", "of")
    assert pairwise(table, True, ["age_band"])[["difference", "p"]].isna().all(axis=None)


def test_two_markets_are_not_shrunk_and_one_without_error_is_left():
    two = pd.DataFrame({"market": ["A", "B"], "value": [0.1, 0.9], "se": [0.2, 0.2]})
    assert shrunk(two)["shrunk"].tolist() == [0.1, 0.9]
    three = pd.DataFrame({"market": list("ABCD"), "value": [0.1, 0.2, 0.3, 0.9], "se": [0.1, 0.1, 0.1, 0.0]})
    assert shrunk(three)["shrunk"].iloc[3] == 0.9
