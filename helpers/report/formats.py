"""Numbers, money and dates written as a language writes them, by babel; what they are called stands in the texts."""

import html
import re
from decimal import Decimal

from babel import Locale, dates, numbers

from helpers.money import exponent
from helpers.periods import as_date, month_start

DIGITS = {"percent": 1, "points": 1, "ratio": 1, "number": 1, "count": 0, "p": 3}
LEAST_P = Decimal("0.001")  # a smaller probability is written as less than this, never as none
SHOWN_TIMES_100 = ("percent", "points")
WHOLE_MONEY_FROM = 1_000  # cents beside thousands are noise
WHOLE_SHORT_FROM = 100  # and beside hundreds, where a sentence is no account
UNKNOWN = "–"
_CODE_BEFORE_DIGIT = re.compile(r"[A-Za-z](?=\d)")
_SIGN = re.compile(r"[+−](?=[^\s\d&])")
_NUMBER = re.compile(r"[#0][#0.,]*")


def rounded(value: float, kind: str, digits: str, currency: str) -> Decimal:
    """A number as it will be printed: rounded to the digits of its kind, percent and points times 100.

    >>> rounded(0.18249, "percent", "", "EUR"), rounded(1980, "money", "", "JPY")
    (Decimal('18.2'), Decimal('1980'))
    """
    size = value * (100 if kind in SHOWN_TIMES_100 else 1)
    if digits:
        places = int(digits)
    elif kind == "money":
        places = 0 if abs(size) >= WHOLE_MONEY_FROM else exponent(currency)
    else:
        places = DIGITS[kind]
    return Decimal(f"{size:.{places}f}")


def finer(spec: str) -> str:
    """The spec of a number with one decimal more; that of money with two.

    >>> finer("percent.0"), finer("+ratio"), finer("money")
    ('percent.1', '+ratio.2', 'money.2')
    """
    kind, _, digits = spec.partition(".")
    name = kind.lstrip("+")
    return f"{kind}.{2 if name == 'money' else int(digits or DIGITS[name]) + 1}"


def number(size: Decimal, locale: Locale) -> str:
    """A number with the language's separators, all its digits written.

    >>> number(Decimal("1234.50"), Locale("de"))
    '1.234,50'
    """
    return numbers.format_decimal(size, _pattern(size), locale=locale)


def money(size: Decimal, currency: str, locale: Locale) -> str:
    """An amount with its currency, all its digits written.

    >>> money(Decimal("9.80"), "EUR", Locale("en"))
    '€9.80'
    """
    standard = locale.currency_formats["standard"].pattern.split(";")[0]  # where the symbol stands is the language's
    pattern = _NUMBER.sub(_pattern(size), standard)
    text = numbers.format_currency(size, currency, pattern, locale=locale, currency_digits=False)
    return _CODE_BEFORE_DIGIT.sub("\\g<0>\N{NO-BREAK SPACE}", text)


def day(value, locale: Locale, short: bool = False) -> str:
    """A date in words; unknown for a missing one.

    >>> day("2026-10-31", Locale("en", "GB")), day("2026-10-31", Locale("en", "GB"), short=True)
    ('31 October 2026', '31 Oct 2026')
    """
    date = as_date(value)
    return UNKNOWN if date != date else dates.format_date(date, "medium" if short else "long", locale=locale)


def month(value, locale: Locale, short: bool = False) -> str:
    """A month in words, from a date or YYYY-MM.

    >>> month("2026-10", Locale("en")), month("2026-10", Locale("zh"))
    ('October 2026', '2026年10月')
    """
    date = value if value != value else month_start(value)  # a missing date is not equal to itself
    return UNKNOWN if date != date else dates.format_skeleton("yMMM" if short else "yMMMM", date, locale=locale)


def escaped(text: str) -> str:
    """A text for HTML: its special characters escaped, signs and "n =" kept on the line of their number.

    >>> escaped("<b> n = 5")
    '&lt;b&gt; n&nbsp;=&nbsp;5'
    """
    return _SIGN.sub(r"\g<0>&NoBreak;", html.escape(text)).replace("n = ", "n&nbsp;=&nbsp;")


def _pattern(size: Decimal) -> str:
    places = -size.as_tuple().exponent
    return "#,##0" + ("." + "0" * places if places else "")
