"""effect.py: known values, two roads, simulated truths, bad input, edges."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _
from scipy import stats
from statsmodels.stats.proportion import confint_proportions_2indep

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.campaigns import effect

AS_OF = date(2026, 6, 30)
SENT = np.datetime64("2026-03-01")


def campaign(customers, lift=0.0, campaigns=1, holdout=0.5, seed=1, base=0.3):
    """Contacts and occasions of campaigns with a known lift of the repurchase share; spend before tells spend after."""
    rng = np.random.default_rng(seed)
    n = customers * campaigns
    ids = np.array([f"{k:06x}" for k in range(n)])
    held, taste = rng.random(n) < holdout, rng.lognormal(0, 0.8, n)
    back = rng.random(n) < base + lift * ~held
    contacts = pd.DataFrame({"campaign_id": np.repeat([f"c{k:03d}" for k in range(campaigns)], customers),
                             "customer_id": ids, "arm": np.where(held, "holdout", "treated"), "sent_date": SENT,
                             "cost_rc": np.where(held, 0, 30), "segment": rng.choice(["new", "regular"], n)})
    before = pd.DataFrame({"customer_id": ids, "date": SENT - rng.integers(1, 300, n), "margin_rc": 2_000 * taste})
    after = pd.DataFrame({"customer_id": ids, "date": SENT + rng.integers(0, 60, n), "margin_rc": 2_000 * taste})[back]
    bought = pd.concat([before, after], ignore_index=True).assign(home_market="DE")
    bought["margin_rc"] = bought["margin_rc"].round().astype("int64")
    days = {"date": "datetime64[s]"}
    return (ibis.memtable(contacts.astype({"sent_date": "datetime64[s]"})).cast({"sent_date": "date"}),
            ibis.memtable(bought.astype(days)).cast({"date": "date"}))


def row(table, outcome):
    return table.set_index("outcome").loc[outcome]


# known values


def test_repurchase_difference_of_a_pencil_example():
    """Half of 80 treated and a quarter of 40 held out come back: 25 points; interval by Newcombe."""
    table = effect.effects(effect.arm_sums(*effect._example(), date(2026, 4, 30)), "EUR")
    found = row(table, "repurchase")
    assert (found["treated"], found["holdout"], found["value"]) == (0.5, 0.25, 0.25)
    assert (found["n_treated"], found["n_holdout"]) == (80, 40)
    low, high = confint_proportions_2indep(40, 80, 10, 40, method="newcomb", compare="diff")
    assert (found["low"], found["high"]) == (pytest.approx(low), pytest.approx(high))


def test_margin_difference_is_in_major_units():
    """40 of 80 and 10 of 40 spend a margin of 12.00: 6.00 − 3.00 per customer; in yen the minor unit is the yen."""
    sums = effect.arm_sums(*effect._example(), date(2026, 4, 30))
    assert row(effect.effects(sums, "EUR"), "margin_raw")["value"] == pytest.approx(3.0)
    assert row(effect.effects(sums, "JPY"), "margin_raw")["value"] == pytest.approx(300.0)


def test_cost_per_kept_customer():
    """1,000 spent on 2,500 customers of whom 4 points (100 customers) more came back: 10 each."""
    found = effect.cost_per_kept(Estimate(0.04, 0.02, 0.06, 5_000), 2_500, 1_000.0)
    assert found[:3] == pytest.approx((10, 20 / 3, 20))


def test_cost_per_kept_customer_without_a_certain_effect():
    assert effect.cost_per_kept(Estimate(0.04, -0.01, 0.09, 100), 100, 10.0).high == np.inf
    assert np.isnan(effect.cost_per_kept(Estimate(-0.01, -0.05, 0.03, 100), 100, 10.0).value)


# two roads to one number


def test_sums_give_what_scipy_gives_on_customers():
    """Oracle: scipy's Welch test on one row per customer."""
    contacts, bought = campaign(600)
    found = row(effect.effects(effect.arm_sums(contacts, bought, AS_OF), "EUR"), "margin_raw")
    each = effect._outcomes(contacts, bought).execute()
    arms = [each.loc[each["arm"] == arm, "margin"] / 100 for arm in ("treated", "holdout")]
    welch = stats.ttest_ind(*arms, equal_var=False)
    assert found["p_value"] == pytest.approx(welch.pvalue)
    assert (found["low"], found["high"]) == pytest.approx(tuple(welch.confidence_interval()))


def test_cuped_is_the_regression_on_spend_before():
    """CUPED's theta is the slope within arms; the adjusted difference equals that of the arm dummy in OLS (large n)."""
    contacts, bought = campaign(4_000, lift=0.1)
    found = row(effect.effects(effect.arm_sums(contacts, bought, AS_OF), "EUR"), "margin")
    each = effect._outcomes(contacts, bought).execute()
    design = np.column_stack([np.ones(len(each)), each["arm"] == "treated", each["pre"]]).astype(float)
    slope = np.linalg.lstsq(design, each["margin"].to_numpy() / 100, rcond=None)[0][1]
    assert found["value"] == pytest.approx(slope, abs=1e-9)


