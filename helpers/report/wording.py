"""Sentences, labels, numbers, money and dates, in the client's language: every word a report says comes from here.

Texts stand in language/<language>/<topic>.toml; `words.say("churn.answer", rate=..., lost=...)` looks up `answer` in churn.toml
and fills it. A text is a string, or a table {by = "lost", one = "...", other = "..."} whose form follows the plural of the
value named by `by`. A placeholder is {name:spec}, and a spec is  [+]kind[.digits][!part]  :

    kind      value                                    example of the text
    percent   fraction                                 18.2%
    points    difference of fractions, in points       1.2 points
    money     major units of the client's currency     €9.80   (no cents from 1,000 up)
    ratio     number                                   3.1×
    number    number                                   1,234.5
    count     whole number                             4,210
    count X   whole number with its noun from [nouns]  4,210 customers / 1 customer      (e.g. {lost:count customer})
    day       date or "YYYY-MM-DD"                     31 October 2026  (day!short: 31 Oct 2026)
    month     date or "YYYY-MM"                        October 2026     (month!short: Oct 2026)
    market    ISO country code                         Germany
    label     a code with an entry in [labels]         "crm" → "CRM"; an unknown code is shown as it is
    list X    a list, each item formatted as X         Germany, France, and Japan       (e.g. {markets:list market})
    text      anything, as it is (the default)

    +         the sign is always written               +1.2 points
    .digits   digits after the point                   {rate:percent.0}
    An Estimate is written with its interval and n: "18.2% (95% interval 17.1% to 19.3%, n = 4,210)".
    Parts of an Estimate: !short the value alone; !range "17.1% to 19.3%"; !interval the value and its interval; !low; !high; !n.
    nan is written as "–", an Estimate on fewer customers than the client's minimum cell as "· (fewer than 10 customers)".
"""

import math
import string
import tomllib
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path

from babel import Locale, UnknownLocaleError, dates, lists, numbers

from helpers.estimates import Estimate
from helpers.money import exponent
from helpers.periods import as_date, month_start

LANGUAGES = Path(__file__).parent / "language"
DIGITS = {"percent": 1, "points": 1, "ratio": 1, "number": 1, "count": 0}
WHOLE_MONEY_FROM = 1_000  # cents beside thousands are noise
Z_95 = 1.959964
UNKNOWN, HIDDEN = "–", "·"


class WordingError(LookupError):
    """A text, a noun, a value or a whole language is missing; the message says which and where to add it."""


@cache
def _texts(language: str, topic: str) -> dict:
    path = LANGUAGES / language / f"{topic}.toml"
    if not path.exists():
        there = ", ".join(sorted(each.name for each in LANGUAGES.iterdir() if each.is_dir()))
        raise WordingError(f"There is no text file language/{language}/{topic}.toml. Languages present: {there}.")
    with path.open("rb") as file:
        return tomllib.load(file)


