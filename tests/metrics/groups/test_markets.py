"""Which markets are shown, and how they stand."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pencil import TIMELINE, orders_of

from helpers.estimates import NotEnoughData, ratio_of_sums, with_wilson
from helpers.metrics import market_measures, market_mix
from helpers.metrics.churn import churn
from helpers.metrics.groups import markets
from helpers.metrics.groups.markets import OTHER, bootstrapped, compared, shown, with_strata
from helpers.metrics.groups.standardise import shares
from helpers.metrics.retention import buyers, cohorts

AS_OF = date(2026, 6, 30)


def raw(table: pd.DataFrame, share: bool) -> pd.DataFrame:
    """The measure of each market as it is, from its moments."""
    sums = table.groupby("market", as_index=False)[["n", "x", "y"]].sum()
    return with_wilson(sums, "x", "y") if share else sums.assign(value=sums["x"] / sums["y"])


@pytest.fixture
def split(six_customers):
    return with_strata(six_customers, AS_OF)


# known values


def test_small_markets_are_shown_together():
    assert shown({"DE": 900, "FR": 40, "IT": 4, "ES": 9}, 10) == {"DE": "DE", "FR": "FR", "IT": OTHER, "ES": OTHER}
    assert shown({"DE": 900, "IT": 4}, 10) == {"DE": OTHER, "IT": OTHER}


@given(
    st.dictionaries(st.sampled_from(["DE", "FR", "IT", "ES", "GB", "US"]), st.integers(1, 60), min_size=1),
    st.integers(1, 30),
)
def test_no_market_under_the_minimum_is_shown_nor_can_be_worked_out(customers, minimum):
    names = shown(customers, minimum)
    together = sum(n for market, n in customers.items() if names[market] == OTHER)
    assert together == 0 or together >= minimum or all(name == OTHER for name in names.values())
    assert all(customers[market] >= minimum for market, name in names.items() if name != OTHER)


def test_age_bands_by_pencil(split):
    """Months on 30 June: anna, ben, carla 7 and more, dora 6.5, emil 5, fatima 3.1."""
    bands = split.filter(split.n == 1).order_by("customer_id").execute()["age_band"].tolist()
    assert bands == ["07–12", "07–12", "07–12", "07–12", "04–06", "04–06"]


# two roads to one number: every measure is that of its own module


def test_retention_is_that_of_the_cohort_table(six_customers, split):
    table = cohorts.retention_table(six_customers, AS_OF, by=["home_market"]).dropna(subset="active")
    curve = cohorts.retention_curve(table, by=["home_market"])
    for age in (1, 3, 6):
        mine = raw(market_measures.retention(split, AS_OF)[f"retention_{age}"].table, True)
        theirs = curve[curve["age"] == age].sort_values("home_market")
        assert mine["value"].tolist() == theirs["value"].tolist() and mine["low"].tolist() == theirs["low"].tolist()


def test_repurchase_is_that_of_buyers(six_customers, split):
    mine = raw(market_measures.repurchase(split, AS_OF)["repeat_purchase_rate"].table, True)
    theirs = buyers.repeat_purchase_rate(six_customers, AS_OF, by=["home_market"]).sort_values("home_market")
    assert mine["value"].tolist() == theirs["value"].tolist()


def test_churn_is_that_of_the_flows(six_customers, split):
    start = date(2025, 11, 1)
    flows = churn.flows(six_customers, AS_OF, 90, months=3, by=["home_market"], data_start=start)
    theirs = churn.churn_rate(flows[flows["period"] == flows["period"].iloc[-1]]).sort_values("home_market")
    mine = raw(market_measures.churned(split, AS_OF, 90, start)["churn_rate_quarter"].table, True)
    assert dict(zip(mine["market"], mine["value"], strict=True)) == {
        row.home_market: row.value for row in theirs.itertuples() if row.start > 0
    }


def test_order_value_and_margin_by_pencil(split):
    """Every order is 100.00 with a margin of 40 %."""
    found = market_measures.spending(split, AS_OF, 100)
    assert set(raw(found["order_value"].table, False)["value"]) == {100.0}
    assert raw(found["margin_rate"].table, False)["value"].tolist() == pytest.approx([0.4] * 3)


def test_refunds_and_refusals_by_pencil(table, split):
    """Anna's last order half refunded; ben refuses one of two parcels."""
    rows = orders_of(TIMELINE)
    for row in rows:
        row["is_cod"] = row["customer_id"] == "ben"
    rows[9]["status"] = "refused"
    refunds = [
        dict(
            order_id="anna-2026-06-05",
            source="shop",
            refund_date=AS_OF,
            amount_minor=5000,
            amount_rc=5000,
            currency="EUR",
        )
    ]
    found = market_measures.after_sales(table("orders", rows), table("refunds", refunds), split, AS_OF, 100)
    assert all(each.bounded and not each.share for each in found.values())
    refunded = raw(found["refund_rate"].table, False).set_index("market")["value"]
    assert refunded["DE"] == pytest.approx(50 / 900) and refunded["GB"] == 0
    assert raw(found["cod_refusal_rate"].table, False)[["market", "value"]].values.tolist() == [["DE", 0.5]]


