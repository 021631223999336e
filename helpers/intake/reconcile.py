"""The account of each file: its rows, and its money as read beside the same money as it stands in the tables."""

from datetime import date
from pathlib import Path

import pandas as pd
from ibis import _

from helpers import schema
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
        spans, (stand, elsewhere) = _spans(con, batch, settings), _money(con, batch, orders)
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
    table, kinds = pd.DataFrame(rows, columns=schema.TABLES["files"].names), {"int64": "Int64", "string": "string"}
    return table.astype({c: kinds[d] for c, d in schema.TABLES["files"].dtypes.items() if d in kinds}), remarks


def order_remarks(con, parts: dict, orders, refunds) -> list[str]:
    """What was left out or could not be placed, in sentences."""
    nobody = parts["orders"].filter(_.buyer.notnull(), _.customer_id.isnull())
    lost, who = con.to_pandas(nobody.aggregate(n=_.count(), who=_.buyer.nunique())).iloc[0]
    loose = con.to_pandas(refunds.anti_join(orders, ["source", "order_id"]).count()) if refunds is not None else 0
    shared = f"{lost:,} orders share {who:,} placeholder address{'es' if who > 1 else ''}; they count"
    several = f"{loose:,} refunds name no order of these exports; they count"
    orders = "1 order has a placeholder address; it counts" if lost == 1 else shared
    refunds = "1 refund names no order of these exports; it counts" if loose == 1 else several
    said = [f"{orders} in revenue and in no customer metric."] if lost else []
    return [*said, f"{refunds} in the month's bridge, not against a customer's spend."] if loose else said


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


def _money(con, batch, orders) -> tuple[pd.DataFrame, pd.DataFrame]:
    """file_index, currency and table_minor, a batch's money as it stands in the tables in the export's own terms; and the same with
    elsewhere_minor, what another file's version stands for and is no loss. Nothing where the format sums nothing to hold it against."""
    target = next((t for t in ("orders", *AMOUNT) if t in batch.tables), None)
    if target is None or not batch.match.format.rule("control"):
        return tuple(pd.DataFrame(columns=["file_index", "currency", name]) for name in ("table_minor", "elsewhere_minor"))
    if target == "orders":
        mine = con.table("orders").filter(_.source == batch.source).select("source", "order_id", "file_index", "added_tax", "currency")
        stand = orders.select("source", "order_id", "net_minor").join(mine, ["source", "order_id"])
        stand = stand.select("file_index", "currency", amount=(_.net_minor + _.added_tax))
        older = batch.tables["orders"].anti_join(mine, ["order_id", "file_index"])
        gross, discount = (older[name].fill_null(0) if name in older.columns else 0 for name in ("gross_minor", "discount_minor"))
        newer = older.select("file_index", "currency", amount=gross - discount)
        if "refunds" in batch.tables:  # a ledger's negative lines
            less = [rows.mutate(amount=-_.amount) for rows in _counting(con, batch, "refunds")]
            stand, newer = stand.union(less[0]), newer.union(less[1])
    else:
        stand, newer = _counting(con, batch, target)
    sums = [rows.group_by("file_index", "currency").aggregate(amount=_.amount.sum()) for rows in (stand, newer)]
    return con.to_pandas(sums[0].rename(table_minor="amount")), con.to_pandas(sums[1].rename(elsewhere_minor="amount"))


def _counting(con, batch, target: str) -> tuple:
    """file_index, currency and amount of a batch's rows of a target that count, and of those left out for another file's."""
    rows, name = batch.tables[target], f"{LEFT_OUT}{target}"
    there = rows.filter(rows.currency.notnull())
    left = con.table(name) if name in con.list_tables() else there.select("file_index", "row").limit(0)
    several = there.anti_join(left, ["file_index", "row"]), there.semi_join(left, ["file_index", "row"])
    return tuple(one.select("file_index", "currency", amount=one[AMOUNT[target]]) for one in several)
