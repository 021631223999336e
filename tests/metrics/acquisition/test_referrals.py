"""referrals.py: each referred customer credited once, to a customer, and never to himself."""

import ibis
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.acquisition import referrals

VALUED = ibis.memtable({"customer_id": list("abcd"), "clv_historic": [10, 20, 30, 40], "clv_total": [20, 40, 60, 80]})


def orders(rows):
    names = ("customer_id", "order_date", "referred_by")
    return ibis.memtable([dict(zip(names, row, strict=True)) for row in rows],
                         schema={"customer_id": "string", "order_date": "string", "referred_by": "string"})


def test_only_the_first_order_counts():
    found = referrals.referral_value(VALUED, orders([
        ("a", "2026-01-01", None), ("b", "2026-01-02", "a"), ("c", "2026-01-03", "a"), ("c", "2026-01-09", "b"),
        ("d", "2026-01-04", None), ("d", "2026-01-05", "a")]))
    assert (found["referred"], found["referrers"], found["clv_total"]) == (2, 1, 100)
    assert found["share"] == 0.5


def test_referrals_by_oneself_or_by_strangers_are_not_credited():
    with pytest.raises(NotEnoughData, match="referred_by"):
        referrals.referral_value(VALUED, orders([("a", "2026-01-01", "a"), ("b", "2026-01-02", "nobody")]))


def test_a_chain_credits_each_once():
    found = referrals.referral_value(VALUED, orders([("b", "2026-01-02", "a"), ("c", "2026-01-03", "b"),
                                                     ("a", "2026-01-04", "c")]))
    assert (found["referred"], found["referrers"], found["clv_total"]) == (3, 3, 120)
