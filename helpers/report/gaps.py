"""What is missing on a page, said once: sections that could only repeat a reason go, and one line names them."""

import re
from collections.abc import Callable

SHOWN = "<!--shown-->"  # the notebook template writes it before everything a sheet showed
HEADING = re.compile(r'<h([23]) id="[^"]*">(.*?)<a class="anchor-link"', re.DOTALL)
MISSING = re.compile(r'\s*<p class="missing( step)?">([^<]*)</p>')


def told_once(body: str, left_out: Callable[[str], str], elsewhere: str) -> str:
    """A page's HTML fragment in which each reason for something missing stands once, where it comes first.

    A section (or subsection) with nothing in it but reasons told before, or steps that rest on them, is left out; the
    head of the page names such sections by left_out(titles=…). Where a section has more to show, what is repeated gives
    way to the sentence `elsewhere`, and to nothing if a new reason stands beside it.
    """
    told: set[str] = set()
    head, *sections = re.split(r"(?=<h2 id=)", body)
    head, _ = _section(head, told, elsewhere)
    kept, gone = [], []
    for section in sections:
        parts = [_section(part, told, elsewhere) for part in re.split(r"(?=<h3 id=)", section)]
        empty = [is_empty or SHOWN not in text for text, is_empty in parts]
        if all(empty) and any(is_empty for _, is_empty in parts):
            gone.append(_title(section))
            continue
        gone += [_title(text) for text, is_empty in parts[1:] if is_empty]
        kept += [text for place, (text, is_empty) in enumerate(parts) if place == 0 or not is_empty]
    said = f'<p class="missing">{left_out(titles=" · ".join(gone))}</p>\n' if gone else ""
    return (head + said + "".join(kept)).replace(SHOWN, "")


def _section(text: str, told: set[str], elsewhere: str) -> tuple[str, bool]:
    """The section with its repeated reasons replaced, and whether it has nothing else to show."""
    words, *outputs = text.split(SHOWN)
    gaps = [MISSING.match(each) for each in outputs]
    repeated = []
    for gap in gaps:
        repeated.append(bool(gap) and bool(told if gap[1] else gap[2] in told))
        if gap and not gap[1]:
            told.add(gap[2])
    said = any(gap and not again for gap, again in zip(gaps, repeated, strict=True)) or not any(HEADING.findall(words))
    for place, (gap, again) in enumerate(zip(gaps, repeated, strict=True)):
        if again:
            outputs[place] = ("" if said else f'\n<p class="missing step">{elsewhere}</p>') + outputs[place][gap.end() :]
            said = True
    return SHOWN.join([words, *outputs]), bool(outputs) and all(repeated)


def _title(section: str) -> str:
    return re.sub("<[^>]+>", "", HEADING.search(section)[2])
