"""Sentences, labels, numbers, money and dates in the client's language: every word a report says comes from here.

Texts stand in language/<language>/<topic>.toml. `words.say("churn.answer", rate=..., lost=...)` looks up `answer` in
churn.toml and fills it. A text is a string, or a table {by = "lost", one = "...", other = "..."} whose form follows the
plural of the value named by `by`. A placeholder is {name:spec}, and a spec is  [+]kind[.digits][!part]  :

    kind      value                                    example of the text
    percent   fraction                                 18.2%
    points    difference of fractions, in points       1.2 points
    money     major units of the client's currency     €9.80   (no cents from 1,000 up; money.whole: from 100 up)
    ratio     number                                   3.1×
    number    number                                   1,234.5
    count     whole number                             4,210
    count X   whole number with its noun from [nouns]  4,210 customers, 1 customer      ({lost:count customer})
    p         probability                              0.017, <0.001
    day       date or "YYYY-MM-DD"                     31 October 2026  (day!short: 31 Oct 2026)
    month     date or "YYYY-MM"                        October 2026     (month!short: Oct 2026)
    market    ISO country code                         Germany
    label     a code with an entry in [labels]         "crm" → "CRM"; an unknown code is shown as it is
    list X    a list, each item formatted as X         Germany, France and Japan        ({markets:list market})
    text      anything, as it is (the default)

    +         the sign is always written               +1.2 points
    .digits   digits after the point                   {rate:percent.0}, {m:count.1 month}
    An Estimate is written with its interval and n: "18.2% (95% interval 17.1% to 19.3%, n = 4,210)".
    Parts of it: !short the value alone; !interval value and interval; !range "17.1% to 19.3%"; !low; !high; !n.
    nan is written "–"; an Estimate on fewer customers than the minimum cell "· (fewer than 10 customers)".
"""

import math
import string

from babel import Locale, UnknownLocaleError, lists

from helpers.estimates import Estimate
from helpers.periods import as_date, month_end
from helpers.report import formats
from helpers.report.formats import UNKNOWN
from helpers.report.texts import WordingError, texts

