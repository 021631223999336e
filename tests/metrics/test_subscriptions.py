"""MRR lost, against the worked example of metrics.md and the pencil."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics import subscriptions

FEBRUARY = date(2026, 2, 28)


def movements(*rows) -> ibis.Table:
    """A subscriptions table from (customer, day, kind, MRR change) rows."""
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "kind", "mrr_delta_rc"])
    frame = frame.assign(subscription_id="s" + frame["customer_id"], date=pd.to_datetime(frame["date"]))
    return ibis.memtable(frame).cast({"date": "date", "mrr_delta_rc": "int64"})


STARTED = [(f"0{k}", "2025-12-01", "new", 10) for k in range(10)]
EXAMPLE = movements(
    *STARTED, ("00", "2026-02-03", "churn", -10), ("01", "2026-02-04", "contraction", -10),
    ("02", "2026-02-05", "expansion", 5), ("0a", "2026-02-06", "reactivation", 5), ("0b", "2026-02-07", "new", 8))


def test_mrr_100_with_10_churned_10_contraction_5_expansion_5_reactivated():
    """metrics.md, worked examples: gross 20 %, net 10 %."""
    row = subscriptions.revenue_churn(EXAMPLE, FEBRUARY, months=1).iloc[0]
    assert (row["starting_rc"], row["n"]) == (100, 10)
    assert (row["gross"], row["net"], row["churned_mrr_rate"]) == (
        pytest.approx(0.20), pytest.approx(0.10), pytest.approx(0.10))
    assert row["quick_ratio"] == pytest.approx(18 / 20)
    assert row["gross_low"] < row["gross"] < row["gross_high"]
    assert row[["new_rc", "expansion_rc", "reactivation_rc"]].tolist() == [8, 5, 5]
    assert row[["contraction_rc", "churn_rc"]].tolist() == [10, 10]


def test_months_follow_each_other_to_the_cent():
    months = subscriptions.revenue_churn(EXAMPLE, FEBRUARY, months=3)
    gains = months[["new_rc", "expansion_rc", "reactivation_rc"]].sum(axis=1)
    ends = months["starting_rc"] + gains - months[["contraction_rc", "churn_rc"]].sum(axis=1)
    assert months["starting_rc"].tolist()[1:] == ends.tolist()[:-1]
    assert months["period"].tolist() == ["2025-12", "2026-01", "2026-02"]


def test_before_the_first_subscription_rates_are_blank():
    first = subscriptions.revenue_churn(EXAMPLE, FEBRUARY, months=3).iloc[0]
    assert first[["gross", "net", "churned_mrr_rate", "quick_ratio"]].isna().all()
    quiet = subscriptions.revenue_churn(EXAMPLE, FEBRUARY, months=3).iloc[1]
    assert quiet["gross"] == 0
    assert pd.isna(quiet["quick_ratio"])  # nothing was lost: no ratio


def test_later_movements_change_nothing_and_none_at_all_is_said():
    january = subscriptions.revenue_churn(EXAMPLE, date(2026, 2, 27), months=1)
    alone = subscriptions.revenue_churn(movements(*STARTED), date(2026, 1, 31), months=1)
    pd.testing.assert_frame_equal(january, alone)
    with pytest.raises(NotEnoughData, match="no movement"):
        subscriptions.revenue_churn(EXAMPLE, date(2025, 11, 30))
