"""Markets with the mix of all: direct standardisation and its variance."""

import numpy as np
import pandas as pd
import pytest

from helpers.estimates import with_wilson
from helpers.metrics.groups import standardise
from helpers.metrics.groups.standardise import SUMS, direct, moments, reversals, shares, strata_for


def by_age(rows):
    return shares(pd.DataFrame(rows, columns=["market", "age_band", "k", "of"]), "k", "of")


def raw(table):
    """The share of each market as it is."""
    return with_wilson(table.groupby("market", as_index=False)[["x", "n"]].sum(), "x", "n")


# known values


def test_direct_standardisation_by_hand():
    """Weights: new 400 of 460, old 60 of 460. A: .10 and .90; B: .15 and .80."""
    table = by_age([("A", "new", 10, 100), ("A", "old", 45, 50), ("B", "new", 45, 300), ("B", "old", 8, 10)])
    even = direct(table, True, ["age_band"]).set_index("market")["value"]
    assert even["A"] == pytest.approx((400 * 0.10 + 60 * 0.90) / 460)
    assert even["B"] == pytest.approx((400 * 0.15 + 60 * 0.80) / 460)
    assert raw(table)["value"].tolist() == pytest.approx([55 / 150, 53 / 310])


def test_the_variance_of_a_share_is_the_binomial_one():
    _value, variance = standardise._ratio(shares(pd.DataFrame({"k": [30], "of": [100]}), "k", "of")[SUMS])
    assert variance[0] == pytest.approx(0.3 * 0.7 / 99)


# two roads to one number


def test_the_variance_of_a_ratio_of_sums_is_that_of_a_bootstrap(con):
    """Order value of 2,000 customers who order 1 to 6 times: linearised against 2,000 resamples of customers."""
    draw = np.random.default_rng(5)
    times = draw.integers(1, 7, 2000)
    spend = times * draw.gamma(4, 20, 2000)
    units = con.create_table("units", pd.DataFrame({"market": "DE", "x": spend, "y": times.astype(float)}))
    table = moments(units, ["market"])
    picks = draw.integers(0, 2000, (2000, 2000))
    resampled = spend[picks].sum(axis=1) / times[picks].sum(axis=1)
    value, variance = standardise._ratio(table[SUMS])
    assert np.sqrt(variance[0]) == pytest.approx(resampled.std(), rel=0.06)
    assert value[0] == pytest.approx(spend.sum() / times.sum())


def test_equal_mix_changes_nothing():
    table = by_age(
        [
            (m, age, k, 100)
            for m, ks in {"A": (20, 60), "B": (30, 50)}.items()
            for age, k in zip(("new", "old"), ks, strict=True)
        ]
    )
    assert direct(table, True, ["age_band"])["value"].tolist() == pytest.approx(raw(table)["value"].tolist())


def test_the_interval_covers_the_truth_in_95_of_100():
    """300 simulated pairs of markets of different mix."""
    draw, hits = np.random.default_rng(8), 0
    for _ in range(300):
        k = draw.binomial([150, 50, 60, 140], [0.2, 0.5, 0.2, 0.5])
        rows = [("A", "new", k[0], 150), ("A", "old", k[1], 50), ("B", "new", k[2], 60), ("B", "old", k[3], 140)]
        found = direct(by_age(rows), True, ["age_band"]).iloc[0]
        truth = (210 * 0.2 + 190 * 0.5) / 400
        hits += found["low"] <= truth <= found["high"]
    assert 0.92 <= hits / 300 <= 0.98


def test_the_interval_of_a_small_rate_stays_inside_0_and_1_and_covers_the_truth():
    """300 times two markets of 120 customers in two strata: one in thirty (one in ten in the other stratum) sends all back."""
    draw, inside, below = np.random.default_rng(4), 0, 0
    age, market = np.tile(["new", "old"], 120), np.repeat(["A", "B"], 120)
    rate = np.where(age == "new", 1 / 30, 1 / 10)
    for _ in range(300):
        y = draw.integers(1, 5, 240).astype("float64")
        x = y * (draw.random(240) < rate)
        units = pd.DataFrame({"market": market, "age_band": age, "n": 1, "x": x, "y": y, "xx": x * x, "xy": x * y, "yy": y * y})
        table = units.groupby(["market", "age_band"], as_index=False)[SUMS].sum()
        found = direct(table, True, ["age_band"]).iloc[0]
        weights = table.groupby("age_band")["y"].sum()
        truth = (weights["new"] / 30 + weights["old"] / 10) / weights.sum()
        assert 0 <= found["low"] < found["high"] <= 1
        inside, below = inside + (found["low"] <= truth <= found["high"]), below + (found["value"] < 1.96 * found["se"])
    assert below > 0  # what the plain normal interval does
    assert 0.92 <= inside / 300 <= 0.98


