"""Quotes that are opened and never closed: what follows them is read as one value, so that whole lines vanish."""

import re
from pathlib import Path
from typing import NamedTuple

from helpers.intake.contract import IntakeError, Problem

NARROW = 6  # in a file of fewer columns a remark of several lines may hold as many separators as a record


class Swallowed(NamedTuple):
    """A quote that takes in lines which are records: the line it opens in, and the last line it takes."""

    opens: int
    ends: int

    @property
    def problem(self) -> Problem:
        """What to tell whoever has the file open.

        >>> Swallowed(304, 5693).problem.what
        'an unclosed quote opens in it and swallows the 5,389 lines to line 5,693'
        """
        lines = self.ends - self.opens
        follow = f"the {lines:,} lines to line {self.ends:,}" if lines > 1 else f"line {self.ends:,}"
        advice = "Open the file there in a text editor, remove the quote or close it (inside a value write it twice), or export again."
        return Problem(f"line {self.opens:,}", f"an unclosed quote opens in it and swallows {follow}", advice)


def physical_lines(path: Path, chunk: int = 4 << 20) -> int:
    """The lines of a file, whatever stands in quotes."""
    lines, last = 0, b"\n"
    with path.open("rb") as file:
        while block := file.read(chunk):
            lines, last = lines + block.count(b"\n"), block
    return lines + (not last.endswith(b"\n"))


def swallowed(path: Path, skip: int, delimiter: str, quote: str, columns: int) -> Swallowed | None:
    """The first quote of a file, below its header, that takes in lines which have the separators of a record.

    A quote that is closed where a value ends may stand around several lines of text. It is taken for unclosed when text follows
    where it closes, when it never closes, or when every line between is as full of separators as a record.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.csv"
    >>> _ = path.write_text('id,name,note\\n1,"Tent,x\\n2,Peg,y\\n3,"Gas, small",z\\n')
    >>> swallowed(path, 1, ",", '"', 3)
    Swallowed(opens=2, ends=4)
    >>> _ = path.write_text('id,name,note\\n1,Tent,"Please ring,\\nthen leave, thank you"\\n2,"5 "" x",y\\n')
    >>> swallowed(path, 1, ",", '"', 3) is None
    True
    """
    lone, opened, full, number = re.compile(f"{quote}{quote}|{quote}"), 0, [], 0
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, line in enumerate(file, 1):
            if number <= skip or (not opened and quote not in line):
                continue
            text, at, inside = line.rstrip("\r\n"), 0, bool(opened)
            if inside:
                full.append(text.count(delimiter) >= max(columns - 1, 1))
            while True:
                if not inside:
                    if not text.startswith(quote, at):
                        at = text.find(delimiter + quote, at) + 1
                        if not at:
                            break
                    opened, full, inside, at = number, [], True, at + 1
                close = next((m.start() for m in lone.finditer(text, at) if m.end() - m.start() == 1), None)
                if close is None:
                    break
                proper = text[close + 1 : close + 2] in ("", delimiter)
                if full and (any(full) if not proper else columns >= NARROW and len(full) > 1 and all(full[:-1])):
                    return Swallowed(opened, number)
                opened, full, inside = 0, [], False
                at = text.find(delimiter, close + 1)
                if at < 0:
                    break
                at += 1
    return Swallowed(opened, number) if opened and any(full) else None


def stop_if_swallowed(paths: dict, rows: dict[str, int], quote: str) -> None:
    """Refuse files in which a quote swallows lines. Where every line became a row there is none, and nothing to look for."""
    problems = {}
    for path, one in paths.items():
        layout = one.layout
        if physical_lines(Path(path)) - layout.skip != rows.get(path, 0):
            found = swallowed(Path(path), layout.skip, layout.delimiter, quote, len(layout.header))
            problems |= {one.raw.file: [found.problem]} if found else {}
    if problems:
        raise IntakeError(problems)
