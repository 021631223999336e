"""histories.py: what the models see of six customers with a pencil, and what is too little to model."""

from datetime import date

import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.value import histories

AS_OF = date(2026, 6, 30)


class TestKnownValues:
    def test_six_customers(self, six_customers):
        rows = histories.histories(six_customers, AS_OF).execute().set_index("customer_id")
        assert rows.loc["anna", ["x", "t_x", "T", "spend_rc", "net_sales_rc"]].tolist() == [7, 212, 237, 70_000, 80_000]
        assert rows.loc["dora", ["x", "t_x", "T", "spend_rc"]].tolist() == [0, 0, 197, 0]
        assert rows.loc["emil", ["x", "t_x", "T", "home_market"]].tolist() == [1, 28, 149, "US"]

    def test_later_purchases_are_not_seen(self, six_customers):
        rows = histories.histories(six_customers, date(2026, 1, 31)).execute().set_index("customer_id")
        assert rows.loc["anna", ["x", "t_x", "T"]].tolist() == [2, 61, 87]
        assert "emil" not in rows.index

    def test_mean_spend_of_repeat_occasions(self, six_customers):
        rows = histories.spend_counts(histories.histories(six_customers, AS_OF))
        assert rows["m"].tolist() == [10_000.0] * len(rows)
        assert rows["weight"].sum() == 4


class TestTwoRoads:
    def test_counts_add_up_to_customers_and_money(self, six_customers):
        each, rows = histories.histories(six_customers, AS_OF).execute(), histories.counts(histories.histories(six_customers, AS_OF))
        assert rows["weight"].sum() == len(each)
        assert rows["spend_rc"].sum() == each["spend_rc"].sum()

    def test_counts_by_market_are_the_same_customers(self, six_customers):
        rows = histories.counts(histories.histories(six_customers, AS_OF), by=("home_market",))
        assert rows.groupby("home_market")["weight"].sum().sum() == histories.counts(histories.histories(six_customers, AS_OF)).weight.sum()

    def test_weeks_round_days(self, six_customers, monkeypatch):
        monkeypatch.setattr(histories, "DAY_ROWS", 2)
        rows = histories.counts(histories.histories(six_customers, AS_OF))
        assert rows["weekly"].all()
        assert (rows[["t_x", "T"]] % 7 == 0).all().all()
        assert (rows["t_x"] <= rows["T"]).all()

    def test_rounded_spend_stays_within_half_a_per_cent(self, six_customers, monkeypatch):
        monkeypatch.setattr(histories, "SPEND_ROWS", 1)
        assert histories.spend_counts(histories.histories(six_customers, AS_OF))["m"].unique() == pytest.approx([10_000], rel=0.005)


class TestMinimum:
    ENOUGH = {"x": [0, 2], "t_x": [0, 190], "T": [200, 200], "weight": [300, 300]}

    def test_enough(self):
        histories.require_minimum(pd.DataFrame(self.ENOUGH))

    @pytest.mark.parametrize(("change", "said"), [
        ({"weight": [100, 100]}, "500 customers"), ({"T": [170, 170], "t_x": [0, 160]}, "180 days"),
        ({"t_x": [0, 100]}, "last 30 days"), ({"x": [0, 1]}, "three days"),
    ])
    def test_what_is_missing_is_said(self, change, said):
        with pytest.raises(NotEnoughData, match=said):
            histories.require_minimum(pd.DataFrame(self.ENOUGH | change))

    def test_nobody_at_all(self):
        with pytest.raises(NotEnoughData, match="0 days|there are 0"):
            histories.require_minimum(pd.DataFrame({"x": [], "t_x": [], "T": [], "weight": []}))
