"""Rates of the buyers of a window against the pencil, the worked examples of the definitions, and pandas."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from purchases import drawn, histories, purchases

from helpers.estimates import proportion
from helpers.metrics.churn import churn
from helpers.metrics.occasions import DIGITS
from helpers.metrics.retention import buyers

NAN = float("nan")
END = date(2026, 6, 30)


# --- known values

def test_six_customers_by_pencil(six_customers):
    repeat = buyers.repeat_purchase_rate(six_customers, END).iloc[0]
    assert (repeat["repeaters"], repeat["n"]) == (4, 6)  # dora and fatima bought once
    half_year = buyers.repeat_purchase_rate(six_customers, date(2026, 12, 31)).iloc[0]
    assert (half_year["repeaters"], half_year["n"]) == (2, 5)  # anna and emil; ben, carla, fatima once since January
    returning = buyers.returning_customer_rate(six_customers, date(2026, 12, 31)).iloc[0]
    assert (returning["returning"], returning["n"]) == (3, 5)  # anna, ben, carla came before January


def test_crr_is_85_percent_where_80_percent_truly_stayed():
    """By definition: S = 100, lost 20, reactivated 5, acquired 30, so E = 115."""
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
    flows = churn.flows(purchases(drawn([*history, (8, 0)])), date(2025, 6, 30), 60, date(2024, 1, 1))
    found = buyers.customer_retention_rate(churn.churn_rate(flows).rename(columns={"value": "churn"}))
    found = found[found["start"].fillna(0) > 0]
    residual = found["value"] + found["churn"] - 1
    expected = (found["reactivated"] / found["start"]).astype("float64")
    assert residual.tolist() == pytest.approx(expected.tolist(), abs=1e-12)
    assert found["reactivated_share"].tolist() == pytest.approx(expected.tolist(), abs=1e-12)


@settings(max_examples=4, deadline=None)
@given(histories)
def test_a_change_is_the_difference_of_the_two_rates(history):
    bought, now, before = purchases(drawn(history)), date(2025, 3, 31), date(2025, 2, 28)
    moved = buyers.repeat_purchase_change(bought, now, before)
    rates = [buyers.repeat_purchase_rate(bought, day)["value"].item() for day in (now, before)]
    assert moved.value == pytest.approx(rates[0] - rates[1], nan_ok=True)
    assert buyers.repeat_purchase_change(bought, now, now)[:3] in [(0.0, 0.0, 0.0), pytest.approx((NAN,) * 3, nan_ok=True)]


@pytest.mark.parametrize(("before", "start", "width"), [(date(2025, 1, 31), "2024-02-01", 0.6), (date(2024, 8, 31), "2023-09-01", 1.0)])
def test_a_change_is_as_sure_as_customers_drawn_again_say(before, start, width):
    """Oracle: a bootstrap over the customers themselves, in numpy, of windows that share eleven months, and six.

    Of eleven, an interval from both taken as independent is nearly twice as wide.
    """
    rng = np.random.default_rng(3)
    first, gap = rng.integers(0, 365, 3_000), rng.exponential(150, 3_000).astype(int) + 1
    days = pd.DataFrame({"customer_id": [f"{DIGITS[k % 32]}{DIGITS[k // 32 % 32]}{k}" for k in range(3_000)] * 2,
                         "date": pd.Timestamp("2024-02-01") + pd.to_timedelta(np.concatenate([first, first + gap]), unit="D")})
    now = date(2025, 2, 28)
    moved = buyers.repeat_purchase_change(purchases(days), now, before)
    inside = [days["date"].between(pd.Timestamp(first), pd.Timestamp(end)).groupby(days["customer_id"]).sum()
              for first, end in (("2024-03-01", now), (start, before))]
    counts = np.column_stack([each >= times for each in inside for times in (1, 2)]).astype(float)
    drawn = rng.multinomial(3_000, np.full(3_000, 1 / 3_000), size=2_000) @ counts
    low, high = np.quantile(drawn[:, 1] / drawn[:, 0] - drawn[:, 3] / drawn[:, 2], [0.025, 0.975])
    assert (moved.low, moved.high) == pytest.approx((low, high), abs=0.05 * (high - low))
    rates = [buyers.repeat_purchase_rate(purchases(days), day).iloc[0] for day in (now, before)]
    apart = np.hypot(*(rate["high"] - rate["low"] for rate in rates))
    assert moved.high - moved.low < width * apart


class TestFirstSeen:
    """Data from 10 January 2024: the pretended start is 1 January 2025, and whoever is first seen in that month is left out.

    ann (old, back in March), bob (new in April), cid (old, back in January), dan (old, signed up in 2023), eve (new in January 2026).
    """

    DAYS = pd.DataFrame([("ann", "2024-01-10"), ("ann", "2025-03-01"), ("ann", "2025-04-01"), ("bob", "2025-04-05"),
                         ("cid", "2024-06-01"), ("cid", "2025-01-31"), ("cid", "2025-02-01"), ("dan", "2024-05-01"),
                         ("dan", "2025-12-31"), ("eve", "2026-01-01")], columns=["customer_id", "date"])

    def share(self, as_of=date(2026, 1, 31), signed_up=None):
        people = pd.DataFrame({"customer_id": self.DAYS["customer_id"].unique()})
        people["signup_date"] = pd.to_datetime(people["customer_id"].map(signed_up or {}))
        known = ibis.memtable(people).cast({"signup_date": "date"})
        return buyers.first_seen_known_before(purchases(self.DAYS), known, date(2024, 1, 10), as_of)

    def test_by_pencil(self):
        assert self.share()[:] == (pytest.approx(2 / 3), *self.share()[1:3], 3)  # ann and dan of ann, bob, dan

    def test_whoever_signed_up_before_is_marked_already(self):
        found = self.share(signed_up={"dan": "2023-02-01", "bob": "2025-04-05"})
        assert (found.value, found.n) == (0.5, 2)

    def test_two_years_are_needed_to_the_day(self):
        assert self.share(date(2025, 12, 31)).n == 3
        assert self.share(date(2025, 12, 30)).n == 0


# --- bad input, edges

def test_a_change_from_nobody_is_unknown(six_customers):
    assert np.isnan(buyers.repeat_purchase_change(six_customers, END, date(2025, 1, 31)).value)
    assert np.isnan(buyers.repeat_purchase_change(six_customers.limit(0), END, date(2026, 5, 31)).value)


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


# --- what a marketplace tells

def told(*rows):
    columns = ["marketplace", "period_start", "period_end", "unique_customers", "orders", "repeat_customers_share"]
    frame = pd.DataFrame(rows, columns=columns)
    return ibis.memtable(frame).cast({"period_start": "date", "period_end": "date"})


JANUARY, FEBRUARY = (date(2026, 1, 1), date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 2, 28))


def test_products_weigh_by_their_buyers():
    """By hand: 40 buyers of whom a tenth, and 10 of whom half, came back: 9 of 50, with Wilson's interval."""
    found = buyers.marketplace_repeat_share(told(("Amazon.de", *JANUARY, 40, 44, 0.1), ("Amazon.de", *JANUARY, 10, 16, 0.5))).iloc[0]
    by_hand = proportion(9, 50)
    assert found["n"] == 50
    assert tuple(found[["value", "low", "high"]]) == pytest.approx(by_hand[:3])


def test_reports_by_week_do_not_count_again_what_those_by_month_hold():
    weeks = [("Amazon.de", date(2026, 1, 4), date(2026, 1, 10), 9, 9, 0.0)]
    months = [("Amazon.de", *span, 40, 44, 0.1) for span in (JANUARY, FEBRUARY)]
    found = buyers.marketplace_repeat_share(told(*weeks, *months))
    assert found["n"].tolist() == [40, 40]


def test_months_of_28_and_31_days_are_of_one_kind_and_marketplaces_stand_apart():
    rows = [(name, *span, 40, 44, 0.1) for name in ("Amazon.de", "Amazon.fr") for span in (JANUARY, FEBRUARY)]
    assert len(buyers.marketplace_repeat_share(told(*rows))) == 4


def test_no_report_is_no_row():
    empty = told(("Amazon.de", *JANUARY, 40, 44, 0.1)).filter(ibis._.orders > 99)
    assert buyers.marketplace_repeat_share(empty).empty
