"""budget.py: responses recovered from spend that made them, splits that beat every other, limits kept."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.acquisition import budget

MONTHS = [f"2025-{m:02d}" for m in range(1, 13)]


def panel(channel: str, elasticity: float, scale: float, seed: int = 0) -> pd.DataFrame:
    spend = np.random.default_rng(seed).uniform(1_000, 9_000, 12)
    people = np.random.default_rng(seed + 1).poisson(scale * spend**elasticity)
    return pd.DataFrame({"acquisition_channel": channel, "month": MONTHS, "spend_rc": spend.round(), "won": people})


class TestResponses:
    def test_the_true_elasticity_lies_in_the_interval(self):
        found = budget.responses(panel("search", 0.6, 3.0)).iloc[0]
        assert found["low"] < 0.6 < found["high"]
        assert found["elasticity"] == pytest.approx(0.6, abs=0.1)
        assert found["marginal"] == pytest.approx(found["average"] / found["elasticity"])

    def test_the_cost_at_the_margin_lies_in_its_interval_as_often_as_that_says(self):
        """300 channels of one truth: 12 months, elasticity 0.5, the numbers won scatter twice as widely as Poisson's."""
        inside, rng = 0, np.random.default_rng(3)
        for k in range(300):
            frame = panel("search", 0.5, 3.0, seed=2 * k)
            expected = 3.0 * frame["spend_rc"] ** 0.5
            found = budget.responses(frame.assign(won=rng.negative_binomial(expected / 3, 1 / 4))).iloc[0]
            truth = frame["spend_rc"].sum() / expected.sum() / 0.5
            inside += found["marginal_low"] <= truth <= found["marginal_high"]
            assert found["marginal_low"] <= found["marginal"] <= found["marginal_high"]
        assert 0.93 <= inside / 300 <= 0.99

    def test_too_few_months_or_no_variation(self):
        with pytest.raises(NotEnoughData, match="months"):
            budget.responses(panel("search", 0.6, 3.0).head(5))
        with pytest.raises(NotEnoughData):
            budget.responses(panel("search", 0.6, 3.0).assign(spend_rc=500))


class TestMarginal:
    def test_the_last_step(self):
        """150 a month after 100 a month, 12 won after 10: 150 more for 6 more."""
        table = pd.DataFrame({"acquisition_channel": "search", "month": MONTHS[:6], "spend_rc": [100] * 3 + [150] * 3,
                              "won": [10] * 3 + [12] * 3})
        found = budget.marginal_cac(table).iloc[0]
        assert (found["value"], found["average"]) == (25.0, 12.5)
        assert pd.isna(found["low"])  # 6 more of 66 may be nobody

    def test_more_money_and_fewer_customers_is_no_price(self):
        table = pd.DataFrame({"acquisition_channel": "search", "month": MONTHS[:6], "spend_rc": [100] * 3 + [150] * 3,
                              "won": [12] * 3 + [10] * 3})
        assert budget.marginal_cac(table)["value"].isna().all()


