"""Rows and orders that stand more than once in one export: what is counted once, and what cannot be one order."""

import ibis
import ibis.expr.types as ir
from ibis import _

from helpers.intake.contract import NOTHING, Check
from helpers.intake.recognise import headers_in

WHOLE = "hash of the row"
SUSPECT = 0.05  # of a file's rows; less of equal lines side by side is what carts hold
BLOCK, COPY, ORDER = "block of the row", "copy of the row", "order of the row"


def once_across(con, rows: ir.Table, match, name: str) -> ir.Table:
    """Rows with `repeated` set where the same line stands in an earlier part (sheet): the k-th copy in one is the k-th in the other."""
    part = match.columns.get("part")
    if not match.format.rule("once_across") or part is None:
        return rows
    same = [c for c in rows.columns if c not in ("row", "file_index", part)]
    return con.create_table(f"{name}_once", _marked(rows, same, part).drop(COPY))


def _marked(rows: ir.Table, same: list[str], block: str) -> ir.Table:
    """Rows with COPY, which of its kind each is in its block, and `repeated` where an earlier block has as many copies."""
    copies = ibis.row_number().over(ibis.window(group_by=[*same, block], order_by=["file_index", "row"]))
    numbered = rows.mutate(**{COPY: copies})
    return numbered.mutate(repeated=numbered[block] != numbered[block].min().over(ibis.window(group_by=[*same, COPY])))


def with_hash(con, view: ir.Table, match) -> tuple[ir.Table, list[str]]:
    """The rows of orders with a hash of all that stands in them, used or not, and its column; not where sheets are compared."""
    if "orders" not in match.format.tables or match.format.rule("once_across") in match.columns:
        return view, []
    names = ", ".join('"' + c.replace('"', '""') + '"' for c in view.columns if c != "filename")
    return con.sql(f'SELECT *, hash({names}) AS "{WHOLE}" FROM "{view.get_name()}"'), [WHOLE]


def _has_lines(match) -> bool:
    """Whether an export gives the lines of an order, each its row, so that an order may hold the same line twice."""
    lines = match.format.tables.get("order_lines", {})
    return not headers_in([lines.get("product"), lines.get("product_id")]).isdisjoint(match.columns)


def once_within(con, rows: ir.Table, match, name: str) -> tuple[ir.Table, dict[int, list[str]]]:
    """Rows with `repeated` set where the same whole row stands earlier in the file, and by file what to say of it.

    In an export with a row per order every further copy of a row is a repeat. In one with a row per line an order may hold the
    same line twice: copies side by side, in one block of the order's rows, are kept; the k-th copy in a later block is a repeat
    of the k-th copy in an earlier one. A block begins where the order changes, or with a row that carries the order itself.
    """
    spec = match.format.tables.get("orders", {})
    key = match.columns.get(spec["order_id"]) if isinstance(spec.get("order_id"), str) else None
    if WHOLE not in rows.columns:
        return rows, {}
    if key is None or con.to_pandas(rows.count()) == con.to_pandas(rows.select("file_index", WHOLE).distinct().count()):
        return rows.drop(WHOLE), {}
    lines, within = _has_lines(match), ibis.window(group_by="file_index", order_by="row")
    numbered = rows.mutate(**{ORDER: rows[key].strip().nullif(""), BLOCK: rows.row})
    if lines:
        starts = (numbered[ORDER] != numbered[ORDER].lag().over(within)).fill_null(True)
        header = match.columns.get(spec.get("rows", {}).get("filled")) if "one_per" not in spec else None
        starts = starts | (rows[header].strip().nullif("").notnull()) if header else starts
        so_far = ibis.cumulative_window(group_by="file_index", order_by="row")
        numbered = numbered.mutate(**{BLOCK: starts.cast("int64")}).mutate(**{BLOCK: _[BLOCK].sum().over(so_far)})
    marked = _marked(numbered, ["file_index", WHOLE], BLOCK)
    made = con.create_table(f"{name}_once", marked.mutate(repeated=_.repeated & _[ORDER].notnull()))
    return made.drop(WHOLE, BLOCK, COPY, ORDER), _said(con, made, lines)


def _said(con, rows: ir.Table, lines: bool) -> dict[int, list[str]]:
    kept = rows[ORDER].notnull() & ~rows.repeated & (rows[COPY] > 0)
    counts = {"rows": _.count(), "twice": _.repeated.sum()}
    counts |= {"row": _.row.min(where=_.repeated), "kept": kept.sum(), "kept_row": rows.row.min(where=kept)}
    said: dict[int, list[str]] = {}
    for one in con.to_pandas(rows.group_by("file_index").aggregate(**counts)).itertuples():
        found = said.setdefault(one.file_index, [])
        if one.twice:
            whole = "the rows of an order that stand again further down" if lines else "rows that are the same in every column"
            many = "rows repeat" if one.twice > 1 else "row repeats"
            found.append(f"{one.twice:,} {many} an earlier one, first in row {int(one.row):,}; {whole} are counted once.")
        if one.kept > SUSPECT * one.rows:
            many = f"{one.kept:,} rows are" if one.kept > 1 else "1 row is"
            why = "each counts, as an order may hold a line twice."
            found.append(f"{many} the same as another beside it in the same order, first in row {int(one.kept_row):,}; {why}")
    return said


def order_checks(reader, form, columns: dict, ignored: ir.BooleanValue) -> list[Check]:
    """What no order may be: two different rows of an export with a row per order, or one sum of several currencies."""
    spec = form.tables.get("orders")
    if spec is None or not isinstance(spec["order_id"], str):
        return []
    order, live = columns["orders__order_id"], columns["orders__in"] & ~ignored
    where = reader.match.columns.get(spec["order_id"], spec["order_id"])
    same = ibis.window(group_by=[reader.rows.file_index, order])
    if "one_per" not in spec:
        several = live & order.notnull() & (live.cast("int64").sum().over(same) > 1)
        what = "of an order with several different rows, where this export has one row per order: export it again, or keep one of them"
        return [Check(where, "repeat", what, several.fill_null(False), order)]
    currency = live.ifelse(columns["orders__currency"], NOTHING)
    mixed = live & order.notnull() & (currency.min().over(same) != currency.max().over(same))
    what = "of an order in several currencies, which cannot be one sum: give the rows of each currency an order number of their own"
    return [Check(where, "currencies", what, mixed.fill_null(False), order)]
