"""Charts from finished frames: they compute nothing, change nothing, and get finished strings.

    ax = charts.lines(frame, "month", "value", "low", "high", by="market", number=sheet.number("percent.0"))
    sheet.chart(ax, "churn.by_month", ...)   # finding, subtitle and source from the texts

`number` writes a value for an axis or a label (sheet.number("percent.0"), sheet.number("money")); `names` turns codes
of `by` into names (sheet.name("market")); `xlabel`, `ylabel` and all other strings are finished texts, such as
sheet.text("churn.axis"). For row labels, put finished names into the column:
frame.assign(name=frame.market.map(sheet.name("market"))). Missing values leave a gap. All return the matplotlib Axes
and touch no global style. Groups that may be small are drawn from sheet.shown(frame).
"""

from itertools import cycle

import matplotlib
import pandas as pd
from matplotlib.axes import Axes

from helpers.estimates import NotEnoughData
from helpers.report import axes, drawing
from helpers.report.drawing import INK, PALETTE, REST, STYLE
from helpers.report.wording import HIDDEN

GAIN, LOSS = PALETTE[0], PALETTE[1]
MOST_POINTS = 190  # a line; more than one every two units of the picture cannot be told apart
MOST_MARKED = 24  # points; more are drawn as a line alone
SMALL_STEPS = 2  # totals more than this many times the span of the steps are cut
ROOM = 0.16  # of the width, for the values written at the bars' ends


