"""Texts into values, as DuckDB says them: moments, numbers, currencies, countries, whole minor units."""

import os
import re
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import available_timezones

import ibis
import ibis.expr.types as ir
from babel import Locale
from babel.core import get_global

from helpers.intake.contract import WORDS
from helpers.intake.recognise import plain
from helpers.money import exponent

COUNTRY_LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "pl", "pt", "sv", "ja", "zh")
MACROS = r"""
CREATE OR REPLACE MACRO tidy(t) AS regexp_replace(regexp_replace(replace(regexp_replace(t,
    '[A-Z]{0,2}[$]|[\s\x{00A0}\x{202F}''’$€£¥₹₩₫฿]|^[A-Za-z]{3}|[A-Za-z]{3}$', '', 'g'), '−', '-'), '^\((.+)\)$', '-\1'), '^(.+)-$', '-\1');
CREATE OR REPLACE MACRO sensible(v) AS CASE WHEN abs(v) < 1e13 THEN v END;
CREATE OR REPLACE MACRO careful_point(b) AS try_cast(CASE
    WHEN regexp_full_match(b, '[-+]?\d{1,3}(,\d{2,3})*,\d{3}(\.\d*)?') THEN replace(b, ',', '')
    WHEN regexp_full_match(b, '[-+]?(\d+\.?\d*|\.\d+)') THEN b END AS DOUBLE);
CREATE OR REPLACE MACRO careful_comma(b) AS try_cast(CASE
    WHEN regexp_full_match(b, '[-+]?\d{1,3}(\.\d{2,3})*\.\d{3}(,\d*)?') THEN replace(replace(b, '.', ''), ',', '.')
    WHEN regexp_full_match(b, '[-+]?(\d+,?\d*|,\d+)') THEN replace(b, ',', '.') END AS DOUBLE);
CREATE OR REPLACE MACRO number_point(t) AS CASE WHEN regexp_full_match(t, '-?\d{1,12}(\.\d{1,15})?') THEN try_cast(t AS DOUBLE)
    ELSE sensible(careful_point(tidy(t))) END;
CREATE OR REPLACE MACRO number_comma(t) AS sensible(careful_comma(tidy(t)));
CREATE OR REPLACE MACRO offset_minutes(o) AS CAST(o AS INTEGER) // 100 * 60 + CAST(o AS INTEGER) % 100;
CREATE OR REPLACE MACRO iso_moment(t) AS timezone('UTC',
    try_cast(t[:19] AS TIMESTAMP) - to_minutes(offset_minutes(right(replace(right(t, 6), ':', ''), 5))));
CREATE OR REPLACE MACRO moment_with_offset(t, formats) AS CASE
    WHEN regexp_full_match(t, '\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d ?[-+]\d\d:?\d\d') THEN iso_moment(t) ELSE try_strptime(t, formats) END;
"""


_word = ibis.udf.scalar.builtin  # a function of DuckDB's, or one of the macros above, as Ibis calls it
UTC_MOMENT = "timestamp('UTC')"
# the UTC moment of a text that carries its offset, and the wall-clock time of one that does not; null when it does not fit
moment_with_offset = _word(lambda text, formats: ..., name="moment_with_offset", signature=((str, "array<string>"), UTC_MOMENT))
wall_clock = _word(lambda text, formats: ..., name="try_strptime", signature=((str, "array<string>"), "timestamp"))
# the moment at which clocks in a zone show a time, and what they show at a moment
to_utc = _word(lambda zone, local: ..., name="timezone", signature=((str, "timestamp"), UTC_MOMENT))
to_local = _word(lambda zone, moment: ..., name="timezone", signature=((str, UTC_MOMENT), "timestamp"))
# numbers with a decimal point or comma, the other mark only where thousands have it
number_point = _word(lambda text: ..., name="number_point", signature=((str,), float))
number_comma = _word(lambda text: ..., name="number_comma", signature=((str,), float))


@cache
def countries() -> dict[str, str]:
    """Country names and codes in several languages, plain, to ISO 3166 alpha-2 ("" for a name that means no country).

    >>> names = countries()
    >>> names["germany"], names["deutschland"], names["uk"], names["de"]
    ('DE', 'DE', 'GB', 'DE')
    """
    names = {}
    for language in reversed(COUNTRY_LANGUAGES):
        territories = Locale.parse(language).territories
        names |= {plain(name): code for code, name in territories.items() if len(code) == 2 and code.isalpha()}
    iso3 = {three.casefold(): two[0] for three, two in get_global("territory_aliases").items() if len(three) == 3 and three.isalpha()}
    codes = {code.casefold(): code for code in Locale.parse("en").territories if len(code) == 2 and code not in ("ZZ", "EU", "UN")}
    ours = {name: code.replace("NONE", "") for code, several in WORDS["countries"].items() for name in several}
    return names | iso3 | codes | ours


@cache
def zones() -> dict[str, str]:
    """Time zones by name and by abbreviation, plain, to a name DuckDB knows: "pdt" to Etc/GMT+7, whose sign POSIX turns.

    Names with a sign, such as Etc/GMT+7, are not there: plain, they could not be told from their opposite.

    >>> zones()["europeberlin"], zones()["pdt"], "etcgmt7" in zones()
    ('Europe/Berlin', 'Etc/GMT+7', False)
    """
    names = {plain(name): name for name in available_timezones() if not re.search(r"GMT[+-]", name)}
    return names | {plain(short): f"Etc/GMT{-int(hours):+d}" for hours, several in WORDS["zones"].items() for short in several}


def in_words(text: ir.StringValue, words: dict[str, str]) -> ir.StringValue:
    """The word that a text stands for, null for a stranger."""
    return text.cases(*((key, str(word)) for key, word in words.items())) if words else ibis.null("string")


def plausible(moment: ir.TimestampValue) -> ir.TimestampValue:
    """The moment if its year is one an export can hold, else null."""
    return moment.year().between(1990, 2100).ifelse(moment, ibis.null(moment.type()))


def latest(covered_through: date | None = None) -> date:
    """The last day on which anything can have happened: the day after the build's in UTC, or the last that client.toml covers.

    $WORKBOOK_TODAY stands in for the clock where a test or an old archive needs another day.
    """
    given = os.environ.get("WORKBOOK_TODAY")
    tomorrow = (date.fromisoformat(given) if given else datetime.now(UTC).date()) + timedelta(days=1)
    return max(tomorrow, covered_through or tomorrow)


def minor_factor(currency: ir.StringValue) -> ir.FloatingValue:
    """Minor units in one unit of a currency: 100, 1 for JPY, 1000 for KWD."""
    known = sorted(get_global("all_currencies"))
    return currency.cases(*((code, 10.0 ** exponent(code)) for code in known if exponent(code) != 2), else_=100.0)


def minor_units(amount: ir.FloatingValue, currency: ir.StringValue) -> ir.IntegerValue:
    """An amount as whole minor units of its currency: 2 decimals, none for JPY, 3 for KWD."""
    return (amount * minor_factor(currency)).round().try_cast("int64")
