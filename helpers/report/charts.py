"""Charts from finished frames: they compute nothing, change nothing, and get finished strings.

    ax = charts.lines(frame, "month", "value", "low", "high", by="market", number=sheet.number("percent.0"))
    sheet.chart(ax, "churn.by_month", ...)      # finding, subtitle and source from the texts, or say them here:
    charts.finish(ax, "Churn rose in Germany", "Monthly churn rate, five markets, 2026", "Source: demo, to 31 October 2026")

    lines(frame, x, y, low=None, high=None, by=None, number=None, names=None, mark=None, xlabel=None, ylabel=None)
    bars(frame, label, value, low=None, high=None, number=None, reference=None, xlabel=None, colors=None)  horizontal, labelled
    forest(frame, label, value, low, high, reference=None, number=None, xlabel=None)     points with their interval
    stacked(frame, x, y, by, number=None, names=None, ylabel=None)       parts of a whole over time, in columns
    waterfall(frame, label, value, number=None, ylabel=None)             first row start, last row end, between them steps
    steps(frame, x, y, low=None, high=None, by=None, …)                  survival curves
    scatter(frame, x, y, label=None, diagonal=False, …)                  e.g. predicted against observed
    finish(ax, finding, subtitle, source, alt=None)

`number` writes a value for an axis or a label (sheet.number("percent.0"), sheet.number("money")); `names` turns codes of `by`
into names (sheet.name("market")); `xlabel`, `ylabel` and all other strings are finished texts, e.g. sheet.text("churn.axis").
Missing values leave a gap. All return the matplotlib Axes, made without any global style.
"""

import html
import io
import itertools
import re
from dataclasses import dataclass
from datetime import date

import matplotlib
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, MUTED, GRID = "#1c2126", "#5b6570", "#d9dee3"
# Okabe & Ito 2008: told apart with every common kind of colour blindness; yellow left out, too pale for a line
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a6a53", "#40464d")
GAIN, LOSS = PALETTE[0], PALETTE[1]
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "workbook", "font.family": "sans-serif", "font.size": 11, "text.color": INK,
    "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.spines.top": False, "axes.spines.right": False,
    "axes.spines.left": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": GRID, "grid.linewidth": 0.8,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelcolor": MUTED, "ytick.labelcolor": MUTED, "xtick.major.size": 0,
    "ytick.major.size": 0, "lines.linewidth": 2, "lines.solid_capstyle": "round", "legend.frameon": False,
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "axes.unicode_minus": True,
    "path.simplify": True,
}  # fmt: skip
WIDTH, HEIGHT = 6.0, 3.3  # inches at 80 dots: drawn small, so that the letters stay readable on a telephone
DOTS = 80
ROW_HEIGHT = 0.34
LONGEST_FINDING = 10  # words


@dataclass(frozen=True)
class Caption:
    """What stands around a chart: the finding as title, what is measured, where it comes from, and the alternative text."""

    finding: str
    subtitle: str
    source: str
    alt: str


def finish(ax: Axes, finding: str, subtitle: str, source: str, alt: str | None = None) -> Axes:
    """The chart with its finding (at most ten words) as title, its subtitle and its source, all required.

    >>> ax = finish(lines(pd.DataFrame({"x": [1, 2], "y": [3, 4]}), "x", "y"), "Sales rose", "Sales by year", "Source: books")
    >>> ax.get_title(loc="left")
    'Sales rose'
    """
    for name, text in {"finding": finding, "subtitle": subtitle, "source": source}.items():
        if not text or not text.strip():
            raise ValueError(f"A chart needs its {name}; it is empty.")
    words = [word for word in finding.split() if any(letter.isalnum() for letter in word)]
    if len(words) > LONGEST_FINDING:
        raise ValueError(f"A finding has {LONGEST_FINDING} words or fewer, this one {len(words)}: '{finding}'")
    ax.figure.caption = Caption(finding, subtitle, source, alt or f"{finding}. {subtitle}.".replace("..", "."))
    ax.set_title(finding, loc="left", fontweight="bold", color=INK)
    return ax


