"""What stands in more than one export: which file's version counts and what is left out; and, only said, sales that two sources hold."""

import re
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.intake import privacy
from helpers.intake.find import LEAVE_OUT
from helpers.intake.reconcile import AMOUNT, DAY, LEFT_OUT
from helpers.intake.targets import stored
from helpers.money import exponent, to_major

ONCE = {  # lines that stand in several files count once
    "refunds": "refund", "returns": "return", "retention_costs": "cost line", "subscriptions": "subscription movement",
}  # fmt: skip
SEEN = DAY | {"returns": "return_date", "customers": "signup_date"}  # what tells how far a file reaches
A_DAY = 86_400
DOUBLED = 0.5  # of a source's payments, when they are said to be the shops' sales
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
        keys |= {one.index: (latest[one.index], one.read, _by_number(one.raw.file)) for one in batch.accounts}
    return {index: rank for rank, index in enumerate(sorted(keys, key=lambda index: (keys[index], index)))}


def _by_number(file: str) -> list:
    """A file's name without its suffix, to sort as people count: export_9 before export_10, a download before its "(1)"."""
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
    rows = rows.mutate(copy=_.format_name.isin(POSTINGS).ifelse(copies, 0))
    equal = rows.version.max().over(ibis.window(group_by=[*same, "market"]))
    split = rows.version.max(where=~rows.whole).over(ibis.window(group_by=same))
    unsplit = rows.version.max(where=rows.whole).over(ibis.window(group_by=same))
    rows = rows.mutate(equal=equal, other=rows.whole.ifelse(split, unsplit))
    return rows.mutate(counts=ibis.greatest(rows.equal, rows.other.fill_null(-1))).drop("posted", "whole", "copy", "equal", "other")


def _of_orders(con, orders: ir.Table, names: dict[int, str]) -> list[str]:
    found = orders.group_by("source_name", "order_id").aggregate(files=_.file_index.nunique(), winner=_.file_index.argmax(_.version))
    counts = con.to_pandas(found.filter(_.files > 1).group_by("winner").aggregate(n=_.count()).order_by("winner"))
    total, whose = counts.n.sum(), ", ".join(f"{names[one.winner]} for {one.n:,}" for one in counts.head(5).itertuples())
    more = f" and {len(counts) - 5} more files" if len(counts) > 5 else ""
    stand = "1 order stands" if total == 1 else f"{total:,} orders stand"
    return [f"{stand} in more than one export; the newest export's version counts: {whose}{more}."] if total else []


def _said(con, left: ir.Table, target: str, names: dict[int, str]) -> list[str]:
    """A sentence for each file of which rows were left out: how many, their money, and the file that counts."""
    amount = left[AMOUNT[target]] if target in AMOUNT else ibis.literal(0)
    currency = left.currency if target in AMOUNT else ibis.null("string")
    grouped = left.mutate(said_amount=amount, said_currency=currency).group_by("file_index", "counts", "said_currency")
    found = con.to_pandas(grouped.aggregate(n=_.count(), amount=_.said_amount.sum()).order_by("file_index", "counts", "said_currency"))
    files = con.to_pandas(con.table(f"{target}_marked").select("version", "file_index").distinct()).set_index("version")["file_index"]
    remarks = []
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


def _money(minor: int, currency: str) -> str:
    return f"{to_major(minor, currency):,.{exponent(currency)}f} {currency}"


def sold(batches: list) -> ir.Table | None:
    """source_name, format_name, payments, file_index, order_id, ordered_at, buyer, currency, market of every staged order, or None."""
    parts = []
    for batch in batches:
        if "orders" in batch.tables:
            rows = batch.tables["orders"].mutate(**{name: ibis.literal(value) for name, value in batch.origin.items()})
            given = {c: rows[c] if c in rows.columns else ibis.null("string") for c in ("currency", "market")}
            parts.append(rows.select(*batch.origin, "file_index", "order_id", "ordered_at", buyer=privacy.buyer(rows), **given))
    return ibis.union(*parts) if parts else None


