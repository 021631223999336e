"""The contract with a raw file: what was wrong, said once and completely, and the rows that broke it set aside."""

import re
from pathlib import Path
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

ADVICE = {
    "date": "Write them as 2026-02-28, or set date_format under [sources.<name>] in client.toml.",
    "number": "Write them as 1234.56, or set decimal under [sources.<name>] in client.toml.",
    "empty": "Fill them in; the workbook never invents a value.",
    "currency": "Use ISO 4217 codes such as EUR, or set currency under [sources.<name>] in client.toml.",
    "country": "Use ISO codes such as DE or country names, or leave the cell empty.",
    "value": "Use one of the values listed.",
    "twice": "Export the file again, or delete the rows that repeat it.",
    "flag": "Write yes or no.",
    "line": "Open the file there: a value with a separator or a line break must stand in quotes.",
}


class Problem(NamedTuple):
    """One thing wrong with a file: where, what, and what to do about it."""

    where: str
    what: str
    advice: str = ""


class Check(NamedTuple):
    """A condition that a row must not meet, and how to speak of it."""

    where: str
    kind: str
    what: str
    bad: ir.BooleanValue
    shown: ir.StringValue


class IntakeError(ValueError):
    """Raw files that cannot be used. The message lists every problem of every file and what to do.

    >>> print(IntakeError({"data/acme/raw/a.csv": [Problem("Total", "1 of 9 values is not a number", "Mend it.")]}))
    data/acme/raw/a.csv has 1 problem:
      1. Total: 1 of 9 values is not a number.
         Mend it.
    """

    def __init__(self, problems: dict[str, list[Problem]]):
        self.problems = problems
        super().__init__(report(problems))


def report(problems: dict[str, list[Problem]]) -> str:
    """All problems of all files as one text, numbered within a file.

    >>> report({})
    ''
    """
    lines = []
    for file, found in problems.items():
        lines.append(f"{file} has {len(found)} problem{'s' if len(found) != 1 else ''}:")
        for number, problem in enumerate(found, 1):
            lines.append(f"  {number}. {problem.where}: {problem.what}.")
            lines += [f"     {problem.advice}"] if problem.advice else []
    return "\n".join(lines)


def breaches(con, rows: ir.Table, checks: list[Check]) -> list[Problem]:
    """What the rows break, one problem a check: how many rows of how many, the first row and its value."""
    if not checks:
        return []
    sums = {f"n{k}": check.bad.ifelse(1, 0).sum() for k, check in enumerate(checks)}
    firsts = {f"row{k}": rows.row.min(where=check.bad) for k, check in enumerate(checks)}
    values = {f"value{k}": check.shown.argmin(rows.row, where=check.bad) for k, check in enumerate(checks)
              if isinstance(check.shown, ir.Column)}
    found = con.to_pandas(rows.aggregate(total=rows.count(), **sums, **firsts, **values)).iloc[0]
    problems = []
    for k, check in enumerate(checks):
        if count := int(found[f"n{k}"] or 0):
            text = found.get(f"value{k}")
            sample = f"{_clipped(text)} " if isinstance(text, str) and text else ""
            verb = "is" if count == 1 else "are"
            problems.append(Problem(
                check.where, f"{count:,} of {int(found['total']):,} values {verb} {check.what}, first {sample}in row "
                f"{int(found[f'row{k}'])}", ADVICE.get(check.kind, "")))
    return problems


def reasons(checks: list[Check]) -> ir.StringValue:
    """Why a row is rejected: every check it breaks, in words."""
    parts = [check.bad.fill_null(False).ifelse(f"{check.where} is {check.what}; ", "") for check in checks]
    text = parts[0] if parts else ibis.literal("")
    for part in parts[1:]:
        text = text.concat(part)
    return text


def write_rejects(con, rejected: ir.Table, path: Path, broken: list[tuple[int, str, str]]) -> None:
    """The rejected rows as read, with row number and reason, as CSV a spreadsheet opens without running anything in it.

    Lines that could not be split into columns come last, whole, in the first column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as out:
        first = True
        for batch in con.to_pyarrow_batches(rejected, chunk_size=50_000):
            frame = batch.to_pandas()
            for name in frame.columns.drop("row"):
                frame[name] = frame[name].map(defused, na_action="ignore")
            frame.rename(columns=defused).to_csv(out, index=False, header=first)
            first = False
        names = rejected.columns
        lines = pd.DataFrame([{"row": line, "reason": kind, names[0]: defused(text)} for line, kind, text in broken], columns=names)
        lines.to_csv(out, index=False, header=first)


def defused(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, quoted so that it does not.

    >>> defused("=cmd|calc"), defused("12.50"), defused("-3")
    ("'=cmd|calc", '12.50', '-3')
    """
    risky = isinstance(cell, str) and cell[:1] in "=+-@\t\r" and not re.fullmatch(r"[-+]?[\d.,]*", cell)
    return f"'{cell}" if risky else cell


def _clipped(text: str) -> str:
    masked = re.sub(r"\S+@\S+", "<e-mail>", text.replace("\n", " "))
    return f"'{masked[:40]}{'…' if len(masked) > 40 else ''}'"
