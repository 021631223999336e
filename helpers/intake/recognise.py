"""Which export a file is: format files, and matching a file's header against them."""

import itertools
import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path

from helpers.codes import nearest
from helpers.intake.contract import Problem

LEAVE_OUT = "If it is not for the workbook, move it out of raw/, or name it in a source with skip = true."
BUILT_IN = Path(__file__).parent / "formats"
RULES = {
    "name", "title", "sales_channel", "required", "any_of", "aliases", "optional", "header_patterns", "encodings", "decimal", "timestamps",
    "day_first", "ignore", "group", "control", "tables", "checks", "once_across", "quote", "numbers", "date_columns", "less_tax",
    "payments", "time_zone", "values", "zone_column",
}


@dataclass(frozen=True)
class Format:
    """One export format as its TOML file says it: how to recognise it, how to read it, what its columns become."""

    name: str
    title: str
    required: tuple[str, ...]
    tables: dict[str, dict]
    rules: dict = field(default_factory=dict)

    def rule(self, key: str, default=None):
        """A reading rule of the format file, or the default."""
        return self.rules.get(key, default)

    @property
    def channel(self) -> str:
        """The sales channel of what it lists, and so the source of a file that client.toml gives none."""
        return self.rule("sales_channel") or self.name

    @property
    def needs(self) -> int:
        """How many headers a file must have."""
        return len(self.required) + len(self.rule("any_of", []))


@dataclass(frozen=True)
class Match:
    """A header laid on a format: our header names over the file's own, and what is missing."""

    format: Format
    columns: dict[str, str]
    missing: tuple[str, ...]
    captured: dict[str, str]


def plain(header: str) -> str:
    """A header without what exports vary in: case, spaces, BOM, hyphens, underscores, brackets.

    >>> plain("\\ufeffPurchase-Date "), plain("purchase_date"), plain("Order #")
    ('purchasedate', 'purchasedate', 'order')
    """
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", header).casefold())


def load_formats(*folders: Path) -> dict[str, Format]:
    """Every format file in the built-in folder and in the folders given, by name; a client's own replaces ours."""
    return {path.stem: _load_format(path) for folder in (BUILT_IN, *folders) for path in sorted(folder.glob("*.toml"))}


def formats_of(table: str, *folders: Path) -> set[str]:
    """The names of the formats that fill a canonical table and no other.

    >>> sorted(formats_of("acquisition_spend"))
    ['acquisition_spend', 'amazon_ads', 'google_ads', 'meta_ads', 'tiktok_ads']
    """
    return {name for name, one in load_formats(*folders).items() if set(one.tables) == {table}}


def _load_format(path: Path) -> Format:
    """One format file. Raises ValueError naming the file and the key when it is not one."""
    try:
        rules = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a format file: {error}") from None
    wrong = [f"there is no key '{key}'" for key in sorted(set(rules) - RULES)]
    wrong += [f"'{key}' is missing" for key in sorted({"title", "required", "tables"} - set(rules))]
    if wrong:
        raise ValueError(f"{path.name} is not a format file: {'; '.join(wrong)}")
    return Format(path.stem, rules["title"], tuple(rules["required"]), rules["tables"], rules)


def match(header: list[str], one: Format, crosswalk: dict[str, str] | None = None) -> Match:
    """The header laid on one format. A crosswalk (our name over theirs) comes before aliases.

    >>> found = match(["EMAIL", "name"], Format("f", "F", ("Email", "Total"), {}))
    >>> found.columns, found.missing
    ({'Email': 'EMAIL'}, ('Total',))
    """
    crosswalk, aliases, any_of = crosswalk or {}, one.rule("aliases", {}), one.rule("any_of", [])
    fixed = {ours for ours, value in crosswalk.items() if is_constant(value)}
    crossed = {ours: [value] for ours, value in crosswalk.items() if ours not in fixed}
    theirs = {plain(name): name for name in reversed(header)}
    columns, captured = {}, {}
    for ours in dict.fromkeys([*one.required, *itertools.chain(*any_of), *one.rule("optional", []), *aliases, *crossed]):
        spellings = [plain(name) for name in (*crossed.get(ours, ()), ours, *aliases.get(ours, ()))]
        if found := [theirs[name] for name in spellings if name in theirs]:
            columns[ours] = found[0]
    for ours, patterns in one.rule("header_patterns", {}).items():
        for name in header:
            found = next((m for p in patterns if (m := re.fullmatch(p, name.strip("\ufeff "), re.IGNORECASE))), None)
            if found:
                columns[ours], captured[ours] = name, (found.groups() or ("",))[0].upper()
    missing = [name for name in one.required if name not in columns and name not in fixed]
    missing += [" or ".join(names) for names in any_of if not (set(names) & (set(columns) | fixed))]
    return Match(one, columns, tuple(missing), captured)


