"""tiers.py: ten customers one can rank by hand, shares that add up, every move with its reason."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.value import tiers

AS_OF = date(2026, 1, 31)


def valued(values, last=AS_OF) -> ibis.Table:
    return ibis.memtable(pd.DataFrame({"customer_id": [f"{k:02d}" for k in range(len(values))], "clv_residual": values,
                                       "clv_historic": values, "last": last}))


class TestKnownValues:
    def test_two_three_five_of_ten(self):
        found = tiers.tiers(valued(range(10)), AS_OF, 90).order_by("customer_id").execute()
        assert found["tier"].tolist() == ["low"] * 5 + ["medium"] * 3 + ["vip"] * 2

    def test_shares(self):
        table = tiers.tier_table(tiers.tiers(valued([0, 0, 0, 0, 0, 10, 10, 20, 20, 40]), AS_OF, 90)).set_index("tier")
        assert table["expected_share"].to_dict() == {"vip": 0.6, "medium": 0.4, "low": 0.0}
        assert table["n"].to_dict() == {"vip": 2, "medium": 3, "low": 5}

    def test_eighty_twenty(self):
        bought = pd.DataFrame({"customer_id": [f"{k:02d}" for k in range(50)], "margin_rc": [80] * 10 + [5] * 40})
        assert tiers.top_share(tiers.concentration(ibis.memtable(bought))) == pytest.approx(0.8)
        with pytest.raises(NotEnoughData, match="Fewer than 50 customers bought"):
            tiers.concentration(ibis.memtable(bought[:49]))

    def test_equal_customers_are_not_concentrated(self):
        bought = ibis.memtable({"customer_id": [f"{k}" for k in range(100)], "margin_rc": [7] * 100})
        assert tiers.top_share(tiers.concentration(bought)) == pytest.approx(0.2)


class TestMovers:
    def test_every_reason(self):
        """a silent down · b lapses · c new · d back · e buys up · f stays."""
        before = ibis.memtable({"customer_id": list("abef"), "tier": ["vip", "low", "low", "vip"]})
        after = ibis.memtable({"customer_id": list("acdef"), "tier": ["medium", "vip", "low", "vip", "vip"]})
        bought = ibis.memtable({"customer_id": list("cdef"), "n": [1, 3, 4, 2], "date": [date(2026, 1, 9)] * 4})
        moved = tiers.movers(before, after, bought, date(2025, 12, 31))
        assert sorted(moved.itertuples(index=False, name=None)) == [
            ("low", "none", "lapsed", 1), ("low", "vip", "ordered", 1), ("none", "low", "came_back", 1),
            ("none", "vip", "first_order", 1), ("vip", "medium", "silence", 1)]


    def test_who_ordered_and_fell_all_the_same_has_a_reason_of_its_own(self):
        before = ibis.memtable({"customer_id": ["a", "b"], "tier": ["vip", "low"]})
        after = ibis.memtable({"customer_id": ["a", "b"], "tier": ["medium", "medium"]})
        bought = ibis.memtable({"customer_id": ["a", "b"], "n": [2, 2], "date": [date(2026, 1, 9)] * 2})
        moved = tiers.movers(before, after, bought, date(2025, 12, 31))
        assert moved[["tier_before", "reason"]].values.tolist() == [["low", "ordered"], ["vip", "ordered_less"]]

    def test_outside_the_tiers_the_reason_is_the_place_and_without_it_won_and_lost(self):
        moved = pd.DataFrame({"tier_before": ["vip", "none", "none", "low"], "tier": ["low", "vip", "low", "none"],
                              "reason": ["silence", "first_order", "came_back", "lapsed"]})
        assert tiers.places(moved) == (["vip", "first_order", "came_back", "low"], ["low", "vip", "low", "lapsed"])
        assert tiers.places(moved.drop(columns="reason")) == (["vip", "won", "won", "low"], ["low", "vip", "low", "lost"])


class TestEdges:
    def test_ties_are_broken_alike_every_time(self):
        first, second = (tiers.tiers(valued([5] * 10), AS_OF, 90).order_by("customer_id").execute() for _ in range(2))
        assert first["tier"].tolist() == second["tier"].tolist()
        assert (first["tier"] == "vip").sum() == 2

    def test_the_lapsed_have_no_tier(self):
        with pytest.raises(NotEnoughData, match="churn window"):
            tiers.tier_table(tiers.tiers(valued([1, 2], date(2025, 1, 1)), AS_OF, 90))

    def test_one_customer_is_the_top(self):
        assert tiers.tiers(valued([5]), AS_OF, 90).execute()["tier"].tolist() == ["low"]

    def test_no_margin(self):
        with pytest.raises(NotEnoughData):
            tiers.concentration(ibis.memtable({"customer_id": ["a"], "margin_rc": [0]}))
