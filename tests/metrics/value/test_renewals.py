"""renewals.py: Fader & Hardie's two cohorts, sums against closed forms, cohorts that say nothing."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from published_values import DERL_CASES, SBG_HIGH_END, SBG_PARAMETERS, SBG_REGULAR

from helpers.estimates import NotEnoughData
from helpers.metrics.value import renewals
from helpers.metrics.value.fits import Fit

COHORTS = {"regular": SBG_REGULAR, "high end": SBG_HIGH_END}


def fit_of(alpha: float, beta: float) -> Fit:
    return Fit("sbg", {"alpha": alpha, "beta": beta}, np.eye(2), 0.0, 1, 1)


def lives(left: list[int]) -> pd.DataFrame:
    """Period counts of one cohort, from the customers left after 0, 1, 2, … periods."""
    lost = -np.diff(left)
    return pd.DataFrame({"period": range(1, len(left)), "lost": lost, "still": [0] * (len(lost) - 1) + [left[-1]]})


class TestKnownValues:
    @pytest.mark.parametrize("name", COHORTS)
    def test_fader_and_hardie_2007(self, name):
        """Table 1: fitted on seven years, years eight to twelve forecast within two points."""
        left = [round(10 * share) for share in COHORTS[name]]
        fitted = renewals.fit_sbg(lives(left[:8]))
        assert list(fitted.params.values()) == pytest.approx(SBG_PARAMETERS[name], abs=1e-3)
        assert renewals.survival(fitted, range(13)) == pytest.approx(np.array(left) / 1000, abs=0.02)

    @pytest.mark.parametrize(("parameters", "published"), DERL_CASES.items())
    def test_fader_and_hardie_2010(self, parameters, published):
        """Table 3: customers in their first to fifth period; case 2's first value is printed from more digits."""
        assert renewals.derl(fit_of(*parameters), range(5), 0.1) == pytest.approx(published, rel=2e-3)


class TestTwoRoads:
    def test_of_two_subscriptions_one_renews(self):
        """α = β = 1: S(1) = ½."""
        table = pd.DataFrame({"period": [1], "lost": [1], "still": [1]})
        assert renewals._log_likelihood(table, 1.0, 1.0) == pytest.approx(2 * np.log(0.5))

    def test_derl_is_the_discounted_sum_of_survival(self):
        fitted, n, periods = fit_of(3.8, 15.2), 2, np.arange(1, 2_000)
        shares = renewals.survival(fitted, n + periods) / renewals.survival(fitted, n)
        assert renewals.derl(fitted, n, 0.1) == pytest.approx((shares / 1.1 ** (periods - 1)).sum())

    def test_survival_is_the_product_of_the_renewal_rates(self):
        """Fader & Hardie (2007): of those left, (β + t − 1) / (α + β + t − 1) renew at t."""
        t = np.arange(1, 9)
        assert np.prod((1.2 + t - 1) / (0.7 + 1.2 + t - 1)) == pytest.approx(renewals.survival(fit_of(0.7, 1.2), 8))

    def test_true_parameters_lie_within_two_standard_errors(self):
        rng = np.random.default_rng(4)
        ends = rng.geometric(rng.beta(0.8, 2.0, 20_000))
        fitted = renewals.fit_sbg(lives([(ends > t).sum() for t in range(13)]))
        for name, truth in {"alpha": 0.8, "beta": 2.0}.items():
            assert abs(fitted.params[name] - truth) < 2 * fitted.errors[name]


class TestEdges:
    def test_subscriptions_become_counts(self):
        moves = ibis.memtable({
            "subscription_id": ["a", "a", "b", "c", "d", "d"], "kind": ["new", "churn", "new", "new", "new", "churn"],
            "date": [date(2026, 1, 1), date(2026, 1, 20), date(2026, 1, 1), date(2026, 3, 20), date(2026, 1, 1),
                     date(2026, 5, 1)]})
        rows = renewals.subscription_lives(moves, date(2026, 3, 31))
        assert rows.values.tolist() == [[1, 1, 0], [2, 0, 2]]  # d ends after the day; c has seen no renewal yet

    @pytest.mark.parametrize("left", [[100, 100, 100], [100, 90], [10, 5, 3]])
    def test_too_little_is_a_sentence(self, left):
        with pytest.raises(NotEnoughData, match="subscriptions have ended"):
            renewals.fit_sbg(lives(left))

    def test_subscribers_who_are_all_alike_have_one_rate(self):
        """A geometric life, 20 % leave each month; and one in which they leave faster and faster, which no mixture explains."""
        alike = lives([100_000, 80_000, 64_000, 51_200, 40_960])
        assert renewals.fit_sbg(alike) is None
        assert renewals.fit_sbg(lives([100_000, 95_000, 85_000, 70_000, 50_000])) is None
        rate = renewals.average_rate(alike)
        assert rate.value == pytest.approx(0.8) and rate.low < 0.8 < rate.high and rate.n == 100_000

    def test_the_interval_of_that_rate_holds_the_truth_as_often_as_it_says(self):
        """400 lots of 200 subscriptions that leave alike, followed for a year."""
        draws, inside = np.random.default_rng(4), 0
        for _lot in range(400):
            ends = draws.geometric(0.1, 200)
            found = renewals.average_rate(lives([(ends > t).sum() for t in range(13)]))
            inside += found.low <= 0.9 <= found.high
        assert 0.92 <= inside / 400 <= 0.98
