"""Raw files of one kind, taken by one format: typed rows for the tables they feed, rejected rows, counts, money as read."""

from dataclasses import dataclass, field
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.intake import contract, quirks, read, repeats
from helpers.intake.columns import TEXT, Reader
from helpers.intake.contract import NOTHING, Check, Problem
from helpers.intake.conversions import minor_units
from helpers.intake.recognise import Match
from helpers.intake.targets import allowed, kinds, needed
from helpers.settings import Settings, Source

LARGEST = 1e13
ROUNDED = r"^\d([.,]\d+)?[eE]\+\d+$"  # what spreadsheets make of a number of more than fifteen digits


@dataclass
class Account:
    """One file's rows and money."""

    raw: read.Raw
    index: int
    read: int = 0
    rejected: int = 0
    ignored: int = 0
    problems: list[Problem] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    money: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["currency", "raw_minor"]))


@dataclass
class Batch:
    """Files of one source, format and layout: a table of accepted rows for each target, and the account of each file."""

    match: Match
    source: str
    accounts: list[Account]
    tables: dict[str, ir.Table] = field(default_factory=dict)
    rows: ir.Table | None = None

    @property
    def origin(self) -> dict:
        """What every row of it shares: its source, its format, and whether that lists payments and not a shop's sales."""
        form = self.match.format
        return {"source_name": self.source, "format_name": form.name, "payments": form.rule("payments", False)}


def stage(con, found: list, settings: Settings, workbench: Path, rejected: Path) -> Batch:
    """Read files of one source, format and layout into typed tables, set aside the rows that break the contract, and count."""
    match, terms, name = found[0].match, found[0].terms, f"raw_{found[0].index}"
    form = match.format
    batch = Batch(match, found[0].source, [Account(one.raw, one.index) for one in found])
    if all(read.is_empty(one) for one in found):
        return batch  # templates not filled in yet
    rows = read.load(con, name, found, workbench)
    rows, said = repeats.once_within(con, repeats.once_across(con, rows, match, name), match, name)
    for one in batch.accounts:
        one.remarks += [f"{one.raw.file}: {remark}" for remark in said.get(one.index, [])]
    decimal = terms.decimal or quirks.decimal_mark(con, rows, match)
    batch.rows = rows.select(*(c for c in rows.columns if c != "repeated"))
    texts = con.create_view(f"texts_{name}", rows.mutate(**{f"{TEXT}{c}": rows[c].strip().nullif("") for c in match.columns.values()}))
    reader = Reader(con, texts, match, terms, settings.time_zone, decimal, quirks.date_formats(con, rows, match, terms))
    columns, used = {}, {}
    for target, spec in form.tables.items():
        made = _target_columns(reader, target.split(":")[0], spec)  # "surveys:nps" and "surveys:csat" both feed surveys
        used[target] = [key for key in made if key != "in"]
        columns |= {f"{target}__{key}": value for key, value in made.items()}
    reader.checks += [Check(where, kind, what, reader.value(bad), NOTHING) for where, kind, what, bad in form.rule("checks", [])]
    reader.checks += _line_checks(texts, match.columns.values(), found[0].layout)
    ignored = _ignored(reader, form, terms)
    reader.parsed[ignored.op()] = "ignored"
    reader.checks += repeats.order_checks(reader, form, columns, ignored)
    broken = {f"{contract.BREAKS}{k}": check.bad.fill_null(False) for k, check in enumerate(reader.checks)}
    bad = ibis.or_(*broken.values()) & ~ignored
    group = reader.value(form.rule("group")) if form.rule("group") else NOTHING
    control = _control(reader, form, ignored)
    wanted = texts.select("row", "file_index", ignored=ignored, bad=bad, group=group, **broken, **control, **columns)
    table = con.create_table(f"stage_{name}", _parsed_once(con, reader, wanted, name))
    table = _account(con, batch, texts, table, reader.checks, rejected, name)
    kept = table.filter(~table.bad, ~table.ignored)
    filled = con.to_pandas(kept.aggregate(**{part: kept[f"{part}__in"].sum().fill_null(0) for part in form.tables})).iloc[0]
    for part, spec in form.tables.items():
        if part != "orders" and not filled[part]:
            continue
        target, made = part.split(":")[0], _target_rows(kept, part, spec, used[part])
        batch.tables[target] = batch.tables[target].union(made) if target in batch.tables else made
    return batch


