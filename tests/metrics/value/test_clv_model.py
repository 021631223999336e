"""clv_model.py: the engine's expression equals the models' own functions, totals agree on every road."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
import shoppers
from lifetimes import BetaGeoFitter, GammaGammaFitter

from helpers.metrics.value import btyd, clv_model, expectations, histories
from helpers.periods import DAYS_PER_MONTH

AS_OF = date(2026, 10, 31)
TRUTH = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.5}


@pytest.fixture(scope="module")
def occasions():
    """3,000 simulated customers over two years, two markets with margins of 40 and 50 %."""
    return ibis.memtable(shoppers.occasions("mbg_nbd", TRUTH, 3_000, AS_OF))


@pytest.fixture(scope="module")
def rows(occasions):
    return histories.counts(histories.histories(occasions, AS_OF), by=("home_market",))


@pytest.fixture(scope="module", params=btyd.NAMES)
def purchases(request, rows):
    return btyd.fit(rows, request.param)


@pytest.fixture(scope="module")
def spending(occasions):
    return btyd.fit_spend(histories.spend_counts(histories.histories(occasions, AS_OF)))


@pytest.fixture(scope="module")
def valued(occasions, purchases, spending):
    return clv_model.customers(histories.histories(occasions, AS_OF), purchases, spending).order_by("customer_id").execute()


class TestTwoRoads:
    def test_the_expression_equals_the_functions(self, valued, purchases, spending):
        x, t_x, age = valued["x"], valued["t_x"], valued["T"]
        assert valued["p_alive"].to_numpy() == pytest.approx(expectations.p_alive(purchases, x, t_x, age), rel=1e-9)
        year = 12 * DAYS_PER_MONTH
        expected = expectations.p_alive(purchases, x, t_x, age) * expectations.living_occasions(purchases, x, age, year)
        assert valued["expected_occasions"].to_numpy() == pytest.approx(expected, rel=1e-9)
        margin = np.where(valued["home_market"] == "DE", 0.4, 0.5)
        slope, start = expectations.spend_line(spending, x)
        discounted = expectations.living_occasions(purchases, x, age, year, np.log(1.1) / 365.25)
        money = (expectations.p_alive(purchases, x, t_x, age) * discounted
                 * (slope * valued["spend_rc"] + start) * margin)
        assert valued["clv_residual"].to_numpy() == pytest.approx(money, rel=1e-3, abs=1)

    def test_totals_of_rows_equal_totals_of_customers(self, valued, rows, purchases, spending):
        for (market, theirs), rate in zip(rows.groupby("home_market"), (0.4, 0.5), strict=True):
            net = clv_model._totals(theirs, [(purchases, spending)], 12, 0.1)[0]
            each = valued[valued["home_market"] == market]
            assert net * rate == pytest.approx(each["clv_residual"].sum(), rel=1e-4)
            assert theirs["weight"].sum() == len(each)

    def test_customers_of_no_market_have_a_margin_rate_of_their_own(self, occasions, rows, spending):
        """Those of one market, their market unknown, are worth what they were."""
        known = histories.histories(occasions, AS_OF)
        unknown = known.mutate(home_market=known.home_market.nullif("GB"))
        found = [clv_model.customers(each, btyd.fit(rows), spending).order_by("customer_id").clv_residual.execute()
                 for each in (known, unknown)]
        assert found[0].equals(found[1])

    def test_residual_and_historic_add_up(self, valued):
        assert (valued["clv_total"] == valued["clv_historic"] + valued["clv_residual"]).all()

    def test_lifetimes_own_clv_on_the_same_data(self, rows):
        """Monthly steps of 30 days against ours, continuous over twelve: within the difference of the two calendars."""
        purchases = btyd.fit(rows, "bg_nbd")
        theirs = BetaGeoFitter()
        theirs.params_ = pd.Series(purchases.params)
        theirs.predict = theirs.conditional_expected_number_of_purchases_up_to_time
        spend = GammaGammaFitter()
        spend.params_ = pd.Series({"p": 6.0, "q": 4.0, "v": 9_000.0})
        few = rows.iloc[::97]
        value = spend.customer_lifetime_value(
            theirs, few["x"], few["t_x"], few["T"], pd.Series(18_000.0, few.index), time=12,
            discount_rate=1.1 ** (1 / 12) - 1)
        steps = np.diff([expectations.occasions(purchases, few["x"], few["t_x"], few["T"], 30 * k) for k in range(13)],
                        axis=0)
        monthly = (steps * 1.1 ** (-np.arange(1, 13) / 12)[:, None]).sum(axis=0)
        assert value.to_numpy() == pytest.approx(monthly * 18_000.0, rel=1e-6)


class TestIntervals:
    def test_they_hold_the_value_and_widen_with_fewer_customers(self, rows):
        few = rows.iloc[::10]
        low, high, lower, higher = (end for each in (rows, few)
                                    for end in np.quantile(clv_model.draw_ratios(each, btyd.fit(each)), [0.025, 0.975]))
        assert lower < low < 1 < high < higher

    def test_the_same_seed_gives_the_same_interval(self, rows):
        fitted = btyd.fit(rows)
        first, second = (clv_model.draw_ratios(rows, fitted) for _ in range(2))
        assert (first == second).all()

    def test_what_happened_lies_near_what_was_expected(self):
        """Half the simulated history predicts the other half within 3 × the interval's half width and noise."""
        occasions = ibis.memtable(shoppers.occasions("mbg_nbd", TRUTH, 3_000, AS_OF))
        cut = AS_OF - timedelta(days=365)
        rows = histories.counts(histories.histories(occasions, cut))
        fitted = btyd.fit(rows)
        expected = clv_model.expected(rows, fitted, 365 / DAYS_PER_MONTH)
        width = expected * np.ptp(np.quantile(clv_model.draw_ratios(rows, fitted), [0.025, 0.975]))
        known = occasions.filter(occasions.date <= cut).select("customer_id").distinct()
        actual = occasions.filter(occasions.date > cut).semi_join(known, "customer_id").count().execute()
        assert actual == pytest.approx(expected, abs=1.5 * width + 3 * actual**0.5)


class TestPerCustomer:
    def test_means_by_market(self, occasions, rows, spending):
        purchases = btyd.fit(rows)
        lazy = clv_model.customers(histories.histories(occasions, AS_OF), purchases, spending)
        ratios = clv_model.draw_ratios(rows, purchases, spending, discount_rate=0.1)
        found = clv_model.per_customer(lazy, ratios, by=("home_market",)).set_index("home_market")
        each = lazy.execute().groupby("home_market")["clv_total"].mean()
        assert found["value"].to_numpy() == pytest.approx(each.to_numpy())
        assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()

    def test_nobody(self):
        nobody = ibis.memtable(pd.DataFrame({"customer_id": pd.Series([], dtype="str"),
                                             "clv_historic": pd.Series([], dtype="int64"),
                                             "clv_residual": pd.Series([], dtype="int64")}))
        assert clv_model.per_customer(nobody)["n"].tolist() == [0]
