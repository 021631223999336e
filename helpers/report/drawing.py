"""What every chart shares: canvas and style without global state, axes, labels, the way to an accessible SVG."""

import html
import io
import re
from dataclasses import dataclass
from datetime import date

import matplotlib
import pandas as pd
import seaborn
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, MaxNLocator, ScalarFormatter

INK, MUTED, GRID, REST = "#1c2126", "#5b6570", "#d9dee3", "#7d8791"
# seaborn's "colorblind", in an order that keeps neighbours apart; its pale pink and yellow are too light for a line
PALETTE = tuple(seaborn.color_palette("colorblind").as_hex()[place] for place in (0, 3, 2, 4, 1, 9, 5, 7))
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "workbook", "font.family": "sans-serif", "font.size": 11, "text.color": INK,
    "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.labelsize": 10.5, "axes.axisbelow": True,
    "grid.color": GRID, "grid.linewidth": 0.8, "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED, "xtick.labelsize": 10.5, "ytick.labelsize": 10.5, "xtick.major.size": 0,
    "ytick.major.size": 0, "lines.linewidth": 2, "lines.solid_capstyle": "round", "legend.frameon": False,
    "legend.fontsize": 10.5, "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
}  # fmt: skip
WIDTH, HEIGHT = 6.0, 3.2  # inches, 432 units of the SVG: drawn small, so that letters stay readable on a telephone
ROW_HEIGHT, ROW_HEIGHT_ABOVE = 0.34, 0.5
DASHES = {"linestyle": (0, (4, 3)), "linewidth": 1.2, "color": MUTED}
NEAR_ZERO = 0.6  # an axis that starts below this share of its end starts at zero instead: a fall looks as deep as it is
ROUND_STEPS = (1, 2, 5, 10)  # of an axis; a step of 2.5 would be written with a digit the chart does not show
LONG_LABEL = 22  # letters; with a longer one, all labels stand above their rows


@dataclass(frozen=True)
class Caption:
    """What stands around a chart: the finding as title, what is measured, where it comes from, the alternative text."""

    finding: str
    subtitle: str
    source: str
    alt: str


class Ticks(Formatter):
    """Writes an axis by the function `number`, all with one decimal more where one would be rounded away from its place.

    `number.finer`, where there is one, writes that decimal.

    >>> ticks = Ticks(lambda value: f"{value:.0f}")
    >>> ticks.number.finer = lambda value: f"{value:.1f}"
    >>> ticks.format_ticks([2, 2.5, 3]), ticks.format_ticks([2, 3, 4])
    (['2.0', '2.5', '3.0'], ['2', '3', '4'])
    """

    def __init__(self, number) -> None:
        """Nothing is known of the ticks yet."""
        self.number = self.write = number

    def __call__(self, value, place=None) -> str:
        """The text of one tick."""
        return self.write(value)

    def set_locs(self, locs) -> None:
        """Choose how all ticks are written; matplotlib calls this with their places."""
        finer = getattr(self.number, "finer", self.number)
        self.write = self.number if all(_same(self.number(each), finer(each)) for each in locs) else finer


def _same(text: str, finer: str) -> bool:
    """Whether two texts say one number, the second with more decimals, in whatever language."""
    few, many = (re.sub(r"\D", "", each) for each in (text, finer))
    return few.ljust(len(many), "0") == many


def canvas(height: float = HEIGHT) -> Axes:
    """Axes on a new figure of the report's width; the notebook does not show it by itself.

    >>> canvas(2.0).figure.get_size_inches().tolist()
    [6.0, 2.0]
    """
    figure, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    seaborn.despine(ax=ax, left=True)
    plt.close(figure)  # the sheet shows it; the notebook's own display would show it a second time
    return ax


def row_canvas(labels) -> tuple[Axes, float]:
    """Axes with a row per label, the first on top, and how thick a bar may be.

    Long labels stand above their rows and leave them the whole width.

    >>> ax, thick = row_canvas(["DE", "FR"])
    >>> [text.get_text() for text in ax.get_yticklabels()], thick
    (['DE', 'FR'], 0.62)
    """
    texts = [str(each) for each in labels]
    above = any(len(text) > LONG_LABEL for text in texts)
    ax = canvas(0.62 + (ROW_HEIGHT_ABOVE if above else ROW_HEIGHT) * max(len(texts), 1))
    ax.set_yticks(range(len(texts)), [""] * len(texts) if above else texts, color=INK)
    ax.set_ylim(len(texts) - 0.4, -0.8 if above else -0.6)
    for place, text in enumerate(texts if above else []):
        ax.annotate(text, (0, place - 0.46), xycoords=("axes fraction", "data"), va="center", fontsize=10.5)
    return ax, 0.36 if above else 0.62


def parts(frame: pd.DataFrame, by: str | None, names) -> list[tuple[str | None, pd.DataFrame]]:
    """The frame's parts by a column with their names, in order of appearance; one nameless part without a column."""
    if by is None:
        return [(None, frame)]
    return [(named(names, key), part) for key, part in frame.groupby(by, sort=False, observed=True)]


def named(names, key) -> str:
    """The name of a code, by the function `names` if there is one."""
    return str(names(key) if names else key)


def written(number, value: float, signed: bool = False) -> str:
    """A value as the function `number` writes it, with its plus sign if asked.

    >>> written(None, 1234.5), written(lambda value: f"{value:.0%}", 0.25, signed=True)
    ('1,230', '+25%')
    """
    text = number(value) if number else f"{float(f'{value:.3g}'):,.10g}"
    return f"+{text}" if signed and value > 0 and not text.startswith("+") else text


def tick(each) -> str:
    """A date as its month, anything else as it is."""
    return f"{each:%Y-%m}" if isinstance(each, date) else str(each)


