"""LTV to retention cost, CAC to retention cost, the published range, five points more."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.costs import cost_ratios

ENDS = {"low": 1 / 1.1, "high": 1.1}


def ratio(margin, cost, discounts=0.0, n=1000):
    ends = {f"{name}_{end}": [each * by] for name, each in (("margin", margin), ("annual_cost", cost)) for end, by in ENDS.items()}
    frame = pd.DataFrame({"margin": [margin], "discounts": [discounts], "annual_cost": [cost], "n": [n]} | ends)
    return cost_ratios.ltv_to_retention_cost(frame).iloc[0]


# known values


def test_bands_hold_their_boundaries():
    """By definition: < 1 adjust, 1–3 watch (boundaries included), > 3 healthy."""
    assert [ratio(margin, 10.0)["band"] for margin in (9.99, 10.0, 30.0, 30.01)] == [
        "adjust",
        "watch",
        "watch",
        "healthy",
    ]


@pytest.mark.parametrize(("currency", "places"), [("EUR", 2), ("JPY", 0), ("KWD", 3)])
def test_what_is_counted_once_adds_up_as_printed(currency, places):
    """76.706 − 49.204 is 27.502, and 76.71 − 49.20, as printed, 27.51: the printed amounts decide, on both sides."""
    row = ratio(69.786, 49.204, discounts=6.92)
    found = cost_ratios.counted_once(row, currency)
    ltv, cost, left, margin, rest = (round(found[name] * 10**places) for name in ("ltv", "cost", "left", "margin", "rest"))
    assert ltv - cost == left == margin - rest
    assert (ltv, cost) == (round(row["ltv"] * 10**places), round(row["annual_cost"] * 10**places))
    assert rest == pytest.approx((row["annual_cost"] - row["discounts"]) * 10**places, abs=1.5)


def test_the_articles_ratio_example():
    """Cost −20 % and LTV +35 % lift the ratio × 1.6875; 25 → 18 is −28 %."""
    assert ratio(1.35, 0.80)["value"] / ratio(1.0, 1.0)["value"] == pytest.approx(1.6875)
    assert pytest.approx(-0.28) == 18 / 25 - 1


def test_the_article_is_below_the_published_range():
    """50,000 / 5,000 = 10, below 15–30."""
    assert cost_ratios.benchmark(15, 30, "USD", "USD", date(2026, 10, 31)) == (15, 30) and 50_000 / 5_000 < 15


def test_the_published_range_in_another_currency_needs_a_rate():
    rates = pd.DataFrame({"date": ["2026-10-31"], "currency": ["USD"], "rate": [0.9]})
    assert cost_ratios.benchmark(15, 30, "USD", "EUR", date(2026, 10, 31), rates) == (13.5, 27.0)
    with pytest.raises(NotEnoughData, match="AED"):
        cost_ratios.benchmark(15, 30, "AED", "EUR", date(2026, 10, 31))


# two roads to one number


@pytest.mark.parametrize("margin, cost, discounts, n", [(8.0, 20.0, 1.0, 800), (30.0, 20.0, 10.0, 1000)])
def test_the_way_to_the_next_band_leads_there(margin, cost, discounts, n):
    """Cheaper by the amount named, or the same spend over that many more customers: both reach the boundary."""
    row = ratio(margin, cost, discounts, n)
    goal = {"adjust": 1.0, "watch": 3.0}[row["band"]]
    assert row["ltv"] / (cost - row["cheaper"]) == pytest.approx(goal)
    assert row["cheaper_total"] == pytest.approx(row["cheaper"] * n, abs=0.01)
    assert row["ltv"] / (cost * n / (n + row["more_customers"])) == pytest.approx(goal, rel=1e-3)


def test_discounts_are_not_counted_twice():
    """What is left after retention is the same whether discounts come off the margin or stand in the cost."""
    row = ratio(30.0, 20.0, 10.0)
    assert row["ltv"] - 20.0 == 30.0 - (20.0 - 10.0)


def test_five_points_more_retention_by_the_closed_form():
    """m(1+d)/(1+d−r) m the margin of a year of those who leave in it too, by summing months."""
    year, year_more = (sum(100 / 12 * r ** (t / 12) for t in range(1, 13)) for r in (0.80, 0.85))
    more = cost_ratios.retention_plus_5(100.0, 0.80, 1, 0.10)
    assert (more["year"], more["lifetime"]) == pytest.approx((year_more - year, year_more * 1.1 / 0.25 - year * 1.1 / 0.3))


def test_where_nobody_stays_there_is_no_margin_of_staying():
    with pytest.raises(NotEnoughData, match="Nobody who was active a year ago"):
        cost_ratios.staying_margin(88.0, 0.0)


def test_the_rows_of_the_tiers_are_all_existing_customers():
    """Two with a tier, one who left in the quarter, one won in it: the rows hold the first three, at their mean value."""
    valued = ibis.memtable({"customer_id": list("abcd"), "clv_residual": [9000, 1000, 500, 8000], "clv_historic": [0] * 4})
    tiered = ibis.memtable({"customer_id": list("abd"), "tier": ["vip", "low", "vip"]})
    customers = ibis.memtable({"customer_id": list("abc"), "home_market": ["DE"] * 3, "discount_rc": [500, 0, 100]})
    whole = pd.Series({"annual_cost": 30.0, "annual_cost_low": 27.0, "annual_cost_high": 33.0, "discounts": 8.0})
    rows = cost_ratios.ltv_by_tier(tiered, valued, customers, whole, "EUR")
    assert rows[["tier", "n"]].values.tolist() == [["vip", 1], ["low", 1], ["none", 1]]
    assert (rows["margin"] * rows["n"]).sum() == pytest.approx(90.0 + 10.0 + 5.0)
    assert (rows["annual_cost"] * rows["n"]).sum() / 3 == pytest.approx(whole["annual_cost"])


def test_the_interval_of_the_ratio_holds_the_truth_as_often_as_it_says():
    """200 shops: 400 customers worth 50 each on average, a fixed ledger of 3,000 a quarter; a year costs 30 each: 5 / 3.

    Half of the customers of a shop are active, drawn anew each time, as customers are."""
    inside, rng = 0, np.random.default_rng(11)
    for _ in range(200):
        active, worth = rng.random(800) < 0.5, rng.gamma(0.8, 5_000 / 0.8, 800).round().astype("int64")
        ids = [f"{k:03d}" for k in rng.permutation(800)]
        base = pd.DataFrame({"market": "DE", "bucket": [each[:2] for each in ids], "active_existing": active.astype(int),
                             "discount_rc": 0}).groupby(["market", "bucket"], as_index=False).sum()  # fmt: skip
        ledger = pd.DataFrame({"part": ["existing"], "market": ["DE"], "component": ["crm"], "amount_rc": [300_000]})
        valued = pd.DataFrame({"customer_id": ids, "clv_residual": worth, "clv_historic": 0})
        customers = ibis.memtable(pd.DataFrame({"customer_id": ids, "home_market": "DE"})[active])
        found = cost_ratios.ltv_to_retention_cost(
            cost_ratios.ltv_by_market(ledger, base, ibis.memtable(valued), customers, "EUR"))
        assert (found["low"] < found["value"]).all() and (found["value"] < found["high"]).all()
        inside += found.set_index("market").loc["all", "low"] <= 5 / 3 <= found.set_index("market").loc["all", "high"]
    assert 0.91 <= inside / 200 <= 0.99


# bad input and edges


def test_without_cost_or_margin_there_is_no_band():
    assert ratio(10.0, 0.0)["band"] == "" and ratio(float("nan"), 5.0)["band"] == ""


def test_a_healthy_ratio_has_no_next_band():
    row = ratio(100.0, 10.0)
    assert pd.isna(row["cheaper"]) and pd.isna(row["more_customers"])


def test_retention_above_one_is_refused_and_capped_when_raised():
    with pytest.raises(ValueError, match="between 0 and 1"):
        cost_ratios.retention_plus_5(1.0, 1.2, 1, 0.1)
    assert cost_ratios.retention_plus_5(12.0, 0.99, 1, 0.1)["year"] == pytest.approx(
        12.0 - sum(0.99 ** (t / 12) for t in range(1, 13)))


def test_cac_over_no_cost_is_no_number():
    none = cost_ratios.cac_to_retention_cost(Estimate(50.0, 40, 60, 10), Estimate(float("nan")))
    assert none.value != none.value
