"""Active sets, flows and churn against the pencil, the worked examples of the definitions, and plain Python sets."""

from datetime import date, timedelta

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from purchases import drawn, histories, purchases

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import churn
from helpers.periods import convert_rate

END = date(2026, 6, 30)
START, DRAWN = date(2025, 11, 5), date(2024, 1, 1)  # the first day of the six customers', and of drawn purchases


@pytest.fixture
def six_customers(six_customers):
    """The six customers, computed once for the many counts of a test."""
    return six_customers.cache()


def sets(rows: pd.DataFrame, t0: date, t1: date, window_days: int) -> dict:
    """The flows as they are defined, from Python sets."""
    def active(t):
        inside = (rows["date"] > pd.Timestamp(t - timedelta(days=window_days))) & (rows["date"] <= pd.Timestamp(t))
        return set(rows.loc[inside, "customer_id"])

    first = rows.groupby("customer_id")["date"].min()
    before, after = active(t0), active(t1)
    return {
        "start": len(before), "lost": len(before - after), "retained": len(before & after),
        "new": sum(first[who] > pd.Timestamp(t0) for who in after),
        "reactivated": sum(first[who] <= pd.Timestamp(t0) for who in after - before), "end": len(after),
    }


# --- known values

def test_six_customers_by_pencil(six_customers):
    flows = churn.flows(six_customers, END, 60, START).set_index("period")
    # window of 60 days; the data begin on 5 November 2025, so active is known from 4 January 2026 on
    assert flows.loc["2026-01", list(churn.MOVES)].isna().tolist() == [True] * 5 + [False]
    # eve of February: anna, ben (10 January), dora (15 December); carla's 20 November is 72 days back
    assert flows.loc["2026-02", "start"] == 3
    # end of February: anna, ben, emil are in; dora is lost; 28 February less 60 days is 30 December
    assert flows.loc["2026-02", ["lost", "retained", "new", "reactivated", "end"]].tolist() == [1, 2, 1, 0, 3]
    # May begins with anna and fatima (28 March; her refund came after 40 days); fatima is lost, carla returns
    assert flows.loc["2026-05", ["start", "lost", "retained", "new", "reactivated"]].tolist() == [2, 1, 1, 0, 1]


def test_ten_lost_of_two_hundred_are_five_percent():
    """A worked example of the definition."""
    row = churn.churn_rate(pd.DataFrame({"lost": [10], "start": [200]})).iloc[0]
    assert row["value"] == 0.05
    assert (row["low"], row["high"]) == (pytest.approx(0.0274, abs=1e-4), pytest.approx(0.0896, abs=1e-4))


def test_five_hundred_to_four_hundred_is_a_net_loss_of_twenty_percent():
    """A worked example of the definition."""
    assert churn.net_loss_rate(500, 400) == 0.2
    assert churn.net_loss_rate(pd.Series([400]), pd.Series([500])).tolist() == [-0.25]


def test_thirty_percent_a_month_and_a_year():
    """By definition: 30 %/month is about 98.6 %/year, 30 %/year about 2.9 %/month."""
    assert convert_rate(0.30, 1, 12) == pytest.approx(0.986, abs=5e-4)
    assert convert_rate(0.30, 12, 1) == pytest.approx(0.029, abs=5e-4)


def test_the_edges_of_the_window_by_pencil():
    """A purchase on day d is in (t − W, t] for t from d to d + W − 1."""
    bought = purchases(pd.DataFrame({"customer_id": ["a"], "date": ["2026-01-31"]}))
    assert churn.active(bought, date(2026, 1, 31), 28).count().execute() == 1
    assert churn.active(bought, date(2026, 2, 27), 28).count().execute() == 1
    assert churn.active(bought, date(2026, 2, 28), 28).count().execute() == 0
    assert churn.active(bought, date(2026, 1, 30), 28).count().execute() == 0


def test_active_is_known_from_the_datas_start_plus_the_window():
    bought = purchases(pd.DataFrame({"customer_id": ["a", "a"], "date": ["2026-01-01", "2026-03-01"]}))
    known = {days: churn.flows(bought, date(2026, 3, 31), days, date(2026, 1, 1))["start"].notna().tolist() for days in (30, 31)}
    assert known == {30: [False, True, True], 31: [False, False, True]}  # 31 January is 1 January + 30 days


# --- two roads to one number

