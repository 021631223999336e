"""payback.py: margins by age one can add up, whole ages only, and "not reached" as an answer."""

from datetime import date

import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.acquisition import payback
from helpers.metrics.acquisition.cac import clv_to_cac

AS_OF = date(2026, 6, 30)


class TestKnownValues:
    def test_six_customers(self, six_customers):
        """Ages 0 and 1: margin 40 an order; six were won, emil comes back in the month after, anna every month."""
        curve = payback.ltv_curve(six_customers, AS_OF).set_index("age")
        assert curve.loc[0, ["value", "n"]].tolist() == [4_000, 6]
        assert curve.loc[1, "value"] == pytest.approx(4_000 + 2 * 4_000 / 6)
        assert curve.loc[7, "n"] == 3  # only November's customers are seen for seven whole months

    def test_each_increment_has_its_own_denominator(self, six_customers):
        """Age 5: November's three and December's one were seen; only anna bought."""
        curve = payback.ltv_curve(six_customers, AS_OF).set_index("age")["value"]
        assert curve[5] - curve[4] == pytest.approx(4_000 / 4)

    def test_cohorts(self, six_customers):
        curve = payback.ltv_curve(six_customers, AS_OF, ["cohort"])
        november = curve[curve["cohort"] == "2025-11"].set_index("age")["value"]
        assert november[0] == 4_000
        assert november[7] == pytest.approx((8 + 2 + 2) * 4_000 / 3)
        assert curve[curve["cohort"] == "2026-03"]["age"].max() == 3

    def test_payback(self):
        curve = pd.DataFrame({"age": [0, 1, 2], "value": [20.0, 31, 40], "low": [18.0, 28, 36], "high": [22.0, 34, 44],
                              "n": [90, 80, 70]})
        found = payback.payback_months(curve, pd.DataFrame({"value": [30.0]})).iloc[0]
        assert (found["value"], found["low"], found["high"], found["n"]) == (1, 1, 2, 80)

    def test_not_reached_is_an_answer(self):
        curve = pd.DataFrame({"age": [0, 1], "value": [20.0, 31], "low": [18.0, 28], "high": [22.0, 34], "n": [9, 8]})
        found = payback.payback_months(curve, pd.DataFrame({"value": [50.0]})).iloc[0]
        assert not found["reached"]
        assert (found["last_age"], found["n"]) == (1, 8)
        assert pd.isna(found["value"])


class TestTwoRoads:
    def test_groups_average_to_the_whole_at_age_0(self, six_customers):
        whole, parts = (payback.ltv_curve(six_customers, AS_OF, by) for by in ([], ["home_market"]))
        parts = parts[parts["age"] == 0]
        assert (parts["value"] * parts["n"]).sum() / parts["n"].sum() == pytest.approx(whole["value"].iloc[0])

    def test_a_day_later_in_the_month_changes_nothing_and_an_unfinished_month_is_not_seen(self, six_customers):
        middle = payback.ltv_curve(six_customers, date(2026, 6, 15))
        pd.testing.assert_frame_equal(middle, payback.ltv_curve(six_customers, date(2026, 5, 31)))

    def test_newest_cohorts_only(self, six_customers):
        curve = payback.ltv_curve(six_customers, AS_OF, last_cohorts=4)
        assert curve.loc[curve["age"] == 0, "n"].iloc[0] == 1  # fatima


class TestEdges:
    def test_nobody(self, six_customers):
        with pytest.raises(NotEnoughData, match="No customer up to 2020-01-31 is known to have been new"):
            payback.ltv_curve(six_customers, date(2020, 1, 31))

    def test_only_ages_that_enough_customers_reach(self, six_customers):
        every = payback.ltv_curve(six_customers, AS_OF)
        enough = payback.ltv_curve(six_customers, AS_OF, least=4)
        assert len(enough) < len(every) and enough.equals(every[every["n"] >= 4])
        with pytest.raises(NotEnoughData, match="Fewer than 10 customers up to 2026-06-30"):
            payback.ltv_curve(six_customers, AS_OF, least=10)

    def test_groups_without_a_cost_are_left_out(self):
        curve = pd.DataFrame({"cohort": ["2026-01"], "age": [0], "value": [9.0], "low": [8.0], "high": [9.5], "n": [9]})
        assert not len(payback.payback_months(curve, pd.DataFrame({"cohort": ["2025-01"], "value": [1.0]}), ["cohort"]))

    def test_what_cost_nothing_known_is_not_paid_back_at_once(self):
        curve = pd.DataFrame({"age": [0, 1], "value": [20.0, 31], "low": [18.0, 28], "high": [22.0, 34], "n": [9, 8]})
        each = pd.concat([curve.assign(market="DE"), curve.assign(market="GB"), curve.assign(market="FR")])
        costs = pd.DataFrame({"market": ["DE", "GB", "FR"], "value": [30.0, 0.0, float("nan")]})
        assert payback.payback_months(each, costs, ["market"])["market"].tolist() == ["DE"]
        for unknown in (costs[1:2], costs[2:]):
            with pytest.raises(NotEnoughData, match="no known cost"):
                payback.payback_months(curve, unknown)


def test_a_group_beside_its_cost_is_the_ratio_and_the_payback_apart():
    """Two roads: by_group against clv_to_cac and payback_months; a group without a cost has a value alone."""
    values = pd.DataFrame({"market": ["DE", "FR", "AE"], "value": [60.0, 9, 20], "low": [50.0, 8, 18], "high": [72.0, 10, 22]})
    values["n"] = [90, 95, 40]
    costs = pd.DataFrame({"market": ["DE", "AE"], "value": [30.0, 40.0], "low": [28.0, 38.0], "high": [32.0, 42.0], "n": [90, 40]})
    age = {"age": [0, 1], "value": [20.0, 31], "low": [18.0, 28], "high": [22.0, 34], "n": 90}
    curve = pd.concat([pd.DataFrame(age).assign(market=market) for market in ("DE", "FR", "AE")])
    found = payback.by_group(values, costs, curve, "market").set_index("market")
    assert found.index.tolist() == ["FR", "DE", "AE"]
    ratio, back = clv_to_cac(values, costs, ["market"]), payback.payback_months(curve, costs, ["market"])
    for name in ("value", "low", "high"):
        assert found.loc[["DE", "AE"], name].tolist() == ratio[name].tolist()
    assert found.loc["DE", ["months", "months_low"]].tolist() == back.set_index("market").loc["DE", ["value", "low"]].tolist() == [1, 1]
    assert found.loc["AE", ["cost", "worth", "n"]].tolist() == [40, 20, 40] and pd.isna(found.loc["AE", "months"])
    assert found.loc["FR", ["cost", "value", "months"]].isna().all()
