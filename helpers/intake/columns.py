"""The vocabulary of format files (formats/README.md): what a column becomes, as an Ibis expression over rows of text."""

import math
from dataclasses import dataclass, field

import ibis
import ibis.expr.types as ir
from babel.core import get_global

from helpers.intake import contract, conversions
from helpers.intake.contract import NOTHING, Check
from helpers.intake.recognise import Match, is_constant, plain
from helpers.intake.targets import DTYPES
from helpers.schema import ORDER_STATUSES
from helpers.settings import Source

YES, NO = ("true", "yes", "1", "y", "t", "x", "是"), ("false", "no", "0", "n", "f", "否")
MAX_WORDS, MAX_STRANGERS = 5_000, 20
HAPPENED = {("orders", "ordered_at"), ("refunds", "refund_date"), ("refunds", "refunded_at"), ("tickets", "opened_at")}  # never to come
NAMES = {"zone": "time zone"}
UTC_WRITTEN = "(?i)( UTC|Z)$"
TEXT = "text of "  # a column without the spaces around it, null when nothing is left


@dataclass
class Reader:
    """Turns specifications into typed columns of one file, and remembers what was parsed and what can go wrong in each."""

    con: object
    rows: ir.Table
    match: Match
    source: Source
    time_zone: str
    decimal: str
    timestamps: tuple[str, ...]
    checks: list[Check] = field(default_factory=list)
    parsed: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)
    listed: dict = field(default_factory=dict)

    def __post_init__(self):
        self.aware, self.naive = ([f for f in self.timestamps if ("%z" in f) == offset] for offset in (True, False))

    def value(self, spec) -> ir.Value:
        """The expression of a specification, text unless its key makes it a number or a condition."""
        if isinstance(spec, str):
            return self._text(spec)
        if not isinstance(spec, dict):
            return ibis.literal(spec)
        key = next((k for k in self._words if k in spec), None)
        if key is None:
            raise ValueError(f"{self.match.format.name}.toml: nothing known in {spec}; see helpers/intake/formats/README.md.")
        return self._words[key](self, spec)

    def typed(self, spec, kind: str, where: str) -> ir.Value:
        """The value as text, number, money, integer, flag, date, moment, currency or country, with its check kept."""
        value, kind = self.value(spec), "number" if kind == "money" else kind
        if kind == "text" or not isinstance(value, ir.StringValue):
            return value.cast(DTYPES[kind])
        made = getattr(self, kind)(value, where)
        tables = self.match.format.tables
        if kind in ("date", "moment") and any(spec == tables.get(table, {}).get(column) for table, column in HAPPENED):
            latest = conversions.latest(self.source.covered_through)
            to_come = ((made.date() if kind == "moment" else made) > ibis.literal(latest)).fill_null(False)
            self._check(where, "future", f"later than {latest}, when this was read", to_come, value)
        return made

    def number(self, text: ir.StringValue, where: str) -> ir.FloatingValue:
        """A number written with the file's decimal mark; thousands marks must stand where thousands do."""
        value = conversions.number_comma(text) if self.decimal == "," else conversions.number_point(text)
        return self._parsed(where, "number", "not a number", text, value)

    def moment(self, text: ir.StringValue, where: str) -> ir.TimestampValue:
        """A moment in UTC: by its own offset, else as a clock of the source's time zone shows it."""
        stamp = text.re_replace(UTC_WRITTEN, "+00:00")
        zone = self.source.time_zone or self.match.format.rule("time_zone") or self.time_zone
        if not self.source.time_zone and (named := self.value(self.match.format.rule("zone_column", ""))).op() != NOTHING.op():
            zone = self._looked_up(named, self.match.format.rule("zone_column"), "zone", conversions.zones()).fill_null(zone)
        value = conversions.to_utc(zone, conversions.wall_clock(stamp, self.naive))
        value = ibis.coalesce(conversions.moment_with_offset(stamp, self.aware), value) if self.aware else value
        return self._parsed(where, "date", "not a date", text, conversions.plausible(value))

    def date(self, text: ir.StringValue, where: str) -> ir.DateValue:
        """A local day: the day written when there is no offset, else the day in the client's time zone."""
        value = conversions.wall_clock(text, self.naive)
        moment = conversions.moment_with_offset(text.re_replace(UTC_WRITTEN, "+00:00"), self.aware)
        value = ibis.coalesce(conversions.to_local(self.time_zone, moment), value) if self.aware else value
        return self._parsed(where, "date", "not a date", text, conversions.plausible(value).date())

    def currency(self, text: ir.StringValue, where: str) -> ir.StringValue:
        """An ISO 4217 code, written in any case."""
        return self._looked_up(text, where, "currency", {code.casefold(): code for code in get_global("all_currencies")})

    def country(self, text: ir.StringValue, where: str) -> ir.StringValue:
        """An ISO 3166 alpha-2 code from a code or a country's name in several languages."""
        return self._looked_up(text, where, "country", conversions.countries()).nullif("")

    def flag(self, text: ir.StringValue, where: str) -> ir.BooleanValue:
        """Yes or no, in the words that exports use."""
        value = ibis.cases((text.lower().isin(YES), True), (text.lower().isin(NO), False))
        return self._parsed(where, "flag", "neither yes nor no", text, value)

    def integer(self, text: ir.StringValue, where: str) -> ir.IntegerValue:
        """A whole number."""
        value = self.number(text, where)
        self._check(where, "number", "not a whole number", (value.round() != value).fill_null(False), text)
        return value.round().cast("int64")

    def _looked_up(self, text: ir.StringValue, where: str, kind: str, words: dict[str, str]) -> ir.StringValue:
        """The word of each text: looked up once for each different text, so that a million rows cost what fifty do."""
        if isinstance(text, ir.Scalar):
            text = self.rows.row.isnull().ifelse(NOTHING, text)
        if text.op() not in self.written:
            self.written[text.op()] = self.con.to_pandas(self.rows.select(text=text).distinct().limit(MAX_WORDS))["text"].tolist()
        known = {word: words[plain(word)] for word in self.written[text.op()] if isinstance(word, str) and plain(word) in words}
        return self._parsed(where, kind, f"not a known {NAMES.get(kind, kind)}", text, conversions.in_words(text, known))

    def _parsed(self, where: str, kind: str, what: str, text: ir.StringValue, value: ir.Value) -> ir.Value:
        """The value of a text, with the check that it has one; kept, so that each text is parsed once (staging.parsed_once)."""
        self.parsed.setdefault(value.op(), f"parsed {len(self.parsed)}")
        self._check(where, kind, what, text.notnull() & value.isnull(), text)
        return value

    def _check(self, where, kind, what, bad, shown):
        if all((check.where, check.what) != (where, what) for check in self.checks):
            self.checks.append(Check(where, kind, what, bad, shown))

    def _text(self, header: str) -> ir.StringValue:
        crossed = self.source.columns.get(header, "")
        if is_constant(crossed):
            return ibis.literal(str(crossed).removeprefix("="))
        if header not in self.match.columns:
            return NOTHING
        return self.rows[f"{TEXT}{self.match.columns[header]}"]

    def _numeric(self, spec) -> ir.FloatingValue:
        value = self.value(spec)
        return self.number(value, _label(spec)) if isinstance(value, ir.StringValue) else value.cast("float64")

    def _numerics(self, specs) -> list[ir.FloatingValue]:
        return [self._numeric(spec) for spec in specs]

    def _first(self, spec):
        parts = [self.value(part) for part in spec["first"]]
        return ibis.coalesce(*(self._numerics(spec["first"]) if any(isinstance(part, ir.NumericValue) for part in parts) else parts))

    def _sum(self, spec):
        parts = self._numerics(spec["sum"])
        return ibis.or_(*(part.notnull() for part in parts)).ifelse(_total(parts), ibis.null("float64"))

    def _mapped(self, spec):
        text = self.value(spec["of"])
        words = {k.casefold(): v for k, v in spec["map"].items()}
        if statuses := set(words.values()) <= set(ORDER_STATUSES):
            words |= {k.casefold(): v for k, v in self.source.statuses.items()}
        value = conversions.in_words(text.lower(), words)
        if "otherwise" in spec:
            return ibis.coalesce(value, self.value(spec["otherwise"])).nullif("")
        return self._known(spec, text, value, "status" if statuses else "value", words).nullif("")

    def _sorted(self, spec):
        text = self.value(spec["of"])
        said = conversions.in_words(text.lower(), {key.casefold(): word for key, word in self.source.types.items()})
        value = ibis.coalesce(said, ibis.cases(*((text.re_search(pattern), word) for word, pattern in spec["patterns"].items())))
        return self._known(spec, text, value, "type", ())

    def _known(self, spec, text, value, kind: str, words) -> ir.StringValue:
        """The word of a text, with the check that there is one, which says the strange texts and how often each stands."""
        strange = text.notnull() & value.isnull()
        what = f"not known{self._strangers(text, strange)}" + (f"; known are {', '.join(words)}" if words else "")
        self._check(_label(spec["of"]), kind, what, strange, text)
        return value

    def _strangers(self, text: ir.StringValue, strange: ir.BooleanValue) -> str:
        """The texts no word is known for, with their counts, as ": 'shipped' (12 rows)"; none where they could name a person."""
        if text.op() not in self.listed and not isinstance(text, ir.Scalar):
            self.listed[text.op()], before = "", len(self.checks)
            ignored = ibis.or_(ibis.literal(False), *(self.value(rule).fill_null(False) for rule in self.match.format.rule("ignore", [])))
            del self.checks[before:]
            counts = self.rows.filter(strange, ~ignored).group_by(text=text).aggregate(n=ibis._.count()).order_by(ibis.desc("n"), "text")
            self.listed[text.op()] = contract.counted(self.con.to_pandas(counts.limit(MAX_STRANGERS + 1)), MAX_STRANGERS)
        return self.listed.get(text.op(), "")

    def _once(self, spec):
        group = ibis.window(group_by=[self.rows.file_index, self.value(self.match.format.rule("group"))])
        return (self.rows.row == self.rows.row.min().over(group)).ifelse(self._numeric(spec["once"]), ibis.null("float64"))

    def _over(self, spec):
        value = self._numeric(spec["total"]).sum() if "total" in spec else self.value(spec["shared"]).max()
        return value.over(ibis.window(group_by=[self.rows.file_index, self.value(spec["per"])]))

    def _cases(self, spec):
        branches = [(self.value(condition), self.value(value)) for condition, value in spec["cases"]]
        return ibis.cases(*branches, else_=self.value(spec["otherwise"]) if "otherwise" in spec else None)

    _words = {
        "constant": lambda self, spec: ibis.literal(spec["constant"]),
        "setting": lambda self, spec: ibis.literal(str(getattr(self.source, spec["setting"]) or "")).nullif(""),
        "captured": lambda self, spec: ibis.literal(self.match.captured.get(spec["captured"], "")).nullif(""),
        "first": _first,
        "sum": _sum,
        "minus": lambda self, spec: (parts := self._numerics(spec["minus"]))[0] - _total(parts[1:]),
        "product": lambda self, spec: math.prod(self._numerics(spec["product"])),
        "negative": lambda self, spec: -self._numeric(spec["negative"]),
        "absolute": lambda self, spec: self._numeric(spec["absolute"]).abs(),
        "map": _mapped,
        "patterns": _sorted,
        "value": lambda self, spec: self.value(self.match.format.rule("values")[spec["value"]]),
        "extract": lambda self, spec: self.value(spec["of"]).re_extract(spec["extract"], 1).nullif(""),
        "join": lambda self, spec: ibis.literal(spec.get("with", "")).join([self.value(part) for part in spec["join"]]),
        "filled": lambda self, spec: self.value(spec["filled"]).notnull(),
        "matches": lambda self, spec: self.value(spec["of"]).re_search(spec["matches"]).fill_null(False),
        "once": _once,
        "total": _over,
        "shared": _over,
        "above": lambda self, spec: (self._numeric(spec["of"]) > spec["above"]).fill_null(False),
        "below": lambda self, spec: (self._numeric(spec["of"]) < spec["below"]).fill_null(False),
        "all": lambda self, spec: ibis.and_(*(self.value(part) for part in spec["all"])),
        "any": lambda self, spec: ibis.or_(*(self.value(part) for part in spec["any"])),
        "different": lambda self, spec: (self.value(spec["different"][0]) != self.value(spec["different"][1])).fill_null(False),
        "not": lambda self, spec: ~self.value(spec["not"]),
        "cases": _cases,
    }


def _total(parts: list) -> ir.FloatingValue:
    return sum((part.fill_null(0.0) for part in parts), ibis.literal(0.0))


def _label(spec) -> str:
    if isinstance(spec, str):
        return spec
    inner = next((v for v in spec.values() if isinstance(v, str)), "")
    return inner or ", ".join(_label(v) for v in next((v for v in spec.values() if isinstance(v, list)), []) if isinstance(v, (str, dict)))