def test_a_rate_of_nothing_is_not_certain():
    units = {"market": ["A", "B"], "age_band": "new", "n": 30, "x": [0.0, 9.0], "y": 60.0, "xx": [0.0, 30.0],
             "xy": [0.0, 30.0], "yy": 130.0}
    nothing = direct(pd.DataFrame(units), True, ["age_band"]).iloc[0]
    assert (nothing["value"], nothing["low"]) == (0, 0) and 0.05 < nothing["high"] < 0.2


# Simpson's paradox


def test_simulated_markets_whose_raw_order_is_the_reverse_of_the_standardised_one():
    """B's customers come back more in every channel; A has mostly the loyal channel, so A looks better as it is."""
    draw, rows = np.random.default_rng(2), []
    for market, mix, lift in (("A", 0.9, 0.0), ("B", 0.2, 0.05), ("C", 0.5, 0.10)):
        referral = draw.random(4000) < mix
        back = draw.random(4000) < np.where(referral, 0.40, 0.10) + lift
        frame = pd.DataFrame(
            {
                "market": market,
                "age_band": "00–03",
                "first_product_category": "tea",
                "back": back,
                "first_acquisition_channel": np.where(referral, "referral", "paid"),
                "of": 1,
            }
        )
        rows.append(frame)
    table = shares(
        pd.concat(rows).groupby(["market", *standardise.STRATA])[["back", "of"]].sum().reset_index(), "back", "of"
    )
    plain, even = raw(table), direct(table, True, standardise.STRATA)
    assert plain.sort_values("value")["market"].tolist() == ["B", "C", "A"]
    assert even.sort_values("value")["market"].tolist() == ["A", "B", "C"]
    turned = reversals(plain, even)
    assert turned[["better", "worse"]].values.tolist() == [["A", "C"], ["A", "B"]]
    assert (turned["raw"] > 0).all() and (turned["standardised"] < 0).all()


def test_the_sentence_says_so():
    from helpers.report.wording import Words

    said = Words("en", "EUR").say(
        "markets.simpson", better="DE", worse="JP", raw=0.12, even=0.05, pairs=1, measure="buying again"
    )
    assert "As they are, Germany is ahead of Japan" in said and "one of mix" in said


# edges


def test_a_market_without_a_stratum_is_compared_on_the_rest_and_says_how_much_that_is():
    table = by_age([("A", "new", 10, 100), ("A", "old", 50, 100), ("B", "old", 30, 60)])
    found = direct(table, True, ["age_band"]).set_index("market")
    assert found.loc["B", "value"] == 0.5 and found.loc["B", "coverage"] == pytest.approx(160 / 260)
    assert found.loc["A", "coverage"] == 1


def test_small_cells_do_not_pretend_to_be_certain():
    """One customer of one: without a variance of its own the stratum's is taken, never zero."""
    table = by_age([("A", "new", 1, 1), ("B", "new", 50, 100)])
    assert direct(table, True, ["age_band"]).set_index("market").loc["A", "se"] == pytest.approx(0.5, rel=0.05)


def test_strata_are_as_fine_as_the_markets_share():
    names = ["market", *standardise.STRATA, "k", "of"]
    fine = [(m, "new", channel, "tea", 1, 5) for m in ("A", "B") for channel in ("paid", "mail")]
    assert strata_for(shares(pd.DataFrame(fine, columns=names), "k", "of")) == standardise.STRATA
    coarse = [("A", "new", "paid", "tea", 1, 5), ("B", "new", "paid", "mugs", 1, 5)]
    assert strata_for(shares(pd.DataFrame(coarse, columns=names), "k", "of")) == standardise.STRATA[:2]


def test_shares_carry_their_sums_as_integers():
    assert shares(pd.DataFrame({"k": [0], "of": [0]}), "k", "of")[SUMS].iloc[0].tolist() == [0] * 6


def test_nobody_is_not_certainly_nobody():
    """0 of 30: the standardised interval ends where Wilson's does, not at zero."""
    table = by_age([("A", "new", 0, 30), ("B", "new", 0, 40)])
    assert direct(table, True, ["age_band"])["high"].tolist() == raw(table)["high"].tolist()
