"""One raw file, taken as one format: typed rows for the tables it feeds, rejected rows, counts and money as read."""

from dataclasses import dataclass, field
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd

from helpers import schema
from helpers.intake import contract, quirks, read
from helpers.intake.columns import Reader, minor_units
from helpers.intake.contract import Check, Problem
from helpers.intake.recognise import Match
from helpers.settings import Settings, Source

TIMESTAMPS = (
    "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z",
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d", "%Y-%m",
)
KINDS = {"string": "text", "int64": "integer", "float64": "number", "boolean": "flag", "date": "date",
         "timestamp('UTC')": "moment"}
BUYER = {"email": "text", "account": "text", "customer_id": "text"}
LATER = {"customer_id", "identity_scope", "source", "order_date", "opened_date", "referred_by", "truncated",
         "first_order_date", "has_comment", "net_rc", "net_minor", "discount_rc", "rate_date"}
EXTRA = {
    "orders": {**BUYER, "goods_tax": "money", "tax_included": "flag", "tax_rate": "number"},
    "order_lines": {"amount": "number", "unit_cost": "number", "currency": "currency"},
    "refunds": {**BUYER, "product_id": "text", "refunded_at": "moment"},
    "customers": {**BUYER}, "tickets": {**BUYER, "cost": "money", "currency": "currency"},
    "surveys": {**BUYER, "comment": "text"}, "surveys_sent": BUYER, "engagement": BUYER, "subscriptions": BUYER,
    "campaigns": {**BUYER, "cost": "money", "currency": "currency"},
}
HELPERS = {
    "deliveries": {"order_id": "text", "delivered_date": "date", "promised_date": "date", "status": "text"},
    "referrals": {**BUYER, "order_id": "text", "referrer_email": "text"},
    "products": {"product_id": "text", "category": "text", "unit_cost": "money", "currency": "currency"},
    "rates": {"date": "date", "currency": "currency", "rate": "number"},
}
NEEDED = {"deliveries": ("order_id",), "referrals": ("referrer_email",), "products": ("product_id",),
          "rates": ("date", "currency", "rate"), "customers": (), "order_lines": ("order_id",), "refunds": ()}
FINE = 10_000  # amounts of order lines are shares of their order; kept to a hundredth of a cent


@dataclass
class Staged:
    """What one file gave: a table of rows for each target, and the account of its rows and money."""

    raw: read.Raw
    match: Match
    source: str
    index: int
    tables: dict[str, ir.Table] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    read: int = 0
    rejected: int = 0
    ignored: int = 0
    money: pd.DataFrame | None = None


def kinds(target: str) -> dict[str, str]:
    """The columns a format file may fill for a table, each with the kind of value it is read as.

    >>> kinds("retention_costs")["amount"], kinds("orders")["gross"], kinds("orders")["ordered_at"]
    ('money', 'money', 'moment')
    """
    if target in HELPERS:
        return HELPERS[target]
    found = {}
    for column in schema.TABLES[target].columns:
        if column.name in LATER or column.name.endswith("_rc"):
            continue
        if column.name.endswith("_minor"):
            found[column.name.removesuffix("_minor")] = "money"
        else:
            found[column.name] = {"market": "country", "currency": "currency"}.get(column.name, KINDS[column.dtype])
    if target in ("retention_costs", "fx"):
        found["source"] = "text"
    return found | EXTRA.get(target, {})


def needed(target: str) -> tuple[str, ...]:
    """The columns that every row of a target must fill."""
    if target in NEEDED:
        return NEEDED[target]
    columns = [c.name.removesuffix("_minor") for c in schema.TABLES[target].columns if c.required]
    optional = {"gross", "discount", "sales_channel", "is_renewal", "amount_rc", "mrr_delta_rc", "kind", "direction", "status"}
    fallback = {"arm", "scale_min", "scale_max", "customer_id"} | optional
    return tuple(name for name in columns if name in kinds(target) and name not in fallback)


