"""clv.py: the articles' worked examples and their limits."""

import math
from datetime import date

import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.value import clv
from helpers.periods import Period


class TestKnownValues:
    def test_discounted_example(self):
        """By definition: m = 100, r = 0.8, d = 0.1 → 266.67, and 366.67 with the first margin."""
        assert clv.clv_discounted(100, 0.8, 0.1) == pytest.approx(266.67, abs=0.005)
        assert clv.clv_discounted(100, 0.8, 0.1, include_first=True) == pytest.approx(366.67, abs=0.005)

    def test_formula(self):
        """AOV 50 × 4 orders a year × 1 / 25 % churn × 40 % margin."""
        assert clv.clv_formula(50, 4, 0.25, 0.4, frequency_months=12, churn_months=12) == 320

    def test_inputs_of_six_customers(self, six_customers):
        """Active on 2026-03-31 (90 days): anna, ben, emil, fatima. Then anna buys three times, the others are lost."""
        found = clv.formula_inputs(six_customers, Period(date(2026, 4, 1), date(2026, 6, 30)), 90)
        assert found["customers"] == 4
        assert found["frequency"] == 0.75
        assert found["churn_rate"] == 0.75
        assert (found["aov"], found["margin_rate"], found["months"]) == (10_000, pytest.approx(0.4), 3)


class TestTwoRoads:
    @pytest.mark.parametrize("first", [True, False])
    def test_long_sums_reach_the_closed_form(self, first):
        by_hand = sum(100 * 0.8**t / 1.1**t for t in range(0 if first else 1, 400))
        assert clv.clv_discounted(100, 0.8, 0.1, include_first=first) == pytest.approx(by_hand)
        assert clv.clv_discounted(100, 0.8, 0.1, 400, include_first=first) == pytest.approx(by_hand)

    def test_monthly_periods_convert_the_yearly_rate(self):
        by_hand = sum(10 * 0.9**t / 1.1 ** (t / 12) for t in range(1, 13))
        assert clv.clv_discounted(10, 0.9, 0.1, 12, periods_per_year=12) == pytest.approx(by_hand)

    def test_no_discount_full_retention_counts_periods(self):
        assert clv.clv_discounted(100, 1.0, 0.0, 5) == 500


class TestBadInput:
    def test_mixed_periods_are_refused(self):
        with pytest.raises(ValueError, match="one period"):
            clv.clv_formula(50, 4, 0.02, frequency_months=12, churn_months=1)

    def test_nobody_lost_is_a_sentence(self):
        with pytest.raises(NotEnoughData, match="no end"):
            clv.clv_formula(50, 4, 0.0, frequency_months=12, churn_months=12)

    @pytest.mark.parametrize(("retention", "discount"), [(1.2, 0.1), (-0.1, 0.1), (0.5, -1.0)])
    def test_impossible_rates(self, retention, discount):
        with pytest.raises(ValueError, match="Retention"):
            clv.clv_discounted(100, retention, discount)

    def test_an_endless_sum_is_refused(self):
        with pytest.raises(ValueError, match="no end"):
            clv.clv_discounted(100, 1.0, 0.0)

    def test_a_period_without_customers(self, six_customers):
        with pytest.raises(NotEnoughData, match="No customer active"):
            clv.formula_inputs(six_customers, Period.month("2025-11"), 30)


class TestCohortAverage:
    def test_six_customers(self, six_customers):
        """Known on 2025-12-30: anna (six later orders), ben (one), carla (one), dora (none); 40 margin each."""
        found = clv.cohort_average(six_customers, date(2026, 6, 30), months=6)
        assert (found.value, found.n) == (pytest.approx(8 * 4_000 / 4), 4)

    def test_nobody_known_yet(self, six_customers):
        with pytest.raises(NotEnoughData, match="Nobody was a customer"):
            clv.cohort_average(six_customers, date(2026, 6, 30))

    def test_interval_holds_the_value(self, six_customers):
        found = clv.cohort_average(six_customers, date(2026, 6, 30), months=6)
        assert found.low <= found.value <= found.high
        assert not math.isnan(found.low)