def test_a_refund_rate_with_the_same_mix_is_never_below_nothing(table, split):
    """One of anna's orders came back in part: in no market does the interval of the rate leave 0 to 1."""
    refunds = [dict(order_id="anna-2026-06-05", source="shop", refund_date=AS_OF, amount_minor=3000, amount_rc=3000, currency="EUR")]
    found = compared(market_measures.after_sales(table("orders", orders_of(TIMELINE)), table("refunds", refunds), split, AS_OF, 100))
    assert found["even_low"].between(0, 1).all() and found["even_high"].between(0, 1).all()
    assert (found["even_high"] > found["even"]).all()


def test_refunds_without_a_day_count_too(table, split):
    """Half of anna's last order came back, and the platform does not say when."""
    rows = [dict(row, refund_undated_minor=5_000 if row["order_id"] == "anna-2026-06-05" else None) for row in orders_of(TIMELINE)]
    found = market_measures.after_sales(table("orders", rows), table("refunds"), split, AS_OF, 100)
    assert raw(found["refund_rate"].table, False).set_index("market")["value"]["DE"] == pytest.approx(50 / 1000)


def test_who_refused_the_only_parcel_counts_among_the_refusals(table, split):
    """Two of three German parcels come back, from people who never kept one; a market of nobody else's is an other."""
    rows = orders_of([("anna", "DE", "2026-06-05"), ("ria", "DE", "2026-06-06"), ("rob", "DE", "2026-06-07"), ("rex", "HK", "2026-06-08")])
    for row in rows:
        row.update(is_cod=True, status="delivered" if row["customer_id"] == "anna" else "refused")
    names = {"DE": "DE", "GB": "GB", "US": "US"}
    found = market_measures.after_sales(table("orders", rows), table("refunds"), split, AS_OF, 100, names)["cod_refusal_rate"]
    assert raw(found.table, False)[["market", "value", "n"]].values.tolist() == [["DE", 2 / 3, 3], [OTHER, 1.0, 1]]


def test_customers_of_no_market_are_counted_as_unknown_wherever_markets_are_shown(six_customers):
    """Emil and fatima live nobody knows where: a group like the others, or among the others where it is too small."""
    nowhere = six_customers.mutate(home_market=six_customers.home_market.nullif("US"))
    assert markets.sizes(nowhere) == {"DE": 2, "GB": 2, "unknown": 2}
    for names, unknown in ((shown(markets.sizes(nowhere), 2), "unknown"), ({"DE": "DE", "GB": OTHER, "unknown": OTHER}, OTHER)):
        for found in (markets.together(nowhere, names, "home_market"), with_strata(nowhere, AS_OF, names)):
            assert found.home_market.isnull().sum().execute() == 0
            assert markets.sizes(found)[unknown] == (2 if unknown == "unknown" else 4)
    assert markets.sizes(markets.together(nowhere, {}, "home_market")) == markets.sizes(nowhere)


def test_a_line_of_a_ledger_without_a_market_belongs_to_all(six_customers):
    nowhere = six_customers.mutate(home_market=six_customers.home_market.nullif("US"))
    spent = markets.together(nowhere, {"DE": "DE", "unknown": "unknown"}, "home_market", missing=None)
    found = spent.home_market.execute()
    assert found.isna().sum() == nowhere.home_market.isnull().sum().execute() and set(found.dropna()) == {"DE", OTHER}


