"""Data quality: the pencil example of the bridge, identity, silences, doubles; sums hold by construction and by a second road."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics import quality
from helpers.periods import Period


def orders(rows):
    """Orders with the columns the bridge reads."""
    usual = dict(source="s", status="paid", discount_rc=0, refund_undated_minor=0, customer_id="a", sales_channel="own", currency="EUR")
    return ibis.memtable([usual | row | {"net_minor": row["net_rc"], "order_date": pd.Timestamp(row["order_date"])} for row in rows])


MONTH = [
    dict(order_id="1", order_date="2026-03-02", net_rc=10_000, discount_rc=1_000),
    dict(order_id="2", order_date="2026-03-03", net_rc=5_000, status="refused"),
    dict(order_id="3", order_date="2026-03-04", net_rc=4_000, refund_undated_minor=1_500),
    dict(order_id="4", order_date="2026-02-27", net_rc=9_000),
]
REFUNDS = ibis.memtable(
    [
        dict(source="s", order_id=o, refund_date=pd.Timestamp(d), amount_rc=a)
        for o, d, a in [("1", "2026-03-20", 2_000), ("4", "2026-03-01", 700), ("3", "2026-04-02", 999)]
    ]
)


def test_the_bridge_by_pencil():
    """110 + 50 + 40 ordered; 10 discount; 50 refused; 15 undated; 20 of the month's own; 7 of February's; April's 9.99 waits."""
    steps = quality.bridge(orders(MONTH), REFUNDS, "2026-03", "EUR").set_index("step")["amount"]
    assert steps.to_dict() == {
        "gross": 200.0,
        "discounts": -10.0,
        "not_kept": -50.0,
        "refunds_undated": -15.0,
        "refunds_own": -20.0,
        "refunds_earlier": -7.0,
        "net": 98.0,
    }
    with pytest.raises(NotEnoughData, match="No orders were placed in 2020-01"):
        quality.bridge(orders(MONTH), REFUNDS, "2020-01", "EUR")


def test_identity_counts_orders_and_sales():
    table = orders(
        [
            dict(order_id="1", order_date="2026-03-02", net_rc=300),
            dict(order_id="2", order_date="2026-03-02", net_rc=100, customer_id=None),
            dict(order_id="3", order_date="2026-03-02", net_rc=600, customer_id=None, status="cancelled"),
        ]
    )
    found = quality.identity_coverage(table, "sales_channel").iloc[0]
    assert (round(found["value"], 3), found["n"], found["sales_share"]) == (0.333, 3, 0.75)
    assert found["low"] < found["value"] < found["high"]


def test_how_far_a_source_reaches_stands_at_its_newest_file():
    """Two years of one shop, read in the wrong order, its end declared; a second shop; customers, who have no day."""
    line = dict(format="f", rows_read=1, rows_accepted=1, rows_rejected=0, rows_ignored=0, covered_through=date(2026, 10, 31))
    rows = [("a26", "a", date(2026, 1, 1)), ("a25", "a", date(2025, 1, 1)), ("b", "b", date(2026, 2, 1)), ("people", "c", None)]
    files = pd.DataFrame([line | dict(file=f, source=s, first_date=d) for f, s, d in rows])
    shown = quality.rows_by_file(files).set_index("file")["covered_through"]
    assert shown.dropna().index.tolist() == ["a26", "b", "people"]


def test_silence_and_lateness():
    table = orders([dict(order_id=str(k), order_date=f"2026-03-{day:02}", net_rc=1) for k, day in enumerate((1, 2, 4, 5))])
    silent = quality.silent_days(table, date(2026, 3, 5))
    assert silent[["silent", "longest"]].iloc[0].tolist() == [1, 1] and quality.late_data(silent, date(2026, 3, 5)).empty
    later = quality.silent_days(table, date(2026, 3, 15))
    assert quality.late_data(later, date(2026, 3, 15))["days_since"].tolist() == [10]
    assert quality.going_on(table, date(2026, 3, 4)) == ["s"] and quality.going_on(table, date(2026, 3, 5)) == []