def _parsed_once(con, reader: Reader, wanted: ir.Table, name: str) -> ir.Table:
    """What is wanted of the rows, over a view that parses each text once: DuckDB would parse it again at every mention."""
    view = con.create_view(f"parsed_{name}", reader.rows.mutate(**{key: value.to_expr() for value, key in reader.parsed.items()}))
    places = {value: view[key].op() for value, key in reader.parsed.items()}
    return wanted.op().replace({reader.rows.op(): view.op(), **places}).to_expr()


def _line_checks(rows: ir.Table, names, layout) -> list[Check]:
    """Lines with more values than the header has columns, and values that swallowed a following line."""
    separators = min(len(layout.header) - 1, 8)
    checks = [Check("the file", "line", "in lines with more values than the header has columns", rows[read.OVERFLOW].notnull(), NOTHING)]
    if layout.delimiter and separators > 1:
        line = rf"\n([^\n]*\{layout.delimiter}){{{separators}}}"
        swallowed = ibis.or_(*(rows[c].contains("\n").ifelse(rows[c].re_search(line), False) for c in dict.fromkeys(names)))
        checks.append(Check("the file", "line", "swallowing the next line, as an unclosed quote does", swallowed, NOTHING))
    return checks


def _target_columns(reader: Reader, target: str, spec: dict) -> dict:
    """The typed columns of one target; what can go wrong in them is added to the reader's checks."""
    inside = reader.value(spec["rows"]) if "rows" in spec else ibis.literal(True)
    known, made = kinds(target), {"in": inside}
    specs = _with_settings(reader, target, {k: v for k, v in spec.items() if k not in ("rows", "one_per")})
    for column, what in specs.items():
        if column not in known:
            raise ValueError(f"{reader.match.format.name}.toml: {target} has no column {column}.")
        where = _header_of(what, column, reader)
        value = made[column] = reader.typed(what, known[column], where)
        failed = ibis.or_(ibis.literal(False), *(c.bad for c in reader.checks if c.where == where))  # of several parts too
        if column in needed(target):
            kind = "currency" if column == "currency" else "empty"  # one that client.toml can name
            reader.checks.append(Check(where, kind, "empty", inside & value.isnull() & ~failed, NOTHING))
        if (target, column) == ("orders", "order_id"):
            rounded = value.re_search(ROUNDED).fill_null(False)
            reader.checks.append(Check(where, "rounded", "rounded by a spreadsheet, as 5.76E+17 is", inside & rounded, value))
        if words := allowed(target, column):
            made[column] = value.lower()
            strange = inside & made[column].notin(words).fill_null(False)
            reader.checks.append(Check(where, "value", f"not one of {', '.join(words)}", strange, value))
    if target == "orders":
        made.setdefault("currency", NOTHING)  # some grids have none: an amount without one is rejected below
    for column in [c for c in made if known.get(c) == "money"]:
        amount, currency = made.pop(column).cast("float64"), made.get("currency", NOTHING)
        lacking, where = inside & currency.isnull() & (amount.fill_null(0.0) != 0), _header_of(specs[column], column, reader)
        if "currency" not in specs or "currency" not in needed(target):  # else its own check has said so
            reader.checks.append(Check(where, "currency", "without a currency", lacking, NOTHING))
        reader.checks.append(Check(where, "number", "too large for an amount", inside & (amount.abs() >= LARGEST), NOTHING))
        made[f"{column}_minor"] = minor_units(amount, currency)
    return made


def _with_settings(reader: Reader, target: str, columns: dict) -> dict:
    """The columns of a target, and what client.toml says of the source where the file itself is silent."""
    for column in ("currency", "market", "sales_channel", "acquisition_channel"):
        said = getattr(reader.source, column)
        if said and column in kinds(target):
            columns[column] = {"first": [columns[column], {"constant": said}]} if column in columns else {"constant": said}
    if target == "orders":
        columns.setdefault("sales_channel", {"constant": reader.match.format.channel})
        said = {"tax_included": reader.source.tax_included, "tax_rate": reader.source.tax_rate}
        columns |= {name: {"constant": value} for name, value in said.items() if value is not None}
        taken_off = reader.match.format.rule("less_tax", "")  # a tax the format has taken off already is not taken off again
        if reader.source.tax_included and taken_off in reader.match.columns:
            columns["tax_included"] = {"not": {"of": taken_off, "above": 0}}
    return columns


def _header_of(spec, column: str, reader: Reader) -> str:
    """The name by which whoever has the file open knows a column."""
    if isinstance(spec, str):
        return reader.match.columns.get(spec, spec)
    named = (v for v in (spec.values() if isinstance(spec, dict) else ()) if isinstance(v, str))
    return next((reader.match.columns[v] for v in named if v in reader.match.columns), column)