def recognise(header: list[str], formats: dict[str, Format], crosswalk: dict[str, str] | None = None) -> Match | None:
    """The format whose required headers are all there; of several, the one that knows most of the columns."""
    fits = [m for one in formats.values() if not (m := match(header, one, crosswalk)).missing]
    return max(fits, key=lambda m: (m.format.needs, len(m.columns)), default=None)


def not_recognised(header: list[str], formats: dict[str, Format]) -> Problem:
    """Why no format took a file: the nearest one (most of what it needs found, then most columns known) and the columns it misses."""
    if not any(name.strip() for name in header):
        return Problem("the file", "it is empty", f"Export it again. {LEAVE_OUT}")
    tried = [match(header, one) for one in formats.values()]
    closest = max(tried, key=lambda m: (1 - len(m.missing) / max(m.format.needs, 1), len(m.columns)))
    if not closest.columns:
        shown = ", ".join(header[:6]) + (" …" if len(header) > 6 else "")
        advice = f"Name them under [sources.<name>.columns] in client.toml, or write a format file (data/README.md). {LEAVE_OUT}"
        return Problem("the file", f"no known export has the columns {shown}", advice)
    lacks = f"but these columns are missing: {', '.join(closest.missing)}"
    advice = f"Export it again with them, or name the columns under [sources.<name>.columns] in client.toml. {LEAVE_OUT}"
    return Problem("the file", f"not recognised. Nearest is {closest.format.title} ({closest.format.name}), {lacks}", advice)


def misnamed(found: list) -> Problem | None:
    """What is wrong with the columns and conditions that client.toml gives a source, whose files these are, and what was meant.

    A condition must be on a column that every file has: it would leave out the whole of another.
    """
    terms, matches = found[0].terms, [one.match for one in found]
    columns, where, rules = terms.columns, terms.where, [one.format.rules for one in matches]
    ours = {name for one in rules for name in (*headers_in(one), *one.get("aliases", {}), *one.get("header_patterns", {}))}
    theirs, read = {name for one in found for name in one.layout.header}, {plain(name) for name in [*ours, *where]}
    plainly, constant = {plain(name) for name in theirs}, {name for name, value in columns.items() if is_constant(value)}
    known = set.intersection(*(set(one.columns) for one in matches)) | constant
    wrong = [(f"columns: '{name}' is no column that {matches[0].format.title} reads", name, ours)
             for name in columns if plain(name) not in read]  # fmt: skip
    wrong += [(f"columns: no file has a column '{columns[name]}'", columns[name], theirs)
              for name in columns.keys() - constant if plain(columns[name]) not in plainly]  # fmt: skip
    wrong += [(f"where: '{name}' is no column of {'every file' if len(matches) > 1 else 'the file'}", name, known)
              for name in where if name not in known]  # fmt: skip
    said = sorted((what, f"For '{name}', did you mean {close}?" if (close := nearest(name, among)) else "") for what, name, among in wrong)
    what, meant = "; ".join(what for what, _meant in said), " ".join(meant for _what, meant in said if meant)
    return Problem(f"[sources.{found[0].source}] in client.toml", what, meant) if said else None


def headers_in(spec) -> set[str]:
    """The header names (and other texts) a column specification mentions.

    >>> sorted(headers_in({"first": ["customer_email", {"of": "Notes", "extract": "x"}]}))
    ['Notes', 'customer_email', 'x']
    """
    if isinstance(spec, str):
        return {spec}
    parts = spec.values() if isinstance(spec, dict) else spec if isinstance(spec, list) else ()
    return set().union(*(headers_in(part) for part in parts))


def is_constant(value) -> bool:
    """Whether a crosswalk's value is a constant, "=text" or no text at all, and not a header."""
    return not isinstance(value, str) or value.startswith("=")
