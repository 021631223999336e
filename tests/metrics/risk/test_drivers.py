"""drivers.py: simulated causes found, empty signals left alone."""

from datetime import timedelta

import churners
import numpy as np
import pandas as pd
import pytest
from churners import plain

from helpers.metrics.risk import drivers, risk

DAY = churners.AS_OF - timedelta(days=churners.WINDOW)


@pytest.fixture(scope="module")
def rows():
    tables = churners.tables()
    return risk.sample(risk.snapshot(tables, DAY, churners.WINDOW, tables.occasions))


def test_a_late_first_parcel_is_found_and_the_market_is_not(rows):
    """The simulation makes late first parcels, and nothing else, raise the odds of leaving."""
    found = drivers.odds_ratios(risk.fit_signals(rows)).set_index("signal")
    assert found.loc["late_first", "low"] > 1
    assert not found.loc["home_market=JP", "called"]


def test_odds_ratios_cover_the_weights():
    found = drivers.odds_ratios(risk.fit_signals(plain(20_000, a=0.7, b=-0.4, c=0.0))).set_index("signal")
    for name, weight in (("a", 0.7), ("b", -0.4), ("c", 0.0)):
        assert found.loc[name, "low"] < np.exp(weight) < found.loc[name, "high"]
    assert found["called"][["a", "b", "c", "home_market=JP"]].tolist() == [True, True, False, False]


def test_signals_that_mean_nothing_are_rarely_called():
    """12 empty signals in 40 data sets: Benjamini–Hochberg calls any in at most 6 of them (5 % expected)."""
    weights = dict.fromkeys("abcdefghijkl", 0.0)
    called = [drivers.odds_ratios(risk.fit_signals(plain(600, seed=k, **weights)))["called"].any() for k in range(40)]
    assert sum(called) <= 6


def test_the_largest_of_each_kind_is_what_others_are_compared_with():
    rows = pd.DataFrame({"home_market": ["JP", "DE", "DE", None], "first_acquisition_channel": [None] * 4})
    assert drivers.references(rows) == {"home_market": "DE"}
