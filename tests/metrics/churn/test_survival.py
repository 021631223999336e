"""Life tables against statsmodels, the churn window against a simulation whose window is known, gaps against pandas."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purchases import drawn, histories, purchases
from scipy.stats import lognorm
from statsmodels.duration.survfunc import SurvfuncRight

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.churn import survival

END = date(2026, 6, 30)
counted = st.lists(st.tuples(st.integers(1, 60), st.booleans(), st.integers(1, 30)), min_size=2, max_size=40)


def simulated(customers: int, days_observed: int, seed: int) -> tuple[pd.DataFrame, int]:
    """Occasions of customers whose window is known, and that window.

    After each purchase a customer returns with probability 0.7, then after a lognormal gap (median 60 days, sigma 0.9);
    all begin within the observed time. The window is where the gaps' own distribution reaches 90 % of its value at 365.
    """
    rng, gap = np.random.default_rng(seed), lognorm(s=0.9, scale=60)
    day, who, rows = rng.integers(0, days_observed, customers), np.arange(customers), []
    while len(who):
        rows.append(pd.DataFrame({"customer_id": who, "date": day}))
        day = day + np.maximum(1, np.ceil(gap.rvs(len(who), random_state=rng))).astype(int)
        stays = (rng.random(len(who)) < 0.7) & (day < days_observed)
        who, day = who[stays], day[stays]
    bought = pd.concat(rows)
    bought["customer_id"] = [f"{each:05x}" for each in bought["customer_id"]]
    bought["date"] = pd.Timestamp("2025-01-01") + pd.to_timedelta(bought["date"], unit="D")
    return bought, round(gap.ppf(0.9 * gap.cdf(365)))


# --- known values

@settings(max_examples=40, deadline=None)
@given(counted)
def test_curve_and_errors_are_those_of_statsmodels_on_expanded_data(rows):
    """SurvfuncRight on one row per gap: its freq_weights give the right curve and wrong errors."""
    counts = pd.DataFrame(rows, columns=["gap_days", "returned", "count"])
    expanded = counts.loc[counts.index.repeat(counts["count"])]
    if not expanded["returned"].any():
        return
    oracle = SurvfuncRight(expanded["gap_days"], expanded["returned"].astype(int))
    table = survival.life_table(counts)
    events = table[table["returns"] > 0]
    assert events["day"].tolist() == oracle.surv_times.tolist()
    np.testing.assert_allclose(1 - events["value"], oracle.surv_prob, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(events["se"], oracle.surv_prob_se, rtol=1e-9, atol=1e-12)
    assert events["at_risk"].tolist() == oracle.n_risk.tolist()


def test_interval_by_hand():
    """Kalbfleisch & Prentice: 1 − S^exp(±1.96 √Σ d/(n(n−d)) / log S) with S = 0.75, 100 at risk, 25 returns."""
    table = survival.life_table(pd.DataFrame({"gap_days": [10, 50], "returned": [True, False], "count": [25, 75]}))
    spread = 1.959964 * np.sqrt(25 / (100 * 75)) / np.log(0.75)
    low, high = 1 - 0.75 ** np.exp(spread), 1 - 0.75 ** np.exp(-spread)
    assert table.loc[0, ["value", "low", "high"]].tolist() == pytest.approx([0.25, low, high], rel=1e-6)


def test_six_customers_by_pencil(six_customers):
    counts = survival.gaps(six_customers, END)
    firsts = counts[counts["order_number"] == 1]
    # first gaps: anna 30, ben 61, carla 181, emil 28 days; dora open for 197, fatima for 94
    assert firsts.loc[firsts["returned"], "gap_days"].tolist() == [28, 30, 61, 181]
    assert firsts.loc[~firsts["returned"], "gap_days"].tolist() == [94, 197]
    assert counts["count"].sum() == 16  # one gap after every occasion


def test_lapsed_by_pencil(six_customers):
    row = survival.lapsed(six_customers, END, days=30).iloc[0]
    assert (row["lapsed"], row["n"]) == (5, 6)  # all but anna, who bought on 5 June
    assert survival.lapsed(six_customers, END, days=42)["lapsed"].item() == 4  # carla's 20 May is 41 days ago


# --- two roads to one number

def test_the_window_is_within_ten_percent_where_completed_gaps_are_far_too_short():
    """By definition: percentiles of completed gaps are biased short; the censored life table is not."""
    bought, true_days = simulated(customers=6_000, days_observed=420, seed=7)
    as_of = date(2025, 1, 1) + pd.Timedelta(days=419).to_pytimedelta()
    counts = survival.gaps(purchases(bought), as_of)
    found = survival.churn_window(counts)
    completed = counts[counts["returned"]]
    naive = np.percentile(completed["gap_days"].repeat(completed["count"]), 90)
    assert found.days == pytest.approx(true_days, rel=0.10)
    assert naive < 0.90 * true_days
    returned = Estimate.of(survival.at_day(survival.life_table(counts), found.days).iloc[0])
    assert returned.low < 0.9 * found.returned_by_horizon.value < returned.high + 0.01


def test_the_gaps_after_the_fourth_purchase_and_later_ones_are_counted_together():
    days = pd.to_datetime([f"2026-01-{day:02}" for day in (1, 3, 5, 7, 9, 11)])
    found = survival.gaps(purchases(pd.DataFrame({"customer_id": "a1", "date": days})), date(2026, 1, 20))
    assert found.groupby(["order_number", "returned"])["count"].sum().to_dict() == {
        (1, True): 1, (2, True): 1, (3, True): 1, (4, True): 2, (4, False): 1}  # fmt: skip


@settings(max_examples=8, deadline=None)
@given(histories)
def test_pandas_finds_the_same_gaps(history):
    rows, as_of = drawn(history), pd.Timestamp("2025-03-31")
    seen = rows[rows["date"] <= as_of].sort_values(["customer_id", "date"])
    following = seen.groupby("customer_id")["date"].shift(-1)
    expected = pd.DataFrame({
        "order_number": (seen.groupby("customer_id").cumcount() + 1).clip(upper=4),
        "gap_days": (following.fillna(as_of) - seen["date"]).dt.days, "returned": following.notna()})
    expected = expected.groupby(["order_number", "gap_days", "returned"]).size()
    counts = survival.gaps(purchases(rows), as_of.date())
    assert counts.set_index(["order_number", "gap_days", "returned"])["count"].to_dict() == expected.to_dict()


def test_tables_by_order_number_are_those_of_the_parts(six_customers):
    counts = survival.gaps(six_customers, END)
    whole = survival.life_table(counts, by=["order_number"])
    first = survival.life_table(counts[counts["order_number"] == 1])
    part = whole[whole["order_number"] == 1].drop(columns="order_number").reset_index(drop=True)
    pd.testing.assert_frame_equal(part, first)
    read = survival.at_day(whole, 60, by=["order_number"]).set_index("order_number")
    assert read.loc[1, "value"] == pytest.approx(2 / 6)  # anna and emil within 60 days, nobody censored before
    assert read.loc[1, "at_risk"] == 4


# --- bad input

def test_too_few_gaps_are_said_with_the_way_out(six_customers):
    with pytest.raises(NotEnoughData, match="100 purchases .* there are 16.*churn_window_days"):
        survival.churn_window(survival.gaps(six_customers, END))
    with pytest.raises(NotEnoughData, match="No purchase can be followed"):
        survival.life_table(survival.gaps(six_customers, date(2020, 1, 1)))


def test_nobody_ever_returned():
    counts = pd.DataFrame({"gap_days": [30, 90], "returned": False, "count": 200})
    assert survival.at_day(survival.life_table(counts), 60)["value"].item() == 0
    with pytest.raises(NotEnoughData, match="churn window"):
        survival.churn_window(counts)


# --- edges

def test_a_short_history_shortens_the_horizon():
    counts = pd.DataFrame({"gap_days": [10, 20, 150, 200], "returned": [True, True, False, False],
                           "count": [90, 10, 50, 90]})
    found = survival.churn_window(counts)
    assert (found.days, found.horizon_days) == (10, 150)  # 140 gaps are followed for 150 days, 90 for longer


def test_when_everybody_returned_there_is_a_curve_and_no_interval():
    table = survival.life_table(pd.DataFrame({"gap_days": [10, 20], "returned": True, "count": 5}))
    assert table["value"].tolist() == [0.5, 1.0]
    assert pd.isna(table["high"].iloc[-1])
    assert pd.isna(survival.at_day(table, 21)["value"].item())  # nobody is followed that long
    assert survival.at_day(table, 5)["value"].item() == 0


def test_flagged_returners():
    counts = pd.DataFrame({"gap_days": [10, 50, 400], "returned": [True, True, False], "count": [1, 3, 4]})
    table = survival.life_table(counts)
    assert survival.flagged_returners(table, 60) == 0
    assert survival.flagged_returners(table, 5) == 1