def _ignored(reader: Reader, form, terms: Source) -> ir.BooleanValue:
    """Rows that are no data: empty lines, the header again, totals, and what the format or client.toml leaves out."""
    texts = (reader.rows[f"{TEXT}{c}"] for c in dict.fromkeys(reader.match.columns.values()))
    rules = [ibis.coalesce(*texts).isnull(), *(reader.value(rule) for rule in form.rule("ignore", []))]
    heads = list(dict.fromkeys(reader.match.columns[name] for name in form.required if name in reader.match.columns))
    if heads:  # the header again, of exports put together
        rules.append(ibis.and_(*(reader.rows[f"{TEXT}{c}"] == c.strip() for c in heads)))
    for header, kept in terms.where.items():
        value = reader.value(header)
        if isinstance(kept, str) and kept.startswith("!"):
            rules.append(value.re_search(kept[1:]))
        else:
            rules.append(~(value.isin(kept) if isinstance(kept, list) else value.re_search(kept)).fill_null(False))
    rules += [reader.rows.repeated] if "repeated" in reader.rows.columns else []
    return ibis.or_(*(rule.fill_null(False) for rule in rules))


def _control(reader: Reader, form, ignored) -> dict:
    """The money of a row read straight from its text, for the reconciliation."""
    if not (spec := form.rule("control")):
        return {"control_currency": NOTHING, "control_minor": ibis.null("int64")}
    before = len(reader.checks)
    amount, currency = reader.typed(spec["amount"], "money", "amount"), reader.typed(spec["currency"], "currency", "currency")
    del reader.checks[before:]
    return {"control_currency": ignored.ifelse(NOTHING, currency), "control_minor": minor_units(amount.cast("float64"), currency)}


def _account(con, batch: Batch, rows, table, checks: list[Check], rejected: Path, name: str) -> ir.Table:
    """Each file's counts, problems and reject file; and the staged table with `bad` spread over whole orders."""
    broken = read.broken_lines(con, name, batch.accounts)
    if con.to_pandas(table.filter(table.bad).count()):
        order = table.bad.any().over(ibis.window(group_by=["file_index", "group"]))
        table = con.create_table(f"spread_{name}", table.mutate(bad=(_.bad | (order & _.group.notnull())) & ~_.ignored))
    counts = con.to_pandas(table.group_by("file_index").aggregate(rows=_.count(), ignored=_.ignored.sum(), bad=_.bad.sum()))
    counts = counts.set_index("file_index")
    money = table.filter(_.control_currency.notnull()).group_by("file_index", currency=_.control_currency)
    money = con.to_pandas(money.aggregate(raw_minor=_.control_minor.sum()).order_by("currency"))
    for one in batch.accounts:
        total, ignored, bad = counts.loc[one.index] if one.index in counts.index else (0, 0, 0)
        lost = broken.get(one.index, [])
        one.ignored, one.rejected, one.read = int(ignored), int(bad) + len(lost), int(total - ignored) + len(lost)
        one.money = money[money["file_index"] == one.index].drop(columns="file_index")
        if lost:
            what = f"{len(lost):,} lines cannot be split into its columns, first line {lost[0][0]} ({lost[0][1]})"
            one.problems.append(Problem("the file", what, "Look for an unclosed quote or a missing separator there."))
        if one.rejected:
            broken_by = [f"{contract.BREAKS}{k}" for k in range(len(checks))]
            marked = table.filter(table.bad, table.file_index == one.index).select("row", *broken_by)
            mine = rows.filter(rows.file_index == one.index, rows.row.isin(marked.row))
            mine = mine.select(*(c for c in batch.rows.columns if c != "file_index"), **contract.shown(checks)).join(marked, "row")
            mine = con.create_table(f"bad_{one.index}", mine)
            one.problems += contract.breaches(con, mine, checks, one.read)
            contract.write_rejects(con, mine, checks, rejected / f"{one.raw.file.replace('/', '__')}.csv", lost)
    return table


def _target_rows(rows: ir.Table, target: str, spec: dict, used: list[str]) -> ir.Table:
    """The accepted rows of one target: one row each, or summed to one per order."""
    kept = rows.filter(rows[f"{target}__in"]).select("row", "file_index", **{column: f"{target}__{column}" for column in used})
    if key := spec.get("one_per"):
        sums = {c: _[c].sum().cast("int64") for c in used if c.endswith("_minor")}
        firsts = {c: _[c].argmin(_.row) for c in used if c != key and c not in sums}
        kept = kept.group_by("file_index", key).aggregate(row=_.row.min(), **sums, **firsts)
    return kept
