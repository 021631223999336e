"""backtest.py and tracking.py on simulated customers: what comes true, what leaks, what blind scores get."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
import shoppers
from scipy import stats

from helpers.estimates import NotEnoughData
from helpers.metrics.value import backtest, btyd, clv_model, histories, tracking

AS_OF = date(2026, 10, 31)
TRUTH = {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.5}


@pytest.fixture(scope="module")
def occasions():
    return ibis.memtable(shoppers.occasions("mbg_nbd", TRUTH, 3_000, AS_OF, days=1_000))


@pytest.fixture(scope="module")
def held(occasions):
    return backtest.holdout(occasions, AS_OF, backtest.horizon_days(AS_OF - timedelta(days=1_000), AS_OF))


@pytest.fixture(scope="module")
def predicted(occasions, held):
    return backtest.predictions(occasions, held)


class TestHoldout:
    def test_a_third_of_the_history_and_at_most_a_year(self, held):
        assert held.days == 1_000 // 3
        assert held.cut == AS_OF - timedelta(days=333)

    def test_nothing_after_the_cut_leaks_into_what_was_known(self, occasions, held):
        before = occasions.filter(occasions.date <= held.cut)
        known = histories.histories(before, held.cut).order_by("customer_id").execute()
        for name in ("customer_id", "x", "t_x", "T", "spend_rc", "margin_rc"):
            assert held.customers[name].tolist() == known[name].tolist()

    def test_what_happened_adds_up(self, occasions, held):
        known = occasions.filter(occasions.date <= held.cut).select("customer_id").distinct()
        later = occasions.filter(occasions.date > held.cut).semi_join(known, "customer_id")
        assert held.customers["actual_occasions"].sum() == later.count().execute()
        assert held.customers["actual_margin_rc"].sum() == later.margin_rc.sum().execute()

    def test_a_large_base_is_sampled(self, occasions, held, monkeypatch):
        monkeypatch.setattr(backtest, "SAMPLE", 1_000)
        some = backtest.holdout(occasions, AS_OF, held.days)
        assert len(some.customers) == pytest.approx(1_000, abs=100)
        assert set(some.customers["customer_id"]) < set(held.customers["customer_id"])

    def test_too_short_a_history(self, occasions):
        with pytest.raises(NotEnoughData, match="84 days"):
            backtest.holdout(occasions, AS_OF, backtest.horizon_days(AS_OF - timedelta(days=60), AS_OF))

    def test_nobody(self, occasions):
        with pytest.raises(NotEnoughData, match="Nobody had bought"):
            backtest.holdout(occasions, date(2000, 1, 1), 100)


class TestCompare:
    def test_the_model_that_made_the_data_beats_the_plain_rules(self, held, predicted):
        table = backtest.compare(held, predicted).set_index("model")
        assert table["gini"].idxmax() in {"mbg_nbd", "bg_nbd"}
        assert abs(table.loc["mbg_nbd", "occasions_error"]) < 0.06
        assert abs(table.loc["mbg_nbd", "margin_error"]) < 0.10
        assert (table.loc[list(backtest.BASELINES), "occasions_error"].abs() > 0.06).all()

    def test_perfect_and_blind_scores(self, held):
        actual = held.customers[["actual_occasions", "actual_margin_rc"]]
        perfect = actual.set_axis(["expected_occasions", "expected_margin_rc"], axis=1)
        blind = perfect.assign(expected_margin_rc=1.0)
        table = backtest.compare(held, {"perfect": perfect, "blind": blind}).set_index("model")
        assert table.loc["perfect", ["gini", "spearman", "top_caught"]].tolist() == pytest.approx([1, 1, 1])
        assert table.loc["blind", "gini"] == pytest.approx(0, abs=1e-12)
        assert np.isnan(table.loc["blind", "spearman"])

    def test_spearman_is_scipys(self, held, predicted):
        table = backtest.compare(held, predicted).set_index("model")
        by_hand = stats.spearmanr(predicted["mbg_nbd"]["expected_margin_rc"], held.customers["actual_margin_rc"])
        assert table.loc["mbg_nbd", "spearman"] == pytest.approx(by_hand.statistic)

    def test_a_model_without_occasions_has_no_error_of_them(self, held, predicted):
        learned = predicted["mbg_nbd"].assign(expected_occasions=np.nan)
        assert np.isnan(backtest.compare(held, {"learned": learned})["occasions_error"].iloc[0])

    def test_nobody_came(self, held):
        silent = backtest.Holdout(held.cut, held.days, held.customers.assign(actual_margin_rc=0))
        with pytest.raises(NotEnoughData, match="nothing to compare"):
            backtest.compare(silent, {})

    def test_calibration_bins_hold_everybody(self, held, predicted):
        bins = backtest.calibration(held, predicted)
        assert bins["n"].sum() == len(held.customers)
        assert (bins["n"] * bins["actual"]).sum() == pytest.approx(held.customers["actual_occasions"].sum())
        assert bins["mbg_nbd"].to_numpy() == pytest.approx(bins["actual"].to_numpy(), rel=0.25, abs=0.1)

    def test_what_happened_has_the_interval_of_a_mean(self, held, predicted):
        """scipy's normal interval of the mean, row by row."""
        bins, x = backtest.calibration(held, predicted).set_index("x"), held.customers["x"]
        orders = held.customers.loc[x == 0, "actual_occasions"]
        ends = stats.norm.interval(0.95, orders.mean(), stats.sem(orders))
        assert bins.loc["0", ["actual_low", "actual_high"]].tolist() == pytest.approx(ends)

    def test_a_true_model_leans_to_no_side_and_a_raised_one_does(self, held, predicted):
        assert backtest.leaning(backtest.calibration(held, predicted), "mbg_nbd") is None
        raised = {"mbg_nbd": predicted["mbg_nbd"].assign(expected_occasions=lambda t: 2 * t["expected_occasions"])}
        found = backtest.leaning(backtest.calibration(held, raised), "mbg_nbd")
        assert (found["first"], found["side"]) == ("0", "high") and found["near"] > 0.5

    def test_a_lean_is_a_run_of_rows_that_chance_does_not_explain(self):
        bins = pd.DataFrame({"x": list("01234"), "actual": 1.0, "actual_low": 0.9, "actual_high": 1.1})
        for forecast, run in (([0.8, 0.7, 0.8, 1.3, 1.3], ("0", "2", "low")), ([1.2, 1.2, 1.0, 1.2, 1.2], None),
                              ([1.0, 1.2, 1.3, 1.2, 1.4], ("1", "4", "high"))):
            found = backtest.leaning(bins.assign(m=forecast), "m")
            assert (found and (found["first"], found["last"], found["side"])) == run
        hidden = bins.assign(m=1.2, actual_low=float("nan"), actual_high=float("nan"))
        assert backtest.leaning(hidden, "m") is None

    def test_tiers_measured_add_up(self, held, predicted):
        table = backtest.tiers_measured(held, predicted["mbg_nbd"], 120)
        assert table["margin_share"].sum() == pytest.approx(1)
        assert table["margin_share"].iloc[0] > 0.3