@settings(max_examples=10, deadline=None)
@given(histories, st.sampled_from([7, 30, 45, 100, 180]), st.sampled_from([1, 3, 12]))
def test_sets_find_the_same_flows(history, window_days, months):
    rows = drawn([*history, (9, 0)])
    flows = churn.flows(purchases(rows), date(2025, 7, 15), window_days, DRAWN, months=months)
    assert flows["t1"].iloc[-1] == END.replace(year=2025)  # the last complete month
    for row in flows.to_dict("records"):
        expected = sets(rows, row["t0"], row["t1"], window_days)
        known = {"end"} if row["t1"] >= DRAWN + timedelta(days=window_days) else set()
        known |= set(churn.MOVES[:-1]) if row["t0"] >= DRAWN + timedelta(days=window_days) else set()
        assert {name: row[name] for name in known} == {name: expected[name] for name in known}
        assert all(pd.isna(row[name]) for name in set(churn.MOVES) - known)


@settings(max_examples=5, deadline=None)
@given(histories)
def test_flows_add_up_and_churn_and_retention_are_one(history):
    rows = drawn([*history, (9, 0)])
    flows = churn.churn_rate(churn.flows(purchases(rows), date(2025, 6, 30), 75, DRAWN, by=["home_market"]))
    flows = flows.dropna(subset="start")
    assert (flows["end"] == flows["start"] - flows["lost"] + flows["new"] + flows["reactivated"]).all()
    some = flows[flows["start"] > 0]
    retained = some["retained"].astype("float64") / some["start"].astype("float64")
    assert (some["value"] + retained).tolist() == pytest.approx([1.0] * len(some))
    whole = churn.flows(purchases(rows), date(2025, 6, 30), 75, DRAWN).dropna(subset="start")
    assert flows.groupby("period")[["lost", "new"]].sum().values.tolist() == whole[["lost", "new"]].values.tolist()


@settings(max_examples=4, deadline=None)
@given(histories)
def test_order_names_and_later_purchases_change_nothing(history):
    rows, as_of = drawn([*history, (9, 0)]), date(2024, 12, 31)
    now = churn.flows(purchases(rows), as_of, 60, DRAWN)
    renamed = rows.sample(frac=1, random_state=1).assign(customer_id="f" + rows["customer_id"])
    pd.testing.assert_frame_equal(churn.flows(purchases(renamed), as_of, 60, DRAWN), now)
    pd.testing.assert_frame_equal(churn.flows(purchases(rows[rows["date"] <= "2024-12-31"]), as_of, 60, DRAWN), now)


@settings(max_examples=4, deadline=None)
@given(histories)
def test_every_factor_is_the_churn_rate_of_its_own_window(history):
    bought = purchases(drawn([*history, (9, 0)]))
    factors = churn.churn_by_window(bought, date(2025, 7, 10), 60, DRAWN)
    assert factors["window_days"].tolist() == [30, 60, 90, 120]
    for row in factors.to_dict("records"):
        newest = churn.churn_rate(churn.flows(bought, date(2025, 7, 10), row["window_days"], DRAWN)).iloc[-1]
        assert [row[name] for name in ("period", "n")] == [newest["period"], newest["n"]]
        assert row["value"] == pytest.approx(newest["value"], nan_ok=True)


# --- bad input

def test_a_short_history_is_said_in_a_sentence(six_customers):
    assert churn.flows(six_customers, END, 300, START)["start"].isna().all()
    before = {"as_of": date(2025, 10, 31), "window_days": 30, "data_start": START}
    for nothing in (churn.flows(six_customers, END, 300, START), churn.flows(six_customers, **before),
                    churn.flows(six_customers, **before, by=["home_market"]), churn.UNKNOWN,
                    churn.flows(six_customers.limit(0), END, 60, START, by=["home_market"])):
        with pytest.raises(NotEnoughData, match="More history helps"):
            churn.known(nothing)


# --- edges

def test_a_split_keeps_its_blanks_where_the_whole_has_them(six_customers):
    whole = churn.flows(six_customers, END, 60, START)
    split = churn.flows(six_customers, END, 60, START, by=["home_market"])
    assert split.groupby("period")["start"].count().gt(0).tolist() == whole["start"].notna().tolist()
    assert set(split["home_market"]) == {"DE", "GB", "US"}


def test_windows_that_the_history_cannot_fill_are_blank(six_customers):
    factors = churn.churn_by_window(six_customers, END, 150, START).set_index("factor")["value"]
    assert factors.isna().to_dict() == {0.5: False, 1: False, 1.5: True, 2: True}
