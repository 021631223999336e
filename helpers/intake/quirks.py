"""The few things a table of columns cannot say, each named in the format file that needs it."""

import ibis
import ibis.expr.types as ir
from ibis import _

from helpers.intake.contract import IntakeError, Problem


def once_across(con, rows: ir.Table, match, name: str) -> ir.Table:
    """Rows with `repeated` set where the same line already stands in an earlier part (sheet) of the file.

    A line that stands twice in one part and twice in another counts twice: the k-th copy in one part is the k-th copy in the
    other.
    """
    part = match.columns.get("part")
    if part is None:
        return rows
    names = [c for c in rows.columns if c not in ("row", part)]
    copy = ibis.row_number().over(ibis.window(group_by=[*names, part], order_by="row"))
    numbered = rows.mutate(copy=copy)
    first = _[part].min().over(ibis.window(group_by=[*names, "copy"]))
    marked = numbered.mutate(repeated=numbered[part] != first.resolve(numbered))
    return con.create_table(f"{name}_once", marked.drop("copy"), overwrite=True)


def decimal_mark(con, rows: ir.Table, form, match) -> str:
    """The decimal mark of a file whose format lets the account's language decide; refused when it cannot be told."""
    rule = form.rule("decimal", ".")
    if rule != "auto":
        return rule
    names = [match.columns[h] for h in form.rule("numbers", []) if h in match.columns]
    counts = {"comma": r"^[^,]*,\d{1,2}\D*$|\.\d{3},", "dot": r"^[^.]*\.\d{1,2}\D*$|,\d{3}\.", "either": r"^-?\d{1,3}[.,]\d{3}\D*$"}
    sums = {key: sum((rows[n].re_search(p).fill_null(False).ifelse(1, 0) for n in names), ibis.literal(0)).sum()
            for key, p in counts.items()}
    found = con.to_pandas(rows.aggregate(**sums)).fillna(0).iloc[0]
    if (found["comma"] and found["dot"]) or (found["either"] and not (found["comma"] or found["dot"])):
        raise IntakeError({form.name: [Problem(
            ", ".join(names), "'1,234' could be a thousand or one and a bit" if not found["comma"] else "both 1.5 and 1,5 are written",
            'Set decimal = "." or "," under [sources.<name>] in client.toml')]})
    return "," if found["comma"] else "."


def day_month_order(con, rows: ir.Table, match, formats: tuple[str, ...], headers: list[str]) -> tuple[str, ...]:
    """The date formats with day and month in the order the file's dates allow; refused when both orders do."""
    names = [match.columns[h] for h in headers if h in match.columns]
    first = {n: rows[n].re_extract(r"^(\d{1,2})[/.-]\d{1,2}[/.-]\d{2,4}", 1).try_cast("int64") for n in names}
    second = {n: rows[n].re_extract(r"^\d{1,2}[/.-](\d{1,2})[/.-]\d{2,4}", 1).try_cast("int64") for n in names}
    if not names:
        return formats
    found = con.to_pandas(rows.aggregate(
        first=ibis.greatest(*(v.max().fill_null(0) for v in first.values())),
        second=ibis.greatest(*(v.max().fill_null(0) for v in second.values())),
        sample=rows[names[0]].strip().nullif("").min())).iloc[0]
    if not found["first"]:
        return formats
    if found["first"] <= 12 and found["second"] <= 12:
        day, month = found["sample"].replace(".", "/").replace("-", "/").split("/")[:2]
        raise IntakeError({match.format.name: [Problem(
            names[0], f"'{found['sample']}' could be day {int(day)} of month {int(month)} or day {int(month)} of month {int(day)}, "
            "and no date in the file settles it",
            'Set date_format = "%d/%m/%Y" or "%m/%d/%Y" under [sources.<name>] in client.toml.')]})
    month_first = found["first"] <= 12
    wrong = "%d{}%m" if month_first else "%m{}%d"
    return tuple(f for f in formats if not any(wrong.format(mark) in f for mark in "/.-"))


BY_NAME: dict = {}
