"""Value at risk and revenue retention against worked examples, the pencil, and pandas."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from purchases import drawn, histories, purchases

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.churn import revenue_retention

END = date(2025, 12, 31)
START = date(2024, 1, 1)


def spending(*rows) -> object:
    return purchases(pd.DataFrame(rows, columns=["customer_id", "date", "net_sales_rc"]))


# --- known values

def test_ten_lost_at_a_hundred_each_are_a_thousand():
    """A worked example of the definition; the value here is money, not minor units."""
    assert revenue_retention.value_at_risk(10, Estimate(100.0, 80.0, 120.0, 40)) == Estimate(1000.0, 800.0, 1200.0, 10)


def test_revenue_retention_by_pencil():
    bought = spending(
        ("a", "2024-05-01", 100), ("a", "2025-05-01", 60),    # contraction 40
        ("b", "2024-06-01", 100), ("b", "2025-06-01", 150),   # expansion 50
        ("c", "2024-07-01", 200),                             # lost 200
        ("d", "2025-07-01", 900),                             # new: outside
    )
    row = revenue_retention.revenue_retention(bought, END, data_start=START).iloc[0]
    assert row[["starting_rc", "lost_rc", "contraction_rc", "expansion_rc", "n"]].tolist() == [400, 200, 40, 50, 3]
    assert (row["grr"], row["nrr"]) == (pytest.approx(160 / 400), pytest.approx(210 / 400))


def test_value_per_active_customer_by_pencil():
    bought = purchases(pd.DataFrame(
        [("a", "2024-12-20", 1_000), ("a", "2025-03-01", 700), ("b", "2024-12-01", 500), ("c", "2024-06-01", 900),
         ("c", "2025-06-01", 900)], columns=["customer_id", "date", "margin_rc"]))
    value = revenue_retention.value_per_active_customer(bought, END, 60, "EUR", data_start=START)
    assert (value.value, value.n) == (3.5, 2)  # a brought 7.00 since, b nothing; c was not active then
    yen = revenue_retention.value_per_active_customer(bought, END, 60, "JPY", data_start=START)
    assert yen.value == 350


# --- two roads to one number

@settings(max_examples=6, deadline=None)
@given(histories)
def test_pandas_finds_the_same_retention(history):
    rows = drawn([*history, (9, 90)]).assign(net_sales_rc=range(100, 101 + len(history)))
    year = rows["date"].dt.year.where(rows["date"] <= "2025-06-30")
    window = (rows["date"] > "2024-06-30").map({True: "now", False: "before"})
    each = rows[year.notna()].pivot_table(index="customer_id", columns=window, values="net_sales_rc", aggfunc="sum")
    each = each.reindex(columns=["before", "now"]).fillna(0)
    each = each[each["before"] > 0]
    row = revenue_retention.revenue_retention(purchases(rows), date(2025, 6, 30), data_start=date(2023, 7, 1)).iloc[0]
    assert row["nrr"] == pytest.approx(each["now"].sum() / each["before"].sum())
    assert row["grr"] == pytest.approx(each.min(axis=1).sum() / each["before"].sum())
    assert row["starting_rc"] - row["lost_rc"] - row["contraction_rc"] + row["expansion_rc"] == each["now"].sum()
    assert row["grr"] <= min(1, row["nrr"])


# --- bad input

def test_two_windows_are_needed():
    bought = spending(("a", "2025-02-01", 100))
    with pytest.raises(NotEnoughData, match="two such windows are needed"):
        revenue_retention.revenue_retention(bought, END, data_start=date(2025, 2, 1))
    with pytest.raises(NotEnoughData, match="No identified customer bought between 2024-01-01 and 2024-12-31"):
        revenue_retention.revenue_retention(bought, END, data_start=START)
    with pytest.raises(NotEnoughData, match="cannot be told yet"):
        revenue_retention.value_per_active_customer(bought, END, 60, "EUR", date(2025, 2, 1))
