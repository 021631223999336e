"""Codes that people write in words: countries, currencies, time zones, patterns; what is wrong with one, and what was meant."""

import difflib
import re
from functools import cache
from zoneinfo import available_timezones

from babel import Locale
from babel.core import get_global

LANGUAGES = ("en", "de", "fr", "es", "it", "nl", "ja", "zh")
_zones = cache(available_timezones)  # walks through the files of all zones


def nearest(word: str, among) -> str:
    """The nearest of the words that are known, "" if none is near.

    >>> nearest("Ship", ["Shop", "Order"]), nearest("x", ["Shop"])
    ('Shop', '')
    """
    return next(iter(difflib.get_close_matches(word, sorted(among), n=1)), "")


def did_you_mean(word: str, among) -> str:
    """The end of a sentence about a word that is not known: the nearest that is, if one is near.

    >>> did_you_mean("Ship", ["Shop", "Order"]), did_you_mean("x", ["Shop"])
    ('. Did you mean Shop?', '.')
    """
    return f". Did you mean {close}?" if (close := nearest(word, among)) else "."


def currency(code: str) -> str:
    """An ISO 4217 code, or a ValueError that suggests the one a name or symbol means.

    >>> currency("Euro")
    Traceback (most recent call last):
    ValueError: 'Euro' is not an ISO 4217 currency code such as EUR. Did you mean EUR?
    """
    known = get_global("all_currencies")
    if code in known:
        return code
    meant = upper if (upper := code.strip().upper()) in known else _named(code, "currencies") or _named(code, "currency_symbols")
    advice = f" Did you mean {meant}?" if meant else ""
    raise ValueError(f"'{code}' is not an ISO 4217 currency code such as EUR.{advice}")


def country(code: str) -> str:
    """An ISO 3166 alpha-2 code, or a ValueError that suggests the one a name means.

    >>> country("Germany")
    Traceback (most recent call last):
    ValueError: 'Germany' is not an ISO 3166 country code such as DE. Did you mean DE?
    """
    known = {name for name in Locale.parse("en").territories if re.fullmatch("[A-Z]{2}", name)} - {"ZZ", "EU", "UN", "XA", "XB"}
    if code in known:
        return code
    meant = {"UK": "GB"}.get(code.upper(), code.upper()) if len(code) == 2 else _named(code, "territories")
    advice = f" Did you mean {meant}?" if meant in known else ""
    raise ValueError(f"'{code}' is not an ISO 3166 country code such as DE.{advice}")


def time_zone(zone: str) -> str:
    """A time zone's name, or a ValueError that suggests the one a city means.

    >>> time_zone("Berlin")
    Traceback (most recent call last):
    ValueError: 'Berlin' is not a time zone such as Europe/Berlin. Did you mean Europe/Berlin?
    """
    zones = _zones()
    if zone in zones:
        return zone
    city = zone.strip().replace(" ", "_").casefold()
    meant = sorted((name for name in zones if name.rpartition("/")[2].casefold() == city), key=lambda name: (name.count("/") != 1, name))
    advice = f". Did you mean {meant[0]}?" if meant else did_you_mean(zone, zones)
    raise ValueError(f"'{zone}' is not a time zone such as Europe/Berlin{advice}")


def condition(kept: str | list[str]) -> str | list[str]:
    """A condition on a column: words as they are, or a regular expression that DuckDB can run, with "!" before it to turn it.

    >>> condition("(paid")
    Traceback (most recent call last):
    ValueError: '(paid' is no regular expression: missing ), unterminated subpattern at position 0
    """
    if isinstance(kept, list):
        return kept
    try:
        re.compile(kept.removeprefix("!"))
    except re.error as error:
        raise ValueError(f"'{kept}' is no regular expression: {error}") from None
    if found := re.search(r"\(\?<?[=!]", kept):
        raise ValueError(f"'{kept}' looks ahead or behind with {found[0]}, which is not understood; a ! before all keeps the others")
    return kept


def date_format(text: str) -> str:
    """How a date is written, in the letters of strptime, or nothing.

    >>> date_format("DD/MM/YYYY")
    Traceback (most recent call last):
    ValueError: 'DD/MM/YYYY' names no part of a date. Write it as "%d/%m/%Y", or with a time as "%d/%m/%Y %H:%M:%S"
    """
    if text and not re.search("%[djmbByY]", text):
        raise ValueError(f"""'{text}' names no part of a date. Write it as "%d/%m/%Y", or with a time as "%d/%m/%Y %H:%M:%S\"""")
    return text


def _named(word: str, kind: str) -> str:
    """The code whose name in one of the languages is the word, "" if none is."""
    names = (named for language in LANGUAGES for named in getattr(Locale.parse(language), kind).items())
    return next((code for code, name in names if name.casefold() == word.strip().casefold()), "")
