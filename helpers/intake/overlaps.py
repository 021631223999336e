"""What stands in more than one export of a kind: which file's version counts, what is left out, and how that is said."""

import re
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.intake.reconcile import AMOUNT, DAY, LEFT_OUT
from helpers.intake.targets import stored
from helpers.money import exponent

ONCE = {  # lines that stand in several files count once
    "refunds": "refund", "returns": "return", "retention_costs": "cost line", "subscriptions": "subscription movement",
}  # fmt: skip
SEEN = DAY | {"returns": "return_date", "customers": "signup_date"}  # what tells how far a file reaches
POSTINGS = ("amazon_settlement",)  # several files may each charge the same day: only equal lines are the same


def versions(con, batches: list) -> dict[int, int]:
    """The rank of each file by its content: the newest has seen most. By latest day held, then rows, then name as people count."""
    keys = {}
    for batch in batches:
        latest = dict.fromkeys((one.index for one in batch.accounts), float("-inf"))
        for target, rows in batch.tables.items():
            if (day := SEEN.get(target)) in rows.columns:
                last = rows.group_by("file_index").aggregate(last=rows[day].max().cast("timestamp('UTC')").epoch_seconds())
                for one in con.to_pandas(last).dropna().itertuples():
                    latest[one.file_index] = max(latest[one.file_index], one.last)
        keys |= {one.index: (latest[one.index], one.read, by_number(one.raw.file)) for one in batch.accounts}
    return {index: rank for rank, index in enumerate(sorted(keys, key=lambda index: (keys[index], index)))}


def by_number(file: str) -> list:
    """A file's name without its suffix, to sort as people count: export_9 before export_10, a download before its "(1)".

    >>> sorted(["orders_10.csv", "orders (1).csv", "orders_9.csv", "orders.csv"], key=by_number)
    ['orders.csv', 'orders (1).csv', 'orders_9.csv', 'orders_10.csv']
    """
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", str(Path(file).with_suffix(""))) if part]


def once(con, parts: dict[str, ir.Table], batches: list) -> tuple[dict[str, ir.Table], list[str]]:
    """The rows of each target with what several files give counted once, and remarks on what was left out for which file.

    Orders are only spoken of: sales.each_once chooses them.
    """
    names = {one.index: one.raw.file for batch in batches for one in batch.accounts}
    remarks = _of_orders(con, parts["orders"], names)
    for target in [*ONCE, "acquisition_spend"]:
        if target not in parts or con.to_pandas(parts[target].file_index.nunique()) < 2:
            continue
        rows = parts[target]
        marked = con.create_table(f"{target}_marked", _spend(rows) if target == "acquisition_spend" else _equal(rows, target))
        left = marked.filter(_.version < _.counts)
        con.create_table(f"{LEFT_OUT}{target}", left.select("file_index", "row"))
        remarks += _said(con, left, target, names)
        parts[target] = marked.filter(_.version == _.counts).drop("counts")
    return parts, remarks


def _equal(rows: ir.Table, target: str) -> ir.Table:
    """Rows with the version that counts: the k-th copy of a line in one file is the k-th copy of it in another."""
    same = ["source_name", "format_name", *(c for c in stored(target) if c in rows.columns)]
    rows = rows.mutate(copy=ibis.row_number().over(ibis.window(group_by=[*same, "file_index"], order_by="row")))
    return rows.mutate(counts=_.version.max().over(ibis.window(group_by=[*same, "copy"]))).drop("copy")


def _spend(rows: ir.Table) -> ir.Table:
    """Rows with the version that counts: the newest file's for a source, day, channel, campaign, kind, currency and market.

    Of a file that splits a campaign by market and one that does not, the newer counts too.
    """
    same = ["source_name", "format_name", "date", "channel", "campaign", "kind", "currency", "posted", "copy"]
    posting, whole = rows.format_name.isin(POSTINGS), rows.market.isnull()
    rows = rows.mutate(posted=posting.ifelse(rows.amount_minor, 0), whole=whole)
    copies = ibis.row_number().over(ibis.window(group_by=[*same[:-1], "market", "file_index"], order_by="row"))
    rows = rows.mutate(copy=copies)
    rows = rows.mutate(copy=rows.format_name.isin(POSTINGS).ifelse(rows.copy, 0))
    equal = rows.version.max().over(ibis.window(group_by=[*same, "market"]))
    split = rows.version.max(where=~rows.whole).over(ibis.window(group_by=same))
    unsplit = rows.version.max(where=rows.whole).over(ibis.window(group_by=same))
    rows = rows.mutate(equal=equal, other=rows.whole.ifelse(split, unsplit))
    return rows.mutate(counts=ibis.greatest(rows.equal, rows.other.fill_null(-1))).drop("posted", "whole", "copy", "equal", "other")


def _of_orders(con, orders: ir.Table, names: dict[int, str]) -> list[str]:
    found = orders.group_by("source_name", "order_id").aggregate(files=_.file_index.nunique(), winner=_.file_index.argmax(_.version))
    counts = con.to_pandas(found.filter(_.files > 1).group_by("winner").aggregate(n=_.count()).order_by("winner"))
    if counts.empty:
        return []
    total, whose = counts.n.sum(), ", ".join(f"{names[one.winner]} for {one.n:,}" for one in counts.head(5).itertuples())
    more = f" and {len(counts) - 5} more files" if len(counts) > 5 else ""
    stand = "1 order stands" if total == 1 else f"{total:,} orders stand"
    return [f"{stand} in more than one export; the newest export's version counts: {whose}{more}."]


def _said(con, left: ir.Table, target: str, names: dict[int, str]) -> list[str]:
    """A sentence for each file of which rows were left out: how many, their money, and the file that counts."""
    amount = left[AMOUNT[target]] if target in AMOUNT else ibis.literal(0)
    currency = left.currency if target in AMOUNT else ibis.null("string")
    grouped = left.mutate(said_amount=amount, said_currency=currency).group_by("file_index", "counts", "said_currency")
    found = con.to_pandas(grouped.aggregate(n=_.count(), amount=_.said_amount.sum()).order_by("file_index", "counts", "said_currency"))
    files, remarks = _by_version(con, target), []
    for index, mine in found.groupby("file_index"):
        sums = mine.groupby("said_currency")["amount"].sum()
        worth = f" ({', '.join(_money(minor, code) for code, minor in sums.items())})" if len(sums) else ""
        rows, others = int(mine.n.sum()), ", ".join(names[files[version]] for version in mine.counts.unique())
        many, noun = rows > 1, ONCE.get(target, "ad spend row")
        what = f"{names[index]}: {rows:,} {noun}{'s' * many}{worth}"
        if target == "acquisition_spend":
            why = f"left out, as {others} holds the same day, campaign, kind and market and is newer. Give another account its own source."
            remarks.append(f"{what} {'are' if many else 'is'} {why}")
        else:
            remarks.append(f"{what} {'stand' if many else 'stands'} in {others} too, with the same values; each is counted once.")
    return remarks


def _by_version(con, target: str) -> dict[int, int]:
    """The file of each version."""
    files = con.table(f"{target}_marked").select("version", "file_index").distinct()
    return {one.version: one.file_index for one in con.to_pandas(files).itertuples()}


def _money(minor: int, currency: str) -> str:
    digits = exponent(currency) if not pd.isna(currency) else 0
    return f"{minor / 10**digits:,.{digits}f} {currency}"
