"""Rates of the buyers of a window against the pencil, the worked examples of metrics.md, and pandas."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from purchases import drawn, histories, purchases

from helpers.metrics import buyers, churn

END = date(2026, 6, 30)


# --- known values

def test_six_customers_by_pencil(six_customers):
    repeat = buyers.repeat_purchase_rate(six_customers, END).iloc[0]
    assert (repeat["repeaters"], repeat["n"]) == (4, 6)  # dora and fatima bought once
    half_year = buyers.repeat_purchase_rate(six_customers, END, months=6).iloc[0]
    assert (half_year["repeaters"], half_year["n"]) == (2, 5)  # anna and emil; ben, carla, fatima once since January
    returning = buyers.returning_customer_rate(six_customers, END, months=6).iloc[0]
    assert (returning["returning"], returning["n"]) == (3, 5)  # anna, ben, carla came before January


def test_crr_is_85_percent_where_80_percent_truly_stayed():
    """metrics.md: S = 100, lost 20, reactivated 5, acquired 30, so E = 115."""
    flows = pd.DataFrame({"start": [100], "lost": [20], "new": [30], "reactivated": [5], "end": [115]})
    found = buyers.customer_retention_rate(flows).iloc[0]
    assert found["value"] == pytest.approx(0.85)
    assert found["retained_share"] == pytest.approx(0.80)
    assert found["reactivated_share"] == pytest.approx(0.05)
    assert pd.isna(found["low"])  # no proportion of customers, so no interval
    assert found[["retained_share_low", "retained_share_high"]].tolist() == pytest.approx([0.7112, 0.8666], abs=1e-4)


def test_where_more_came_back_than_left_only_the_formula_exceeds_one():
    """S = 100, lost 5, reactivated 12: the formula says 107 %, and 95 of the hundred stayed."""
    flows = pd.DataFrame({"start": [100], "lost": [5], "new": [0], "reactivated": [12], "end": [107]})
    found = buyers.customer_retention_rate(flows).iloc[0]
    assert found["value"] == pytest.approx(1.07)
    assert found["retained_share"] == pytest.approx(0.95)
    assert found["retained_share_high"] <= 1


# --- two roads to one number

@settings(max_examples=8, deadline=None)
@given(histories)
def test_pandas_finds_the_same_rates(history):
    rows, as_of = drawn(history), date(2025, 3, 31)
    inside = rows[(rows["date"] >= "2024-04-01") & (rows["date"] <= "2025-03-31")]
    times, firsts = inside.groupby("customer_id").size(), rows.groupby("customer_id")["date"].min()
    repeat = buyers.repeat_purchase_rate(purchases(rows), as_of).iloc[0]
    returning = buyers.returning_customer_rate(purchases(rows), as_of).iloc[0]
    assert (repeat["repeaters"], repeat["n"]) == ((times >= 2).sum(), len(times))
    assert returning["returning"] == (firsts[times.index] < "2024-04-01").sum()


@settings(max_examples=4, deadline=None)
@given(histories)
def test_days_asked_together_are_told_what_each_is_told_alone(history):
    bought, days = purchases(drawn(history)), [date(2025, 3, 31), date(2024, 9, 30), date(2019, 1, 31)]
    together = buyers.past_repeat_purchase_rates(bought, days).set_index("day")
    for day in days:
        alone = buyers.repeat_purchase_rate(bought, day).iloc[0]
        assert together.loc[day].to_dict() == pytest.approx(alone.to_dict(), nan_ok=True)


def test_no_day_asked_is_no_row(six_customers):
    assert buyers.past_repeat_purchase_rates(six_customers, []).empty


@settings(max_examples=4, deadline=None)
@given(histories)
def test_crr_and_churn_differ_by_the_reactivated(history):
    flows = churn.flows(purchases(drawn([*history, (8, 0)])), date(2025, 6, 30), 60)
    found = buyers.customer_retention_rate(churn.churn_rate(flows).rename(columns={"value": "churn"}))
    found = found[found["start"].fillna(0) > 0]
    residual = found["value"] + found["churn"] - 1
    expected = (found["reactivated"] / found["start"]).astype("float64")
    assert residual.tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    assert found["reactivated_share"].tolist() == pytest.approx(expected.tolist(), abs=1e-12)


# --- bad input, edges

def test_a_window_without_buyers_is_blank_not_zero(six_customers):
    row = buyers.repeat_purchase_rate(six_customers, date(2025, 1, 31)).iloc[0]
    assert row["n"] == 0
    assert pd.isna(row["value"])


def test_the_window_ends_on_as_of_and_begins_a_year_before():
    days = ["2025-06-30", "2025-07-01", "2026-06-30"]
    bought = purchases(pd.DataFrame({"customer_id": "a", "date": days}))
    row = buyers.repeat_purchase_rate(bought, END).iloc[0]
    assert (row["repeaters"], row["n"]) == (1, 1)
    assert buyers.repeat_purchase_rate(bought, date(2026, 6, 29))["repeaters"].item() == 1  # 30 June 2025 comes in
    assert buyers.repeat_purchase_rate(bought, END, by=["home_market"])["home_market"].tolist() == ["DE"]
