"""The few things a table of columns cannot say, each named in the format file that needs it."""

import re

import ibis
import ibis.expr.types as ir

from helpers.intake.contract import IntakeError, Problem
from helpers.settings import Source


def once_across(con, rows: ir.Table, match, name: str) -> ir.Table:
    """Rows with `repeated` set where the same line already stands in an earlier part (sheet) of the file.

    A line that stands twice in one part and twice in another counts twice: the k-th copy in one part is the k-th copy in the
    other.
    """
    part = match.columns.get("part")
    if part is None:
        return rows
    names = [c for c in rows.columns if c not in ("row", "file_index", part)]
    numbered = rows.mutate(copy=ibis.row_number().over(ibis.window(group_by=[*names, part], order_by=["file_index", "row"])))
    first = numbered[part].min().over(ibis.window(group_by=[*names, "copy"]))
    return con.create_table(f"{name}_once", numbered.mutate(repeated=numbered[part] != first).drop("copy"))


def decimal_mark(con, rows: ir.Table, match) -> str:
    """The decimal mark of a file whose format lets the account's language decide; refused when it cannot be told."""
    form = match.format
    if form.rule("decimal", ".") != "auto":
        return form.rule("decimal", ".")
    names = [match.columns[h] for h in form.rule("numbers", []) if h in match.columns]
    shapes = {"comma": r"^[^,]*,\d{1,2}\D*$|\.\d{3},", "point": r"^[^.]*\.\d{1,2}\D*$|,\d{3}\.", "either": r"^-?\d{1,3}[.,]\d{3}\D*$"}
    written = {key: ibis.or_(*(rows[n].re_search(shape).fill_null(False) for n in names)).any() for key, shape in shapes.items()}
    found = con.to_pandas(rows.aggregate(**written)).iloc[0]
    comma, point, either = (found[key] is True or bool(found[key] == True) for key in shapes)  # noqa: E712  null in an empty file
    if (comma and point) or (either and not comma and not point):
        what = "both 1.5 and 1,5 are written" if comma else "'1,234' could be more than a thousand or less than two"
        raise IntakeError({form.name: [Problem(", ".join(names), what, 'Set decimal = "." or "," under [sources.<name>] in client.toml.')]})
    return "," if comma else "."


def date_formats(con, rows: ir.Table, match, terms: Source, usual: tuple[str, ...]) -> tuple[str, ...]:
    """The date formats to try: client.toml's, else the format file's with day and month in the order the dates allow.

    A format file says day_first = "ask" where the account's language decides. Refused when both orders fit every date.
    """
    form = match.format
    formats = tuple(form.rule("timestamps", usual))
    if terms.date_format:
        return (terms.date_format, *(f for f in formats if "%z" in f))
    names = [match.columns[h] for h in form.rule("date_columns", []) if h in match.columns]
    if form.rule("day_first") != "ask" or not names:
        return formats
    part = {k: [rows[n].re_extract(r"^(\d{1,2})[/.-](\d{1,2})[/.-]\d{2,4}", k).nullif("").cast("int64") for n in names] for k in (1, 2)}
    first, second = (ibis.greatest(*(p.max().fill_null(0) for p in part[k])) for k in (1, 2))
    found = con.to_pandas(rows.aggregate(first=first, second=second, sample=rows[names[0]].min(where=part[1][0].notnull()))).iloc[0]
    if found["first"] and found["first"] <= 12 and found["second"] <= 12:
        a, b = (int(number) for number in re.split(r"[/.-]", found["sample"])[:2])
        readings = f"could be day {a} of month {b} or day {b} of month {a}, and no date in the file settles it"
        advice = 'Set date_format = "%d/%m/%Y" or "%m/%d/%Y" under [sources.<name>] in client.toml.'
        raise IntakeError({form.name: [Problem(names[0], f"'{found['sample'][:10]}' {readings}", advice)]})
    wrong = "%d{}%m" if found["first"] <= 12 else "%m{}%d"
    return tuple(f for f in formats if not any(wrong.format(mark) in f for mark in "/.-")) if found["first"] else formats
