"""Numbers, money and dates in several languages."""

from decimal import Decimal

import pytest
from babel import Locale

from helpers.report import formats


@pytest.mark.parametrize(("language", "currency", "size", "text"), [
    ("en", "EUR", "9.80", "€9.80"), ("de", "EUR", "1234.50", "1.234,50\xa0€"), ("ja", "JPY", "1980", "￥1,980"),
    ("en", "KWD", "1.234", "KWD\xa01.234"),
])  # fmt: skip
def test_money_stands_as_the_language_puts_it(language, currency, size, text):
    assert formats.money(Decimal(size), currency, Locale(language)) == text


@pytest.mark.parametrize(("currency", "text"), [("EUR", "12.35"), ("JPY", "12"), ("KWD", "12.346")])
def test_money_has_the_digits_of_its_currency(currency, text):
    assert formats.rounded(12.3456, "money", "", currency) == Decimal(text)


def test_dates_follow_the_language():
    assert formats.day("2026-10-31", Locale("zh")) == "2026年10月31日"
    assert formats.month("2026-10", Locale("de")) == "Oktober 2026"