def test_a_market_where_nobody_is_identified_is_among_the_others(table):
    """Amazon alone ships to Italy and so no customer lives there: the two orders join those of France and of nowhere."""
    places = ["DE", "FR", "IT", "IT", None]
    rows = [dict(orders_of([("a", place, "2026-03-10")])[0], order_id=str(k), payment_method="card") for k, place in enumerate(places)]
    rows = [dict(row, customer_id=None) if row["market"] != "DE" else row for row in rows]
    orders, names = table("orders", rows), {"DE": "DE", "FR": OTHER}
    for found in (market_mix.payment_mix(orders, AS_OF, names), market_mix.constant_currency(orders, AS_OF, names)):
        assert dict(zip(found["market"], found["n"], strict=True)) == {"DE": 1, OTHER: 4}
    assert set(market_mix.payment_mix(orders, AS_OF)["market"]) == {"DE", "FR", "IT", "unknown"}  # no names, no rule


def test_who_buys_in_two_small_markets_is_one_buyer_of_the_others(table):
    rows = orders_of([("a", "FR", "2026-03-10"), ("a", "IT", "2026-04-10")])
    orders = table("orders", [dict(row, payment_method="card") for row in rows])
    for names in ({"FR": OTHER}, {}):
        assert market_mix.payment_mix(orders, AS_OF, names)["n"].tolist() == [1]


def test_the_bootstrap_is_that_of_the_estimates(con):
    frame = pd.DataFrame(
        {"customer_id": [f"{k:02x}0" for k in range(200)], "market": "DE", "x": np.arange(200.0), "y": 2.0}
    )
    found = bootstrapped(con.create_table("units", frame)).iloc[0]
    assert (found["value"], found["low"], found["high"]) == ratio_of_sums(frame["x"], frame["y"])[:3]


def test_constant_currency_takes_the_exchange_rate_out(table):
    """80 pounds an order in both years; the pound goes from 1.20 to 1.00."""
    rows = [
        dict(
            orders_of([("a", "GB", f"{2024 + (k > 2)}-0{k}-10")])[0],
            order_id=str(k),
            currency="GBP",
            net_minor=8000,
            net_rc=9600 if k <= 2 else 8000,
            order_date=date(2025 + (k > 2), k, 10),
        )
        for k in range(1, 5)
    ]
    found = market_mix.constant_currency(table("orders", rows), AS_OF).iloc[0]
    assert found["change"] == pytest.approx(-1 / 6) and found["change_constant"] == pytest.approx(0)
    assert (found["value"], found["before"]) == (8000, 9600)


def test_where_nothing_was_sold_there_is_no_order_value_to_compare(table):
    for rows in ([], orders_of([("a", "GB", "2024-12-10")]), orders_of([("a", "GB", "2021-12-10")])):
        with pytest.raises(NotEnoughData, match="Nothing was sold in the 12 months to 2026-06-30"):
            market_mix.constant_currency(table("orders", rows), AS_OF)


def test_an_order_value_counts_the_buyers_behind_it(table):
    """Twelve orders of three customers and two of nobody knows whom; the year before, one customer bought twice."""
    def order(k, who, day):
        return dict(orders_of([(who or "a", "GB", day)])[0], order_id=str(k), customer_id=who, payment_method="card")

    now = [order(k, "abc"[k % 3], "2026-03-10") for k in range(12)] + [order(20 + k, None, "2026-04-10") for k in range(2)]
    orders = table("orders", now + [order(30 + k, "a", "2025-03-10") for k in range(2)])
    found = market_mix.constant_currency(orders, AS_OF).iloc[0]
    assert found[["n", "before_n", "change_n", "change_constant_n"]].tolist() == [5, 1, 1, 1]
    assert market_mix.payment_mix(orders, AS_OF)["n"].tolist() == [5]


