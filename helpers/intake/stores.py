"""Which order exports are one store's, and what they say of it: orders, currencies, markets, span and clock."""

import re
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from babel.core import get_global
from ibis import _

from helpers.intake import overlaps
from helpers.intake.contract import WORDS
from helpers.intake.conversions import to_local
from helpers.intake.recognise import Format

COPY = r"\s*(\(\d+\)|[-_ ]+(copy|kopie|copie|copia)(\s*\(?\d+\)?)?)$"
NOT_A_STORE = "|".join(WORDS["files"]["not_a_store"])
GAP = 0.1


class Store(NamedTuple):
    """What a group of order exports says of the store they come from; `why` says what made them one, `guessed` that no offset told zone."""

    files: list[str]
    names: list[str]
    format: Format
    orders: int
    currency: dict[str, int]
    market: dict[str, int]
    first: str
    last: str
    identified: float
    zone: str
    guessed: bool
    words: list[str]
    why: str


class File(NamedTuple):
    """One export as the grouping sees it."""

    name: str
    first: pd.Timestamp
    last: pd.Timestamp
    low: float
    high: float
    prefix: str | None
    currencies: frozenset
    words: tuple


def stores(con, batches: list, files: list[str], clock: str) -> list[Store]:
    """The stores of the staged exports; `files` are all files of the folder, so that no store's pattern takes another's.

    clock: the time zone by which times without an offset were read.
    """
    found, selling = [], [batch for batch in batches if "orders" in batch.tables]
    for form in sorted({batch.match.format.name for batch in selling}):
        mine = [batch for batch in selling if batch.match.format.name == form]
        orders = con.create_table(f"sold_{form}", overlaps.sold(mine))
        names = {one.index: one.raw.file for batch in mine for one in batch.accounts}
        facts = _facts(con, orders, names)
        for indexes, why in _groups(facts, _pairs(con, orders)):
            found.append(_store(con, mine, orders.filter(_.file_index.isin(indexes)), indexes, facts, files, why, clock))
    return found


def _facts(con, orders, names: dict[int, str]) -> dict[int, File]:
    number = _.order_id.re_extract(r"(\d{1,15})\D*$", 1).nullif("").cast("int64")
    rows = orders.mutate(prefix=_.order_id.re_extract(r"^\D*", 0), number=number, day=_.ordered_at.date())
    counted = con.to_pandas(rows.group_by("file_index", "prefix").aggregate(n=_.count()).order_by(_.n.desc(), "prefix"))
    spans = {"first": _.day.min(), "last": _.day.max(), "low": _.number.min(), "high": _.number.max()}
    facts = rows.group_by("file_index").aggregate(**spans, n=_.count(), currencies=_.currency.collect(distinct=True))
    found = {}
    for row in con.to_pandas(facts.order_by("first", "file_index")).itertuples():
        top, name = counted[counted["file_index"] == row.file_index].iloc[0], names[row.file_index]
        prefix = top["prefix"] if top["n"] > 0.9 * row.n else None
        days = pd.Timestamp(row.first), pd.Timestamp(row.last)
        found[int(row.file_index)] = File(name, *days, row.low, row.high, prefix, frozenset(row.currencies), _words(name))
    return found


def _pairs(con, orders) -> dict[tuple, tuple]:
    """By two files: the order numbers that stand in both, of the same day and of days apart."""
    rows = orders.select("file_index", "order_id", "ordered_at")
    other = rows.view()
    both = rows.join(other, [rows.order_id == other.order_id, rows.file_index < other.file_index])
    both = both.select(a=rows.file_index, b=other.file_index, near=overlaps.within_a_day(rows.ordered_at, other.ordered_at))
    counts = con.to_pandas(both.group_by("a", "b").aggregate(near=_.near.sum(), far=(~_.near).sum()))
    return {(one.a, one.b): (one.near, one.far) for one in counts.itertuples()}


def _groups(facts: dict[int, File], pairs: dict) -> list[tuple[list[int], str]]:
    """The files, by date, each in the first group that some evidence puts it in and none keeps it out of."""
    groups = []
    for index, file in facts.items():
        for members, reasons in groups:
            judged = [_one_store(facts[other], file, *pairs.get((min(other, index), max(other, index)), (0, 0))) for other in members]
            if any(same for same, _why in judged) and not any(why.startswith("the same numbers") for _same, why in judged):
                members.append(index)
                reasons.append(next(why for same, why in judged if same))
                break
        else:
            groups.append(([index], []))
    return [(members, ", ".join(dict.fromkeys(reasons))) for members, reasons in groups]


def _one_store(a: File, b: File, near: int, far: int) -> tuple[bool, str]:
    """Whether two exports of one format are one store's, and why.

    >>> jan = File("orders_jan.csv", pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-31"), 1, 90, "#", frozenset({"EUR"}), ())
    >>> feb = jan._replace(name="orders_feb.csv", first=pd.Timestamp("2026-02-01"), last=pd.Timestamp("2026-02-28"), low=91, high=180)
    >>> _one_store(jan, feb, 0, 0), _one_store(jan, jan._replace(words=("us",)), 0, 0), _one_store(jan, jan, 0, 60)
    ((True, 'order numbers go on'), (False, 'other names'), (False, 'the same numbers on other days'))
    """
    if far > near:
        return False, "the same numbers on other days"
    if near:
        return True, "order numbers stand in both"
    early, late = (a, b) if a.first <= b.first else (b, a)
    gap = late.low - early.high
    if a.prefix == b.prefix and early.last <= late.first and 0 < gap <= max(100, GAP * (late.high - early.low)):
        return True, "order numbers go on"
    if a.prefix is not None and b.prefix is not None and a.prefix != b.prefix:
        return False, "other prefixes"
    if a.currencies and b.currencies and not a.currencies & b.currencies:
        return False, "other currencies"
    return (False, "other names") if a.words != b.words else (True, "names differ in date or copy only")


