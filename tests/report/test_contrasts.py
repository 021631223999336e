"""Pairs: the sentence counts all, the table shows those that differ, the fold holds the rest. Shares: who stands at the ends."""

import pandas as pd
import pytest

from helpers.estimates import NotEnoughData, with_wilson
from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.retention import cohorts
from helpers.report import contrasts
from helpers.report.suppress import hidden
from helpers.report.wording import Words

TWICE = cohorts.retention_curve(pd.DataFrame({"cohort": ["2026-01"], "age": [6], "active": [70], "n": [100]}))
CHANNELS = pd.DataFrame({"channel": [UNKNOWN, "email", "direct", "sms"], "active": [95, 80, 50, 1], "n": [100, 100, 100, 4]})


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


def test_one_pair_is_told_of_as_one():
    """The sentences, the fold and the notes, each in the form for a single pair."""
    said = {"measure": "Churn", "pairs": 1, "clear": 1, "shown": 1}
    for key in ("pairs_none", "pairs_some", "pairs_all", "pairs_note", "cost_pairs_note"):
        text = Words().say(f"markets.{key}", **said)
        assert "1" not in text and "the two markets" in text.lower() or key.endswith("note") and "pairs" not in text


@pytest.mark.parametrize(("value", "told"), [(0.2, ("effect.markets_differ", "de")), (0.001, ("effect.markets_alike", "de"))])
def test_whether_an_effect_differs_is_said_with_the_group_furthest_from_the_others(value, told):
    sheet = Sheet()
    groups = pd.DataFrame({"market": ["DE", "JP"], "value": [0.0, value], "n": 90})
    groups = groups.assign(low=groups["value"] - 0.02, high=groups["value"] + 0.02)
    contrasts.differ(sheet, groups, "market", str.lower, "effect.markets")
    contrasts.differ(sheet, groups.head(1), "market", str.lower, "effect.markets")
    assert sheet.told == [told]


def row_of(*intervals):
    return pd.DataFrame([((low + high) / 2, low, high) for low, high in intervals], columns=["value", "low", "high"])


@pytest.mark.parametrize(("intervals", "ends"), [
    ([(8, 9), (4, 6), (1, 2)], "both"),
    ([(8, 9), (4, 6), (3, 5)], "first"),
    ([(5, 9), (4, 6), (1, 2)], "last"),
    ([(5, 9), (4, 8), (1, 4.5)], "apart"),
    ([(5, 9), (4, 8), (1, 5.5)], "alike"),
    ([(5, 9)], "one"),
    ([], "one"),
])  # fmt: skip
def test_a_title_names_an_end_only_where_it_lies_apart_from_all_others(intervals, ends):
    groups = row_of(*intervals)
    assert contrasts.ends(groups) == contrasts.ends(groups.iloc[::-1]) == ends


def test_nobody_is_the_highest_or_lowest_beside_a_group_that_is_not_shown():
    assert contrasts.ends(row_of((8, 9), (4, 6), (1, 2), (float("nan"), float("nan")))) == "apart"


@pytest.mark.parametrize(("channels", "ends"), [
    (["other", "email", "social"], "last"), (["email", "social", "unknown"], "first"), (["other", "email", "unknown"], "apart"),
])  # fmt: skip
def test_what_is_many_groups_or_none_that_is_known_is_no_end(channels, ends):
    assert contrasts.ends(row_of((8, 9), (4, 6), (1, 2)).assign(channel=channels)) == ends


class ShareSheet:
    """What a sheet is asked for, kept: the verdict of the chart, the rows of the table."""

    text, number, name = Words().say, lambda self, spec: "{:.2f}".format, lambda self, kind: Words().label

    def shown(self, frame):
        return frame.assign(value=frame["value"].mask(hidden(frame, 10)))

    def chart(self, ax, key, verdict):
        self.verdict = verdict

    def table(self, frame, kinds, title):
        self.rows, self.kinds = frame, kinds


def told(frame):
    sheet = ShareSheet()
    contrasts.shares(sheet, with_wilson(frame.assign(age=6), "active", "n"), "channel", "label", "cohorts.by_channel", TWICE)
    return sheet


def test_the_title_names_the_ends_that_are_known_and_large_enough():
    sheet = told(CHANNELS)
    assert sheet.verdict == "E-mail: 80% come back; Direct: 50%"
    assert sheet.kinds == {"channel": "label", "value": "percent", "n": "count"}
    assert len(sheet.rows) == 4


def test_groups_that_may_be_alike_have_no_ends():
    assert told(CHANNELS.assign(active=[50, 52, 48, 1])).verdict == "Second purchases do not clearly differ between channels"


def test_one_known_group_beside_the_unknown_has_no_other_end():
    assert told(CHANNELS[:2].assign(active=[95, 40])).verdict == "Second purchases do not clearly differ between channels"


def test_groups_all_too_small_are_left_out():
    with pytest.raises(NotEnoughData):
        told(CHANNELS.assign(n=[4] * 4, active=[1] * 4))
