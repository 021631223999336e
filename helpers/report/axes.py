"""The axes of a chart: numbers written as exactly as their ticks stand, months at their month, light grid lines."""

import re
from datetime import date

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, DateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import Formatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from helpers.report.drawing import DASHES, MUTED

ROUND_STEPS = (1, 2, 5, 10)  # of an axis; a step of 2.5 would be written with a digit the chart does not show
LONG_NUMBER = 8  # letters; three and more ticks with longer ones would run into each other
NEAR_ZERO = 0.6  # an axis that starts below this share of its end starts at zero instead: a fall looks as deep as it is


class Ticks(Formatter):
    """Writes an axis by the function `number`, all with one decimal more where one would be rounded away from its place.

    `number.finer`, where there is one, writes that decimal.
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


def value_axes(ax: Axes, number, xlabel=None, ylabel=None) -> None:
    """Values upward: their numbers, light grid lines, and what is measured."""
    ax.grid(axis="y", visible=True)
    if number:
        ax.yaxis.set_major_formatter(Ticks(number))
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND_STEPS, min_n_ticks=3))
    bottom, top = ax.get_ylim()
    if 0 < bottom < top * NEAR_ZERO:
        ax.set_ylim(bottom=0)
    elif bottom < 0 < top:
        ax.axhline(0, color=MUTED, linewidth=1, zorder=2.5)
    ax.set_xlabel(xlabel or "")
    ax.set_ylabel(ylabel or "")


def row_axes(ax: Axes, number, xlabel=None, reference=None, doublings: bool = False) -> None:
    """Values to the right: their numbers, light grid lines, and a dashed line at the reference."""
    ax.grid(axis="x", visible=True)
    if doublings:
        ax.set_xscale("log", base=2)
    long = max(len(number(end)) for end in ax.get_xlim()) > LONG_NUMBER
    ax.xaxis.set_major_locator(MaxNLocator(4, steps=ROUND_STEPS, min_n_ticks=2 if long else 3))
    if doublings:
        ax.xaxis.set_major_locator(LogLocator(base=2))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(Ticks(number))
    if reference is not None and reference == reference:
        ax.axvline(reference, zorder=1, **DASHES)
    ax.set_xlabel(xlabel or "")


def at_its_month(x: pd.Series) -> pd.Series:
    """Days that all end a month, as the first of it, where the axis names it; anything else as it is."""
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
    """What is written under the axes goes through the function `write`: months there come as 2026-10, in no language."""
    for ax in figure.axes:
        plain = ax.xaxis.get_major_formatter()
        if not isinstance(plain, ScalarFormatter | Ticks):  # numbers, written all together
            ax.xaxis.set_major_formatter(lambda each, place, plain=plain: write(plain(each, place)))
