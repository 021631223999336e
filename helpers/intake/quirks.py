"""The few things a table of columns cannot say, each named in the format file that needs it."""

import re

import ibis
import ibis.expr.types as ir
import pandas as pd

from helpers.intake import conversions
from helpers.intake.contract import IntakeError, Problem
from helpers.settings import Source

TIMESTAMPS = (
    "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S.%f%z", "%Y-%m-%d %H:%M:%S", "%Y-%m-%d",
    "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S.%f", "%Y/%m/%d", "%Y-%m",
)
MONTHS, MONTH_DAYS = 12, 31
FAR = 2  # times as far apart: days read in the wrong order scatter over the year


def decimal_mark(con, rows: ir.Table, match) -> str:
    """The decimal mark of a file whose format lets the account's language decide; refused when it cannot be told."""
    form = match.format
    if form.rule("decimal", ".") != "auto":
        return form.rule("decimal", ".")
    names = [match.columns[h] for h in form.rule("numbers", []) if h in match.columns]
    shapes = {"comma": r"^[^,]*,\d{1,2}\D*$|\.\d{3},", "point": r"^[^.]*\.\d{1,2}\D*$|,\d{3}\.", "either": r"^-?\d{1,3}[.,]\d{3}\D*$"}
    written = {key: ibis.or_(*(rows[n].re_search(shape).fill_null(False) for n in names)).any() for key, shape in shapes.items()}
    found = con.to_pandas(rows.aggregate(**written)).iloc[0]
    comma, point, either = found.eq(True)  # null in an empty file
    if (comma and point) or (either and not comma and not point):
        what = "both 1.5 and 1,5 are written" if comma else "'1,234' could be more than a thousand or less than two"
        raise IntakeError({form.name: [Problem(", ".join(names), what, 'Set decimal = "." or "," under [sources.<name>] in client.toml.')]})
    return "," if comma else "."


def date_formats(con, rows: ir.Table, match, terms: Source) -> tuple[str, ...]:
    """The date formats to try: client.toml's, else the format file's with day and month in the order the dates allow.

    A format file says day_first = "ask" where the account's language decides: refused when both orders fit every date. With
    true or false that order is the documented one, and refused when the dates speak against it. Dots always stand day first.
    """
    form = match.format
    formats = tuple(form.rule("timestamps", TIMESTAMPS))
    if terms.date_format:
        return (terms.date_format, *(f for f in formats if "%z" in f))
    if terms.day_first is not None:
        return _in_order(formats, terms.day_first)
    names = [match.columns[h] for h in form.rule("date_columns", []) if h in match.columns]
    usually = form.rule("day_first")
    days = _numeric_days(con, rows, names) if usually is not None else []
    if not days:
        return formats
    first, second = (max(day[part] for day in days) > MONTHS for part in (0, 1))
    if first != second:
        return _in_order(formats, first)
    if first:  # days of both orders: the documented one, and the rest is rejected
        return _in_order(formats, usually == "ask" or usually)
    if all(a == b for a, b, _year in days):
        return _in_order(formats, True)
    against = "" if usually == "ask" else _against(days, usually)
    if usually == "ask" or against:
        a, b, year = next(day for day in days if day[0] != day[1])
        readings = f"'{a:02d}/{b:02d}/{year}' could be day {a} of month {b} or day {b} of month {a}, and no date in the file settles it"
        advice = "Set day_first = true (day, then month) or day_first = false (month, then day) under [sources.<name>] in client.toml."
        raise IntakeError({form.name: [Problem(names[0], readings + against, advice)]})
    return _in_order(formats, usually)


def _in_order(formats: tuple[str, ...], day_first: bool) -> tuple[str, ...]:
    """Date formats with day and month in one order; formats with dots, or that begin with the year, stay as they are."""
    wanted = r"%d\1%m\2" if day_first else r"%m\1%d\2"
    turned = tuple(dict.fromkeys(re.sub(r"^%[dm]([/-])%[dm]([/-])", wanted, f) for f in formats))
    if any(f.startswith(("%d/", "%m/")) for f in turned):
        return turned
    day = "%d/%m/%Y" if day_first else "%m/%d/%Y"
    return (*turned, f"{day} %H:%M:%S", f"{day} %H:%M", day)


def _numeric_days(con, rows: ir.Table, names: list[str]) -> list[tuple[int, int, int]]:
    """The different days written as 03/04/2026 or 3-4-26, as the three numbers."""
    found = set()
    for name in names:
        day = rows[name].re_extract(r"^\s*(\d{1,2}[/-]\d{1,2}[/-]\d{2,4})\b", 1).nullif("")
        texts = con.to_pandas(rows.select(day=day).distinct().filter(ibis._.day.notnull()))["day"]
        found |= {tuple(int(part) for part in re.split("[/-]", text)) for text in texts}
    return sorted((a, b, year + 2000 if year < 100 else year) for a, b, year in found)


def _against(days: list[tuple[int, int, int]], day_first: bool) -> str:
    """What speaks against the documented order of day and month, "" if nothing: days to come, or days far apart."""
    taken, other = _dates(days, day_first), _dates(days, not day_first)
    order, latest = "day first" if day_first else "month first", conversions.latest()
    future, future_else = (sum(day.date() > latest for day in read) for read in (taken, other))
    if taken.empty or future_else > future:
        return ""
    said = f"; read {order}, as this export usually is"
    if future > future_else:
        return f"{said}, {future:,} of {len(taken):,} days {'lies' if future == 1 else 'lie'} in the future"
    span, span_else = ((max(read) - min(read)).days for read in (taken, other))
    if span <= MONTH_DAYS or span_else > FAR * span:
        return ""
    if span_else * FAR < span:
        return f"{said}, they are spread over {span:,} days, the other way over {span_else:,}"
    return f"{said}, or the other way, they are spread over {span:,} days and {span_else:,}"


def _dates(days: list[tuple[int, int, int]], day_first: bool) -> pd.Series:
    parts = pd.DataFrame(days, columns=["day", "month", "year"] if day_first else ["month", "day", "year"])
    return pd.to_datetime(parts, errors="coerce").dropna()
