"""New cohorts against old ones and groups against each other, by pencil."""

from datetime import date

import pandas as pd
import pytest
from purchases import purchases
from statsmodels.stats.proportion import proportion_confint

from helpers.estimates import NotEnoughData
from helpers.metrics.retention import cohort_comparison, cohorts

END = date(2026, 6, 30)


# --- known values

def test_recent_cohorts_meet_the_same_months_of_the_year_before():
    days = [("a", "2024-03-01"), ("a", "2024-04-01"), ("b", "2024-03-05"),  # March 2024: one of two returns
            ("c", "2024-08-01"), ("c", "2024-09-01"),  # August has no pair: left out
            ("d", "2025-03-01"), ("e", "2025-03-02"), ("e", "2025-04-02"), ("f", "2025-03-03"), ("f", "2025-04-03")]
    table = cohorts.retention_table(purchases(pd.DataFrame(days, columns=["customer_id", "date"])), date(2025, 4, 30))
    after_one = cohort_comparison.recent_against_earlier(table).set_index("age").loc[1]
    assert after_one[["active_recent", "n_recent", "active_earlier", "n_earlier"]].tolist() == [2, 3, 1, 2]
    assert after_one["value"] == pytest.approx(2 / 3 - 1 / 2)
    # Newcombe 1998, method 10: from the two Wilson intervals
    (low_new, high_new), (low_old, high_old) = (proportion_confint(*k, method="wilson") for k in ((2, 3), (1, 2)))
    assert after_one["low"] == pytest.approx(1 / 6 - ((2 / 3 - low_new) ** 2 + (high_old - 1 / 2) ** 2) ** 0.5)
    assert after_one["high"] == pytest.approx(1 / 6 + ((high_new - 2 / 3) ** 2 + (1 / 2 - low_old) ** 2) ** 0.5)


def test_newcombes_example():
    """Newcombe 1998, Statistics in Medicine 17, 873–890, table II (a), method 10: 56/70, 48/80 → .0524 to .3339."""
    cells = pd.DataFrame({"cohort": ["2026-01", "2025-01"], "age": 1, "active": [56, 48], "n": [70, 80]})
    found = cohort_comparison.recent_against_earlier(cells).iloc[0]
    assert found["value"] == pytest.approx(0.2)
    assert (round(found["low"], 4), round(found["high"], 4)) == (0.0524, 0.3339)


def test_markets_by_pencil(six_customers):
    groups = cohort_comparison.repurchase_by(six_customers, END, "home_market", age=2).set_index("home_market")
    # two months on: anna and ben of DE have bought again; carla and dora of GB have not; emil of US has, fatima has not
    assert groups[["active", "n"]].T.to_dict("list") == {"DE": [2, 2], "US": [1, 2], "GB": [0, 2]}


# --- two roads to one number

def test_the_groups_together_are_the_whole(six_customers):
    groups = cohort_comparison.repurchase_by(six_customers, END, "home_market", age=2)
    whole = cohorts.at_age(cohorts.retention_curve(cohorts.cumulative_repurchase(six_customers, END)), 2)
    assert groups["active"].sum() / groups["n"].sum() == whole.value


def test_customers_whose_market_is_not_recorded_are_a_group_of_the_whole(six_customers):
    nowhere = six_customers.mutate(home_market=six_customers.home_market.nullif("US"))
    groups = cohort_comparison.repurchase_by(nowhere, END, "home_market", age=2).set_index("home_market")
    assert groups[["active", "n"]].T.to_dict("list") == {"DE": [2, 2], "unknown": [1, 2], "GB": [0, 2]}


# --- bad input, edges

def test_cohorts_a_year_apart_and_two_groups_are_needed(six_customers):
    with pytest.raises(NotEnoughData, match="a year apart"):
        cohort_comparison.recent_against_earlier(cohorts.retention_table(six_customers, END))
    with pytest.raises(NotEnoughData, match="none was followed"):
        cohort_comparison.recent_against_earlier(cohorts.retention_table(six_customers, date(2025, 11, 29)))
    with pytest.raises(NotEnoughData, match="by what they bought first: it is the same, or unknown"):
        cohort_comparison.repurchase_by(six_customers, END, "first_product_category", age=2)
    with pytest.raises(NotEnoughData, match="by market: no two groups were followed for 8 months yet"):
        cohort_comparison.repurchase_by(six_customers, END, "home_market", age=8)


def test_cohorts_whose_first_purchase_is_not_known_are_left_out():
    rows = [("a", "2026-01-05", "DE", True), ("a", "2026-01-09", "DE", True), ("b", "2026-02-05", "DE", False),
            ("c", "2026-02-05", "GB", False), ("c", "2026-03-05", "GB", False)]
    bought = purchases(pd.DataFrame(rows, columns=["customer_id", "date", "home_market", "truncated"]))
    groups = cohort_comparison.repurchase_by(bought, END, "home_market", age=1)
    assert groups[["home_market", "value", "n"]].values.tolist() == [["GB", 1.0, 1], ["DE", 0.0, 1]]


def test_only_the_largest_groups_are_kept():
    rows = [(f"{k:03x}", "2026-01-05", f"range {k % 15:02d}") for k in range(40)]
    bought = purchases(pd.DataFrame(rows, columns=["customer_id", "date", "first_product_category"]))
    groups = cohort_comparison.repurchase_by(bought, END, "first_product_category", age=1)
    assert len(groups) == cohort_comparison.MOST_GROUPS
    assert groups["n"].tolist() == [3] * 10 + [2] * 2
