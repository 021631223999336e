"""MRR lost, against the worked example of the definition and the pencil."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import subscriptions

FEBRUARY = date(2026, 2, 28)


def movements(*rows) -> ibis.Table:
    """A subscriptions table from (customer, day, kind, MRR change[, currency]) rows."""
    rows = [(*row, "EUR")[:5] for row in rows]
    frame = pd.DataFrame(rows, columns=["customer_id", "date", "kind", "mrr_delta_minor", "currency"])
    frame = frame.assign(subscription_id="s" + frame["customer_id"], date=pd.to_datetime(frame["date"]))
    return ibis.memtable(frame).cast({"date": "date", "mrr_delta_minor": "int64"})


def rates(*rows) -> ibis.Table:
    """An fx table from (day, currency, worth of one unit) rows."""
    frame = pd.DataFrame(rows, columns=["date", "currency", "rate"]).astype({"currency": "str", "rate": "float64"})
    return ibis.memtable(frame.assign(date=pd.to_datetime(frame["date"]))).cast({"date": "date"})


def churn(moved, as_of=FEBRUARY, fx=None, currency="EUR", **more) -> pd.DataFrame:
    return subscriptions.revenue_churn(moved, rates() if fx is None else fx, as_of, currency, **more)


STARTED = [(f"0{k}", "2025-12-01", "new", 10) for k in range(10)]
EXAMPLE = movements(
    *STARTED, ("00", "2026-02-03", "churn", -10), ("01", "2026-02-04", "contraction", -10),
    ("02", "2026-02-05", "expansion", 5), ("0a", "2026-02-06", "reactivation", 5), ("0b", "2026-02-07", "new", 8))


def test_mrr_100_with_10_churned_10_contraction_5_expansion_5_reactivated():
    """A worked example of the definition: gross 20 %, net 10 %."""
    row = churn(EXAMPLE, months=1).iloc[0]
    assert (row["starting_rc"], row["n"]) == (100, 10)
    assert (row["gross"], row["net"], row["churned_mrr_rate"]) == (
        pytest.approx(0.20), pytest.approx(0.10), pytest.approx(0.10))
    assert row["quick_ratio"] == pytest.approx(18 / 20)
    for name in ("gross", "net", "churned_mrr_rate", "quick_ratio"):
        assert row[f"{name}_low"] < row[name] < row[f"{name}_high"], name
    assert row[["new_rc", "expansion_rc", "reactivation_rc"]].tolist() == [8, 5, 5]
    assert row[["contraction_rc", "churn_rc"]].tolist() == [10, 10]


def test_months_follow_each_other_to_the_cent():
    months = churn(EXAMPLE, months=3)
    gains = months[["new_rc", "expansion_rc", "reactivation_rc"]].sum(axis=1)
    ends = months["starting_rc"] + gains - months[["contraction_rc", "churn_rc"]].sum(axis=1)
    assert months["starting_rc"].tolist()[1:] == ends.tolist()[:-1]
    assert months["period"].tolist() == ["2025-12", "2026-01", "2026-02"]


def test_before_the_first_subscription_rates_are_blank():
    first = churn(EXAMPLE, months=3).iloc[0]
    assert first[["gross", "net", "churned_mrr_rate", "quick_ratio"]].isna().all()
    quiet = churn(EXAMPLE, months=3).iloc[1]
    assert quiet["gross"] == 0 and quiet[["gross_low", "gross_high"]].isna().all()  # ten customers are no certainty
    assert pd.isna(quiet["quick_ratio"])  # nothing was lost: no ratio


def test_later_movements_change_nothing_and_none_at_all_is_said():
    january = churn(EXAMPLE, date(2026, 2, 27), months=1)
    alone = churn(movements(*STARTED), date(2026, 1, 31), months=1)
    pd.testing.assert_frame_equal(january, alone)
    with pytest.raises(NotEnoughData, match="no movement"):
        churn(EXAMPLE, date(2025, 11, 30))


# several currencies: a dollar is worth 0.95 euro in December, 0.80 from 10 January, a yen 0.006 throughout


FX = rates(("2025-12-01", "USD", 0.95), ("2026-01-10", "USD", 0.80), ("2025-12-01", "JPY", 0.006))


def test_a_foreign_subscription_that_ended_leaves_nothing():
    """Opened at 950 euro, closed at 800: the 150 between are the dollar's, and nobody pays them."""
    moved = movements(("a", "2025-12-05", "new", 1000, "USD"), ("b", "2025-12-05", "new", 1000), ("a", "2026-01-20", "churn", -1000, "USD"))
    months = churn(moved, fx=FX, months=2).set_index("period")
    assert months["starting_rc"].tolist() == [1950, 1000] and months["n"].tolist() == [2, 1]
    assert months.loc["2026-01", ["churn_rc", "gross"]].tolist() == [950, pytest.approx(950 / 1950)]
    assert months.loc["2026-02", ["churn_rc", "gross"]].tolist() == [0, 0]


def test_a_tenth_lost_is_ten_percent_whatever_the_rate_does():
    dollars = movements(("a", "2025-12-05", "new", 900, "USD"), ("b", "2025-12-05", "new", 100, "USD"),
                        ("b", "2026-01-20", "churn", -100, "USD"))
    lost = churn(dollars, date(2026, 1, 31), FX, months=1).iloc[0]
    assert (lost["gross"], lost["starting_rc"], lost["churn_rc"]) == (pytest.approx(0.10), 950, 95)


def test_two_currencies_are_two_pencil_sums_at_the_rates_of_the_eve():
    both = movements(("a", "2025-12-05", "new", 1000, "USD"), ("b", "2025-12-06", "new", 400),
                     ("a", "2026-02-03", "contraction", -250, "USD"), ("b", "2026-02-03", "expansion", 50))
    row = churn(both, fx=FX, months=1).iloc[0]
    assert row[["starting_rc", "contraction_rc", "expansion_rc"]].tolist() == [800 + 400, 200, 50]
    assert (row["gross"], row["net"]) == (pytest.approx(200 / 1200), pytest.approx(150 / 1200))


def test_a_yen_has_no_cents_and_a_cent_no_yen():
    yen = movements(("a", "2025-12-05", "new", 2000, "JPY"), ("b", "2025-12-05", "new", 300))
    assert churn(yen, fx=FX, months=1)["starting_rc"].tolist() == [1200 + 300]  # 2,000 yen are 12.00 euro
    worth = rates(("2025-12-01", "EUR", 160.0))
    assert churn(yen, fx=worth, currency="JPY", months=1)["starting_rc"].tolist() == [2000 + 480]  # 3.00 euro, 480 yen


def test_the_newest_rate_known_on_the_eve_counts_and_before_any_the_first():
    dollars = movements(("a", "2025-12-05", "new", 1000, "USD"))
    late = rates(("2025-12-04", "USD", 0.9), ("2025-12-20", "USD", 0.7), ("2026-01-01", "USD", 0.5))
    found = churn(dollars, date(2026, 1, 31), late, months=2)
    assert found["new_rc"].tolist() == [900, 0] and found["starting_rc"].tolist() == [0, 700]


def test_a_currency_without_a_rate_is_said():
    with pytest.raises(NotEnoughData, match="Recurring revenue in USD has no exchange rate to EUR"):
        churn(movements(("a", "2025-12-05", "new", 1000, "USD")))
