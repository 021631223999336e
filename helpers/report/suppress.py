"""Which cells of a table must not be shown because they, or a total minus their neighbours, tell about a few customers."""

import pandas as pd

from helpers.estimates import Estimate

ADDS_UP = (  # dimensions whose parts make up a total that is published elsewhere: one hidden part could be worked out
    "market", "home_market", "sales_channel", "first_sales_channel", "acquisition_channel", "first_acquisition_channel",
    "first_product_category", "first_discounted", "category", "channel", "cohort", "tier", "segment", "group", "arm",
    "payment_method", "action",
)  # fmt: skip
TOTAL = {"", "all", "total"}  # how a row that is the total of its neighbours is labelled (or missing)


def hidden(frame: pd.DataFrame, minimum: int, n: str = "n") -> pd.Series:
    """True for every row that must not be shown: a boolean series on the frame's index.

    A row is hidden when its denominator `n` is under `minimum` customers (0 too: who is absent is also told). Because the total of
    the parts is published beside them, among rows that differ only in one of the dimensions ADDS_UP either none or at
    least two are hidden, and those hidden together hold `minimum` customers or more; the next smallest parts are hidden
    until that is so (complementary suppression). Rows without n are never hidden.

    >>> parts = pd.DataFrame({"market": ["DE", "FR", "IT", "all"], "n": [900, 40, 4, 944]})
    >>> hidden(parts, minimum=10).tolist()
    [False, True, True, False]
    """
    if n not in frame:
        return pd.Series(False, index=frame.index)
    counts = pd.to_numeric(frame[n], errors="coerce")
    hide = (counts < minimum) & counts.notna()
    dimensions = [column for column in ADDS_UP if column in frame and frame[column].nunique() > 1]
    labels = _labels(frame, n)
    before = -1
    while hide.sum() != before:  # hiding along one dimension can leave a lone cell along another
        before = hide.sum()
        for dimension in dimensions:
            parts = frame[~frame[dimension].map(_is_total)]
            others = [label for label in labels if label != dimension]
            groups = parts.groupby(others, dropna=False, sort=False, observed=True).indices.values() if others else None
            for positions in groups if groups is not None else [range(len(parts))]:
                _hide_more(hide, counts, parts.index[list(positions)], minimum)
    return hide


def _labels(frame: pd.DataFrame, n: str) -> list[str]:
    """Columns that say which row this is: the known dimensions, and the period, age or metric they are looked at in."""
    return [
        column
        for column in frame
        if column in (*ADDS_UP, "period", "month", "age", "metric", "kind", "component", "as_of")
    ]


def _is_total(label) -> bool:
    return pd.isna(label) or str(label).casefold() in TOTAL


def _hide_more(hide: pd.Series, counts: pd.Series, siblings: pd.Index, minimum: int) -> None:
    lone = hide[siblings]
    if not lone.any():
        return
    for row in counts[siblings][~lone].sort_values(kind="stable").index:
        among = siblings[hide[siblings].to_numpy()]
        if len(among) >= 2 and counts[among].sum() >= minimum:
            return
        hide[row] = True


def small(estimate, minimum: int) -> bool:
    """Whether an Estimate rests on fewer customers than the minimum (n = 0 with a value means: no customers counted).

    >>> small(Estimate(0.5, 0.1, 0.9, 4), 10), small(Estimate(0.5), 10)
    (True, False)
    """
    return isinstance(estimate, Estimate) and 0 < estimate.n < minimum
