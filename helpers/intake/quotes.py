"""Quotes that are opened and never closed: what follows them is read as one value, so that whole lines vanish."""

import re
from collections.abc import Iterator
from pathlib import Path

from helpers.intake.contract import IntakeError, Problem

ADVICE = "Open the file there in a text editor, remove the quote or close it (inside a value write it twice), or export again."
CHUNK = 4 << 20
NARROW = 6  # in a file of fewer columns a remark of several lines may hold as many separators as a record


def chunks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, some at a time."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _physical_lines(path: Path) -> int:
    lines, last = 0, b"\n"
    for last in chunks(path):
        lines += last.count(b"\n")
    return lines + (not last.endswith(b"\n"))


def _swallowed(path: Path, skip: int, delimiter: str, quote: str, columns: int) -> tuple[int, int] | None:
    """The first quote of a file, below its header, that takes in lines which are records: the line it opens in, and the last it takes.

    A quote that is closed where a value ends may stand around several lines of text. It is taken for unclosed when text follows
    where it closes, when it never closes, or when every line between is as full of separators as a record.
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
                    return opened, number
                opened, full, inside = 0, [], False
                at = text.find(delimiter, close + 1)
                if at < 0:
                    break
                at += 1
    return (opened, number) if opened and any(full) else None


def stop_if_swallowed(paths: dict, rows: dict[str, int], quote: str) -> None:
    """Refuse files in which a quote swallows lines. Where every line became a row there is none, and nothing to look for."""
    problems = {}
    for path, one in paths.items():
        layout = one.layout
        if _physical_lines(Path(path)) - layout.skip == rows.get(path, 0):
            continue
        if found := _swallowed(Path(path), layout.skip, layout.delimiter, quote, len(layout.header)):
            opens, ends = found
            follow = f"the {ends - opens:,} lines to line {ends:,}" if ends > opens + 1 else f"line {ends:,}"
            problems[one.raw.file] = [Problem(f"line {opens:,}", f"an unclosed quote opens in it and swallows {follow}", ADVICE)]
    if problems:
        raise IntakeError(problems)
