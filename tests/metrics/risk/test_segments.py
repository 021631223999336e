"""segments.py: known values, parts that add up, edges."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers.metrics.risk import risk, segments

AS_OF = date(2026, 3, 31)
MODEL = risk.Model("alive", ("const", "alive_log_odds"), np.array([0.0, 1.0]), np.diag([0.01, 0.01]), 500)


def scored(n=500, seed=1):
    rng = np.random.default_rng(seed)
    times, p = rng.geometric(0.4, n), rng.random(n)
    return ibis.memtable(pd.DataFrame({
        "customer_id": [f"{k * 7_919 % 4_096:03x}{k:05x}" for k in range(n)], "times": times,
        "churn_probability": p, "alive_log_odds": np.log(p / (1 - p)), "kept_rc": 10_000 * rng.random(n),
        "silent_days": rng.integers(0, 100, n),
        "usual_gap_days": rng.uniform(20, 60, n),
        "last_gap_days": np.where(times > 1, rng.integers(5, 200, n), np.nan)}))


# known values


def test_the_first_segment_that_fits_is_taken():
    """A valuable one-time buyer likely to leave is high value first, and new second."""
    rows = pd.DataFrame({"kept_rc": [900.0] + [10.0] * 9, "churn_probability": [0.7] + [0.1] * 9, "times": 1,
                         "last_gap_days": np.nan, "silent_days": 40, "usual_gap_days": 30.0})
    found = segments.assign(ibis.memtable(rows), 120).segment.execute()
    assert found.value_counts().to_dict() == {"new_without_second": 9, "high_value_at_risk": 1}


def test_lapsed_begins_on_its_day():
    rows = pd.DataFrame({"kept_rc": 10.0, "churn_probability": 0.1, "times": 2, "last_gap_days": 30.0,
                         "silent_days": [29, 30], "usual_gap_days": 99.0})
    assert segments.assign(ibis.memtable(rows), 120, lapsed_days=30).segment.execute().tolist() == ["steady", "lapsed"]


def test_value_of_a_customer_who_has_left_for_sure_is_not_endless():
    valued = ibis.memtable({"customer_id": ["a", "b"], "clv_residual": [0, 50], "p_alive": [0.0, 0.5]})
    who = ibis.memtable({"customer_id": ["a", "b", "c"]})
    found = segments.with_kept_margin(who, valued).order_by("customer_id").execute()
    assert found["kept_rc"].tolist() == [0, 100, 0]


def test_rfm_of_a_pencil_example():
    """a: 3 purchases, last 10 days ago, 6.00 in the last year; b: once, 200 days ago; c: once, 400 days ago."""
    days = {"a01": ["2025-01-10", "2026-01-01", "2026-03-21"], "b01": ["2025-09-12"], "c01": ["2025-02-24"]}
    rows = [(who, day, 300) for who, each in days.items() for day in each]
    bought = pd.DataFrame(rows, columns=["customer_id", "date", "margin_rc"])
    table = segments.rfm(ibis.memtable(bought).cast({"date": "date"}), AS_OF, 120, "EUR")
    assert table[["recency", "times", "n", "value"]].values.tolist() == [
        ["0–29", "3–4", 1, 6.0], ["120–239", "1", 1, 3.0], ["240+", "1", 1, 0.0]]


def test_a_silence_of_the_whole_window_is_no_longer_active():
    """W = 120: the last purchase of a was 119 days ago, of b 120; only a has bought in the window."""
    days = [AS_OF - timedelta(days=silent) for silent in (119, 120)]
    bought = ibis.memtable({"customer_id": ["a01", "b01"], "date": days, "margin_rc": [300, 300]})
    table = segments.rfm(bought, AS_OF, 120, "EUR")
    assert table[["recency", "n"]].values.tolist() == [["60–119", 1], ["120–239", 1]]


def test_the_classes_of_a_short_window_stand_from_new_to_old():
    """W = 15: the edges are 7, 15 and 30, where 2 W and the last 30 days are one."""
    days = [AS_OF - timedelta(days=silent) for silent in (6, 7, 15, 30)]
    bought = ibis.memtable({"customer_id": [f"{k}a" for k in range(4)], "date": days, "margin_rc": [300] * 4})
    assert segments.rfm(bought, AS_OF, 15, "EUR")["recency"].tolist() == ["0–6", "7–14", "15–29", "30+"]


# parts that add up


def test_every_customer_is_in_one_segment():
    table = scored()
    summary = segments.summary(segments.assign(table, 120), MODEL, "EUR")
    assert summary["n"].sum() == 500
    at_stake = (table.churn_probability * table.kept_rc).sum().execute() / 100
    assert summary["at_stake"].sum() == pytest.approx(at_stake)
    assert summary["segment"].tolist() == [s for s in segments.SEGMENTS if s in set(summary["segment"])]
    assert (summary["low"] <= summary["value"]).all()
    assert (summary["value"] <= summary["high"]).all()
    assert np.average(summary["value"], weights=summary["n"]) == pytest.approx(table.churn_probability.mean().execute())


def test_a_segment_carries_the_kind_of_interval_the_whole_has():
    """Everybody in one segment is the whole; a part of the customers is never surer than all of them."""
    table = segments.assign(scored(), 120)
    whole = risk.expected_share(MODEL, risk.sample(table))
    one = segments.summary(table.mutate(segment=ibis.literal("steady")), MODEL, "EUR").iloc[0]
    assert one[["value", "low", "high", "n"]].tolist() == pytest.approx(list(whole))
    parts = segments.summary(table, MODEL, "EUR")
    assert (parts["high"] - parts["low"]).min() > whole.high - whole.low


def test_shuffled_rows_give_the_same_summary():
    frame = segments.assign(scored(), 120).execute()
    shuffled = frame.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(segments.summary(ibis.memtable(frame), MODEL, "EUR"),
                                  segments.summary(ibis.memtable(shuffled), MODEL, "EUR"))


# edges


def test_nobody_is_a_table_without_rows():
    none = segments.assign(scored(), 120).filter(ibis.literal(False))
    assert segments.summary(none, MODEL, "EUR").empty
