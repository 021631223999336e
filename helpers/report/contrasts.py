"""Groups of customers set against each other: who stands at the ends, by a share, pair by pair, and whether an effect differs."""

import pandas as pd

from helpers.estimates import ALPHA, Estimate
from helpers.metrics.campaigns import experiments
from helpers.metrics.groups.markets import OTHER, UNKNOWN
from helpers.metrics.retention import cohort_comparison, cohorts
from helpers.report import charts

MOST = 15  # pairs that differ are shown; more are no longer read


def ends(groups: pd.DataFrame) -> str:
    """Which ends of a row of groups a title may name, by their intervals (value, low, high; blank where not shown).

    both, first (the highest) or last: that end lies apart from every other group; apart: the two ends lie apart from each
    other, though not from all between; alike: not even they do; one: there is a single group. While a group is not shown,
    no other can be called the highest or the lowest; and nor can the small groups together, or those nothing is known of.

    >>> groups = pd.DataFrame({"value": [3.0, 2.0, 1.0], "low": [2.6, 1.8, 0.9], "high": [3.4, 2.2, 1.9]})
    >>> ends(groups), ends(groups.tail(2)), ends(groups.assign(low=0.0)), ends(groups.head(1))
    ('first', 'alike', 'alike', 'one')
    """
    told = groups.sort_values("value", ascending=False)
    shown = told.dropna(subset="value")
    if len(shown) < 2:
        return "one"
    mixed = told.isin([OTHER, UNKNOWN]).any(axis="columns")
    first = (told["high"].iloc[1:] < told["low"].iloc[0]).all() and not mixed.iloc[0]
    last = len(shown) == len(told) and (told["low"].iloc[:-1] > told["high"].iloc[-1]).all() and not mixed.iloc[-1]
    if first or last:
        return "both" if first and last else "first" if first else "last"
    return "apart" if shown["low"].iloc[0] > shown["high"].iloc[-1] else "alike"


def tell(sheet, pairs: pd.DataFrame, difference: str, **said) -> None:
    """A sentence with the count of pairs that differ, a table of those, and one of all under a fold.

    pairs: `comparison.pairwise` or `comparison.pairs_of`, the largest effect first (market, other, difference, effect, p);
    difference: how to write it, such as "+money"; said: measure, and the key of the note under the tables. Nothing is said
    of no pairs.
    """
    if not len(pairs):
        return
    clear = pairs[pairs["p"] < ALPHA]
    shown, said = clear.head(MOST), said | {"pairs": len(pairs)}
    kinds = {"market": "market", "other": "market", "difference": difference, "effect": "+number.2", "p": "p"}
    some = "none" if clear.empty else "some" if len(shown) == len(clear) else "most"
    sheet.say(f"markets.pairs_{some}", clear=len(clear), shown=len(shown), **said)
    if len(shown):
        sheet.table(shown, kinds, title="markets.pairs_table", **said)
    if len(shown) < len(pairs):
        sheet.table(pairs, kinds, title="markets.pairs_all_table", fold="markets.pairs_all", **said)


def differ(sheet, groups: pd.DataFrame, by: str, name, key: str) -> None:
    """A sentence on whether an effect differs between groups by more than chance: the text key_differ or key_alike.

    groups: rows as for `experiments.heterogeneity`; name: how to write a group. Nothing is said of a single one.
    """
    if len(groups) < 2:
        return
    p, apart, rest = experiments.heterogeneity(groups, by)
    own = Estimate.of(groups.set_index(by).loc[apart])
    sheet.say(f"{key}_differ" if p < ALPHA else f"{key}_alike", p=p, apart=name(apart), own=own, rest=rest)


def shares(sheet, groups, column: str, kind: str, key: str, twice: pd.DataFrame) -> None:
    """A chart of the groups, best first, against the share of all customers, and their numbers in a table.

    groups: `cohort_comparison.repurchase_by`; column and kind: what names a group, and how that is written; key: of the
    texts (key.subtitle, key.alike, key.table); twice: the curve of all customers (`cohorts.retention_curve`). The title names the
    ends of the row only where a test of all groups says that they differ; a group of customers about whom nothing is known
    is no end.
    """
    reference = cohorts.at_age(twice, groups["age"].iloc[0]).value
    shown = sheet.shown(groups.assign(label=groups[column].map(sheet.name(kind))))
    ax = charts.forest(shown, "label", reference, number=sheet.number("percent.0"))
    told = shown.dropna(subset="value")
    ends, verdict = told[told[column] != UNKNOWN], sheet.text(f"{key}.alike")
    if len(ends) > 1 and cohort_comparison.differ(told):
        best, worst = ends.iloc[0], ends.iloc[-1]
        said = {"best": best["label"], "most": best["value"], "worst": worst["label"], "least": worst["value"]}
        verdict = sheet.text("cohorts.groups_differ", **said)
    sheet.chart(ax, key, verdict=verdict)
    sheet.table(groups, {column: kind, "value": "percent", "n": "count"}, title=f"{key}.table")
