"""Report tables as HTML: formatted in the client's language, small cells hidden, escaped, readable on a telephone."""

import html
import re

import numpy as np
import pandas as pd
from great_tables import GT

from helpers.estimates import Estimate
from helpers.report.formats import escaped
from helpers.report.suppress import hidden
from helpers.report.wording import HIDDEN, Words

TELLS = ("percent", "points", "money", "ratio", "number", "count", "p")  # numbers: right-aligned, and hidden in a row on too few customers
NAMED = ("text", "label", "market")  # kinds of rows that can go from a table; a month in a row of months cannot
UNSHOWN = -1e18  # stands for a hidden cell among numbers, below them all
MANY_HIDDEN = 3  # rows with nothing but hidden cells; as many are named under the table instead
SHADES = ("#eef4f9", "#8fbcdb", "#2f7fb5", "#0b4a7c")  # light to dark; letters on them are black or white, whichever reads


def table(frame: pd.DataFrame, kinds: dict[str, str], words: Words, *, topic="common", title="", note="", n="n", key="t", hide=None) -> str:
    """The columns of `kinds` as an HTML table, formatted by their kind (the specs of wording).

    A column with companions low and high (value, low, high), or <column>_low and <column>_high, gets its interval
    written small beside it. Where the frame has a column n, rows on fewer customers than the minimum cell show "·",
    with a second row where a total would give the first away (or just the rows of `hide`, where that is given); a column
    with a companion <column>_n shows "·" in the cells where that is too small. Three and more rows with nothing else to show are
    named under the table instead; of a table of nothing else, the title and the reason are left. "–" is unknown. Headings
    come from [columns] of the topic.

    >>> frame = pd.DataFrame({"market": ["DE", "<b>", "FR"], "value": [0.5, 0.25, 0.2], "n": [400, 4, 40]})
    >>> shown = table(frame, {"market": "market", "value": "percent", "n": "count"}, Words())
    >>> [text in shown for text in ("50.0%", "25.0%", "20.0%", "&lt;b&gt;")]
    [True, False, False, True]
    """
    missing = [column for column in kinds if column not in frame]
    if missing:
        raise ValueError(f"The table has no column {', '.join(missing)}; it has {', '.join(map(str, frame.columns))}.")
    written = pd.DataFrame({column: _column(frame, column, kind, words, n, topic, hide) for column, kind in kinds.items()})
    notes = [note] if note else []
    bare = _bare(written, kinds, n)
    if bare.any():
        names = [html.unescape(each) for each in written.loc[bare].iloc[:, 0]]
        notes.append(words.say("common.hidden_rows", minimum=words.minimum_cell, rows=names))
        written = written[~bare]
    if _nothing(written, kinds, n):
        return _wrap("", title, [words.say("common.hidden_all", minimum=words.minimum_cell)])
    grid = GT(written, id=key)
    grid = grid.cols_label({column: words.column(column, topic) for column in kinds})  # great-tables escapes these
    numeric = [column for column, kind in kinds.items() if _kind(kind) in TELLS]
    grid = grid.cols_align("left", [column for column in kinds if column not in numeric]).cols_align("right", numeric)
    if (written == HIDDEN).any(axis=None):
        notes.append(words.say("common.hidden_note", minimum=words.minimum_cell))
    return _wrap(grid.as_raw_html(), title, notes)


def heat(frame: pd.DataFrame, kind: str, words: Words, *, heading: str, title="", note="", key="t", full=False, few=None) -> str:
    """A wide frame (index: rows, columns: n and ages) as a table of coloured cells: nan blank, 0 written, hidden "·".

    The column n is shown as it is and rules which rows are hidden; few: single cells to hide besides. The first age (always
    100 %) is left out of the colours' range unless `full`.

    >>> wide = pd.DataFrame({"n": [400, 40], 0: [1.0, 1.0], 1: [0.0, None]}, index=["2026-01", "2026-02"])
    >>> shown = heat(wide, "percent.0", Words(), heading="Cohort")
    >>> shown.count(">0%<"), shown.count(">100%<")
    (1, 2)
    """
    cells = frame.drop(columns="n").astype("float64")
    hide = hidden(pd.DataFrame({"cohort": frame.index.astype(str), "n": frame["n"].to_numpy()}), words.minimum_cell).to_numpy()
    gone = few.to_numpy() if few is not None else np.zeros(cells.shape, dtype=bool)
    top = np.nanmax(cells.mask(gone).iloc[:, 0 if full else 1 :].to_numpy(), initial=0.0)
    cells = cells.mask((gone | hide[:, None]) & cells.notna(), UNSHOWN)
    cells.columns = [str(age) for age in cells]
    counts = [_count(each, words, hiding) for each, hiding in zip(frame["n"], hide, strict=True)]
    if hide.sum() == len(hide) >= MANY_HIDDEN:
        return _wrap("", title, [words.say("common.hidden_all", minimum=words.minimum_cell)], "heat")
    names = [words.format_field(each, "month!short") if hasattr(each, "isoformat") else str(each) for each in frame.index]
    written = pd.DataFrame({"row": [html.escape(each) for each in names], "n": counts})
    grid = GT(pd.concat([written, cells.reset_index(drop=True)], axis=1), id=key)
    grid = grid.fmt(
        lambda each: "" if pd.isna(each) else HIDDEN if each == UNSHOWN else words.format_field(each, kind), columns=list(cells)
    )
    whole = not full and (cells.iloc[:, :1] == 1).all(axis=None)  # a first age of nothing but 100 % tells nothing
    colors = dict(palette=list(SHADES), domain=[0.0, float(top) or 1.0], na_color="#00000000", truncate=True)
    grid = grid.data_color(list(cells)[int(whole) :], **colors)
    grid = grid.cols_label({"row": heading, "n": words.column("n")})
    grid = grid.cols_align("left", ["row"]).cols_align("right", ["n", *cells])
    notes = [note] if note else []
    if hide.any() or gone.any():
        notes.append(words.say("common.hidden_note", minimum=words.minimum_cell))
    return _wrap(grid.as_raw_html(), title, notes, "heat")


