"""A new client's folder: the template as it is, or filled in from a folder of exports."""

import re
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
from babel.core import get_global
from ibis import _

from helpers.intake import build, privacy, read
from helpers.intake.contract import report
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


@dataclass
class NewClient:
    """The folder made, and what was found in the exports, in lines to print."""

    folder: Path
    found: list[str] = field(default_factory=list)


@dataclass
class Store:
    """What a group of order exports says of the store they come from."""

    files: str
    format: str
    channel: str
    orders: int
    currencies: dict[str, int]
    markets: dict[str, int]
    first: str
    last: str
    identified: float
    zone: str = ""


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
    given = read.raw_files(raw)
    for one in given:
        target = folder / "raw" / one.file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(one.path, target)
    settings = load_settings(name)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=folder) as scratch:
        con = build.open_workbench(Path(scratch), folder / "raw")
        found, batches, problems = build.staged(con, settings, folder / "raw", Path(scratch))
        stores = [store for batch in batches if "orders" in batch.tables for store in _stores(con, batch)]
        supplied = {target for batch in batches for target in batch.tables}
        con.disconnect()
    names = {one.file for one in given}
    said = [
        f"{one.raw.file}: {one.match.format.title if one.match else 'not recognised'}" for one in found if one.raw.file in names
    ]
    said += [report(problems)] if problems else []
    missing = [
        f"Without {table.replace('_', ' ')}: {pages} will say what is missing." for table, pages in PAGES.items() if table not in supplied
    ]
    if stores:
        _write(folder, _guesses(stores), _sections(stores, missing))
    return NewClient(folder, said + [_line(store) for store in stores] + missing)


def _stores(con, batch) -> list[Store]:
    """A store for each group of files whose names differ in their digits only."""
    rows, groups = batch.tables["orders"], {}
    for one in batch.accounts:
        groups.setdefault(re.sub(r"\d+([-_.]\d+)*", "*", one.raw.file), []).append(one.index)
    stores = []
    for pattern, indexes in groups.items():
        mine = rows.filter(rows.file_index.isin(indexes))
        if not (orders := int(con.to_pandas(mine.count()))):
            continue
        mine = mine.mutate(source_name=mine.order_id)
        facts = con.to_pandas(
            mine.aggregate(
                first=mine.ordered_at.min().cast("date"), last=mine.ordered_at.max().cast("date"), known=privacy.buyer(mine).notnull().sum()
            )
        ).iloc[0]
        counts = {
            c: con.to_pandas(mine.group_by(c).aggregate(n=_.count()).order_by(_.n.desc(), c))
            for c in ("currency", "market")
            if c in mine.columns
        }
        known = {c: {k: int(v) for k, v in zip(f[c], f["n"], strict=True) if isinstance(k, str)} for c, f in counts.items()}
        form = batch.match.format
        stores.append(
            Store(
                pattern,
                form.name,
                form.rule("sales_channel", form.name),
                orders,
                known.get("currency", {}),
                known.get("market", {}),
                f"{pd.Timestamp(facts['first']):%Y-%m-%d}",
                f"{pd.Timestamp(facts['last']):%Y-%m-%d}",
                facts["known"] / orders,
                _zone(con, batch, indexes, list(known.get("market", {}))),
            )
        )
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
    currencies, markets = {}, {}
    for store in stores:
        for total, counts in ((currencies, store.currencies), (markets, store.markets)):
            for key, n in counts.items():
                total[key] = total.get(key, 0) + n
    main = max(markets, key=markets.get, default="")
    zones = _zones(main)
    zone = next((store.zone for store in sorted(stores, key=lambda store: -store.orders) if store.zone), zones[0] if zones else "UTC")
    return {"currency": max(currencies, key=currencies.get, default="EUR"), "time_zone": zone}


def _line(store: Store) -> str:
    markets = ", ".join(f"{m} {n / store.orders:.0%}" for m, n in list(store.markets.items())[:5])
    return (
        f"{store.files}: {store.orders:,} orders from {store.first} to {store.last}, {', '.join(store.currencies)}; "
        f"{markets or 'no ship-to country'}; {store.identified:.0%} with a known buyer"
    )


def _sections(stores: list[Store], missing: list[str]) -> str:
    """The sources of client.toml as found, and what is missing, as comments."""
    lines = ["# --- where the data come from, as found in the exports ---"]
    taken = set()
    for store in stores:
        part = re.sub(
            r"\b(orders?|exports?|all|amazon|shopify|csv|txt|xlsx)\b|[^a-z]+", " ", Path(store.files).stem.lower().replace("_", " ")
        ).split()
        key = re.sub(r"[^a-z0-9]+", "-", store.channel.lower())
        alike = sum(other.channel == store.channel for other in stores) > 1
        key = "-".join([key, *part]) if alike and part else key
        while key in taken:
            key += "-2"
        taken.add(key)
        lines += ["", f"# {_line(store)}", f"[sources.{key}]", f'files = "{_escaped(store.files)}"', f'format = "{store.format}"']
        lines += [f'time_zone = "{store.zone}"'] if store.zone else ['# time_zone = "Europe/Berlin"  # of times without an offset']
        lines += [
            "# tax_included = true    # prices include tax; left out, it is told from the totals where the export allows it",
            f"covered_through = {store.last}    # raise it if the export reaches further than its last order",
        ]
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