def test_days_missing_inside_a_source_are_a_hole_and_a_yearly_holiday_is_none():
    """Half of a month left out of a shop that sells daily; a shop shut every Christmas; one of few orders, whose silence is its way."""
    daily = pd.date_range("2025-01-01", "2027-01-31")
    left_out = daily[(daily < "2026-06-10") | (daily > "2026-06-25")]
    shut = daily[~((daily.month == 12) & (daily.day > 20))]
    rows = [("gap", day) for day in left_out] + [("shut", day) for day in shut] + [("few", day) for day in daily[[0, 1, 300, 301]]]
    found = quality.holes(ibis.memtable(pd.DataFrame(rows, columns=["source", "order_date"])).cast({"order_date": "date"}))
    assert found.values.tolist() == [["gap", date(2026, 6, 10), date(2026, 6, 25), 16]]
    assert quality.holes(ibis.memtable(pd.DataFrame(rows[:1], columns=["source", "order_date"]))).empty


def test_an_export_of_behaviour_that_ends_early_is_found_signal_by_signal():
    """Visits on every second day to 21 March, opens to 30 March; as of 31 March only the visits stop early."""
    days = [("2026-03-01", "bot_score")] + [(f"2026-03-{day:02}", signal) for signal, end in (("visits", 21), ("email_open", 31)) for day in range(1, end + 1, 2)]
    seen = ibis.memtable(pd.DataFrame(days, columns=["date", "signal"])).cast({"date": "date"})
    asked = ibis.memtable({"answered_date": ["2026-03-01", "2026-03-20"]}).cast({"answered_date": "date"})
    found = quality.stale({"engagement": seen, "surveys": asked}, date(2026, 3, 31))
    assert found[["table", "source", "days_since"]].values.tolist() == [["engagement", "visits", 10]]
    assert quality.stale({}, date(2026, 3, 31)).empty
    later = quality.stale({"surveys": asked}, date(2026, 4, 30))  # 41 days, where 18 had been the longest silence
    assert later["days_since"].tolist() == [41]


def test_one_platform_whose_export_ends_early_is_named_and_those_that_are_over_are_not():
    """As of October: Meta was exported in September; TikTok ended two years ago; Google two days early; the books are monthly."""
    year = Period.trailing(date(2026, 10, 31), 12)
    ends = {"meta": "2026-09-20", "tiktok": "2024-10-31", "google": "2026-10-29", "books": "2026-10-01", "shop": "2026-01-31", "none": None}
    files = pd.DataFrame({"source": ends.keys(), "covered_through": pd.to_datetime(list(ends.values())), "format": "ads"})
    files.loc[files["source"] == "shop", "format"] = "orders"
    older = files.assign(covered_through=files["covered_through"] - pd.Timedelta(days=365))
    found = quality.short_exports(pd.concat([older, files]), {"ads"}, year)
    assert found.values.tolist() == [["meta", date(2026, 9, 20)]]
    late_books = files.assign(covered_through=files["covered_through"].where(files["source"] != "books", pd.Timestamp("2026-09-01")))
    assert quality.short_exports(late_books, {"ads"}, year)["source"].tolist() == ["books", "meta"]
    assert quality.short_exports(files.head(0), {"ads"}, year).empty


def test_doubles_and_currencies():
    row = dict(order_date="2026-03-02", net_rc=300, ordered_at=pd.Timestamp("2026-03-02 10:00"))
    assert (
        quality.likely_doubles(orders([row | {"order_id": "1"}, row | {"order_id": "2"}, row | {"order_id": "3", "customer_id": None}]))
        == 1
    )
    fx = ibis.memtable([dict(currency="EUR", source="same currency", rate_date=date(2026, 3, 2))])
    assert quality.currencies(orders([row | {"order_id": "1"}]), fx)["share"].tolist() == [1.0]