def lines(
    frame, x, y, low=None, high=None, by=None, number=None, names=None, mark=None, xlabel=None, ylabel=None
) -> Axes:
    """One line per value of `by` over x, with a band from low to high where given; `mark` draws a vertical line at that x.

    >>> ax = lines(pd.DataFrame({"age": [0, 1, 2], "kept": [1, .4, None]}), "age", "kept")
    >>> len(ax.lines)
    1
    """
    return _curves(frame, x, y, low, high, by, number, names, mark, xlabel, ylabel, drawstyle="default")


def steps(
    frame, x, y, low=None, high=None, by=None, number=None, names=None, mark=None, xlabel=None, ylabel=None
) -> Axes:
    """As lines, in steps: for survival curves, which stay level until the next event.

    >>> steps(pd.DataFrame({"day": [0, 10], "left": [1, .9]}), "day", "left").lines[0].get_drawstyle()
    'steps-post'
    """
    return _curves(frame, x, y, low, high, by, number, names, mark, xlabel, ylabel, drawstyle="steps-post")


def _curves(frame, x, y, low, high, by, number, names, mark, xlabel, ylabel, drawstyle) -> Axes:
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(HEIGHT)
        for color, (name, part) in zip(_colors(), _parts(frame, by, names), strict=False):
            points = "o" if len(part) <= 24 and drawstyle == "default" else None
            ax.plot(part[x], part[y], color=color, drawstyle=drawstyle, marker=points, markersize=4, label=name)
            if low and high:
                step = "post" if drawstyle == "steps-post" else None
                ends = part[[low, high]].astype("float64")
                ax.fill_between(part[x], ends[low], ends[high], color=color, alpha=0.16, linewidth=0, step=step)
        if mark is not None:
            ax.axvline(mark, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        _axes(ax, number, xlabel, ylabel, grid="y")
        _dates(ax, frame[x])
        _legend(ax, by)
    return ax


def bars(frame, label, value, low=None, high=None, number=None, reference=None, xlabel=None, colors=None) -> Axes:
    """A horizontal bar per row, first row on top, with its value written at its end and its interval where given.

    >>> len(bars(pd.DataFrame({"market": ["DE", "FR"], "cost": [9.8, 12.5]}), "market", "cost").patches)
    2
    """
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(0.8 + ROW_HEIGHT * len(frame))
        places, values = range(len(frame)), frame[value].astype("float64")
        shown = colors if isinstance(colors, str | list) else PALETTE[0]
        ax.barh(places, values, height=0.62, color=shown)
        ends = values
        if low and high:
            _whiskers(ax, frame, value, low, high, places, INK)
            ends = frame[[value, high]].astype("float64").max(axis=1)
        for place, end, each in zip(places, ends, values, strict=True):
            if each == each:
                ax.annotate(_write(number, each), (max(end, 0), place), (5, 0), textcoords="offset points", va="center")
        ax.margins(x=0.16)
        _rows(ax, frame[label], number, xlabel, reference)
    return ax


def forest(frame, label, value, low, high, reference=None, number=None, xlabel=None) -> Axes:
    """A point with its interval per row, first row on top, against a dashed reference (the overall value, say).

    >>> frame = pd.DataFrame({"market": ["DE"], "rate": [.2], "low": [.1], "high": [.3]})
    >>> len(forest(frame, "market", "rate", "low", "high", reference=.25).collections) > 0
    True
    """
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(0.9 + ROW_HEIGHT * len(frame))
        places = range(len(frame))
        _whiskers(ax, frame, value, low, high, places, PALETTE[0], width=2.2)
        ax.plot(frame[value].astype("float64"), places, "o", color=PALETTE[0], markersize=7)
        _rows(ax, frame[label], number, xlabel, reference)
    return ax


def stacked(frame, x, y, by, number=None, names=None, ylabel=None) -> Axes:
    """A column per x made of the parts `by`, in order of first appearance; negative parts hang below zero.

    >>> frame = pd.DataFrame({"month": ["a", "a", "b"], "cost": [1, 2, 3], "component": ["crm", "email", "crm"]})
    >>> len(stacked(frame, "month", "cost", "component").containers)
    2
    """
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(HEIGHT)
        wide = frame.pivot_table(index=x, columns=by, values=y, aggfunc="sum", sort=False).astype("float64").fillna(0.0)
        ticks = [_tick(each) for each in wide.index]
        tops, bottoms = pd.Series(0.0, wide.index), pd.Series(0.0, wide.index)
        for color, part in zip(_colors(), wide, strict=False):
            up, down = wide[part].clip(lower=0), wide[part].clip(upper=0)
            start = tops.where(wide[part] >= 0, bottoms)
            ax.bar(range(len(wide)), wide[part], bottom=start, width=0.8, color=color, label=_named(names, part))
            tops, bottoms = tops + up, bottoms + down
        every = max(1, -(-len(ticks) // 7))
        ax.set_xticks(range(0, len(ticks), every), ticks[::every])
        _axes(ax, number, None, ylabel, grid="y")
        _legend(ax, by)
    return ax


def waterfall(frame, label, value, number=None, ylabel=None) -> Axes:
    """From the first row's value to the last row's through the steps between: a horizontal bar per row, first on top.

    >>> frame = pd.DataFrame({"step": ["September", "e-mail", "October"], "cost": [10.0, -1.5, 8.5]})
    >>> len(waterfall(frame, "step", "cost").patches)
    3
    """
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(0.8 + ROW_HEIGHT * len(frame))
        values = frame[value].astype("float64").tolist()
        level = values[0]
        for place, each in enumerate(values):
            whole = place in (0, len(values) - 1)
            start = 0.0 if whole else level
            color = "#7d8790" if whole else LOSS if each > 0 else GAIN
            ax.barh(place, each, left=start, height=0.62, color=color)
            end = start + each
            ax.annotate(
                _write(number, each, not whole),
                (max(start, end), place),
                (5, 0),
                textcoords="offset points",
                va="center",
            )
            level = level if whole else end
        ax.margins(x=0.16)
        _rows(ax, frame[label], number, ylabel, None)
    return ax


def scatter(frame, x, y, label=None, number=None, xlabel=None, ylabel=None, diagonal=False) -> Axes:
    """A point per row; `diagonal` adds the line x = y, `label` writes a column's text beside each point.

    >>> len(scatter(pd.DataFrame({"said": [1, 2], "was": [1, 3]}), "said", "was", diagonal=True).lines)
    1
    """
    with matplotlib.rc_context(STYLE):
        _, ax = _canvas(HEIGHT + 0.5)
        ax.scatter(frame[x].astype("float64"), frame[y].astype("float64"), s=36, color=PALETTE[0], zorder=3)
        if diagonal:
            ax.axline((0, 0), slope=1, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2)
        for _, row in frame.iterrows() if label else ():
            ax.annotate(str(row[label]), (row[x], row[y]), (6, 4), textcoords="offset points", fontsize=10)
        _axes(ax, number, xlabel, ylabel, grid="both")
        if number:
            ax.xaxis.set_major_formatter(lambda each, _: number(each))
    return ax


def to_svg(figure: Figure, identity: str) -> str:
    """The figure as one accessible, deterministic SVG element that takes its inks from the page, and closes the figure.

    identity makes ids unique in a page. The caption's alternative text becomes <title>; a figure not finished is an error.

    >>> ax = finish(lines(pd.DataFrame({"x": [1, 2], "y": [3, 4]}), "x", "y"), "Sales rose", "Sales", "Source: books")
    >>> to_svg(ax.figure, "c1").startswith('<svg role="img" aria-labelledby="c1-title"')
    True
    """
    caption = getattr(figure, "caption", None)
    if caption is None:
        raise ValueError("This chart was not finished: give it a finding, a subtitle and a source with charts.finish.")
    for ax in figure.axes:
        ax.set_title("", loc="left")  # the page writes the title as text, readable at any width
    target = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(
            target, format="svg", bbox_inches="tight", pad_inches=0.04, metadata={"Date": None, "Creator": None}
        )
    plt.close(figure)
    return _tidy(target.getvalue(), identity, caption.alt)


def _tidy(svg: str, identity: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body).group(1)
    inside = body[body.index(">") + 1 :]
    inside = re.sub(r"<metadata>.*?</metadata>", "", inside, flags=re.DOTALL)
    inside = re.sub(r"\n\s*", "\n", inside)
    inside = re.sub(r'(\bid="|xlink:href="#|url\(#)', rf"\g<1>{identity}-", inside)
    inside = inside.replace("xlink:href", "href")
    inside = re.sub(r"font: (\w+ )?([\d.]+)px [^;\"]+", r"font: \1\2px system-ui, sans-serif", inside)
    for name, color in {"ink": INK, "muted": MUTED, "grid": GRID}.items():
        inside = inside.replace(color, f"var(--{name}, {color})")
    title = f'<title id="{identity}-title">{html.escape(alt)}</title>'
    return (
        f'<svg role="img" aria-labelledby="{identity}-title" viewBox="{box}" class="chart-svg">{title}{inside}'.strip()
    )


def _canvas(height: float) -> tuple[Figure, Axes]:
    figure, ax = plt.subplots(figsize=(WIDTH, height), dpi=DOTS, layout=None)
    plt.close(figure)  # the sheet shows it; the notebook's own display would show it twice
    return figure, ax


def _colors():
    return itertools.cycle(PALETTE)


def _parts(frame, by, names):
    if by is None:
        return [(None, frame)]
    return [(_named(names, key), part) for key, part in frame.groupby(by, sort=False, observed=True)]


def _named(names, key) -> str:
    return str(names(key) if names else key)


def _write(number, value, signed: bool = False) -> str:
    text = number(value) if number else f"{value:,.3g}"
    return f"+{text}" if signed and value > 0 else text


def _tick(each) -> str:
    return f"{each:%Y-%m}" if isinstance(each, date) else str(each)


def _whiskers(ax, frame, value, low, high, places, color, width=1.4) -> None:
    middle = frame[value].astype("float64")
    reach = [
        (middle - frame[low].astype("float64")).clip(lower=0),
        (frame[high].astype("float64") - middle).clip(lower=0),
    ]
    ax.errorbar(middle, places, xerr=reach, fmt="none", ecolor=color, elinewidth=width, capsize=0)


def _axes(ax, number, xlabel, ylabel, grid: str) -> None:
    ax.grid(visible=False)
    ax.grid(axis=grid, visible=True)
    if number:
        ax.yaxis.set_major_formatter(lambda each, _: number(each))
    ax.yaxis.set_major_locator(MaxNLocator(5))
    ax.set_xlabel(xlabel or "")
    ax.set_ylabel(ylabel or "")


def _rows(ax, labels, number, xlabel, reference) -> None:
    ax.set_yticks(range(len(labels)), [str(each) for each in labels], color=INK)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    if number:
        ax.xaxis.set_major_formatter(lambda each, _: number(each))
    if reference is not None:
        ax.axvline(reference, color=MUTED, linestyle=(0, (4, 3)), linewidth=1.2, zorder=1)
    ax.set_xlabel(xlabel or "")


def _dates(ax, x) -> None:
    if pd.api.types.is_datetime64_any_dtype(x) or isinstance(next(iter(x), None), date):
        ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6))
        ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    elif pd.api.types.is_object_dtype(x) or pd.api.types.is_string_dtype(x):
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _legend(ax, by) -> None:
    if by is None:
        return
    entries = len(ax.get_legend_handles_labels()[1])
    ax.legend(loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=min(entries, 3), handlelength=1.2, columnspacing=1.4)
