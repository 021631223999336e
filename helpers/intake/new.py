"""A new client's folder: the template as it is, or filled in from a folder of exports."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pandas as pd
from babel.core import get_global
from ibis import _

from helpers.intake import build, privacy, read
from helpers.intake.contract import IntakeError
from helpers.settings import checked_name, client_folder, load_settings

TEMPLATE = Path(__file__).parents[2] / "data" / "_template"
PAGES = {
    "retention_costs": "03 and 05 (retention_costs.csv)",
    "acquisition_spend": "03, 04 and 05 (the ad platforms' daily exports)",
    "surveys": "08 (surveys.csv)",
    "campaigns": "07 (campaigns.csv)",
    "tickets": "06 and 08 (the help desk's export)",
    "engagement": "06 (engagement.csv)",
    "subscriptions": "02, revenue churn (subscriptions.csv)",
}


class NewClient(NamedTuple):
    """The folder made, and what was found in the exports, in lines to print."""

    folder: Path
    found: Sequence[str] = ()


class Store(NamedTuple):
    """What a group of order exports says of the store they come from."""

    files: str
    format: str
    channel: str
    orders: int
    currency: dict[str, int]
    market: dict[str, int]
    first: str
    last: str
    identified: float
    zone: str


def new_client(name: str, raw: Path | None = None) -> NewClient:
    """Make data/<name> from the template; with a folder of exports, copy them in and fill client.toml from what they hold.

    Raises ValueError when the client exists, and IntakeError never: files that cannot be used are named among the findings.
    """
    folder = client_folder(checked_name(name))
    if folder.exists():
        raise ValueError(f"{folder} is there already; nothing was changed.")
    if raw is not None and not raw.is_dir():
        raise ValueError(f"{raw} is not a folder.")
    shutil.copytree(TEMPLATE, folder)
    (folder / "raw").mkdir(exist_ok=True)
    _write(folder, {"name": name.replace("-", " ").title()}, "")
    if raw is None:
        return NewClient(folder)
    given = {one.file for one in read.raw_files(raw)}
    for file in given:
        (folder / "raw" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(raw / file, folder / "raw" / file)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        con = build.open_workbench(Path(scratch), folder / "raw")
        found, batches, problems = build.staged(con, load_settings(name), folder / "raw", Path(scratch))
        stores = [store for batch in batches if "orders" in batch.tables for store in _stores(con, batch)]
        con.disconnect()
    taken = {one.raw.file: one.match.format.title if one.match else "not recognised" for one in found if one.raw.file in given}
    said = [f"{file}: {title}" for file, title in taken.items()] + ([str(IntakeError(problems))] if problems else [])
    supplied = {target for batch in batches for target in batch.tables}
    lacking = {table.replace("_", " "): pages for table, pages in PAGES.items() if table not in supplied}
    missing = [f"Without {table}: {pages} will say what is missing." for table, pages in lacking.items()]
    if stores:
        _write(folder, _guesses(stores), _sections(stores, missing))
    return NewClient(folder, said + [_line(store) for store in stores] + missing)


def _stores(con, batch) -> list[Store]:
    """A store for each group of files whose names differ in their digits only."""
    form, groups = batch.match.format, {}
    for one in batch.accounts:
        groups.setdefault(re.sub(r"\d+([-_.]\d+)*", "*", one.raw.file), []).append(one.index)
    stores = []
    for pattern, indexes in groups.items():
        mine = batch.tables["orders"].filter(_.file_index.isin(indexes)).mutate(source_name=_.order_id)
        day, known = mine.ordered_at.cast("date"), privacy.buyer(mine).notnull()
        facts = con.to_pandas(mine.aggregate(orders=_.count(), first=day.min(), last=day.max(), known=known.sum())).iloc[0]
        if not facts["orders"]:
            continue
        counts = {"currency": {}, "market": {}}
        for column in counts.keys() & set(mine.columns):
            rows = con.to_pandas(mine.filter(_[column].notnull()).group_by(column).aggregate(n=_.count()).order_by(_.n.desc(), column))
            counts[column] = dict(zip(rows[column], rows["n"].tolist(), strict=True))
        first, last = (f"{pd.Timestamp(facts[name]):%Y-%m-%d}" for name in ("first", "last"))
        zone, orders = _zone(con, batch, indexes, list(counts["market"])), int(facts["orders"])
        channel, span = form.rule("sales_channel", form.name), {"first": first, "last": last}
        stores.append(Store(pattern, form.name, channel, orders, **counts, **span, identified=facts["known"] / orders, zone=zone))
    return stores


def _zone(con, batch, indexes: list[int], markets: list[str]) -> str:
    """A time zone of the main markets whose offsets are those of the order times, "" if the export has none or none fits."""
    header = next((spec["ordered_at"] for spec in batch.match.format.tables.values() if isinstance(spec.get("ordered_at"), str)), "")
    column = batch.match.columns.get(header)
    if column is None:
        return ""
    rows = batch.rows.filter(batch.rows.file_index.isin(indexes))
    offset = rows[column].re_extract(r"([+-]\d{2}:?\d{2})$", 1)
    seen = con.to_pandas(rows.select(month=rows[column].substr(0, 7), offset=offset).filter(_.offset != "").distinct().limit(400))
    if seen.empty or set(seen["offset"].str.replace(":", "")) == {"+0000"}:
        return ""
    for market in markets[:5]:
        for zone in _zones(market):
            if all(offset.replace(":", "") in _offset(zone, month) for month, offset in seen.itertuples(index=False)):
                return zone
    return ""


def _zones(market: str) -> list[str]:
    """The time zones of a country, the one that most of it uses first."""
    usual = set(get_global("windows_zone_mapping").values())
    zones = (zone for zone, territory in get_global("zone_territories").items() if territory == market and "/" in zone)
    return sorted(zones, key=lambda zone: (zone not in usual, zone))


def _offset(zone: str, month: str) -> set[str]:
    """The offsets of a zone on the first and last days of a month."""
    start = pd.Timestamp(f"{month}-01")
    return {f"{moment.tz_localize(ZoneInfo(zone)):%z}" for moment in (start, start + pd.offsets.MonthEnd(1) + pd.Timedelta(hours=23))}


def _guesses(stores: list[Store]) -> dict[str, str]:
    """Reporting currency and time zone: those of most orders."""
    currencies = sum((Counter(store.currency) for store in stores), Counter())
    markets = sum((Counter(store.market) for store in stores), Counter())
    own = [store.zone for store in sorted(stores, key=lambda store: -store.orders) if store.zone]
    zones = [*own, *(_zones(max(markets, key=markets.get)) if markets else []), "UTC"]
    return {"currency": max(currencies, key=currencies.get, default="EUR"), "time_zone": zones[0]}


def _line(store: Store) -> str:
    markets = ", ".join(f"{m} {n / store.orders:.0%}" for m, n in list(store.market.items())[:5])
    span = f"{store.orders:,} orders from {store.first} to {store.last}, {', '.join(store.currency)}"
    return f"{store.files}: {span}; {markets or 'no ship-to country'}; {store.identified:.0%} with a known buyer"


def _sections(stores: list[Store], missing: list[str]) -> str:
    """The sources of client.toml as found, and what is missing, as comments."""
    lines, taken = ["# --- where the data come from, as found in the exports ---"], set()
    for store in stores:
        stem = Path(store.files).stem.lower().replace("_", " ")
        part = re.sub(r"\b(orders?|exports?|all|amazon|shopify|csv|txt|xlsx)\b|[^a-z]+", " ", stem).split()
        key = re.sub(r"[^a-z0-9]+", "-", store.channel.lower())
        if part and sum(other.channel == store.channel for other in stores) > 1:
            key = "-".join([key, *part])
        while key in taken:
            key += "-2"
        taken.add(key)
        lines += [
            "", f"# {_line(store)}", f"[sources.{key}]", f'files = "{_escaped(store.files)}"', f'format = "{store.format}"',
            f'time_zone = "{store.zone}"' if store.zone else '# time_zone = "Europe/Berlin"  # of times without an offset',
            "# tax_included = true    # prices include tax; left out, it is told from the totals where the export allows it",
            f"# covered_through = {store.last}    # its last order; say the day if the export reaches further than that",
        ]  # fmt: skip
    return "\n".join([*lines, "", "# Still missing:", *(f"# {line}" for line in missing), ""])


def _write(folder: Path, values: dict[str, str], sections: str) -> None:
    path = folder / "client.toml"
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text = re.sub(rf'^{key} = "[^"]*"', lambda found, k=key, v=value: f'{k} = "{_escaped(v)}"', text, count=1, flags=re.MULTILINE)
    if sections:
        start, end = text.index("# --- where the data come from ---"), text.index("# --- what can be done")
        text = f"{text[:start]}{sections}\n{text[end:]}"
    path.write_text(text, encoding="utf-8")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
