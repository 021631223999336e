"""Calendar arithmetic: month ends, trailing windows, and rates from one span to another."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers import periods

days = st.dates(date(1990, 1, 1), date(2090, 1, 1))


def test_thirty_percent_a_month_is_about_99_percent_a_year_and_back():
    """The worked example of the metrics: 30 %/month ≈ 98.6 %/year; 30 %/year ≈ 2.9 %/month."""
    assert periods.convert_rate(0.30, 1, 12) == pytest.approx(0.986, abs=5e-4)
    assert periods.convert_rate(0.30, 12, 1) == pytest.approx(0.029, abs=5e-4)


@given(st.floats(0, 0.999), st.integers(1, 24), st.integers(1, 24))
def test_converting_there_and_back_is_the_identity(rate, a, b):
    assert periods.convert_rate(periods.convert_rate(rate, a, b), b, a) == pytest.approx(rate, abs=1e-9)


@given(days, st.integers(-60, 60))
def test_months_added_are_months_between(day, months):
    assert periods.months_between(day, periods.add_months(day, months)) == months


@given(days, st.integers(1, 36))
def test_a_trailing_period_ends_on_as_of_and_its_eve_is_the_same_day_earlier(day, months):
    period = periods.Period.trailing(day, months)
    assert period.t1 == day
    assert period.t0 == periods.add_months(day, -months)


def test_trailing_year_of_a_month_end_starts_on_the_first():
    assert periods.Period.trailing(date(2024, 2, 29), 12).start == date(2023, 3, 1)


def test_a_period_is_a_month_only_if_it_is_whole():
    assert periods.Period(date(2026, 10, 1), date(2026, 10, 31)).label == "2026-10"
    assert periods.Period(date(2026, 10, 1), date(2026, 10, 30)).label == "2026-10-01..2026-10-30"


def test_months_of_an_unfinished_month_stop_before_it():
    assert [m.label for m in periods.months_of(date(2026, 10, 30), 2)] == ["2026-08", "2026-09"]


@pytest.mark.parametrize("text", ["31/02/2026", "2026-02-30", "today", ""])
def test_a_date_that_is_none_says_how_to_write_it(text):
    with pytest.raises(ValueError, match="Write it as 2026-10-31"):
        periods.as_date(text)


def test_a_period_does_not_end_before_it_starts():
    with pytest.raises(ValueError, match="before it starts"):
        periods.Period(date(2026, 1, 2), date(2026, 1, 1))


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_lies_between_zero_and_one(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        periods.convert_rate(rate, 1, 12)
