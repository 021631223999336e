"""The account of each file: its rows, and its money as read beside the same money as it stands in the tables."""

from pathlib import Path

import ibis
import pandas as pd
from ibis import _

from helpers import schema
from helpers.settings import Settings

DAY = {"orders": "ordered_at", "refunds": "refund_date", "retention_costs": "month", "tickets": "opened_at", "surveys": "answered_date",
       "surveys_sent": "sent_date", "campaigns": "sent_date", "acquisition_spend": "date", "engagement": "date", "subscriptions": "date",
       "rates": "date", "repeat_aggregates": "period_end", "deliveries": "delivered_date"}
AMOUNT = {"retention_costs": "amount_minor", "acquisition_spend": "amount_minor", "refunds": "amount_minor",
          "subscriptions": "mrr_delta_minor"}


def files_table(con, staged: list, settings: Settings, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """The files table, a row per file and currency, and remarks where money of a file did not arrive."""
    rows, remarks = [], []
    orders = con.read_parquet(folder / "orders.parquet")
    for one in staged:
        first, last = _span(con, one, settings)
        declared = settings.sources[one.source].covered_through if one.source in settings.sources else None
        facts = {"file": one.raw.file, "format": one.match.format.name, "source": one.source, "sha256": one.raw.sha256,
                 "rows_read": one.read, "rows_accepted": one.read - one.rejected, "rows_rejected": one.rejected,
                 "rows_ignored": one.ignored, "first_date": first, "covered_through": declared or last}
        money = _money(con, one, orders)
        rows += [facts | line for line in money.to_dict("records")] or [facts | {"currency": None, "raw_minor": None, "table_minor": None}]
        off = money[(money["raw_minor"] != money["table_minor"])] if not one.rejected else money.head(0)
        remarks += [f"{one.raw.file}: {line.raw_minor:,} {line.currency} minor units were read and {line.table_minor:,} stand in the tables."
                    for line in off.itertuples()]
    table = pd.DataFrame(rows, columns=schema.TABLES["files"].names)
    for name, dtype in schema.TABLES["files"].dtypes.items():
        table[name] = table[name].astype("Int64") if dtype == "int64" else table[name]
        table[name] = table[name].astype("string") if dtype == "string" else table[name]
    return table, remarks


def order_remarks(con, parts: dict, orders, refunds) -> list[str]:
    """What was left out or could not be placed, in sentences."""
    said = []
    lost = con.to_pandas(parts["orders"].filter(_.buyer.notnull(), _.customer_id.isnull()).aggregate(n=_.count(), who=_.buyer.nunique())).iloc[0]
    if lost["n"]:
        said.append(f"{lost['n']:,} orders carry a placeholder address ({lost['who']:,} different); they count in revenue and in no customer metric.")
    twice = con.to_pandas(parts["orders"].count()) - con.to_pandas(orders.count())
    if twice:
        said.append(f"{twice:,} orders stand in more than one export; the newest export's version counts.")
    if refunds is not None:
        loose = con.to_pandas(refunds.anti_join(orders, ["source", "order_id"]).count())
        if loose:
            said.append(f"{loose:,} refunds name no order of these exports; they count in the month's bridge and reduce no customer's spend.")
    return said


def _span(con, one, settings) -> tuple:
    target = next((t for t in DAY if t in one.tables), None)
    if target is None or DAY[target] not in one.tables[target].columns:
        return None, None
    days = one.tables[target][DAY[target]]
    if days.type().is_timestamp():
        from helpers.intake.columns import to_local
        days = to_local(settings.time_zone, days)
    found = con.to_pandas(one.tables[target].aggregate(first=days.cast("date").min(), last=days.cast("date").max())).iloc[0]
    return tuple(None if pd.isna(v) else pd.Timestamp(v).date() for v in found)


def _money(con, one, orders) -> pd.DataFrame:
    """currency, raw_minor, table_minor of one file."""
    if "orders" in one.tables:
        kept = con.table("orders").filter(_.file_index == one.index).select("source", "order_id", "added_tax", "currency")
        stand = orders.select("source", "order_id", "net_minor").join(kept, ["source", "order_id"])
        table = stand.group_by("currency").aggregate(table_minor=(_.net_minor + _.added_tax).sum())
    else:
        target = next((t for t in AMOUNT if t in one.tables), None)
        if target is None:
            return pd.DataFrame(columns=["currency", "raw_minor", "table_minor"])
        rows = one.tables[target]
        table = rows.filter(_.currency.notnull()).group_by("currency").aggregate(table_minor=rows[AMOUNT[target]].sum())
    both = one.money.merge(con.to_pandas(table), on="currency", how="outer").fillna(0)
    return both.astype({"raw_minor": "int64", "table_minor": "int64"}).sort_values("currency")
