"""All staged files together: one set of canonical tables, written as Parquet, and the account of each file."""

from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers import schema
from helpers.intake import overlaps, privacy, reconcile, sales
from helpers.intake.contract import IntakeError, Problem
from helpers.intake.conversions import to_local
from helpers.intake.staging import Batch
from helpers.intake.targets import kinds, stored
from helpers.money import MissingRate, exchange_rates
from helpers.settings import Settings

RATED = ("orders", "refunds", "retention_costs", "campaigns", "acquisition_spend", "subscriptions", "tickets", "products")
DEFAULTS = {"acquisition_spend": {"kind": "media"}, "campaigns": {"arm": "none"}, "surveys": {"direction": "higher"}}


def write_tables(con, batches: list[Batch], settings: Settings, folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Write every table of the schema that the files feed; returns the files table and remarks for the reader."""
    folder.mkdir(parents=True)
    parts, overlapping = overlaps.once(con, _stacked(con, batches, settings), batches)
    fx = _rates(con, parts, settings)
    tables, remarks = _order_tables(con, parts, fx, settings)
    tables["fx"] = fx
    tables |= {target: _optional(rows, target, fx, settings) for target, rows in parts.items() if target in schema.OPTIONAL}
    for name, table in tables.items():
        con.to_parquet(_as_in_schema(table, name), folder / f"{name}.parquet")
        _stop_if_empty_cells(con, name, folder / f"{name}.parquet")
    files, more = reconcile.files_table(con, batches, settings, folder)
    files.to_parquet(folder / "files.parquet", index=False)
    said = [remark for batch in batches for one in batch.accounts for remark in one.remarks]
    return files, said + overlapping + remarks + more


def _stop_if_empty_cells(con, name: str, path: Path) -> None:
    """Raise when a column that must be filled is not, before the tables are swapped in."""
    required = [column.name for column in schema.TABLES[name].columns if column.required]
    counts = ", ".join(f"count(*) - count({column})" for column in required)
    empty = con.raw_sql(f"SELECT {counts} FROM read_parquet('{path}')").fetchone()
    if problems := [Problem(c, f"{n:,} rows have none") for c, n in zip(required, empty, strict=True) if n]:
        raise IntakeError({f"the table {name}": problems})


def _stacked(con, batches: list[Batch], settings: Settings) -> dict[str, ir.Table]:
    """The staged rows of each target under one another, with buyers replaced by pseudonyms."""
    parts, identified, versions = {}, [], overlaps.versions(con, batches)
    for target in dict.fromkeys(t for batch in batches for t in batch.tables):
        stacked = ibis.union(*(_full(batch, target, versions) for batch in batches if target in batch.tables))
        if "email" in kinds(target):
            stacked = stacked.mutate(buyer=privacy.buyer(stacked))
            identified.append(stacked)
        if target == "referrals":
            stacked = stacked.mutate(referrer=ibis.literal("e:").concat(stacked.referrer_email.strip().lower()))
            identified.append(stacked.select(buyer="referrer"))
        if target == "retention_costs":
            month_end = _.month.truncate("M") + ibis.interval(months=1) - ibis.interval(days=1)
            stacked = stacked.mutate(month=month_end.cast("date"))
        parts[target] = stacked
    parts["orders"] = con.create_table("orders_stacked", parts["orders"])
    buyers = privacy.buyers_table(con, identified, settings)
    shared = privacy.impossible_addresses(con, parts["orders"], settings.privacy.placeholder_orders_per_day)
    fake = buyers.buyer.isin(shared.buyer)
    customer, scope = fake.ifelse(ibis.null("string"), buyers.customer_id), fake.ifelse("none", buyers.identity_scope)
    buyers = con.create_table("buyers_kept", buyers.mutate(customer_id=customer, identity_scope=scope))
    for target, stacked in parts.items():
        if "buyer" in stacked.columns:
            named = stacked.drop("customer_id").left_join(buyers, "buyer").drop("buyer_right")
            if target == "referrals":
                named = named.left_join(buyers.select(referrer="buyer", referrer_id="customer_id"), "referrer").drop("referrer_right")
            parts[target] = named
    return parts


def _full(batch: Batch, target: str, versions: dict[int, int]) -> ir.Table:
    """A batch's rows with every column of the target, null where the export has none, in one order."""
    rows = batch.tables[target]
    columns = {name: rows[name].cast(dtype) if name in rows.columns else ibis.null(dtype) for name, dtype in stored(target).items()}
    version = rows.file_index.cases(*((one.index, versions[one.index]) for one in batch.accounts)).cast("int64")
    origin = {name: ibis.literal(value) for name, value in batch.origin.items()}
    return rows.select("row", "file_index", version=version, **columns, **origin)


def _rates(con, parts: dict, settings: Settings) -> ir.Table:
    """The fx table: every currency and day that any money needs, or an error naming each currency without a rate."""
    spans = []
    for target in RATED:
        if target in parts:
            rows = parts[target].filter(_.currency.notnull())
            days = [rows[d].cast("date") for d in (reconcile.DAY.get(target), "refunded_at") if d in rows.columns]  # of products none
            rows = rows.select("currency", when=ibis.coalesce(ibis.null("date"), *days))
            spans.append(con.to_pandas(rows.group_by("currency").aggregate(first=rows.when.min(), last=rows.when.max())))
    latest = con.to_pandas(parts["returns"].return_date.max()) if "returns" in parts else None
    need = pd.concat(spans).groupby("currency").agg({"first": "min", "last": "max"}).apply(pd.to_datetime)
    first, last = need["first"].min(), pd.to_datetime([need["last"].max(), latest]).max()
    own = con.to_pandas(parts["rates"].select("date", "currency", "rate")) if "rates" in parts else None
    costed = set(con.to_pandas(parts["products"].currency)) if "products" in parts else set()
    running = set()  # currencies of recurring revenue that still runs: it is valued in the months after its last movement too
    if "subscriptions" in parts:
        balances = parts["subscriptions"].group_by("currency").aggregate(mrr=_.mrr_delta_minor.sum())
        running = set(con.to_pandas(balances.filter(_.mrr != 0).currency))
    rates, problems = [], []
    for code, span in need.iterrows():
        wide = pd.isna(span["first"]) or code in costed  # unit costs are needed on the days of any order
        start, end = (first, last) if wide else (span["first"], last if "returns" in parts or code in running else span["last"])
        start, end = start - pd.Timedelta(days=1), end + pd.Timedelta(days=1)  # a moment's local day may be a neighbour
        try:
            rates.append(exchange_rates([code], settings.currency, start.date(), end.date(), own))
        except MissingRate as error:
            problems.append(Problem(code, str(error).rstrip(".")))
    if problems:
        raise IntakeError({"the exchange rates": problems})
    table = pd.concat(rates, ignore_index=True)
    table["date"], table["rate_date"] = table["date"].dt.date, pd.to_datetime(table["rate_date"]).dt.date
    return con.create_table("fx", _as_in_schema(ibis.memtable(table), "fx"))


def _order_tables(con, parts: dict, fx: ir.Table, settings: Settings) -> tuple[dict, list[str]]:
    reporting = settings.currency
    taxed, untaxed = sales.tax_as_stated(con, parts["orders"], settings.sources)
    once = sales.each_once(con, taxed)
    dated = sales.net_of_tax(once).mutate(
        order_date=to_local(settings.time_zone, _.ordered_at).date(),
        source=_.source_name,
        identity_scope=_.identity_scope.fill_null("none"),
        is_renewal=_.is_renewal.fill_null(False),
        status=_.status.fill_null("paid"),
    )
    orders = sales.converted(dated, fx, "order_date", reporting, {"net_rc": "net_minor", "discount_rc": "discount_minor"})
    orders = con.create_table("orders_converted", orders)
    helping = [name for name in ("deliveries", "refunds", "returns") if name in parts]
    refs = {name: sales.located(con, parts[name], orders, f"{name}_located") for name in helping}
    orders = sales.with_referrers(sales.delivered(orders, refs.get("deliveries")), parts.get("referrals"))
    lines = None
    if "order_lines" in parts:
        kept = parts["order_lines"].mutate(source=_.source_name).semi_join(orders, ["source", "order_id", "file_index"])
        lines = sales.order_lines(kept, orders.rename(order_currency="currency"), parts.get("products"), fx, reporting)
        lines = con.create_table("order_lines", lines)
    refunds = _refunds(con, refs.get("refunds"), orders, lines, fx, settings)
    if "returns" in refs and lines is not None:
        valued = sales.returned_goods(refs["returns"], orders, lines, refunds)
        valued = sales.converted(valued, fx, "refund_date", reporting, {"amount_rc": "amount_minor"})
        names = schema.TABLES["refunds"].names
        refunds = valued.select(*names) if refunds is None else refunds.select(*names).union(valued.select(*names))
        refunds = con.create_table("refunds_and_returns", refunds.order_by("refund_date", "source", "order_id"))
    if refunds is not None:
        orders = _less_dated(orders, refunds)
    orders = con.create_table("orders", sales.with_day_orders(sales.with_category(orders, lines)))
    start = settings.data_start or reconcile.as_day(con.to_pandas(orders.filter(_.customer_id.notnull()).order_date.min()))
    people = sales.customers(orders, parts.get("customers"), settings.history_complete, start)
    tables = {
        "orders": orders.order_by("ordered_at", "source", "order_id"),
        "order_lines": lines,
        "refunds": refunds,
        "customers": people.order_by("customer_id"),
    }
    return tables, untaxed + reconcile.order_remarks(con, parts, orders, refunds) + overlaps.doubled(con, parts["orders"])


def _refunds(con, refunds, orders, lines, fx, settings) -> ir.Table | None:
    if refunds is None:
        return None
    refunds = refunds.mutate(refund_row=_.file_index.cast("string").concat("/", _.row.cast("string")))
    if lines is None:
        refunds = refunds.mutate(source=ibis.coalesce(_.source, _.source_name))
    else:
        refunds = sales.cancelled_purchases(con, refunds, orders, lines)
    refunds = refunds.mutate(refund_date=ibis.coalesce(_.refund_date, to_local(settings.time_zone, _.refunded_at).date()))
    sold = orders.select("source", "order_id", sold_on="order_date")
    dated = refunds.left_join(sold, ["source", "order_id"]).drop("source_right", "order_id_right")
    dated = dated.mutate(rate_day=ibis.coalesce(_.sold_on, _.refund_date))  # a refund in full leaves nothing of the sale
    made = sales.converted(dated, fx, "rate_day", settings.currency, {"amount_rc": "amount_minor"})
    return con.create_table("refunds", made.order_by("refund_date", "source", "order_id", "refund_row"))


def _less_dated(orders: ir.Table, refunds: ir.Table) -> ir.Table:
    """An order's undated refunds without those that a dated file gives too: the platform's total holds both."""
    dated = refunds.group_by("source", "order_id").aggregate(dated=_.amount_minor.sum())
    rows = orders.left_join(dated, ["source", "order_id"]).drop("source_right", "order_id_right")
    left = ibis.greatest(_.refund_undated_minor - _.dated.fill_null(0), 0).cast("int64").nullif(0)
    return rows.mutate(refund_undated_minor=left).drop("dated")


def _optional(rows: ir.Table, target: str, fx: ir.Table, settings: Settings) -> ir.Table:
    if target == "tickets":
        rows = rows.mutate(opened_date=to_local(settings.time_zone, _.opened_at).date())
    if target == "surveys":
        rows = rows.mutate(has_comment=_.comment.notnull())
    table = schema.TABLES[target]
    if money := {name: f"{name.removesuffix('_rc')}_minor" for name in table.names if name.endswith("_rc")}:
        rows = sales.converted(rows, fx, table.day, settings.currency, money)
    rows = rows.fill_null(DEFAULTS.get(target, {}))
    filled = {*table.key, *(c.name for c in table.columns if c.required and c.name == "customer_id")}
    rows = rows.drop_null(sorted(filled)) if filled else rows
    if table.key:
        rank = ibis.row_number().over(ibis.window(group_by=table.key, order_by=[ibis.desc("version"), "row"]))
        rows = rows.mutate(rank=rank).filter(_.rank == 0)
    return rows.order_by("file_index", "row", *table.names[:2])  # a row of several questions gives several answers


def _as_in_schema(rows: ir.Table | None, name: str) -> ir.Table:
    """Exactly the columns of the schema, in its order and types; none for no rows."""
    dtypes = schema.TABLES[name].dtypes
    rows = ibis.memtable([], schema=ibis.schema(dtypes)) if rows is None else rows
    return rows.select(**{column: rows[column].cast(dtype) for column, dtype in dtypes.items()})
