"""clv_learned.py: features know nothing later, models learn what is there, a tie goes to the fitted model."""

from datetime import date, timedelta

import ibis
import numpy as np
import pandas as pd
import pytest
import shoppers

from helpers.estimates import NotEnoughData
from helpers.metrics.occasions import numbered
from helpers.metrics.value import backtest, clv_learned

AS_OF = date(2026, 10, 31)
TRUTH = {"r": 0.9, "alpha": 40.0, "a": 0.5, "b": 2.5}


@pytest.fixture(scope="module")
def occasions():
    return numbered(ibis.memtable(shoppers.occasions("mbg_nbd", TRUTH, 2_000, AS_OF, days=900)))


class TestFeatures:
    def test_nothing_later_is_known(self, occasions):
        cut = AS_OF - timedelta(days=300)
        known, later = (clv_learned.features(table, cut).order_by("customer_id").execute()
                        for table in (occasions.filter(occasions.date <= cut), occasions))
        pd.testing.assert_frame_equal(known, later)

    def test_by_hand(self, six_customers):
        rows = clv_learned.features(six_customers, date(2026, 3, 31)).execute().set_index("customer_id")
        anna = rows.loc["anna"]
        assert (anna["x"], anna["silent_days"], anna["last_gap"], anna["recent_90"]) == (4, 26, 28, 3)
        assert anna["mean_gap"] == pytest.approx(30)
        assert (rows.loc["dora", "recent_365"], rows.loc["dora", "spent_30"]) == (1, 0)
        assert np.isnan(rows.loc["dora", "last_gap"])

    def test_refunds_and_engagement_up_to_the_day(self, six_customers):
        refunds = ibis.memtable({"customer_id": ["anna"] * 2, "date": [date(2026, 3, 1), date(2026, 5, 1)],
                                 "amount_rc": [500, 900]})
        visits = ibis.memtable({"customer_id": ["anna"] * 2, "date": [date(2025, 11, 1), date(2026, 3, 1)],
                                "value": [7.0, 2.0]})
        rows = clv_learned.features(six_customers, date(2026, 3, 31), refunds, visits).execute()
        rows = rows.set_index("customer_id")
        assert (rows.loc["anna", "refunded_rc"], rows.loc["anna", "engaged"]) == (500, 2)
        assert (rows.loc["dora", "refunded_rc"], rows.loc["dora", "engaged"]) == (0, 0)


class TestChallengers:
    def test_they_learn_and_do_not_need_luck(self, occasions):
        held = backtest.holdout(occasions, AS_OF, 300)
        predicted = backtest.predictions(occasions, held, ("mbg_nbd",)) | clv_learned.challengers(occasions, held)
        table = backtest.compare(held, predicted).set_index("model")
        assert (table.loc[list(clv_learned.LEARNED), "gini"] > 0.3).all()
        again = clv_learned.challengers(occasions, held)
        assert again["random_forest"].equals(predicted["random_forest"])

    def test_scores_of_everybody(self, occasions):
        scores = clv_learned.scored(occasions, AS_OF, 200, "random_forest").execute()
        assert len(scores) == occasions.customer_id.nunique().execute()
        assert scores["score"].min() >= 0

    def test_too_few_customers(self, six_customers):
        with pytest.raises(NotEnoughData, match="500 customers"):
            clv_learned.learn(six_customers, date(2026, 3, 31), 60)


class TestWinner:
    def test_the_fitted_model_wins_a_tie_and_loses_to_a_clearly_better_one(self):
        tie = pd.DataFrame({"model": ["random_forest", "mbg_nbd"], "gini": [0.655, 0.65]})
        assert clv_learned.winner(tie) == "mbg_nbd"
        assert clv_learned.winner(tie.assign(gini=[0.70, 0.65])) == "random_forest"


class TestTies:
    """2 / √10,000 = 0.02 of rank is no difference."""

    TABLE = pd.DataFrame({"model": ["mbg_nbd", "bg_nbd", "own_last_period", "own_average"], "gini": [0.65, 0.65, 0.64, 0.50],
                          "spearman": [0.60, 0.61, 0.585, 0.57], "n": 10_000})

    def test_ranks_within_two_standard_errors_are_as_good(self):
        assert clv_learned.as_good(self.TABLE, "mbg_nbd") == ["bg_nbd", "own_last_period"]

    def test_a_rule_beats_the_model_only_on_both_measures_and_clearly(self):
        rule = self.TABLE["model"] == "own_last_period"
        ahead = self.TABLE.assign(gini=self.TABLE["gini"].where(~rule, 0.7))
        assert clv_learned.beaten_by(ahead, "mbg_nbd") == ""
        clearly = ahead.assign(spearman=ahead["spearman"].where(~rule, 0.63))
        assert clv_learned.beaten_by(clearly, "mbg_nbd") == "own_last_period"
        assert clv_learned.as_good(clearly, "mbg_nbd") == ["bg_nbd"]  # a rule that beats the model is not its equal
        assert clv_learned.beaten_by(self.TABLE.assign(spearman=self.TABLE["spearman"].where(~rule, 0.63)), "mbg_nbd") == ""