def _column(frame, column, kind, words, n, topic, hide) -> list[str]:
    hide = hidden(frame, words.minimum_cell, n) if hide is None else hide
    if f"{column}_n" in frame:
        hide = hidden(frame, words.minimum_cell, f"{column}_n", already=hide)
    low, high = ("low", "high") if column == "value" else (f"{column}_low", f"{column}_high")
    ends = (frame[low], frame[high]) if low in frame and high in frame else None
    tells = _kind(kind) in TELLS
    texts = []
    for place, (value, hiding) in enumerate(zip(frame[column], hide, strict=True)):
        if column == n and n:
            texts.append(_count(value, words, hiding))
        elif hiding and tells:
            texts.append(HIDDEN)
        else:
            texts.append(_written(value, kind, words, topic) + _interval(ends, place, kind, words))
    return texts


def _bare(written: pd.DataFrame, kinds: dict[str, str], n: str) -> pd.Series:
    """The rows to name under the table: many with nothing but hidden cells, each told by its first column alone."""
    first, *others = (column for column in kinds if column != n)
    bare = (written[others] == HIDDEN).all(axis=1)
    goes = others and _kind(kinds[first]) in NAMED and all(_kind(kinds[column]) in TELLS for column in others)
    return bare & bool(goes and MANY_HIDDEN <= bare.sum() < len(bare))


def _nothing(written: pd.DataFrame, kinds: dict[str, str], n: str) -> bool:
    """Whether three rows and more show no number at all."""
    told = written[[column for column, kind in kinds.items() if column != n and _kind(kind) in TELLS]]
    return len(written) >= MANY_HIDDEN and told.shape[1] > 0 and bool((told == HIDDEN).all(axis=None))


def _written(value, kind: str, words: Words, topic: str) -> str:
    if value is None or (not isinstance(value, list | tuple) and pd.isna(value)):
        return "–"
    text = words.label(value, topic) if kind == "label" else words.format_field(value, kind)
    if _kind(kind) in ("day", "month"):
        text = text.replace(" ", "\N{NO-BREAK SPACE}")
    return escaped(text)


def _interval(ends, place: int, kind: str, words: Words) -> str:
    if ends is None or pd.isna(ends[0].iloc[place]) or pd.isna(ends[1].iloc[place]):
        return ""
    bounds = Estimate(float("nan"), *(float(end.iloc[place]) for end in ends))
    if words.format_field(bounds, f"{kind}!low") == words.format_field(bounds, f"{kind}!high"):
        return ""  # narrower than what is printed, as that of a margin set in client.toml
    return f' <span class="interval">{escaped(words.format_field(bounds, f"{kind}!range"))}</span>'


def _count(n, words: Words, hiding: bool) -> str:
    """A number of customers: one too small to show as that, one that a total would give it away by as hidden."""
    if pd.isna(n):
        return "–"
    if n < words.minimum_cell:
        return f"&lt;{words.minimum_cell}"
    return HIDDEN if hiding else words.format_field(n, "count")


def _kind(spec: str) -> str:
    return re.split(r"[ .!]", spec.lstrip("+"))[0]


def _wrap(raw: str, title: str, notes: list[str], extra: str = "") -> str:
    """great-tables' markup without its own style sheet (10 kB a table), in a box that scrolls sideways by itself."""
    body = "".join(re.findall(r"<table.*</table>", raw, re.DOTALL))
    body = re.sub(r' style="color: #000000; background-color: #00000000;"', "", body)
    body = re.sub(r' (data-quarto-\w+(-\w+)?|rowspan|colspan)="[^"]*"', "", body)
    caption = f"<figcaption>{html.escape(title)}</figcaption>" if title else ""
    foot = "".join(f'<p class="source">{html.escape(each)}</p>' for each in notes)
    label = html.escape(title, quote=True)
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">{body}</div>' if body else ""
    return f'<figure class="table {extra}">{caption}{scroll}{foot}</figure>'