def test_segments_add_up_to_the_campaign():
    contacts, bought = campaign(800)
    whole, parts = effect.arm_sums(contacts, bought, AS_OF), effect.arm_sums(contacts, bought, AS_OF, by=["segment"])
    for name in ("n", "bought", "margin", "cost_rc"):
        assert parts[name].sum() == pytest.approx(whole[name].sum())


def test_markets_come_from_the_customers():
    contacts, bought = campaign(200)
    assert effect.arm_sums(contacts, bought, AS_OF, by=["home_market"])["home_market"].unique().tolist() == ["DE"]


def test_customers_without_purchase_or_segment_are_a_group_of_their_own():
    """Two of 600 customers never bought and three have no segment: they are "unknown", and the rows add up to all."""
    contacts, bought = campaign(600)
    contacts = contacts.mutate(segment=ibis.ifelse(_.customer_id < "000003", None, _.segment))
    bought = bought.filter(_.customer_id >= "000002")
    for by, unknown in (("home_market", 2), ("segment", 3)):
        sums = effect.arm_sums(contacts, bought, AS_OF, by=[by])
        assert (sums["n"].sum(), sums.loc[sums[by] == "unknown", "n"].sum()) == (600, unknown)
        kept, left = effect.effects(sums, "EUR", [by]), effect.left_out(sums, by)
        assert left["codes"] == ["unknown"]
        assert kept.loc[kept["outcome"] == "margin", "n"].sum() + left["left"].value == left["n"] == 600


def test_what_an_action_did_is_told_by_segment():
    """Two segments of one campaign are two rows, each the difference in that segment; the pooled one is in neither."""
    contacts, bought = campaign(800, lift=0.1)
    contacts = contacts.mutate(action=ibis.literal("coupon"))
    found = effect.by_action(contacts, bought, AS_OF, "EUR").set_index("segment")["value"]
    for segment in ("new", "regular"):
        alone = effect.effects(effect.arm_sums(contacts.filter(_.segment == segment), bought, AS_OF), "EUR")
        assert found[segment] == pytest.approx(row(alone, "repurchase")["value"])


# simulated truths


def test_null_campaigns_are_called_one_time_in_twenty():
    """200 campaigns without any effect: the 5 % tests call 4 to 17 of them (99.8 % of draws), for each outcome."""
    contacts, bought = campaign(400, campaigns=200, seed=8)
    table = effect.effects(effect.arm_sums(contacts, bought, AS_OF), "EUR")
    called = table.assign(found=table["p_value"] < 0.05).groupby("outcome")["found"].sum()
    assert called.between(4, 17).all(), called.to_dict()
    covered = ((table["low"] <= 0) & (table["high"] >= 0)).groupby(table["outcome"]).mean()
    assert covered.between(0.91, 0.98).all(), covered.to_dict()
    assert table["called"].sum() <= 3  # after Benjamini–Hochberg over the 200


def test_intervals_cover_a_known_lift_and_cuped_narrows_them():
    contacts, bought = campaign(400, lift=0.08, campaigns=100, seed=9)
    table = effect.effects(effect.arm_sums(contacts, bought, AS_OF), "EUR")
    shares = table[table["outcome"] == "repurchase"]
    assert 0.89 <= ((shares["low"] <= 0.08) & (shares["high"] >= 0.08)).mean() <= 1.0
    assert shares["value"].mean() == pytest.approx(0.08, abs=0.02)
    width = (table["high"] - table["low"]).groupby(table["outcome"]).mean()
    assert width["margin"] < 0.95 * width["margin_raw"]


# bad input and edges


def test_outcome_window_holds_its_first_and_last_day():
    contacts, bought = effect._example()
    one = contacts.filter(_.customer_id == "000")
    for day, inside in (("2026-02-28", 0), ("2026-03-01", 1), ("2026-04-29", 1), ("2026-04-30", 0)):
        moved = bought.filter(_.customer_id == "000").mutate(date=ibis.date(day))
        assert effect._outcomes(one, moved).bought.max().execute() == inside, day


def test_a_campaign_still_running_is_left_out():
    contacts, bought = effect._example()
    assert effect.arm_sums(contacts, bought, date(2026, 4, 28)).empty
    assert len(effect.arm_sums(contacts, bought, date(2026, 4, 29))) == 2


def test_no_holdout_is_a_sentence():
    contacts, bought = effect._example()
    with pytest.raises(NotEnoughData, match="random holdout"):
        effect.effects(effect.arm_sums(contacts.filter(_.arm == "treated"), bought, date(2026, 4, 30)), "EUR")


def test_nothing_spent_before_leaves_the_raw_difference():
    contacts, bought = effect._example()
    after = bought.filter(_.date >= ibis.date("2026-03-01"))
    table = effect.effects(effect.arm_sums(contacts, after, date(2026, 4, 30)), "EUR")
    assert row(table, "margin")["value"] == pytest.approx(row(table, "margin_raw")["value"])


def test_nobody_came_back_anywhere():
    contacts, bought = effect._example()
    before = bought.filter(_.date < ibis.date("2026-02-01"))
    table = effect.effects(effect.arm_sums(contacts, before, date(2026, 4, 30)), "EUR")
    assert row(table, "repurchase")["p_value"] == 1.0
    assert not table["called"].any()
