"""Markets and other groups set against each other: which pairs differ, and whether an effect differs between groups."""

import pandas as pd

from helpers.estimates import ALPHA, Estimate
from helpers.metrics.campaigns import experiments

MOST = 15  # pairs that differ are shown; more are no longer read


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
    found = experiments.heterogeneity(groups, by)
    own = Estimate(*groups.set_index(by).loc[found.apart, ["value", "low", "high", "n"]])
    said = {"p": found.p_value, "apart": name(found.apart), "own": own, "rest": found.rest}
    sheet.say(f"{key}_differ" if found.p_value < ALPHA else f"{key}_alike", **said)
