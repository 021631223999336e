"""Pairs of markets: the sentence counts all, the table shows those that differ, the fold holds the rest; and whether groups differ."""

import pandas as pd
import pytest

from helpers.report import contrasts


class Sheet:
    """Notes what is said and how many rows each table has."""

    def __init__(self):
        self.told = []

    def say(self, key, **values):
        self.told.append((key, *(values[name] for name in ("clear", "shown", "pairs", "apart") if name in values)))

    def table(self, frame, kinds, title, **values):
        self.told.append((title, len(frame)))


@pytest.mark.parametrize(("differ", "alike", "told"), [
    (0, 0, []),
    (0, 3, [("markets.pairs_none", 0, 0, 3), ("markets.pairs_all_table", 3)]),
    (3, 0, [("markets.pairs_some", 3, 3, 3), ("markets.pairs_table", 3)]),
    (20, 1, [("markets.pairs_most", 20, 15, 21), ("markets.pairs_table", 15), ("markets.pairs_all_table", 21)]),
])  # fmt: skip
def test_no_pair_is_lost_and_none_stands_twice_without_need(differ, alike, told):
    sheet = Sheet()
    contrasts.tell(sheet, pd.DataFrame({"p": [0.01] * differ + [0.05] * alike}), "+money", measure="Churn")
    assert sheet.told == told


@pytest.mark.parametrize(("value", "told"), [(0.2, ("effect.markets_differ", "de")), (0.001, ("effect.markets_alike", "de"))])
def test_whether_an_effect_differs_is_said_with_the_group_furthest_from_the_others(value, told):
    sheet = Sheet()
    groups = pd.DataFrame({"market": ["DE", "JP"], "value": [0.0, value], "n": 90})
    groups = groups.assign(low=groups["value"] - 0.02, high=groups["value"] + 0.02)
    contrasts.differ(sheet, groups, "market", str.lower, "effect.markets")
    contrasts.differ(sheet, groups.head(1), "market", str.lower, "effect.markets")
    assert sheet.told == [told]
