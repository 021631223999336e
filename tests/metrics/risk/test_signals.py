"""signals.py: known values on a pencil example, nothing from the future, absent tables, edges."""

from datetime import date

import ibis
import pandas as pd
import pytest
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.occasions import numbered
from helpers.metrics.risk.signals import Tables, signals, usable

T = date(2026, 3, 31)
# regular:   1 Jan ---- 31 Jan ---- 2 Mar            (gaps 30 and 30, then silent 29 days)
# slowing:   1 Dec - 11 Dec ---- 30 Jan              (gaps 10 and 50, then silent 60 days)
# once:      1 Mar
# gone:      1 Jun 2025
VISITS = [("regular", "2026-01-01"), ("regular", "2026-01-31"), ("regular", "2026-03-02"), ("slowing", "2025-12-01"),
          ("slowing", "2025-12-11"), ("slowing", "2026-01-30"), ("once", "2026-03-01"), ("gone", "2025-06-01")]


def occasions():
    frame = pd.DataFrame(VISITS, columns=["customer_id", "date"])
    frame = frame.assign(home_market="DE", first_acquisition_channel="email", net_sales_rc=1_000, margin_rc=400,
                         discount_rc=[0, 100, 0, 0, 0, 0, 50, 0], is_renewal=[False] * 7 + [True])
    return numbered(ibis.memtable(frame).cast({"date": "date"}))


def orders():
    frame = pd.DataFrame(VISITS, columns=["customer_id", "order_date"])
    frame = frame.assign(source="s", order_id=[f"o{k}" for k in range(8)], status="delivered", refund_undated_minor=0,
                         promised_date=["2026-01-05", "2026-02-05", "2026-03-06", "2025-12-04", "2025-12-15",
                                        "2026-02-04", "2026-03-06", "2025-06-05"],
                         delivered_date=["2026-01-04", "2026-02-04", "2026-03-09", "2025-12-09", "2025-12-14",
                                         "2026-02-02", "2026-04-20", "2025-06-04"])
    return ibis.memtable(frame).cast(dict.fromkeys(("order_date", "promised_date", "delivered_date"), "date"))


def refunds(day="2026-02-01"):
    return ibis.memtable({"source": ["s"], "order_id": ["o1"], "refund_date": [day]}).cast({"refund_date": "date"})


def table(**more):
    given = {"occasions": occasions(), "orders": orders(), "refunds": refunds()} | more
    return signals(Tables(**given), T, 90).execute().set_index("customer_id")


# known values


def test_only_active_customers_have_a_row():
    assert sorted(table().index) == ["once", "regular", "slowing"]


def test_rhythm_of_a_pencil_example():
    found = table()
    assert found["silent_days"].to_dict() == {"regular": 29, "slowing": 60, "once": 30}
    assert found["usual_gap_days"].to_dict() == {"regular": 30, "slowing": 30, "once": 30}
    assert found.loc["regular", "rhythm"] == pytest.approx(-0.0473, abs=1e-4)  # log2(30 / 31)
    assert found.loc["slowing", "rhythm"] == pytest.approx(0.9765, abs=1e-4)  # log2(61 / 31)
    assert found["gap_trend"].round(3).to_dict() == {"regular": 0.0, "slowing": 2.322, "once": 0.0}  # log2(50 / 10)


def test_parcels_refunds_and_discounts():
    found = table()
    assert found["late_first"].to_dict() == {"regular": 0, "slowing": 1, "once": 0}
    assert found["late_last"].to_dict() == {"regular": 1, "slowing": 0, "once": 0}
    assert found["refund"].to_dict() == {"regular": 1, "slowing": 0, "once": 0}
    assert found["discount_share"].round(3).to_dict() == {"regular": 0.333, "slowing": 0, "once": 1}


def test_tickets_and_engagement():
    tickets = ibis.memtable({"customer_id": ["once", "slowing"], "opened_date": ["2026-03-10", "2025-12-01"],
                             "first_reply_minutes": [180.0, 60.0]}).cast({"opened_date": "date"})
    seen = pd.DataFrame([("once", "2026-03-20", "visits", 3.0), ("once", "2026-01-20", "visits", 9.0),
                         ("once", "2026-01-20", "bot_score", 0.4)], columns=["customer_id", "date", "signal", "value"])
    found = table(tickets=tickets, engagement=ibis.memtable(seen).cast({"date": "date"}))
    assert found["ticket"].to_dict() == {"regular": 0, "slowing": 0, "once": 1}  # December is over 90 days ago
    assert found.loc["once", ["reply_wait", "visits", "bot_score"]].tolist() == [2.0, 2.0, 0.4]  # log2(1 + 3 hours)


# nothing from the future


def test_nothing_after_the_day_is_seen():
    """Purchases, refunds and deliveries after T change no signal; the late parcel of `once` arrives in April."""
    later = occasions().filter(_.customer_id == "once").mutate(date=ibis.date("2026-04-02"), n=ibis.literal(2, "int64"))
    more = orders().filter(_.order_id.isin(["o0", "o6"]))
    more = more.mutate(order_date=ibis.date("2026-04-02"), order_id=_.order_id + "x")
    both = table(occasions=occasions().union(later), orders=orders().union(more))
    pd.testing.assert_frame_equal(table().sort_index(), both.sort_index())
    assert table(refunds=refunds("2026-04-01"))["refund"].sum() == 0


# edges


def test_tables_that_cover_too_little_are_left_out():
    """Engagement known from 1 January to 31 March serves snapshots from 31 January to 7 April, a week forgiven."""
    days, signal = ["2025-12-01", "2026-01-01", "2026-03-31", "2026-06-30"], ["bot_score", "visits", "email_open", "bot_score"]
    seen = ibis.memtable({"date": days, "signal": signal}).cast({"date": "date"})

    def why(first, last):
        return usable(lambda _name: seen, lambda name: name == "engagement", [first, last])["engagement"]

    assert why(date(2026, 1, 31), date(2026, 3, 31)) == ""
    assert why(date(2026, 1, 24), date(2026, 4, 7)) == ""
    assert why(date(2026, 1, 23), date(2026, 3, 31)) == "late"
    assert why(date(2026, 1, 31), date(2026, 4, 8)) == "short"



def test_absent_tables_give_no_column():
    found = table(orders=None)
    assert not {"refund", "late_first", "ticket", "visits"} & set(found.columns)


def test_signals_hold_no_gaps():
    assert not table().select_dtypes("number").drop(columns="last_gap_days").isna().any().any()


def test_nobody_bought_twice():
    with pytest.raises(NotEnoughData, match="Nobody has bought twice"):
        signals(Tables(occasions().filter(_.n == 1), None, None), T, 90)