class TestBestBudget:
    CURVES = pd.DataFrame({"acquisition_channel": ["a", "b", "c"], "elasticity": [0.5, 0.7, 0.3], "n": [50] * 3,
                           "scale": [2.0, 1.0, 4.0], "spend_rc": [100.0] * 3, "least": [20.0] * 3, "most": [220.0] * 3})
    VALUES = pd.DataFrame({"acquisition_channel": ["a", "b", "c"], "value": [10.0, 12.0, 8.0]})

    def gain(self, spend):
        return (self.VALUES["value"] * self.CURVES["scale"] * spend ** self.CURVES["elasticity"]).sum()

    def test_it_beats_every_split_on_a_grid_and_keeps_limits_and_budget(self):
        best = budget.best_budget(self.CURVES, self.VALUES)["best_rc"].to_numpy()
        assert best.sum() == pytest.approx(300)
        assert ((best >= 20) & (best <= 220)).all()
        steps = np.arange(20, 221, 10.0)
        others = [self.gain(np.array([a, b, 300 - a - b])) for a in steps for b in steps if 20 <= 300 - a - b <= 220]
        assert self.gain(best) >= max(others) - 1e-9

    def test_today_is_the_last_three_months_and_a_channel_without_spend_of_late_stays_out(self):
        """9,000 a month of late, more than the two-year mean, and beyond the range, is kept; a channel that stopped is not moved."""
        tables = [panel(name, 0.6, 3.0, seed) for seed, name in enumerate(("a", "b", "gone"))]
        tables[0].loc[9:, "spend_rc"] = [9_000, 9_000, 9_300]
        tables[2].loc[9:, "spend_rc"] = 0
        curves = budget.responses(pd.concat(tables))
        assert curves.set_index("acquisition_channel")["spend_rc"][["a", "gone"]].tolist() == [9_100, 0]
        values = pd.DataFrame({"acquisition_channel": ["a", "b", "gone"], "value": 10.0})
        plan = budget.best_budget(curves, values)
        assert set(plan["acquisition_channel"]) == {"a", "b"}
        assert plan["best_rc"].sum() == pytest.approx(plan["spend_rc"].sum())

    def test_what_it_brings_is_the_difference_of_both_splits(self):
        curves = self.CURVES.assign(low=self.CURVES["elasticity"] - 0.1, high=self.CURVES["elasticity"] + 0.1)
        plan = budget.best_budget(curves, self.VALUES)
        more, gain = budget.won_more(plan), budget.won_more(plan, plan["value"])
        assert more.value == pytest.approx((plan["best_won"] - plan["won"]).sum())
        assert gain.value == pytest.approx(self.gain(plan["best_rc"].to_numpy()) - self.gain(100.0))
        assert gain.low < gain.value < gain.high and gain.n == 150

    def test_a_response_that_may_be_none_leaves_the_gain_unsure(self):
        flat = self.CURVES.assign(elasticity=[0.3, 0.35, 0.3], low=-0.5, high=1.2)
        plan = budget.best_budget(flat, self.VALUES.assign(value=[10.0, 9.0, 2.0]))
        gain = budget.won_more(plan, plan["value"])
        assert gain.low < 0 < gain.value

    def test_channels_that_won_too_few_are_one(self):
        months = pd.concat([panel("a", 0.6, 3.0), panel("b", 0.6, 3.0, 5).assign(won=2), panel("c", 0.6, 3.0, 9).assign(won=1)])
        names = budget.shown(months, minimum=10)
        assert names == {"a": "other", "b": "other", "c": "other"}  # b and c won 9 in three months
        assert budget.shown(months, minimum=9) == {"a": "a", "b": "other", "c": "other"}
        folded = budget.together(months, {"a": "a", "b": "other", "c": "other"})
        assert folded[["spend_rc", "won"]].sum().tolist() == months[["spend_rc", "won"]].sum().tolist()
        assert len(folded) == 24

    def test_one_channel_has_nothing_to_move(self):
        with pytest.raises(NotEnoughData):
            budget.best_budget(self.CURVES.head(1), self.VALUES)


def test_months_without_spend_or_customers_are_zero():
    bought = ibis.memtable({"customer_id": ["a"], "n": [1], "truncated": [False], "date": [date(2026, 1, 5)],
                            "first_acquisition_channel": ["search"]})
    paid = ibis.memtable({"date": [date(2026, 2, 5)] * 2, "channel": ["search"] * 2, "amount_rc": [4000, 100],
                          "kind": ["media", "agency"], "market": ["DE", "DE"]})
    table = budget.monthly(bought, paid, date(2026, 2, 28)).tail(2)
    assert table[["spend_rc", "won"]].values.tolist() == [[0, 1], [4000, 0]]
    assert not len(budget.monthly(bought, paid, date(2026, 2, 28), market="GB"))
