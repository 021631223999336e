"""Markets set against each other two by two: how many pairs differ, those that do, and all of them folded away."""

import pandas as pd

from helpers.estimates import ALPHA

MOST = 15  # pairs that differ are shown; more are no longer read


def tell(sheet, pairs: pd.DataFrame, difference: str, **said) -> None:
    """A sentence with the count of pairs that differ, a table of those, and one of all under a fold.

    pairs: `comparison.pairwise` or `comparison.pairs_of`, the largest effect first (market, other, difference, effect, p);
    difference: how to write it, such as "+money"; said: measure, and the key of the note under the tables. Nothing is said
    of no pairs.

    >>> class Sheet:
    ...     def say(self, key, **values):
    ...         print(key, values)
    ...     def table(self, frame, kinds, title, **values):
    ...         print(title, len(frame))
    >>> pairs = pd.DataFrame({"market": ["DE", "DE"], "other": ["FR", "GB"], "p": [0.01, 0.5]})
    >>> tell(Sheet(), pairs, "+points", measure="Churn")
    markets.pairs_some {'clear': 1, 'shown': 1, 'measure': 'Churn', 'pairs': 2}
    markets.pairs_table 1
    markets.pairs_all_table 2
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
