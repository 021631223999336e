"""Sales that two sources hold: one shop's orders under two names, and payments beside the shop where they were made."""

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.intake import privacy

LEAVE_OUT = "skip = true"  # what leaves a source out, in client.toml
A_DAY = 86_400
DOUBLED = 0.5


def sold(batches: list) -> ir.Table | None:
    """source_name, format_name, payments, file_index, order_id, ordered_at, buyer, currency, market of every staged order, or None."""
    parts = []
    for batch in batches:
        if "orders" in batch.tables:
            rows = batch.tables["orders"].mutate(**{name: ibis.literal(value) for name, value in batch.origin.items()})
            given = {c: rows[c] if c in rows.columns else ibis.null("string") for c in ("currency", "market")}
            parts.append(rows.select(*batch.origin, "file_index", "order_id", "ordered_at", buyer=privacy.buyer(rows), **given))
    return ibis.union(*parts) if parts else None


def remarks(con, orders: ir.Table) -> list[str]:
    """What counts twice, in sentences that say how many, an example, and what to do.

    orders needs source_name, format_name, payments, order_id, ordered_at and buyer. Two shops may give the same number to orders of
    different days: only a number that stands in both within a day is one order.
    """
    return [*_shared_orders(con, orders), *_payments(con, orders)]


def _shared_orders(con, orders: ir.Table) -> list[str]:
    names = con.to_pandas(orders.select("source_name", "format_name").distinct())
    several = [form for form, mine in names.groupby("format_name") if len(mine) > 1]
    if not several:
        return []
    rows = orders.filter(orders.format_name.isin(several)).select("source_name", "format_name", "order_id", "ordered_at")
    other = rows.view()
    one = (rows.order_id == other.order_id, rows.format_name == other.format_name, rows.source_name < other.source_name)
    both = rows.join(other, [*one, _apart(rows.ordered_at, other.ordered_at) <= A_DAY])
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


def _apart(one: ir.TimestampValue, other: ir.TimestampValue) -> ir.NumericValue:
    return (one.epoch_seconds() - other.epoch_seconds()).abs()
