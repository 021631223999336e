"""The contract with a raw file: what was wrong, said once and completely, and the rows that broke it set aside."""

import re
import tomllib
from pathlib import Path
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd

from helpers.schema import ORDER_STATUSES

WORDS = tomllib.loads(Path(__file__).with_name("words.toml").read_text(encoding="utf-8"))
ADVICE = WORDS["advice"] | {"status": f"{WORDS['advice']['status']} The words are {', '.join(ORDER_STATUSES)}."}
BREAKS, SHOWN = "breaks ", "shown "
NOTHING = ibis.null("string")


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
        lines = []
        for file, found in problems.items():
            lines.append(f"{file} has {len(found)} problem{'s' if len(found) != 1 else ''}:")
            for number, problem in enumerate(found, 1):
                lines.append(f"  {number}. {problem.where}: {problem.what}.")
                lines += [f"     {problem.advice}"] if problem.advice else []
        super().__init__("\n".join(lines))

    @property
    def listed(self) -> list[Problem]:
        """All problems, whatever their file."""
        return [problem for several in self.problems.values() for problem in several]


def shown(checks: list[Check]) -> dict[str, ir.Value]:
    """For each check a column with the text to show; none where it rests on other rows too."""
    over = [bool(check.shown.op().find(ibis.expr.operations.WindowFunction)) for check in checks]
    return {f"{SHOWN}{k}": NOTHING if over[k] else check.shown for k, check in enumerate(checks)}


def breaches(con, rows: ir.Table, checks: list[Check], total: int) -> list[Problem]:
    """What rejected rows break, one problem a check: how many rows of the file, the first row and its value."""
    sums = {f"n{k}": rows[f"{BREAKS}{k}"].sum().fill_null(0) for k in range(len(checks))}
    firsts = {f"row{k}": rows.row.min(where=rows[f"{BREAKS}{k}"]) for k in range(len(checks))}
    values = {f"value{k}": rows[f"{SHOWN}{k}"].argmin(rows.row, where=rows[f"{BREAKS}{k}"]) for k in range(len(checks))}
    found = con.to_pandas(rows.aggregate(**sums, **firsts, **values)).iloc[0]
    problems = []
    for k, check in enumerate(checks):
        if count := int(found[f"n{k}"]):
            said = f"{count:,} of {total:,} values {'is' if count == 1 else 'are'} {check.what}"
            where = f"first {_shown(found[f'value{k}'], check.kind == 'value')}in row {int(found[f'row{k}'])}"
            problems.append(Problem(check.where, f"{said}, {where}", ADVICE.get(check.kind, "")))
    return problems


def write_rejects(con, rows: ir.Table, checks: list[Check], path: Path, broken: list[tuple[int, str, str]]) -> None:
    """The rejected rows as read, with row number and reason, as CSV a spreadsheet opens without running anything in it.

    Lines that could not be split into columns come last, whole, in the first column.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [c for c in rows.columns if not c.startswith((BREAKS, SHOWN))]
    why = "why rejected" if "reason" in map(str.casefold, names) else "reason"  # an export of refunds or tickets has reasons of its own
    reason = ibis.literal("").join([rows[f"{BREAKS}{k}"].ifelse(f"{c.where} is {c.what}; ", "") for k, c in enumerate(checks)])
    rows = rows.order_by("row").select(*names, reason.nullif("").fill_null("another row of the same order is rejected").name(why))
    with path.open("w", encoding="utf-8", newline="") as out:
        header = True
        for batch in con.to_pyarrow_batches(rows, chunk_size=50_000):
            frame = batch.to_pandas()
            for name in frame.columns.drop("row"):
                frame[name] = frame[name].map(defused, na_action="ignore")
            frame.rename(columns=defused).to_csv(out, index=False, header=header)
            header = False
        lines = [{"row": line, why: kind, names[0]: defused(text)} for line, kind, text in broken]
        pd.DataFrame(lines, columns=rows.columns).to_csv(out, index=False, header=header)


def defused(cell: str) -> str:
    """A cell that a spreadsheet would run as a formula, quoted so that it does not.

    >>> defused("=cmd|calc"), defused("12.50"), defused("-3")
    ("'=cmd|calc", '12.50', '-3')
    """
    risky = isinstance(cell, str) and cell[:1] in "=+-@\t\r" and not re.fullmatch(r"[-+]?[\d.,]*", cell)
    return f"'{cell}" if risky else cell


def counted(texts: pd.DataFrame, most: int) -> str:
    """Texts and how many rows hold each, if they are few and so kinds of something; a text that may be a name is left out.

    >>> counted(pd.DataFrame({"text": ["on loan", "shipped", "Anna Muster"], "n": [3, 1, 1]}), 20)
    ": 'on loan' (3), 'shipped' (1), …"
    """
    if texts.empty or len(texts) > most:
        return ""
    plain = [(text, n) for text, n in texts[["text", "n"]].values.tolist() if re.fullmatch(r"[^\W\d][\w -]{0,59}", text)]
    kinds = [f"'{text}' ({n:,})" for text, n in plain if n > 1 or " " not in text]
    return f": {', '.join(kinds + ['…'] * (len(kinds) < len(texts)))}"


def _shown(text, word: bool) -> str:
    """The value in quotes if it is surely no name, address or number of a person: a code, a date, an amount; or one of a few words."""
    plain = r"[A-Za-z]{1,3}|[\d.,:/ -]{1,16}|[A-Za-z]?\d{1,4}[-/.]\d{1,2}\S{0,4}"
    known = isinstance(text, str) and re.fullmatch(rf"{plain}|[^\W\d][\w-]{{0,59}}" if word else plain, text)
    return f"'{text}' " if known else ""
