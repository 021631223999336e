"""The time zone of a store, as told by the offsets of its order times."""

from zoneinfo import ZoneInfo

import pandas as pd
from babel.core import get_global
from ibis import _


def zone_of(con, batch, indexes: list[int], markets: list[str]) -> str:
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
        for zone in zones(market):
            if all(offset.replace(":", "") in _offset(zone, month) for month, offset in seen.itertuples(index=False)):
                return zone
    return ""


def zones(market: str) -> list[str]:
    """The time zones of a country, the one that most of it uses first."""
    usual = set(get_global("windows_zone_mapping").values())
    zones = (zone for zone, territory in get_global("zone_territories").items() if territory == market and "/" in zone)
    return sorted(zones, key=lambda zone: (zone not in usual, zone))


def _offset(zone: str, month: str) -> set[str]:
    """The offsets of a zone on the first and last days of a month."""
    start = pd.Timestamp(f"{month}-01")
    return {f"{moment.tz_localize(ZoneInfo(zone)):%z}" for moment in (start, start + pd.offsets.MonthEnd(1) + pd.Timedelta(hours=23))}