def _words(file: str) -> tuple:
    """The words of a file's name that may name a store.

    >>> _words("de/orders-export-2026 (1).csv"), _words("archive/orders_jan.csv"), _words("orders_eu_Q1 - Copy.csv")
    (('de',), (), ('eu',))
    """
    path = Path(file)
    text = " ".join([*path.parent.parts, re.sub(COPY, "", path.stem, flags=re.IGNORECASE)]).casefold()
    return tuple(word for word in re.findall(r"[^\W\d_]+", text) if not re.fullmatch(NOT_A_STORE, word))


def _store(con, batches: list, orders, indexes: list[int], facts: dict, files: list[str], why: str, clock: str) -> Store:
    counts = {}
    for column in ("currency", "market"):
        rows = orders.filter(orders[column].notnull()).group_by(column)
        rows = rows.aggregate(n=_.order_id.nunique()).order_by(_.n.desc(), column)
        counts[column] = {name: int(n) for name, n in con.to_pandas(rows).itertuples(index=False)}
    mine = [facts[index] for index in indexes]
    names = sorted(one.name for one in mine)
    told = [found for batch in batches if (found := _zone_of(con, batch, indexes, list(counts["market"]))) is not None]
    zone = next(filter(None, told), "")
    local = to_local(zone or clock, orders.ordered_at)
    sums = {"first": local.date().min(), "last": local.date().max(), "timed": (local != local.truncate("D")).any()}
    total = con.to_pandas(orders.aggregate(**sums, n=_.order_id.nunique(), rows=_.count(), known=_.buyer.count())).iloc[0]
    first, last = f"{total['first']:%Y-%m-%d}", f"{total['last']:%Y-%m-%d}"
    if guessed := not told and bool(total["timed"]):  # a day alone is the same on every clock
        zone = next((zone for market in list(counts["market"])[:1] for zone in zones_of(market)), "")
    words = [word for word in mine[0].words if all(word in one.words for one in mine)]
    return Store(
        patterns(names, [file for file in files if file not in names]), names, batches[0].match.format, int(total["n"]), **counts,
        first=first, last=last, identified=total["known"] / total["rows"], zone=zone, guessed=guessed, words=words, why=why,
    )  # fmt: skip


def patterns(names: list[str], others: list[str]) -> list[str]:
    """Patterns that take these files, next month's too where they can, and none of the others.

    >>> patterns(["orders-2025.csv", "orders-2026.csv", "orders-2026 (1).csv"], ["ads.csv"]), patterns(["a_jan.csv"], ["a_1.csv"])
    (['orders-*.csv'], ['a_jan.csv'])
    """
    digits = list(dict.fromkeys(re.sub(r"\d+([-_.]\d+)*", "*", name) for name in names))
    digits = [p for p in digits if not any(q != p and "*" in q and Path(p).match(q) for q in digits)]
    stems = {re.match(r"([^\W\d_]{3,}[-_ ])?", Path(name).name).group() for name in names}
    wide = [f"{stems.pop()}*{Path(names[0]).suffix}"] if len(digits) > 1 and len(stems) == 1 and stems != {""} else digits
    for tried in (wide, digits):
        if [file for file in (*names, *others) if any(map(Path(file).match, tried))] == [*names]:
            return tried
    return names


def _zone_of(con, batch, indexes: list[int], markets: list[str]) -> str | None:
    """A time zone of the main markets whose offsets are those of the order times, "" if none fits; None where times have no offset."""
    header = next((spec["ordered_at"] for spec in batch.match.format.tables.values() if isinstance(spec.get("ordered_at"), str)), "")
    column = batch.match.columns.get(header)
    if column is None or batch.match.format.rule("time_zone") or batch.match.format.rule("zone_column"):
        return ""
    rows = batch.rows.filter(batch.rows.file_index.isin(indexes))
    offset = rows[column].re_extract(r"([+-]\d{2}:?\d{2}|Z|UTC)$", 1).replace(":", "")
    seen = con.to_pandas(rows.select(month=rows[column].substr(0, 7), offset=offset).filter(_.offset != "").distinct().limit(400))
    if seen.empty:
        return None
    if set(seen["offset"]) <= {"+0000", "Z", "UTC"}:
        return ""
    zones = (zone for market in markets[:5] for zone in zones_of(market))
    return next((zone for zone in zones if all(offset in _offset(zone, month) for month, offset in seen.itertuples(index=False))), "")


def zones_of(market: str) -> list[str]:
    """The time zones of a country, the one that most of it uses first."""
    usual = set(get_global("windows_zone_mapping").values())
    zones = (zone for zone, territory in get_global("zone_territories").items() if territory == market and "/" in zone)
    return sorted(zones, key=lambda zone: (zone not in WORDS["clocks"]["most_used"], zone not in usual, zone))


def _offset(zone: str, month: str) -> set[str]:
    """The offsets of a zone on the first and last days of a month."""
    start = pd.Timestamp(f"{month}-01")
    return {f"{moment.tz_localize(ZoneInfo(zone)):%z}" for moment in (start, start + pd.offsets.MonthEnd(1) + pd.Timedelta(hours=23))}
