"""The account of each file: its rows, and its money as read beside the same money as it stands in the tables."""

from datetime import date
from pathlib import Path

import pandas as pd
from ibis import _

from helpers import schema
from helpers.intake import doubled
from helpers.intake.conversions import to_local
from helpers.settings import Settings

DAY = {name: table.day for name, table in schema.TABLES.items()} | {
    "orders": "ordered_at", "tickets": "opened_at", "rates": "date", "deliveries": "delivered_date",
}
AMOUNT = {
    "retention_costs": "amount_minor", "acquisition_spend": "amount_minor", "refunds": "amount_minor", "subscriptions": "mrr_delta_minor",
}
LEFT_OUT = "left_out_of_"  # tables of the rows, by file_index and row, that stand in another file too and count there


def files_table(con, batches: list, settings: Settings, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """The files table, a row per file and currency, and remarks where money of a file did not arrive."""
    rows, remarks = [], []
    orders = con.read_parquet(folder / "orders.parquet")
    for batch in batches:
        spans, stand, elsewhere = _spans(con, batch, settings), _standing(con, batch, orders), _elsewhere(con, batch)
        terms = settings.sources.get(batch.source)
        for one in batch.accounts:
            first, last = spans.get(one.index, (None, None))
            said = terms.covered_through if terms else None  # of the source; it may reach further than the last order, never less far
            covered = max((day for day in (said, last) if day), default=None)
            facts = {
                "file": one.raw.file, "format": batch.match.format.name, "source": batch.source, "sha256": one.raw.sha256,
                "rows_read": one.read, "rows_accepted": one.read - one.rejected, "rows_rejected": one.rejected, "rows_ignored": one.ignored,
                "first_date": first, "covered_through": covered,
            }  # fmt: skip
            mine, newer = (each[each["file_index"] == one.index].drop(columns="file_index") for each in (stand, elsewhere))
            money = one.money.merge(mine, on="currency", how="outer").merge(newer, on="currency", how="left").fillna(0)
            money = money.astype(dict.fromkeys(["raw_minor", "table_minor", "elsewhere_minor"], "int64"))
            money["raw_minor"] -= money.pop("elsewhere_minor")
            rows += [facts | line for line in money.sort_values("currency").to_dict("records")] or [facts]
            off = money[money["raw_minor"] != money["table_minor"]] if not one.rejected else money.head(0)
            remarks += [
                f"{one.raw.file}: {line.raw_minor:,} {line.currency} minor units were read and {line.table_minor:,} stand in the tables."
                for line in off.itertuples()
            ]
    table = pd.DataFrame(rows, columns=schema.TABLES["files"].names)
    kinds = {"int64": "Int64", "string": "string"}
    return table.astype({c: kinds[d] for c, d in schema.TABLES["files"].dtypes.items() if d in kinds}), remarks


def order_remarks(con, parts: dict, orders, refunds) -> list[str]:
    """What was left out or could not be placed, in sentences."""
    nobody = parts["orders"].filter(_.buyer.notnull(), _.customer_id.isnull())
    lost, who = con.to_pandas(nobody.aggregate(n=_.count(), who=_.buyer.nunique())).iloc[0]
    loose = con.to_pandas(refunds.anti_join(orders, ["source", "order_id"]).count()) if refunds is not None else 0
    shared = f"share {who:,} placeholder address{'es' if who > 1 else ''}; they count"
    found = [
        (lost, "order", "has a placeholder address; it counts", shared, "in revenue and in no customer metric."),
        (loose, "refund", "names no order of these exports; it counts", "name no order of these exports; they count",
         "in the month's bridge, not against a customer's spend."),
    ]  # fmt: skip
    said = [f"1 {noun} {one} {rest}" if n == 1 else f"{n:,} {noun}s {many} {rest}" for n, noun, one, many, rest in found if n]
    return said + doubled.remarks(con, parts["orders"])


def _spans(con, batch, settings: Settings) -> dict[int, tuple]:
    """By file: the first and last local day of its main table."""
    target = next((t for t in DAY if t in batch.tables and DAY[t] in batch.tables[t].columns), None)
    if target is None:
        return {}
    days = batch.tables[target][DAY[target]]
    days = to_local(settings.time_zone, days).date() if days.type().is_timestamp() else days
    found = con.to_pandas(batch.tables[target].group_by("file_index").aggregate(first=days.min(), last=days.max()))
    return {row.file_index: (as_day(row.first), as_day(row.last)) for row in found.itertuples()}


def as_day(value) -> date | None:
    """A date of whatever kind as a day, None for none."""
    return None if pd.isna(value) else pd.Timestamp(value).date()


def _standing(con, batch, orders) -> pd.DataFrame:
    """file_index, currency, table_minor: a batch's money as it stands in the tables, in the export's own terms."""
    if "orders" in batch.tables:
        mine = con.table("orders").filter(_.source == batch.source).select("source", "order_id", "file_index", "added_tax", "currency")
        stand = orders.select("source", "order_id", "net_minor").join(mine, ["source", "order_id"])
        stand = stand.select("file_index", "currency", amount=(_.net_minor + _.added_tax))
        if "refunds" in batch.tables:  # a ledger's negative lines
            stand = stand.union(_counting(con, batch, "refunds").select("file_index", "currency", amount=-_.amount_minor))
        return con.to_pandas(stand.group_by("file_index", "currency").aggregate(table_minor=_.amount.sum()))
    target = next((t for t in AMOUNT if t in batch.tables), None)
    if target is None:
        return pd.DataFrame(columns=["file_index", "currency", "table_minor"])
    rows = _counting(con, batch, target).filter(_.currency.notnull())
    return con.to_pandas(rows.group_by("file_index", "currency").aggregate(table_minor=_[AMOUNT[target]].sum()))


def _elsewhere(con, batch) -> pd.DataFrame:
    """file_index, currency, elsewhere_minor: a batch's money that another file's version stands for, and is no loss."""
    if "orders" in batch.tables:
        mine = con.table("orders").filter(_.source == batch.source).select("order_id", "file_index")
        older = batch.tables["orders"].anti_join(mine, ["order_id", "file_index"])
        given = [older[name].fill_null(0) if name in older.columns else 0 for name in ("gross_minor", "discount_minor")]
        rows = older.select("file_index", "currency", amount=given[0] - given[1])
        if f"{LEFT_OUT}refunds" in con.list_tables() and "refunds" in batch.tables:  # a ledger's negative lines
            refunds = batch.tables["refunds"].semi_join(con.table(f"{LEFT_OUT}refunds"), ["file_index", "row"])
            rows = rows.union(refunds.select("file_index", "currency", amount=-_.amount_minor))
        return con.to_pandas(rows.group_by("file_index", "currency").aggregate(elsewhere_minor=_.amount.sum()))
    target = next((t for t in AMOUNT if t in batch.tables and f"{LEFT_OUT}{t}" in con.list_tables()), None)
    if target is None:
        return pd.DataFrame(columns=["file_index", "currency", "elsewhere_minor"])
    rows = batch.tables[target].semi_join(con.table(f"{LEFT_OUT}{target}"), ["file_index", "row"])
    return con.to_pandas(rows.group_by("file_index", "currency").aggregate(elsewhere_minor=_[AMOUNT[target]].sum()))


def _counting(con, batch, target: str):
    """A batch's rows of a target without those left out for another file's."""
    rows, name = batch.tables[target], f"{LEFT_OUT}{target}"
    return rows.anti_join(con.table(name), ["file_index", "row"]) if name in con.list_tables() else rows
