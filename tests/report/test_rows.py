"""The rows of metrics.json, whatever notebook they come from."""

import json
import random
from datetime import date

import pandas as pd
import pytest

from helpers.report import rows

NAN = float("nan")


@pytest.mark.parametrize(("value", "written"), [
    (1 / 3, 0.333333333333), (NAN, None), (pd.NA, None), (float("inf"), None), (pd.Timestamp(2026, 1, 1), "2026-01"),
    (date(2026, 1, 15), "2026-01-15"), (pd.Series([3]).iloc[0], 3), ("", None),
])  # fmt: skip
def test_a_value_is_one_that_json_knows(value, written):
    made = rows.row({"metric": "m", "x": value}, hiding=False)
    assert made.get("x") == written
    json.dumps(made, allow_nan=False)


def test_the_order_of_the_rows_does_not_depend_on_who_came_first():
    published = [{"metric": m, "cohort": c, "age": a, "value": 0.1, "n": 90}
                 for m in ("b", "a") for c in ("2026-01", "2025-12") for a in (10, 2, 1)]  # fmt: skip
    sorted_rows = rows.merged(published, 10)
    random.Random(1).shuffle(published)
    assert rows.merged(published, 10) == sorted_rows
    assert [row["age"] for row in sorted_rows[:3]] == [1, 2, 10]


def test_rows_said_twice_are_kept_once_and_what_was_given_is_not_changed():
    given = [{"metric": "churn_rate", "value": 0.5, "n": 4, "notebook": "02"}] * 2
    assert rows.merged(given, 10) == [{"metric": "churn_rate", "notebook": "02", "suppressed": True}]
    assert given[0]["value"] == 0.5


def test_two_values_for_one_number_are_a_conflict_and_two_markets_are_none():
    one = {"metric": "churn_rate", "market": "DE", "value": 0.5}
    assert "published twice" in rows.conflict([one, one | {"value": 0.6}])
    assert rows.conflict([one, dict(one), one | {"market": "FR", "value": 0.6}]) == ""


def test_one_row_a_line():
    text = rows.as_lines([{"metric": "a"}, {"metric": "é"}])
    assert text == '[\n{"metric": "a"},\n{"metric": "é"}\n]\n'
    assert json.loads(rows.as_lines([])) == []
