"""Which cells must not be shown because they, or a total minus their neighbours, tell about a few customers."""

import heapq

import pandas as pd

STANDS_ALONE = {  # what tells rows apart without being parts of a total; any other label is taken to add up to one
    "period", "as_of", "age", "order_number", "window_days", "days", "metric", "measure", "component",
    "effect", "unit", "kind", "model", "method", "signal", "step", "test", "notebook", "question", "hypothesis",
}  # fmt: skip
NUMBERS = ("value", "low", "high", "n")
TOTALS = {"", "all", "total"}  # how a row that is the total of its neighbours is labelled (or it has no label)


def hidden(frame: pd.DataFrame, minimum: int, n: str = "n", already: pd.Series | None = None) -> pd.Series:
    """True for every row that must not be shown: a boolean series on the frame's index.

    A row is hidden when its denominator `n` is under `minimum` customers, or it is hidden `already`. Because the total
    of the parts is published beside them, among rows that differ only in one label (market, cohort…) either none or at
    least two are hidden, and those hidden together hold `minimum` customers or more: the next smallest parts are
    hidden too until that is so (complementary suppression). Rows without n are never hidden.

    >>> parts = pd.DataFrame({"market": ["DE", "FR", "IT", "all"], "n": [900, 40, 4, 944]})
    >>> hidden(parts, minimum=10).tolist()
    [False, True, True, False]
    """
    hide = pd.Series(False, index=range(len(frame))) if already is None else already.reset_index(drop=True).astype(bool)
    if n in frame and len(frame):
        rows = frame.reset_index(drop=True)
        counts = pd.to_numeric(rows[n], errors="coerce")
        hide |= (counts < minimum) & counts.notna()
        _complement(rows, counts, hide, minimum)
    return hide.set_axis(frame.index)


def hidden_flows(n: pd.Series, minimum: int, ends: tuple[list, list]) -> pd.Series:
    """True for every flow of customers that must not be shown, where what each place gained and lost in all is known.

    n: the customers of each flow; ends: the place they came from and the place they went to. A flow of fewer than `minimum`
    is hidden. The sizes of a place before and after give away the only flow of it that is hidden, so there must be a way
    round, on which customers could have moved unseen: the flows of the one with the fewest customers are hidden with it. The
    hidden flows of a place hold `minimum` customers or more together.

    >>> came, went = ["vip", "medium", "low", "medium", "vip", "low"], ["lost", "lost", "lost", "vip", "medium", "vip"]
    >>> hidden_flows(pd.Series([4, 48, 408, 204, 230, 25]), 10, (came, went)).tolist()
    [True, True, False, True, False, False]
    """
    links, counts, hide = list(zip(*ends, strict=True)), n.tolist(), set()
    todo = [k for k, each in enumerate(counts) if each < minimum]
    while todo:
        for k in todo:
            hide |= {k, *_way_round(links, [0 if j in hide else each for j, each in enumerate(counts)], k)}
        todo = _to_thicken(links, counts, hide, minimum)
    return pd.Series([k in hide for k in range(len(counts))], index=n.index, dtype=bool)


def _way_round(links: list[tuple], cost: list[int], k: int) -> tuple:
    """The links of the cheapest way between the ends of link k that does without it; none if there is no such way."""
    start, goal = links[k]
    queue, seen = [(0, start, ())], set()
    while queue:
        spent, place, way = heapq.heappop(queue)
        if place == goal:
            return way
        if place not in seen:
            seen.add(place)
            onward = [j for j, link in enumerate(links) if j != k and place in link]
            for j in onward:
                heapq.heappush(queue, (spent + cost[j], links[j][links[j][0] == place], (*way, j)))
    return ()


def _to_thicken(links: list[tuple], counts: list[int], hide: set[int], minimum: int) -> list[int]:
    """The smallest shown link of the first place whose hidden links hold too few customers together."""
    for place in sorted({end for k in hide for end in links[k]}):
        own = [k for k, link in enumerate(links) if place in link]
        shown = sorted((k for k in own if k not in hide), key=counts.__getitem__)
        if shown and sum(counts[k] for k in own if k in hide) < minimum:
            return shown[:1]
    return []


def _complement(rows: pd.DataFrame, counts: pd.Series, hide: pd.Series, minimum: int) -> None:
    labels = [column for column in rows if _is_label(rows, column)]
    before = -1
    while hide.any() and hide.sum() != before:  # hiding along one dimension can leave a lone cell along another
        before = hide.sum()
        for dimension in (column for column in labels if column not in STANDS_ALONE):
            parts = rows[rows[dimension].notna() & ~rows[dimension].astype(str).str.casefold().isin(TOTALS)]
            others = [column for column in labels if column != dimension and not _follows(rows, column, dimension)]
            groups = parts.groupby(others, dropna=False, sort=False, observed=True) if others else [(None, parts)]
            for _, group in groups:
                _hide_more(hide, counts, group.index, minimum)


def _follows(rows: pd.DataFrame, column: str, dimension: str) -> bool:
    """Whether one label is another in other words (a market's name beside its code), and so tells no rows apart."""
    told_by = rows.groupby(dimension, dropna=False)[column].nunique(dropna=False)
    return column not in STANDS_ALONE and told_by.max() <= 1


def _hide_more(hide: pd.Series, counts: pd.Series, siblings: pd.Index, minimum: int) -> None:
    if not hide[siblings].any():
        return
    for row in counts[siblings][~hide[siblings]].sort_values(kind="stable").index:
        together = siblings[hide[siblings].to_numpy()]
        if len(together) >= 2 and counts[together].sum() >= minimum:
            return
        hide[row] = True


def _is_label(rows: pd.DataFrame, column: str) -> bool:
    if column in NUMBERS or str(column).endswith(("_low", "_high")):
        return False
    number = pd.api.types.is_numeric_dtype(rows[column]) and not pd.api.types.is_bool_dtype(rows[column])
    return column in STANDS_ALONE or not number


def hidden_rows(rows: list[dict], minimum: int) -> list[bool]:
    """The same for rows of metrics.json from all notebooks: what one page hides, no other page and no total gives away.

    >>> hidden_rows([{"metric": "churn_rate", "market": m, "n": n} for m, n in [("DE", 90), ("FR", 40), ("IT", 4)]], 10)
    [False, True, True]
    """
    frame = pd.DataFrame(rows)
    if "n" not in frame:
        return [False] * len(rows)
    already = frame["suppressed"].eq(True) if "suppressed" in frame else pd.Series(False, index=frame.index)
    about = frame.drop(columns=["notebook", "suppressed", "unit", "as_of"], errors="ignore")
    same = [column for column in about if column not in NUMBERS]
    while True:
        hide = already.copy()
        for _, part in about.groupby("metric"):
            part = part.dropna(axis="columns", how="all")
            hide.loc[part.index] = hidden(part.drop(columns="metric"), minimum, already=already[part.index])
        hide = hide.groupby([about[column] for column in same], dropna=False).transform("max")
        if hide.equals(already):
            return hide.tolist()
        already = hide
