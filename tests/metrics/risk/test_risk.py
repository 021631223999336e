"""risk.py: simulated causes found, two roads to one probability, bad input, edges."""

from datetime import timedelta

import churners
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from churners import plain
from scipy import special

from helpers.estimates import NotEnoughData
from helpers.metrics.risk import risk
from helpers.metrics.value import btyd, expectations, histories

DAY = churners.AS_OF - timedelta(days=churners.WINDOW)


@pytest.fixture(scope="module")
def lazy():
    tables = churners.tables()
    return risk.snapshot(tables, DAY, churners.WINDOW, tables.occasions)


@pytest.fixture(scope="module")
def rows(lazy):
    return risk.sample(lazy)


# two roads to one number


def test_log_odds_in_the_engine_are_those_of_expectations(lazy):
    """1 − P(alive) (1 − P(no purchase in W | alive)), P(alive) by expectations.p_alive."""
    fitted = btyd.fit(histories.counts(histories.histories(churners.tables().occasions, DAY)))
    each = lazy.limit(200).execute()
    x, age = each["times"] - 1, each["age_days"]
    alive = expectations.p_alive(fitted, x, each["span_days"], age)
    r, alpha = fitted.params["r"], fitted.params["alpha"]
    silent = ((alpha + age) / (alpha + age + churners.WINDOW)) ** (r + x)
    engine = special.expit(each["alive_log_odds"].to_numpy())
    assert engine == pytest.approx((1 - alive * (1 - silent)).to_numpy(), abs=1e-9)


def test_probabilities_in_the_engine_are_those_of_the_model(lazy, rows):
    for model in (risk.fit_alive(rows), risk.fit_signals(rows)):
        engine = risk.with_probability(lazy, model).execute()["churn_probability"]
        assert np.sort(engine) == pytest.approx(np.sort(risk.predict(model, rows)))


def test_fit_is_statsmodels_logit(rows):
    oracle = sm.Logit(rows["left"], sm.add_constant(rows[["alive_log_odds"]])).fit(disp=0)
    assert risk.fit_alive(rows).params == pytest.approx(oracle.params.to_numpy())


def test_mean_probability_is_the_share_that_left(rows):
    """A Logit with constant reproduces the share in its own rows; the interval holds it."""
    share = risk.expected_share(risk.fit_signals(rows), rows)
    assert share.value == pytest.approx(rows["left"].mean())
    assert share.low < share.value < share.high


def test_intervals_of_groups_hold_what_happens_as_often_as_they_say():
    """300 times: a model is taught on some customers; of others, 25 with the signal and 400 in all, the share that leaves."""
    rng, inside = np.random.default_rng(7), {25: 0, 400: 0}
    for _ in range(300):
        signal = np.r_[np.ones(25), rng.normal(size=375)], rng.normal(size=400)
        now, before = (pd.DataFrame({"alive_log_odds": each}) for each in signal)
        left = [rng.random(400) < special.expit(-2 + 0.8 * each["alive_log_odds"]) for each in (now, before)]
        model = risk.fit_alive(before.assign(left=left[1].astype(int)))
        for n in inside:
            share = risk.expected_share(model, now[:n])
            assert 0 < share.low < share.high < 1
            inside[n] += share.low <= left[0][:n].mean() <= share.high
    assert 0.92 <= inside[25] / 300 <= 0.99
    assert 0.92 <= inside[400] / 300 <= 0.98


# what goes with leaving


def test_a_late_first_parcel_is_found_and_the_market_is_not(rows):
    """The simulation makes late first parcels, and nothing else, raise the odds of leaving."""
    found = risk.odds_ratios(risk.fit_signals(rows)).set_index("signal")
    assert found.loc["late_first", "low"] > 1
    assert not found.loc["home_market=JP", "called"]


def test_odds_ratios_cover_the_weights():
    found = risk.odds_ratios(risk.fit_signals(plain(20_000, a=0.7, b=-0.4, c=0.0))).set_index("signal")
    for name, weight in (("a", 0.7), ("b", -0.4), ("c", 0.0)):
        assert found.loc[name, "low"] < np.exp(weight) < found.loc[name, "high"]
    assert found["called"][["a", "b", "c", "home_market=JP"]].tolist() == [True, True, False, False]


def test_signals_that_mean_nothing_are_rarely_called():
    """12 empty signals in 40 data sets: Benjamini–Hochberg calls any in at most 6 of them (5 % expected)."""
    weights = dict.fromkeys("abcdefghijkl", 0.0)
    called = [risk.odds_ratios(risk.fit_signals(plain(600, seed=k, **weights)))["called"].any() for k in range(40)]
    assert sum(called) <= 6


def test_the_largest_of_each_kind_is_what_others_are_compared_with():
    rows = pd.DataFrame({"home_market": ["JP", "DE", "DE", None], "first_acquisition_channel": [None] * 4})
    assert risk.references(rows) == {"home_market": "DE"}


# bad input and edges


def test_collinear_and_constant_signals_are_left_out():
    frame = plain(a=0.5, b=0.2)
    frame = frame.assign(same=frame["a"], both=frame["a"] + 2 * frame["b"], flat=1.0)
    columns = risk.fit_signals(frame).columns
    assert "flat" not in columns
    assert len({"a", "b", "same", "both"} & set(columns)) == 2


def test_small_markets_count_to_the_largest():
    assert "home_market=AE" not in risk.fit_signals(plain(2_000, a=0.1)).columns


def test_a_signal_only_leavers_show_is_left_out():
    frame = plain(a=0.5)
    frame["only"] = frame["left"] * (np.arange(len(frame)) % 3 == 0)
    assert "only" not in risk.fit_signals(frame).columns


def test_too_few_customers_is_a_sentence():
    with pytest.raises(NotEnoughData, match="200 active customers"):
        risk.fit_alive(plain(150, a=0.1))
    with pytest.raises(NotEnoughData, match="0 left"):
        risk.fit_signals(plain(500, a=0.1).assign(left=0))


def test_large_snapshots_are_sampled_by_bucket(lazy):
    half, again = risk.sample(lazy, most=300), risk.sample(lazy, most=300)
    assert 200 < len(half) < 400
    pd.testing.assert_frame_equal(half, again)
    assert "customer_id" not in half