def whiskers(ax: Axes, frame, value, low, high, color: str, width: float = 1.4) -> None:
    """The interval of every row, drawn horizontally."""
    middle = frame[value].astype("float64")
    reach = [(middle - frame[low]).astype("float64"), (frame[high] - middle).astype("float64")]
    reach = [side.clip(lower=0) for side in reach]  # an end equal to its value may come out a hair below zero
    ax.errorbar(middle, range(len(frame)), xerr=reach, fmt="none", ecolor=color, elinewidth=width, capsize=0)


def value_axes(ax: Axes, number, xlabel=None, ylabel=None, grid: str = "y") -> None:
    """Values upward: their numbers, light grid lines, and what is measured."""
    ax.grid(axis=grid, visible=True)
    if number:
        ax.yaxis.set_major_formatter(Ticks(number))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND_STEPS))
    bottom, top = ax.get_ylim()
    if 0 < bottom < top * NEAR_ZERO:
        ax.set_ylim(bottom=0)
    elif bottom < 0 < top:
        ax.axhline(0, color=MUTED, linewidth=1, zorder=2.5)
    ax.set_xlabel(xlabel or "")
    ax.set_ylabel(ylabel or "")


def row_axes(ax: Axes, number, xlabel=None, reference=None) -> None:
    """Values to the right: their numbers, light grid lines, and a dashed line at the reference."""
    ax.grid(axis="x", visible=True)
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS))
    if number:
        ax.xaxis.set_major_formatter(Ticks(number))
    if reference is not None and reference == reference:
        ax.axvline(reference, zorder=1, **DASHES)
    ax.set_xlabel(xlabel or "")


def at_its_month(x: pd.Series) -> pd.Series:
    """Days that all end a month, as the first of it, where the axis names it; anything else as it is.

    >>> at_its_month(pd.Series(pd.to_datetime(["2026-09-30", "2026-10-31"]))).dt.day.tolist()
    [1, 1]
    """
    days = pd.to_datetime(x) if len(x) and isinstance(x.iloc[0], date) else x
    ends = pd.api.types.is_datetime64_any_dtype(days) and days.dt.is_month_end.all()
    return days.dt.to_period("M").dt.start_time if ends else x


def date_axis(ax: Axes, x) -> None:
    """Months as 2026-10 where x holds dates; whole numbers in dozens' parts; few enough ticks where it holds texts."""
    first = next(iter(x), None)
    if pd.api.types.is_datetime64_any_dtype(x) or isinstance(first, date):
        ax.xaxis.set_major_locator(AutoDateLocator(minticks=3, maxticks=6, interval_multiples=True))
        ax.xaxis.set_major_formatter(DateFormatter("%Y-%m"))
    elif pd.api.types.is_integer_dtype(x):
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 3, 6, 10]))
    elif isinstance(first, str):
        ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def rewrite_ticks(figure: Figure, write) -> None:
    """What is written under the axes goes through the function `write`: months there come as 2026-10, in no language.

    >>> ax = canvas()
    >>> _ticks = ax.set_xticks([0], ["2026-10"])
    >>> rewrite_ticks(ax.figure, lambda text: text.replace("2026-10", "Oct 2026"))
    >>> ax.get_xticklabels()[0].get_text()
    'Oct 2026'
    """
    for ax in figure.axes:
        plain = ax.xaxis.get_major_formatter()
        if not isinstance(plain, ScalarFormatter | Ticks):  # numbers, written all together
            ax.xaxis.set_major_formatter(lambda each, place, plain=plain: write(plain(each, place)))


def legend(ax: Axes, by: str | None) -> None:
    """The names of the parts above the chart, three a line."""
    if by is None:
        return
    handles, texts = ax.get_legend_handles_labels()
    if texts:
        ax.figure.legend(handles, texts, loc="outside upper left", ncols=min(len(texts), 3), handlelength=1.1,
                         columnspacing=1.3, handletextpad=0.5, borderaxespad=0.1)  # fmt: skip


def to_svg(figure: Figure, identity: str) -> str:
    """The figure as one accessible, deterministic SVG element that takes its inks from the page.

    identity makes ids unique in a page. The caption's alternative text becomes <title>; without a caption: an error.

    >>> ax = canvas()
    >>> ax.figure.caption = Caption("Sales rose", "Sales", "Source: books", "Sales rose from 3 to 4.")
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
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return _tidy(target.getvalue(), identity, caption.alt)


def _tidy(svg: str, identity: str, alt: str) -> str:
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]+)"', body).group(1)
    inside = body[body.index(">") + 1 :]
    inside = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", inside, flags=re.DOTALL)
    inside = re.sub(r"\s*\n\s*", "\n", inside).replace(" \n", "\n")
    inside = re.sub(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10})[^"]*"', "", inside)  # only ids something refers to
    inside = re.sub(r'( id="| (?:xlink:)?href="#|url\(#)', rf"\g<1>{identity}-", inside).replace("xlink:href", "href")
    inside = re.sub(r" font-family: [^;\"]+;?", "", inside)  # the page's own letters
    inside = re.sub(r' transform="rotate\(-0 [^"]*"', "", inside)
    inside = re.sub(r"(\d\.\d\d)\d+", r"\1", inside)  # a hundredth of a unit is finer than any screen
    for name, color in {"ink": INK, "muted": MUTED, "grid": GRID, "rest": REST}.items():
        inside = inside.replace(color, f"var(--{name}, {color})")
    for place, color in enumerate(PALETTE, 1):
        inside = inside.replace(color, f"var(--c{place}, {color})")
    title = f'<title id="{identity}-title">{html.escape(alt)}</title>'
    role = f'role="img" aria-labelledby="{identity}-title"'
    return f'<svg {role} viewBox="{box}" class="chart-svg">{title}{inside}'.strip()