def lines(frame, x, y, low=None, high=None, by=None, number=None, names=str, mark=None, xlabel=None, ylabel=None, stepped=False) -> Axes:
    """One line per value of `by` over x, with a band from low to high; `mark` draws a dashed line at that x.

    stepped: level until the next event, as a survival curve is.

    >>> ax = lines(pd.DataFrame({"age": [0, 1, 2], "kept": [1, .4, None]}), "age", "kept")
    >>> len(ax.lines)
    1
    """
    shape, band = ({"drawstyle": "steps-post"}, {"step": "post"}) if stepped else ({}, {})
    if len(frame) and not frame[y].notna().any():
        raise NotEnoughData("A chart is left out: every point in it has too few customers to be shown.")
    with matplotlib.rc_context(STYLE):
        ax, frame = drawing.canvas(), frame.assign(**{x: axes.at_its_month(frame[x])})
        parts = frame.groupby(by, sort=False, observed=True) if by else [(None, frame)]
        for color, (code, part) in zip(cycle(PALETTE), parts, strict=False):
            name = names(code) if by else None
            part = part.iloc[:: max(1, -(-len(part) // MOST_POINTS))]
            marker = "o" if len(part) <= MOST_MARKED and not stepped else None
            ax.plot(part[x], part[y].astype("float64"), color=color, marker=marker, markersize=4, label=name, **shape)
            if low and high:
                ends = part[[low, high]].astype("float64")
                ax.fill_between(part[x], ends[low], ends[high], color=color, alpha=0.16, linewidth=0, **band)
        if mark is not None:
            ax.axvline(mark, **drawing.DASHES)
        axes.value_axes(ax, number, xlabel, ylabel)
        axes.date_axis(ax, frame[x])
        drawing.legend(ax)
    return ax


def bars(frame, label, value, number) -> Axes:
    """A horizontal bar per row, first row on top, with its value at its end.

    >>> len(bars(pd.DataFrame({"market": ["DE", "FR"], "cost": [9.8, 12.5]}), "market", "cost", str).patches)
    2
    """
    with matplotlib.rc_context(STYLE):
        ax, thick = drawing.row_canvas(frame[label])
        values = frame[value].astype("float64")
        ax.barh(range(len(frame)), values, height=thick, color=PALETTE[0])
        for place, each in enumerate(values):
            _write(ax, max(each, 0.0), place, number, each)
        ax.margins(x=ROOM)
        axes.row_axes(ax, number)
    return ax


def forest(frame, label, reference=None, number=str, xlabel=None, doublings=False) -> Axes:
    """A point (value) with its interval (low, high) per row, first row on top, against a dashed reference (the overall value, say).

    A row without a value (its customers are too few) stands last, by name, with the mark of a hidden cell: its place
    must not tell its rank. With no value at all there is nothing to draw: NotEnoughData. doublings: factors, for which half and
    twice lie equally far from 1.

    >>> frame = pd.DataFrame({"market": ["DE"], "value": [.2], "low": [.1], "high": [.3]})
    >>> len(forest(frame, "market", reference=.25).lines)
    2
    """
    with matplotlib.rc_context(STYLE):
        known = frame["value"].notna()
        if not known.any():
            raise NotEnoughData("A chart is left out: every group in it has too few customers to be shown.")
        frame = pd.concat([frame[known], frame[~known].sort_values(label)])
        ax, _ = drawing.row_canvas(frame[label])
        for place in range(known.sum(), len(frame)):
            ax.annotate(HIDDEN, (0.02, place), xycoords=("axes fraction", "data"), va="center", fontsize=14)
        value, low, high = (frame[column].astype("float64") for column in ("value", "low", "high"))
        reach = [side.clip(lower=0) for side in (value - low, high - value)]  # an end at its value may come out below zero
        ax.errorbar(value, range(len(frame)), xerr=reach, fmt="none", ecolor=PALETTE[0], elinewidth=2.2, capsize=0)
        ax.plot(value, range(len(frame)), "o", color=PALETTE[0], markersize=7)
        axes.row_axes(ax, number, xlabel, reference, doublings)
    return ax


def stacked(frame, x, y, by, number=None, names=str) -> Axes:
    """A column per x made of the parts `by`, in order of first appearance; negative parts hang below zero.

    >>> frame = pd.DataFrame({"month": ["a", "a", "b"], "cost": [1, 2, 3], "component": ["crm", "email", "crm"]})
    >>> len(stacked(frame, "month", "cost", "component").containers)
    2
    """
    with matplotlib.rc_context(STYLE):
        ax = drawing.canvas()
        wide = frame.pivot(index=x, columns=by, values=y).astype("float64").fillna(0.0)
        wide = wide.reindex(frame[x].unique())[list(frame[by].unique())]
        tops = bottoms = pd.Series(0.0, wide.index)
        for color, part in zip(cycle(PALETTE), wide, strict=False):
            start = tops.where(wide[part] >= 0, bottoms)
            ax.bar(range(len(wide)), wide[part], bottom=start, width=0.8, color=color, label=names(part))
            tops, bottoms = tops + wide[part].clip(lower=0), bottoms + wide[part].clip(upper=0)
        every = max(1, -(-len(wide) // 4))
        ax.set_xticks(range(0, len(wide), every), wide.index[::every])
        axes.value_axes(ax, number)
        drawing.legend(ax)
    return ax


def waterfall(frame, label, value, number) -> Axes:
    """From the first row's value to the last row's through the steps between: a bar per row, first on top.

    Where the steps are small beside the totals, the totals are cut, and marked as cut, so that the steps can be seen.

    >>> frame = pd.DataFrame({"step": ["September", "e-mail", "October"], "cost": [10.0, -1.5, 8.5]})
    >>> len(waterfall(frame, "step", "cost", str).patches)
    3
    """
    with matplotlib.rc_context(STYLE):
        ax, thick = drawing.row_canvas(frame[label])
        level, last, levels = 0.0, len(frame) - 1, []
        for place, each in enumerate(frame[value].astype("float64")):
            whole = place in (0, last)
            start = 0.0 if whole else level
            ax.barh(place, each, left=start, height=thick, color=REST if whole else LOSS if each > 0 else GAIN)
            _write(ax, max(start, start + each), place, number, each, signed=not whole)
            level = start + each
            levels.append(level)
        ax.margins(x=ROOM)
        _cut(ax, levels)
        axes.row_axes(ax, number)
    return ax


def scatter(frame, x, y, number, xlabel, ylabel, low=None, high=None) -> Axes:
    """A point per row, with the interval from low to high of its y, and the dashed line on which y is x.

    >>> len(scatter(pd.DataFrame({"said": [1, 2], "was": [1, 3]}), "said", "was", str, "Said", "Was").lines)
    1
    """
    with matplotlib.rc_context(STYLE):
        ax = drawing.canvas(drawing.HEIGHT + 0.5)
        points = frame[[x, y]].astype("float64")
        ax.scatter(points[x], points[y], s=36, color=PALETTE[0], zorder=3)
        if low and high:
            ax.vlines(points[x], *frame[[low, high]].astype("float64").to_numpy().T, color=PALETTE[0], linewidth=2.2)
        ax.axline([points.mean(axis=None)] * 2, slope=1, **drawing.DASHES)
        axes.value_axes(ax, number, xlabel, ylabel)
        ax.grid(axis="x", visible=True)
        ax.xaxis.set_major_formatter(axes.Ticks(number))
    return ax


def _cut(ax: Axes, levels: list[float]) -> None:
    low, high = min(levels, default=0.0), max(levels, default=0.0)
    span = high - low
    if not low > SMALL_STEPS * span > 0:
        return
    ax.set_xlim(low - span * 0.6, high + span * 0.5)
    for place in (0, len(levels) - 1):
        ax.annotate("//", (0.04, place), xycoords=("axes fraction", "data"), va="center", ha="center", color=INK)


def _write(ax: Axes, end: float, place: int, number, value: float, signed: bool = False) -> None:
    """A value beside the end of its bar; signed: with its plus sign, but none where it is written as zero."""
    if value == value:
        text = number(value)
        plus = "+" if signed and value > 0 and not text.startswith("+") and text != number(0.0) else ""
        ax.annotate(plus + text, (end, place), (5, 0), textcoords="offset points", va="center", fontsize=11)