def doubled(con, orders: ir.Table) -> list[str]:
    """What counts twice of the columns of sold(), in sentences that say how many, an example, and what to do."""
    return [*_shared_orders(con, orders), *_payments(con, orders)]


def _shared_orders(con, orders: ir.Table) -> list[str]:
    """Orders whose number stands in two sources of one format within a day: two shops may give one number to orders of different days."""
    names = con.to_pandas(orders.select("source_name", "format_name").distinct())
    several = names.loc[names["format_name"].duplicated(), "format_name"].tolist()
    rows = orders.filter(orders.format_name.isin(several)).select("source_name", "format_name", "order_id", "ordered_at")
    other = rows.view()
    one = (rows.order_id == other.order_id, rows.format_name == other.format_name, rows.source_name < other.source_name)
    both = rows.join(other, [*one, within_a_day(rows.ordered_at, other.ordered_at)])
    both = both.select("source_name", "order_id", "ordered_at", other=other.source_name)
    found = both.group_by("source_name", "other").aggregate(n=_.order_id.nunique(), first=_.order_id.argmin(_.ordered_at))
    return [
        f"{row.n:,} order{'s' if row.n > 1 else ''} of {row.source_name} stand{'' if row.n > 1 else 's'} in {row.other} too, number and "
        f"day alike (first: {row.first}), and count{'' if row.n > 1 else 's'} twice. If both are one shop, list the files of both under "
        f'one [sources.…] in client.toml: files = ["first.csv", "second.csv"].'
        for row in con.to_pandas(found.order_by("source_name", "other")).itertuples()
    ]


def _payments(con, orders: ir.Table) -> list[str]:
    """Sources of payments of which, while the shops' exports run, most were made by somebody who bought there within a day."""
    known = orders.filter(orders.buyer.startswith("e:")).mutate(day=_.ordered_at.date())
    bought = known.filter(~known.payments).group_by("buyer", "day", shop="source_name").aggregate(bought=_.order_id.min())
    first, last = con.to_pandas(bought.aggregate(first=_.day.min(), last=_.day.max())).iloc[0]
    paid = known.filter(known.payments)
    if pd.isna(first) or not con.to_pandas(paid.count()):
        return []
    paid = paid.filter(paid.day.between(pd.Timestamp(first).date(), pd.Timestamp(last).date()))
    total = con.to_pandas(paid.group_by("source_name").aggregate(n=_.order_id.nunique())).set_index("source_name")["n"]
    near = ibis.union(*(bought.mutate(day=(bought.day + ibis.interval(days=k)).cast("date")) for k in (-1, 0, 1)))
    pairs = paid.join(near, ["buyer", "day"])
    found = pairs.group_by("source_name").aggregate(
        n=_.order_id.nunique(), shops=_.shop.nunique(), shop=_.shop.min(),
        first=_.order_id.argmin(_.ordered_at), bought=_.bought.argmin(_.ordered_at), day=_.day.min(),
    )  # fmt: skip
    return [
        f"{row.n:,} of the {total[row.source_name]:,} payments of {row.source_name} with a known buyer, while the shops' exports run, were "
        f"made within a day of the same buyer's order in {row.shop}{' and others' if row.shops > 1 else ''} (first: {row.first} on "
        f"{pd.Timestamp(row.day):%Y-%m-%d}, order {row.bought}): these sales count twice. Write {LEAVE_OUT} under "
        f"[sources.{row.source_name}] in client.toml, with its files, to leave the payments out."
        for row in con.to_pandas(found.order_by("source_name")).itertuples()
        if row.n >= DOUBLED * total[row.source_name]
    ]


def within_a_day(one: ir.TimestampValue, other: ir.TimestampValue) -> ir.BooleanValue:
    """Whether two moments are a day apart or less."""
    return (one.epoch_seconds() - other.epoch_seconds()).abs() <= A_DAY