def test_the_change_at_constant_rates_lies_in_its_interval_as_often_as_that_says(table):
    """100 shops: 40 customers who spend alike in both years and 120 orders of nobody knows whom, all 5 % dearer in the second."""
    inside, rng = 0, np.random.default_rng(5)
    for _each in range(100):
        customer = np.repeat(np.arange(60), 6)
        worth = np.where(customer < 40, np.repeat(rng.lognormal(8, 0.6, 60), 6), rng.lognormal(8, 0.6, 360)) * rng.lognormal(0, 0.3, 360)
        later = np.tile([0, 0, 0, 1, 1, 1], 60)
        net = (worth * np.where(later, 1.05, 1.0)).round().astype("int64")
        orders = ibis.memtable(pd.DataFrame({
            "customer_id": [f"{k:02d}x" if k < 40 else None for k in customer], "order_id": [f"{k:03d}" for k in range(360)],
            "order_date": np.where(later, "2026-03-01", "2025-03-01"), "net_minor": net, "net_rc": net, "market": "GB",
            "currency": "EUR", "status": "paid"})).cast({"order_date": "date"})
        found = market_mix.constant_currency(orders, AS_OF).iloc[0]
        inside += found["change_constant_low"] <= 0.05 <= found["change_constant_high"]
    assert 0.88 <= inside / 100 <= 0.99


# the whole comparison


@pytest.fixture(scope="module")
def simulated():
    """Three markets of 800 customers: B comes back more, A and C alike; one measure, the same mix everywhere."""
    draw = np.random.default_rng(12)
    rows = [
        (m, age, channel, "tea", int(draw.binomial(200, p)), 200)
        for m, p in (("A", 0.2), ("B", 0.35), ("C", 0.2))
        for age in ("00–03", "25+")
        for channel in ("paid", "mail")
    ]
    frame = pd.DataFrame(
        rows, columns=["market", "age_band", "first_acquisition_channel", "first_product_category", "k", "of"]
    )
    return markets.corrected(compared({"back": markets.Measure(shares(frame, "k", "of"), True, "percent")}))


def test_the_market_that_differs_is_found(simulated):
    found = simulated.set_index("market")
    assert found.loc["B", "verdict"] == "better" and found.loc["B", "even_difference"] == pytest.approx(0.15, abs=0.05)
    assert found["even_adjusted"].notna().all() and found["coverage"].eq(1).all()


def test_the_card_of_a_market(simulated):
    card = markets.card(simulated, "B").iloc[0]
    assert (card["rank"], card["verdict"]) == (1, "better")
    with pytest.raises(NotEnoughData, match="too few"):
        markets.card(simulated, "IT")


# edges


def test_one_market_cannot_be_compared(six_customers):
    names = dict.fromkeys(("DE", "GB", "US"), OTHER)
    split = with_strata(six_customers, AS_OF, names)
    with pytest.raises(NotEnoughData, match="no two markets"):
        compared(market_measures.repurchase(split, AS_OF))


def test_a_margin_set_by_hand_is_shown_and_not_tested(split):
    found = compared(market_measures.spending(split, AS_OF, 100, costed=False)).groupby("metric")["even_p"].count()
    assert found["margin_rate"] == 0


def test_churn_before_the_window_has_no_measure(split):
    assert market_measures.churned(split, AS_OF, 90, date(2026, 5, 1)) == {}


def test_payment_methods_need_their_column(table):
    with pytest.raises(NotEnoughData, match="payment method"):
        market_mix.payment_mix(table("orders", orders_of(TIMELINE)), AS_OF)


def test_what_is_not_shown_does_not_decide_what_is_said(simulated):
    """Benjamini & Hochberg 1995: the correction is for the tests that are read, so rows left out change nothing in those kept."""
    hidden = pd.concat([simulated, simulated.assign(market="small", even_p=0.04, n=3)] * 1, ignore_index=True)
    kept = hidden[hidden["n"] >= 10]
    assert markets.corrected(kept)["even_adjusted"].tolist() == simulated["even_adjusted"].tolist()
    assert markets.corrected(hidden)["even_adjusted"].iloc[0] != simulated["even_adjusted"].iloc[0]


def test_the_mix_names_only_what_varies():
    """A stratum that is the same for everybody is no adjustment, so the page must not claim it."""
    frame = pd.DataFrame({"market": ["A", "A", "B", "B"], "age_band": ["new", "old"] * 2, "first_acquisition_channel": "unknown",
                          "first_product_category": "unknown", "k": [10, 45, 45, 8], "of": [100, 90, 300, 90]})
    found = compared({"back": markets.Measure(shares(frame, "k", "of"), True, "percent")})
    assert found["mix"].tolist() == [("age_band",)] * 2