def stage(con, raw, path: Path, layout, match: Match, source: str, terms: Source, settings: Settings, index: int,
          workbench: Path, rejected: Path) -> Staged:
    """Read a file by its format into typed tables, set aside the rows that break the contract, and count everything."""
    form, name = match.format, f"raw_{index}"
    wanted = [*match.columns.values(), *([terms.columns["part"]] if form.rule("once_across") and "part" in terms.columns else [])]
    rows = read.load(con, name, raw, path, layout, wanted, workbench, form.rule("quote", '"'))
    rows = quirks.once_across(con, rows, match, name) if form.rule("once_across") else rows
    decimal = terms.decimal or quirks.decimal_mark(con, rows, form, match)
    dates = tuple(form.rule("timestamps", ())) or TIMESTAMPS
    if terms.date_format:
        dates = (terms.date_format, *(d for d in dates if "%z" in d))
    elif form.rule("day_first") == "ask":
        dates = quirks.day_month_order(con, rows, match, dates, form.rule("date_columns", []))
    reader = Reader(con, rows, match, terms, settings.time_zone, decimal, dates)
    staged = Staged(raw, match, source, index)
    columns, used = {}, {}
    for target, spec in form.tables.items():
        made, checks_in = _target_columns(reader, target, spec)
        columns |= {f"{target}__{key}": value for key, value in made.items()}
        used[target] = [key for key in made if key != "in"]
        reader.checks += checks_in
    ignored = _ignored(reader, form, terms, rows)
    checks = [c._replace(bad=(c.bad & ~ignored).fill_null(False)) for c in reader.checks]
    bad = ibis.or_(*(c.bad for c in checks)) if checks else ibis.literal(False)
    group = reader.value(form.rule("group")) if form.rule("group") else ibis.null("string")
    control = _control(reader, form, ignored)
    table = con.create_table(f"stage_{index}", rows.select(row=rows.row, ignored=ignored, bad=bad, group=group, **control, **columns),
                             overwrite=True)
    table = _account(con, staged, rows, table, checks, name, raw.kind != "parquet", rejected)
    for target, spec in form.tables.items():
        staged.tables[target] = _target_rows(table, target, spec, used[target], staged)
    return staged


def _target_columns(reader: Reader, target: str, spec: dict) -> tuple[dict, list[Check]]:
    """The typed columns of one target, and the checks that belong to the target rather than to a column."""
    inside = reader.value(spec["rows"]) if "rows" in spec else ibis.literal(True)
    made, checks, known = {"in": inside}, [], kinds(target)
    strangers = set(spec) - set(known) - {"rows", "one_per", "quirk"}
    if strangers:
        raise ValueError(f"{reader.match.format.path.name}: {target} has no column {', '.join(sorted(strangers))}.")
    for column, what in _with_settings(reader, target, spec).items():
        before = len(reader.checks)
        value = reader.typed(what, known[column], _where(what, column, reader))
        failed = ibis.or_(*(c.bad for c in reader.checks[before:])) if len(reader.checks) > before else ibis.literal(False)
        made[column] = value
        if column in needed(target):
            checks.append(Check(_where(what, column, reader), "empty", "empty", inside & value.isnull() & ~failed, ibis.null("string")))
        if known[column] in ("number", "money"):
            made[column] = value.cast("float64")
        allowed = schema.TABLES[target].columns if target in schema.TABLES else ()
        values = next((c.values for c in allowed if c.name == column and c.values), ())
        if values and column != "kind" or target in ("subscriptions", "acquisition_spend") and values:
            word = value.lower()
            made[column] = word
            listed = f"not one of {', '.join(values)}"
            checks.append(Check(_where(what, column, reader), "value", listed, inside & word.notin(values).fill_null(False), value))
    money = [c for c in made if known.get(c) == "money"]
    if money and "currency" in made:
        for column in money:
            lacking = inside & made["currency"].isnull() & (made[column].fill_null(0.0) != 0)
            checks.append(Check(_where(spec.get(column, column), column, reader), "currency", "without a currency", lacking, ibis.null("string")))
            made[f"{column}_minor"] = minor_units(made.pop(column), made["currency"])
    return made, checks


def _with_settings(reader: Reader, target: str, spec: dict) -> dict:
    """The columns of a target, and what client.toml says of the source where the file itself is silent."""
    columns = {k: v for k, v in spec.items() if k not in ("rows", "one_per", "quirk")}
    for column in ("currency", "market", "sales_channel", "acquisition_channel"):
        said = getattr(reader.source, column)
        if said and column in kinds(target):
            columns[column] = {"first": [columns[column], {"constant": said}]} if column in columns else {"constant": said}
    if target == "orders":
        columns.setdefault("sales_channel", {"constant": reader.match.format.rule("sales_channel", reader.match.format.name)})
        if reader.source.tax_included is not None:
            columns["tax_included"] = {"constant": reader.source.tax_included}
        if reader.source.tax_rate is not None:
            columns["tax_rate"] = {"constant": reader.source.tax_rate}
    return columns


def _where(spec, column: str, reader: Reader) -> str:
    """The name a reader of the file knows a column by."""
    if isinstance(spec, str):
        return reader.match.columns.get(spec, spec)
    if isinstance(spec, dict):
        for value in spec.values():
            if isinstance(value, str) and value in reader.match.columns:
                return reader.match.columns[value]
    return column