class Words(string.Formatter):
    """The texts and formats of one language, for one currency and one minimum cell.

    >>> words = Words("en", "EUR")
    >>> words.format("{rate:percent} of {lost:count customer} by {day:day}", rate=0.182, lost=1, day="2026-10-31")
    '18.2% of 1 customer by 31 October 2026'
    >>> words.format("{rate:percent}", rate=Estimate(0.182, 0.171, 0.193, 4210))
    '18.2% (95% interval 17.1% to 19.3%, n = 4,210)'
    """

    def __init__(self, language: str = "en", currency: str = "EUR", minimum_cell: int = 10):
        try:
            # English in reports is written with day before month: the seller's customers are in many countries
            self.locale = Locale.parse("en_GB" if language == "en" else language.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            raise WordingError(f"'{language}' is not a language code babel knows. Write it as en or zh-Hans.") from None
        self.language, self.currency, self.minimum_cell = language, currency, minimum_cell
        self.common = _texts(language, "common")

    def has(self, key: str) -> bool:
        """Whether there is a text for the key, e.g. "churn.answer" (False also when its file is missing).

        >>> Words().has("common.interval"), Words().has("common.no such text")
        (True, False)
        """
        try:
            self._find(key)
        except WordingError:
            return False
        return True

    def say(self, key: str, **values) -> str:
        """The text of a key such as "churn.answer", filled with the values; WordingError names what is missing.

        >>> Words().say("common.fewer_than", minimum=10)
        'fewer than 10 customers'
        """
        text = self._find(key)
        if isinstance(text, dict):
            text = self._plural(key, text, values)
        try:
            return self.format(text, **values)
        except KeyError as error:
            raise WordingError(f"The text {key} needs the value {{{error.args[0]}}}, which was not given.") from None
        except (TypeError, ValueError) as error:
            raise WordingError(f"The text {key} cannot be filled: {error}") from error

    def label(self, code, topic: str = "common") -> str:
        """The name of a code (a component, a channel…) from [labels] of the topic or of common; unknown codes as they are.

        >>> Words().label("crm"), Words().label("Spring Sale")
        ('CRM', 'Spring Sale')
        """
        here = {} if topic == "common" else _texts(self.language, topic).get("labels", {})
        return here.get(code) or self.common["labels"].get(code) or str(code)

    def column(self, name: str, topic: str = "common") -> str:
        """The heading of a table's column, from [columns] of the topic or of common; WordingError when there is none.

        >>> Words().column("market")
        'Market'
        """
        here = {} if topic == "common" else _texts(self.language, topic).get("columns", {})
        heading = here.get(name) or self.common["columns"].get(name)
        if heading is None:
            raise WordingError(
                f"Column '{name}' has no heading. Add it under [columns] in {topic}.toml or common.toml."
            )
        return heading

    def market(self, code: str) -> str:
        """The name of a country in the report's language; other codes as they are.

        >>> Words().market("DE"), Words().market("other")
        ('Germany', 'Other markets')
        """
        return self.locale.territories.get(code) or self.label(code)

    def format_field(self, value, spec: str) -> str:
        """One placeholder (called by str.format): see the table of specs at the top of this module.

        >>> Words("en", "JPY").format_field(1980, "money"), Words().format_field(-0.012, "+points")
        ('JP¥1,980', '−1.2 points')
        """
        spec, _, part = spec.partition("!")
        if isinstance(value, Estimate):
            return self._estimate(value, spec, part)
        signed, spec = spec.startswith("+"), spec.lstrip("+")
        kind, _, extra = spec.partition(" ")
        kind, _, digits = kind.partition(".")
        if kind in ("", "text"):
            return str(value)
        if kind == "list":
            return lists.format_list([self.format_field(item, extra) for item in value], locale=self.locale)
        if kind in ("day", "month"):
            return self._date(value, kind, part)
        if kind in ("market", "label"):
            return self.market(value) if kind == "market" else self.label(value)
        return self._number(value, kind, digits, extra, signed)

    def change(self, now, before, spec: str = "percent", since=None) -> str:
        """How a number moved: "up 1.2 points from September 2026", or "unchanged within its interval since …".

        For two Estimates the difference is called a move only if its own 95 % interval, from both intervals taken as
        independent, leaves out zero; that is cautious, since a customer base two months running is largely the same people.
        spec is the kind of the number (percent becomes points); since is the earlier month or day.

        >>> words = Words()
        >>> words.change(Estimate(.20, .19, .21, 5000), Estimate(.18, .17, .19, 5000), "percent", "2026-09")
        'up 2.0 points from September 2026'
        >>> words.change(Estimate(.20, .17, .23, 500), Estimate(.19, .16, .22, 500), "percent", "2026-09")
        'unchanged within its interval since September 2026'
        """
        since = UNKNOWN if since is None else self.format_field(since, "month" if len(str(since)) == 7 else "day")
        moved = difference(now, before)
        if math.isnan(moved.value):
            return self.say("common.change.unknown", since=since)
        if moved.low <= 0 <= moved.high:
            return self.say("common.change.unchanged", since=since)
        size = self.format_field(abs(moved.value), spec.replace("percent", "points"))
        if size == self.format_field(0.0, spec.replace("percent", "points")):
            return self.say("common.change.same", since=since)
        return self.say("common.change.up" if moved.value > 0 else "common.change.down", size=size, since=since)

    def _find(self, key: str):
        topic, *path = key.split(".")
        text = _texts(self.language, topic)
        for step in path:
            if not isinstance(text, dict) or step not in text:
                raise WordingError(f"There is no text '{'.'.join(path)}' in language/{self.language}/{topic}.toml.")
            text = text[step]
        if isinstance(text, dict) and "by" not in text:
            raise WordingError(f"'{key}' is a group of texts, not a text, in language/{self.language}/{topic}.toml.")
        return text

    def _plural(self, key: str, text: dict, values: dict) -> str:
        if text["by"] not in values:
            raise WordingError(f"The text {key} needs the value {{{text['by']}}}, which was not given.")
        count = values[text["by"]]
        count = count.value if isinstance(count, Estimate) else count
        return text.get(self.locale.plural_form(count)) or text["other"]

    def _estimate(self, estimate: Estimate, spec: str, part: str) -> str:
        value, low, high, n = estimate
        known_n = bool(n) and not math.isnan(n) and n > 0
        if known_n and n < self.minimum_cell and part != "n":
            return f"{HIDDEN} ({self.say('common.fewer_than', minimum=self.minimum_cell)})"
        single = {"short": value, "low": low, "high": high}
        if part in single:
            return self.format_field(single[part], spec)
        if part == "n":
            return self.format_field(n, "count")
        bounds = {"low": self.format_field(low, spec), "high": self.format_field(high, spec)}
        if part == "range":
            return self.say("common.range", **bounds)
        notes = [] if math.isnan(low) else [self.say("common.interval", **bounds)]
        if known_n and part != "interval":
            notes.append(self.say("common.n", n=n))
        return self.format_field(value, spec) + (f" ({', '.join(notes)})" if notes else "")

    def _date(self, value, kind: str, part: str) -> str:
        day = month_start(value) if kind == "month" else as_date(value)
        if not isinstance(day, date) or day != day:  # NaT is not equal to itself
            return UNKNOWN
        if kind == "day":
            return dates.format_date(day, "medium" if part == "short" else "long", locale=self.locale)
        return dates.format_skeleton("yMMM" if part == "short" else "yMMMM", day, locale=self.locale)

    def _number(self, value, kind: str, digits: str, noun: str, signed: bool) -> str:
        if kind not in (*DIGITS, "money"):
            raise ValueError(f"'{kind}' is not a kind of format; helpers/report/wording.py lists them.")
        value = float("nan") if value is None or value != value else float(value)
        if math.isnan(value):
            return UNKNOWN
        size = abs(value) * (100 if kind in ("percent", "points") else 1)
        places = int(digits) if digits else self._places(kind, size)
        size = Decimal(f"{size:.{places}f}")
        sign = "−" if value < 0 and size else "+" if signed and size else ""
        return sign + self._unsigned(size, kind, places, noun)

    def _places(self, kind: str, size: float) -> int:
        if kind != "money":
            return DIGITS[kind]
        return 0 if size >= WHOLE_MONEY_FROM else exponent(self.currency)

    def _unsigned(self, size, kind: str, places: int, noun: str) -> str:
        point = "." + "0" * places if places else ""
        if kind == "money":
            pattern = f"¤#,##0{point}"
            return numbers.format_currency(size, self.currency, pattern, locale=self.locale, currency_digits=False)
        text = numbers.format_decimal(size, f"#,##0{point}", locale=self.locale)
        if kind == "count" and noun:
            forms = self.common["nouns"].get(noun)
            if forms is None:
                raise ValueError(f"the noun '{noun}' is not under [nouns] in language/{self.language}/common.toml.")
            return self.format(forms.get(self.locale.plural_form(size)) or forms["other"], n=text)
        unit = {"percent": "common.percent", "points": "common.points", "ratio": "common.ratio"}.get(kind)
        if kind == "points":
            return self.say(f"common.points.{self.locale.plural_form(size)}", n=text)
        return self.say(unit, n=text) if unit else text


def difference(now, before) -> Estimate:
    """now − before with a 95 % interval from both intervals taken as independent; numbers without interval give nan ends.

    >>> [round(end, 3) for end in difference(Estimate(.20, .19, .21, 5000), Estimate(.18, .17, .19, 5000))[:3]]
    [0.02, 0.006, 0.034]
    """
    now, before = (each if isinstance(each, Estimate) else Estimate(float(each)) for each in (now, before))
    value = now.value - before.value
    half = math.hypot((now.high - now.low) / 2, (before.high - before.low) / 2)
    return Estimate(value, value - half, value + half, min(now.n, before.n))
