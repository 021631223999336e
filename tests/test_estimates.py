"""Intervals: Wilson for proportions, a seeded bootstrap for ratios of sums."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import estimates

counts = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


def test_wilson_is_the_textbook_interval():
    """Wilson (1927) by hand for 10 of 200: its centre and half width are worked out below."""
    z, k, n = 1.959963984540054, 10, 200
    p = k / n
    centre, scale = (p + z * z / (2 * n)) / (1 + z * z / n), 1 / (1 + z * z / n)
    half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) * scale
    assert estimates.proportion(k, n) == pytest.approx((0.05, centre - half, centre + half, 200))


@given(counts)
def test_the_interval_holds_the_share_and_stays_inside_zero_and_one(pair):
    found = estimates.proportion(*pair)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


@given(counts)
def test_stayed_and_left_mirror_each_other(pair):
    k, n = pair
    stayed, left = estimates.proportion(k, n), estimates.proportion(n - k, n)
    assert stayed.low == pytest.approx(1 - left.high, abs=1e-12)


def test_nobody_asked_is_not_zero_percent():
    assert math.isnan(estimates.proportion(0, 0).value)


def test_more_successes_than_trials_is_an_error():
    with pytest.raises(ValueError, match="must lie between 0 and 'of'"):
        estimates.with_wilson(pd.DataFrame({"k": [3], "of": [2]}), "k", "of")


def test_the_bootstrap_interval_covers_the_truth_95_times_in_100():
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(200):
        spend = rng.gamma(2, 20, size=300)
        found = estimates.ratio_of_sums(spend, np.ones(300))
        hits += found.low <= 40 <= found.high
    assert 0.90 <= hits / 200 <= 0.99


def test_buckets_of_customers_give_the_interval_of_customers():
    spend = np.random.default_rng(2).gamma(1, 50, size=60_000)
    one_by_one = estimates.ratio_of_sums(spend[:20_000], np.ones(20_000))
    bucket = np.arange(20_000) % 1_000
    sums = np.bincount(bucket, spend[:20_000])
    grouped = estimates.ratio_of_sums(sums, np.bincount(bucket), n=20_000)
    assert grouped.value == pytest.approx(one_by_one.value)
    assert grouped.high - grouped.low == pytest.approx(one_by_one.high - one_by_one.low, rel=0.10)


def test_the_same_seed_gives_the_same_interval():
    assert estimates.ratio_of_sums([1, 2, 3], [1, 1, 1]) == estimates.ratio_of_sums([1, 2, 3], [1, 1, 1])


def test_one_customer_has_a_value_and_no_interval():
    found = estimates.ratio_of_sums([5.0], [1.0])
    assert found.value == 5.0
    assert math.isnan(found.low)


def test_a_row_is_read_alike_from_a_table_and_from_its_tuples():
    """What is missing is no number, whichever way the table says so, and the value it has no interval for stays."""
    table = pd.DataFrame({"value": [0.5, 0.2], "low": pd.array([None, 0.1], "Float64"), "high": [np.nan, 0.3],
                          "n": pd.array([None, 40], "Int64"), "market": ["DE", "FR"]})
    rows = [[estimates.Estimate.of(row) for row in table.itertuples()], [estimates.Estimate.of(table.iloc[k]) for k in (0, 1)]]
    for blank, whole in rows:
        assert (blank.value, blank.n) == (0.5, 0)
        assert math.isnan(blank.low) and math.isnan(blank.high)
        assert whole == (0.2, 0.1, 0.3, 40)
        assert type(whole.n) is int


def test_no_denominator_is_no_number():
    assert math.isnan(estimates.ratio_of_sums([1.0, 2.0], [0.0, 0.0]).value)
