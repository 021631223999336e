"""What every chart shares: canvas and style without global state, labels, the way to an accessible SVG."""

import html
import io
import re

import matplotlib
import seaborn
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, REST = "#1c2126", "#5b6570", "#d9dee3", "#7d8791"
# seaborn's "colorblind", in an order that keeps neighbours apart; its pale pink and yellow are too light for a line
PALETTE = tuple(seaborn.color_palette("colorblind").as_hex()[place] for place in (0, 3, 2, 4, 1, 9, 5, 7))
STYLE = {
    "svg.fonttype": "none", "svg.hashsalt": "workbook", "font.family": "sans-serif", "font.size": 11, "text.color": INK,
    "axes.edgecolor": GRID, "axes.labelcolor": MUTED, "axes.labelsize": 11, "axes.axisbelow": True,
    "grid.color": GRID, "grid.linewidth": 0.8, "xtick.major.pad": 6, "xtick.color": GRID, "ytick.color": GRID, "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED, "xtick.labelsize": 11, "ytick.labelsize": 11, "xtick.major.size": 0,
    "ytick.major.size": 0, "lines.linewidth": 2, "lines.solid_capstyle": "round", "legend.frameon": False,
    "legend.fontsize": 11, "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
}  # fmt: skip
WIDTH, HEIGHT = 5.3, 3.2  # inches, 382 units of the SVG: as wide as a telephone, on which letters are eleven pixels
ROW_HEIGHT, ROW_HEIGHT_ABOVE = 0.34, 0.5
DASHES = {"linestyle": (0, (4, 3)), "linewidth": 1.2, "color": MUTED}
LONG_LABEL = 22  # letters; with a longer one, all labels stand above their rows


def canvas(height: float = HEIGHT) -> Axes:
    """Axes on a new figure of the report's width; the notebook does not show it by itself."""
    figure, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    seaborn.despine(ax=ax, left=True)
    plt.close(figure)  # the sheet shows it; the notebook's own display would show it a second time
    return ax


def row_canvas(labels) -> tuple[Axes, float]:
    """Axes with a row per label, the first on top, and how thick a bar may be.

    Long labels stand above their rows and leave them the whole width.
    """
    texts = [str(each) for each in labels]
    above = any(len(text) > LONG_LABEL for text in texts)
    ax = canvas(0.62 + (ROW_HEIGHT_ABOVE if above else ROW_HEIGHT) * max(len(texts), 1))
    ax.set_yticks(range(len(texts)), [""] * len(texts) if above else texts, color=INK)
    ax.set_ylim(len(texts) - 0.4, -0.8 if above else -0.6)
    for place, text in enumerate(texts if above else []):
        ax.annotate(text, (0, place - 0.46), xycoords=("axes fraction", "data"), va="center", fontsize=11)
    return ax, 0.36 if above else 0.62


def legend(ax: Axes) -> None:
    """The names of the parts above the chart, three a line."""
    handles, texts = ax.get_legend_handles_labels()
    if texts:
        ax.figure.legend(handles, texts, loc="outside upper left", ncols=min(len(texts), 3), handlelength=1.1,
                         columnspacing=1.3, handletextpad=0.5, borderaxespad=0.1)  # fmt: skip


def to_svg(figure: Figure, identity: str, alt: str) -> str:
    """The figure as one accessible, deterministic SVG element that takes its inks from the page.

    identity makes ids unique in a page; alt, the alternative text, becomes <title>. The chart's finding stands beside it on
    the page as text, readable at any width.

    >>> to_svg(canvas().figure, "c1", "Sales rose from 3 to 4.").startswith('<svg role="img" aria-labelledby="c1-title"')
    True
    """
    target = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = target.getvalue()
    body = body[body.index("<svg") :]
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