class TestTracking:
    def test_months_add_up_to_the_whole(self, occasions, held):
        fitted = btyd.fit(histories.counts(histories.histories(occasions, held.cut)))
        curve = tracking._monthly_curve(occasions, held, fitted)
        rows = histories.counts(histories.histories(occasions, held.cut))
        assert curve["plain"].sum() == pytest.approx(clv_model.expected(rows, fitted, len(curve)), rel=1e-4)
        assert tracking.monthly_error(curve, "plain") < 0.2

    def test_a_season_that_is_there_is_found_and_one_that_is_not_is_not(self, occasions, held):
        """Half of the repeat orders of November to May are taken away."""
        fitted = btyd.fit(histories.counts(histories.histories(occasions, AS_OF)))
        flat = tracking._season_index(occasions, AS_OF, fitted)
        assert flat == pytest.approx(np.ones(12), abs=0.15)
        winter = (occasions.date.month() > 10) | (occasions.date.month() < 6)
        odd = occasions.net_sales_rc % 2 == 0
        seasonal = tracking._season_index(occasions.filter(~(winter & odd & (occasions.n > 1))), AS_OF, fitted)
        assert seasonal[5:10].min() > seasonal[[10, 11, 0, 1, 2, 3, 4]].max()
        assert tracking.with_season(occasions, held, fitted)[1] in {"plain", "seasonal"}

    def test_earlier_forecasts_are_held_to_their_word(self, occasions):
        made = AS_OF - timedelta(days=31)
        known = occasions.filter(occasions.date <= made).select("customer_id").distinct()
        later = occasions.filter((occasions.date > made) & (occasions.date <= made + timedelta(days=30)))
        actual = later.semi_join(known, "customer_id").count().execute()
        rows = [{"metric": "expected_occasions", "as_of": made.isoformat(), "age": months, "value": actual * 1.1,
                 "low": actual * 0.9, "high": actual * 1.2} for months in (1, 12)]
        found = tracking.published_check(tracking.forecasts(rows), occasions, AS_OF)
        assert len(found) == 1  # the year of the other has not passed
        assert found.loc[0, ["months", "actual", "inside"]].tolist() == [1, actual, True]
        assert found.loc[0, "error"] == pytest.approx(0.1)

    def test_forecasts_of_another_market_are_others(self):
        row = {"metric": "expected_occasions", "as_of": "2026-09-30", "age": 1, "value": 9.0, "market": "DE"}
        assert not len(tracking.forecasts([row]))
        assert len(tracking.forecasts([row], "DE")) == 1

    def test_no_earlier_forecast_is_a_sentence(self, occasions):
        with pytest.raises(NotEnoughData, match="No earlier report"):
            tracking.published_check(tracking.forecasts([]), occasions, AS_OF)


def test_online_retail_ii_a_year_ahead(shared_data):
    """UCI Online Retail II: 2010-12-01 to 2011-11-30 predicted from the year before."""
    held, predicted = shoppers.online_retail_holdout(shared_data)
    table = backtest.compare(held, predicted).set_index("model")
    assert len(held.customers) == 4_266
    assert table.loc["mbg_nbd", "gini"] == pytest.approx(0.826, abs=0.003)
    assert table.loc["own_last_period", "gini"] == pytest.approx(0.846, abs=0.003)  # here a plain rule ranks best
    assert table.loc["mbg_nbd", "occasions_error"] == pytest.approx(0.505, abs=0.01)  # one year shows nobody leaving
    fitted = btyd.fit(histories.counts(histories.histories(ibis.memtable(shoppers.online_retail_occasions(shared_data)), held.cut)))
    assert not fitted.dropout_seen