def _ignored(reader: Reader, form, terms: Source, rows: ir.Table) -> ir.BooleanValue:
    """Rows that are no data: empty lines, totals, and what the format or client.toml leaves out."""
    texts = [rows[c] for c in dict.fromkeys(reader.match.columns.values())]
    empty = ibis.and_(*(text.strip().nullif("").isnull() for text in texts))
    rules = [empty, *(reader.value(rule) for rule in form.rule("ignore", []))]
    for header, kept in terms.where.items():
        value = reader.value(header)
        keeps = value.isin(kept) if isinstance(kept, list) else value.re_search(kept)
        rules.append(~keeps.fill_null(False))
    if "repeated" in rows.columns:
        rules.append(rows.repeated)
    return ibis.or_(*(rule.fill_null(False) for rule in rules))


def _control(reader: Reader, form, ignored) -> dict:
    """The money of a row read straight from its text, for the reconciliation."""
    spec = form.rule("control")
    if not spec:
        return {"control_currency": ibis.null("string"), "control_minor": ibis.null("int64")}
    quiet = Reader(reader.con, reader.rows, reader.match, reader.source, reader.time_zone, reader.decimal, reader.timestamps)
    currency = quiet.typed(spec["currency"], "text", "currency").upper()
    amount = quiet.typed(spec["amount"], "money", "amount").cast("float64")
    counted = ~ignored & quiet.currency(currency, "currency").notnull()
    return {"control_currency": counted.ifelse(currency, ibis.null("string")),
            "control_minor": counted.ifelse(minor_units(amount, currency), ibis.null("int64"))}


def _account(con, staged: Staged, rows, table, checks, name: str, is_csv: bool, rejected: Path) -> ir.Table:
    """Counts of rows, the reject file, and the staged table with `bad` spread over whole orders."""
    broken = read.broken_lines(con, name, is_csv)
    if broken:
        line, kind, _text = broken[0]
        staged.problems.append(Problem("the file", f"{len(broken):,} lines cannot be split into its columns, first line {line} "
                               f"({kind})", "Look for an unclosed quote or a missing separator there."))
    some = con.to_pandas(table.aggregate(
        rows=table.count(), ignored=table.ignored.sum(), bad=(table.bad & ~table.ignored).sum())).fillna(0).iloc[0]
    if some["bad"]:
        staged.problems += contract.breaches(con, rows, checks)
        groups = table.filter(table.bad, table.group.notnull()).select("group").distinct()
        spread = con.create_table(f"{name}_bad", table.filter(
            ~table.ignored, table.bad | table.group.isin(groups.group)).select("row"), overwrite=True)
        table = table.mutate(bad=table.row.isin(spread.row))
        out = rows.filter(rows.row.isin(spread.row)).order_by("row")
        out = out.mutate(reason=contract.reasons(checks)).mutate(reason=ibis._.reason.nullif("").fill_null("another row of the same order is rejected"))
        contract.write_rejects(con, out, rejected, broken)
        some["bad"] = con.to_pandas(spread.count())
    elif broken:
        contract.write_rejects(con, rows.filter(ibis.literal(False)).mutate(reason=ibis.literal("")), rejected, broken)
    staged.ignored = int(some["ignored"])
    staged.rejected = int(some["bad"]) + len(broken)
    staged.read = int(some["rows"]) - staged.ignored + len(broken)
    money = table.filter(table.control_currency.notnull()).group_by(currency=table.control_currency)
    staged.money = con.to_pandas(money.aggregate(raw_minor=table.control_minor.sum()).order_by("currency"))
    return table


def _target_rows(table, target: str, spec: dict, used: list[str], staged: Staged) -> ir.Table:
    """The accepted rows of one target: one row each, or summed to one per order."""
    kept = table.filter(table[f"{target}__in"].fill_null(False), ~table.ignored, ~table.bad)
    kept = kept.select("row", **{column: table[f"{target}__{column}"] for column in used})
    if key := spec.get("one_per"):
        sums = [c for c in used if c.endswith("_minor")]
        firsts = [c for c in used if c not in (key, *sums)]
        kept = kept.group_by(key).aggregate(
            row=kept.row.min(), **{c: kept[c].sum().cast("int64") for c in sums}, **{c: kept[c].argmin(kept.row) for c in firsts})
    kept = quirks.BY_NAME[spec["quirk"]](kept) if "quirk" in spec else kept
    return kept.mutate(file_index=ibis.literal(staged.index, "int64"),
                       source_name=ibis.literal(staged.source), format_name=ibis.literal(staged.match.format.name))