HIDDEN = "·"


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
            # English with the day before the month: a cross-border seller's readers are in many countries
            self.locale = Locale.parse("en_GB" if language == "en" else language.replace("-", "_"))
        except (UnknownLocaleError, ValueError):
            raise WordingError(f"'{language}' is not a language code. Write it as en or zh-Hans.") from None
        self.language, self.currency, self.minimum_cell = language, currency, minimum_cell
        self.common = texts(language, "common")

    def has(self, key: str) -> bool:
        """Whether there is a text for the key (False also when its file is missing)."""
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
        try:
            if isinstance(text, dict):
                text = self._form(text, values[text["by"]])
            return self.format(text, **values)
        except KeyError as error:
            raise WordingError(f"The text {key} needs the value {{{error.args[0]}}}, which was not given.") from None
        except (TypeError, ValueError) as error:
            raise WordingError(f"The text {key} cannot be filled: {error}") from error

    def label(self, code, topic: str = "common") -> str:
        """The name of a code (a component, a channel…) from [labels] of the topic, else of common, else the code.

        >>> Words().label("crm"), Words().label("Spring Sale")
        ('CRM', 'Spring Sale')
        """
        return self._named("labels", code, topic) or str(code)

    def column(self, name: str, topic: str = "common") -> str:
        """The heading of a table's column, from [columns] of the topic or of common; WordingError when there is none."""
        heading = self._named("columns", name, topic)
        if heading is None:
            raise WordingError(f"Column '{name}' has no heading: add it to [columns] in {topic}.toml or common.toml.")
        return heading

    def market(self, code: str) -> str:
        """The name of a country in the report's language; another code by its label.

        >>> Words().market("DE"), Words().market("other")
        ('Germany', 'Other markets')
        """
        return self.locale.territories.get(code) or self.label(code)

    def format_field(self, value, spec: str) -> str:
        """One placeholder (str.format calls it): see the specs at the top of this module.

        >>> Words("en", "JPY").format_field(1980, "money"), Words().format_field(-0.012, "+points")
        ('JP¥1,980', '−1.2 points')
        """
        spec, _, part = spec.partition("!")
        if spec == "money.whole":  # the ends of an Estimate are written as its value is
            whole = (value.value if isinstance(value, Estimate) else value) >= formats.WHOLE_SHORT_FROM
            spec = "money.0" if whole else "money"
        if isinstance(value, Estimate):
            return self._estimate(value, spec, part)
        kind, _, extra = spec.lstrip("+").partition(" ")
        kind, _, digits = kind.partition(".")
        if kind in ("", "text"):
            return str(value)
        if kind == "list":
            return lists.format_list([self.format_field(item, extra) for item in value], locale=self.locale)
        if kind in ("day", "month"):
            return getattr(formats, kind)(value, self.locale, part == "short")
        if kind in ("market", "label"):
            name = getattr(self, kind)(value)
            return self._with_article(value, name, part) if part else name
        if kind not in (*formats.DIGITS, "money"):
            raise ValueError(f"'{kind}' is not a kind of format; helpers/report/wording.py lists them.")
        return self._number(value, kind, digits, "" if part == "bare" else extra, spec.startswith("+"), part != "bare")

    def change(self, now, before, spec: str = "percent", since=None, moved: Estimate | None = None) -> str:
        """How a number moved, and from what: "up 1.2 points from 18.0% in September 2026", "not clearly changed from …".

        The difference is called a move only if its own 95 % interval leaves out zero: that of `moved`, where the two were
        compared customer by customer, else one from both intervals taken as independent; that is cautious, since a customer
        base is largely the same people a month later. spec is the kind of the number (percent becomes points); since is the
        earlier month or day.

        >>> Words().change(Estimate(.20, .19, .21, 5000), Estimate(.18, .17, .19, 5000), "percent", "2026-09")
        'up 2.0 points from 18.0% in September 2026'
        """
        direction, size = self.direction(now, before, spec, moved), abs(_difference(now, before).value)
        ends_month = since is not None and (len(str(since)) == 7 or as_date(since) == month_end(since))
        when = self.say(f"common.change.{'month' if ends_month else 'day'}", since=math.nan if since is None else since)
        size = self.format_field(size, spec.replace("percent", "points"))
        return self.say(f"common.change.{direction}", size=size, was=self.format_field(before, f"{spec}!short"), when=when)

    def direction(self, now, before, spec: str = "percent", moved: Estimate | None = None) -> str:
        """"up", "down", "same" (as printed), "unchanged" (within the interval) or "unknown": the word behind `change`.

        >>> Words().direction(0.20, 0.18), Words().direction(0.2000, 0.2001), Words().direction(0.2, float("nan"))
        ('up', 'same', 'unknown')
        """
        moved = moved or _difference(now, before)
        if math.isnan(moved.value) or 0 < moved.n < self.minimum_cell:
            return "unknown"
        if moved.low <= 0 <= moved.high:
            alike = self.format_field(now, f"{spec}!short") == self.format_field(before, f"{spec}!short")
            return "same" if alike else "unchanged"
        spec = spec.replace("percent", "points")
        if self.format_field(abs(moved.value), spec) == self.format_field(0.0, spec):
            return "same"
        return "up" if moved.value > 0 else "down"

    def _find(self, key: str):
        topic, *path = key.split(".")
        text = texts(self.language, topic)
        for step in path:
            if not isinstance(text, dict) or step not in text:
                raise WordingError(f"There is no text '{'.'.join(path)}' in language/{self.language}/{topic}.toml.")
            text = text[step]
        if isinstance(text, dict) and "by" not in text:
            raise WordingError(f"'{key}' is a group of texts, not a text, in language/{self.language}/{topic}.toml.")
        return text

    def _named(self, group: str, code, topic: str) -> str | None:
        own = texts(self.language, topic).get(group, {}) if topic != "common" else {}
        return own.get(code) or self.common[group].get(code)

    def _with_article(self, code: str, name: str, part: str) -> str:
        article = next((article for article, codes in self.common["articles"].items() if code in codes), "")
        return f"{article.capitalize() if part == 'The' else article} {name}".strip()

    def _form(self, forms: dict, count) -> str:
        count = count.value if isinstance(count, Estimate) else count
        return forms.get(self.locale.plural_form(count)) or forms["other"]

    def _estimate(self, estimate: Estimate, spec: str, part: str) -> str:
        value, low, high, n = estimate
        counted = not math.isnan(n) and n > 0
        if part == "n":
            return self.format_field(n, "count")
        if counted and n < self.minimum_cell:
            return f"{HIDDEN} ({self.say('common.fewer_than', minimum=self.minimum_cell)})"
        if part in ("short", "low", "high"):
            return self.format_field({"short": value, "low": low, "high": high}[part], spec)
        once = "!bare" if spec.lstrip("+").startswith(("points", "count")) else ""  # "0.5 to 1.2 points"
        bounds = {"low": self.format_field(low, spec + once), "high": self.format_field(high, spec)}
        if part == "range":
            return self.say("common.range", **bounds)
        notes = [] if math.isnan(low) else [self.say("common.interval", **bounds)]
        if counted and part != "interval":
            notes.append(self.say("common.n", n=n))
        return self.format_field(value, spec) + (f" ({', '.join(notes)})" if notes else "")

    def _number(self, value, kind: str, digits: str, noun: str, signed: bool, named: bool = True) -> str:
        value = math.nan if value is None or value != value else float(value)
        if math.isnan(value):
            return UNKNOWN
        if math.isinf(value):
            return "∞" if value > 0 else "−∞"
        size = formats.rounded(value, kind, digits, self.currency)
        sign = "−" if size < 0 else "+" if signed and size > 0 else ""
        size = abs(size)
        if kind == "money":
            return sign + formats.money(size, self.currency, self.locale)
        if kind == "p" and not size:
            return f"<{formats.number(formats.LEAST_P, self.locale)}"
        text = formats.number(size, self.locale)
        if noun:
            if noun not in self.common["nouns"]:
                raise ValueError(f"'{noun}' is not under [nouns] in language/{self.language}/common.toml.")
            text = self.format(self._form(self.common["nouns"][noun], size), n=text)
        unit = self.common["units"].get(kind) if named else None
        return sign + (self.format(self._form(unit, size), n=text) if unit else text)


def _difference(now, before) -> Estimate:
    """now − before, with a 95 % interval from both intervals taken as independent; nan ends without intervals."""
    now, before = (each if isinstance(each, Estimate) else Estimate(float(each)) for each in (now, before))
    value = now.value - before.value
    half = math.hypot((now.high - now.low) / 2, (before.high - before.low) / 2)
    return Estimate(value, value - half, value + half, min(now.n, before.n))
