"""playbook.py: known values, limits kept, holdouts, edges."""

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _

from helpers.metrics.campaigns import playbook
from helpers.metrics.risk.segments import SEGMENTS

COUPON = {"name": "coupon", "segment": "lapsed", "channel": "email", "unit_cost": 1.0, "effect": 0.05}
CALL = COUPON | {"name": "call", "channel": "phone", "unit_cost": 4.0, "effect": 0.20, "needs_consent": False}


def customers(n=400, seed=1, consent=0.7):
    rng = np.random.default_rng(seed)
    ids = [f"{k:06x}" for k in range(n)]
    who = pd.DataFrame({"customer_id": ids, "segment": "lapsed", "home_market": rng.choice(["DE", "JP"], n),
                        "churn_probability": rng.random(n), "kept_rc": rng.lognormal(9, 0.7, n)})
    may = pd.DataFrame({"customer_id": ids, "consent_email": rng.random(n) < consent})
    may["consent_sms"] = rng.random(n) < 0.3
    return ibis.memtable(who), ibis.memtable(may)


def chosen(plays=(COUPON,), budget=None, **more):
    who, may = customers()
    return playbook.choose(who, playbook.actions(plays), may, "EUR", budget=budget, **more)


# known values


def test_expected_value_by_hand():
    """5 points of 100.00 kept are 5.00, less 1.00; a customer who leaves with 2 % can be kept 2 points at most."""
    who = ibis.memtable({"customer_id": ["a", "b"], "segment": ["lapsed"] * 2, "home_market": ["DE"] * 2,
                         "churn_probability": [0.5, 0.02], "kept_rc": [10_000.0] * 2})
    may = ibis.memtable({"customer_id": ["a", "b"], "consent_email": [True] * 2, "consent_sms": [True] * 2})
    found = playbook.choose(who, playbook.actions([COUPON]), may, "EUR")
    assert found["expected_value"].tolist() == pytest.approx([4.0, 1.0])
    assert found["cost"].tolist() == [1.0, 1.0]


def test_the_better_action_is_taken_for_each_customer():
    found = chosen([COUPON, CALL])
    value = found.set_index("customer_id")
    who = customers()[0].execute().set_index("customer_id")
    call = np.minimum(0.20, who["churn_probability"]) * who["kept_rc"] / 100 - 4
    coupons = value[value["action"] == "coupon"]
    assert (coupons["expected_value"] >= call[coupons.index]).all()
    assert set(value["action"]) == {"coupon", "call"}
    assert value["expected_value"].gt(0).all()


def test_the_default_playbook_has_an_action_for_every_segment():
    plays = playbook.actions()
    assert set(plays["segment"]) == set(SEGMENTS)
    assert plays["name"].is_unique
    assert (plays["effect_source"] == "assumption").all()


# limits kept


@pytest.mark.parametrize("budget", [0, 10, 37.5, 1_000])
def test_the_treated_fit_the_budget(budget):
    """Of each stratum a tenth waits, so treated customers cost nine tenths of the list, up to one rounded customer."""
    found = chosen(budget=budget)
    assert 0.9 * found["cost"].sum() <= budget
    if budget == 37.5:
        assert len(found) == 41


@pytest.mark.parametrize(("budget", "over"), [(60, False), (120, True), (200, False)])
def test_whom_the_draw_leaves_to_treat_fits_the_budget_to_the_cent(budget, over):
    """Of 34 customers 3.4 should be held out, and 3 are: 120.00 would become 121.00."""
    found = chosen([COUPON, CALL], budget=budget)
    draw = np.random.default_rng(3).random(len(found))
    free, kept = (playbook.arms(found.assign(draw=draw), 0.10, each) for each in (None, budget))
    spent, left = (each.loc[each["arm"] == "treated", "cost"].sum() for each in (free, kept))
    assert (spent > budget) == over == (len(kept) < len(free))
    assert budget - free["cost"].max() < left <= budget
    assert kept.equals(free.head(len(kept))), "the last rows, which are worth least for their cost, go"


def test_money_goes_where_it_does_most():
    few, all_of_them = chosen(budget=30), chosen()
    worth = all_of_them.set_index("customer_id")["expected_value"]
    assert few["expected_value"].min() >= worth.drop(few["customer_id"]).max()


def test_without_consent_nobody_is_written_to():
    found, may = chosen(), customers()[1].execute().set_index("customer_id")
    assert may.loc[found["customer_id"], "consent_email"].all()
    who, unknown = customers(consent=0)
    unknown = unknown.mutate(consent_email=ibis.null("boolean"))
    assert playbook.choose(who, playbook.actions([COUPON]), unknown, "EUR").empty


def test_an_action_without_need_of_consent_asks_for_none():
    who, may = customers(consent=0)
    assert len(playbook.choose(who, playbook.actions([CALL]), may, "EUR")) > 0


def test_text_messages_ask_for_their_own_consent():
    found, may = chosen([COUPON | {"channel": "sms"}]), customers()[1].execute().set_index("customer_id")
    assert may.loc[found["customer_id"], "consent_sms"].all()


def test_customers_written_to_lately_are_left_out():
    who, _may = customers()
    recent = who.filter(_.home_market == "DE").select("customer_id")
    assert set(chosen(contacted=recent)["market"]) == {"JP"}


def test_an_action_of_one_market_stays_there():
    assert set(chosen([COUPON | {"market": "JP"}])["market"]) == {"JP"}


# holdouts


def test_every_stratum_holds_out_its_share():
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"segment": np.repeat(["lapsed", "steady"], [200, 53]), "action": "a", "draw": rng.random(253)})
    arms = playbook.arms(rows, 0.10)
    assert (arms["arm"] == "holdout").groupby(arms["segment"]).sum().to_dict() == {"lapsed": 20, "steady": 5}
    assert rows.loc[arms["arm"] == "holdout", "draw"].max() < 0.25


def test_no_holdout_when_none_is_wanted():
    rows = pd.DataFrame({"segment": "lapsed", "action": "a", "draw": [0.0, 0.5]})
    assert playbook.arms(rows, 0.0)["arm"].tolist() == ["treated", "treated"]


def test_plan_adds_up():
    found = chosen([COUPON, CALL])
    listed = playbook.arms(found.assign(draw=np.random.default_rng(3).random(len(found))), 0.10)
    table = playbook.plan(listed)
    assert (table["n"] + table["holdout"]).sum() == len(found)
    assert table["value"].sum() == pytest.approx(listed.loc[listed["arm"] == "treated", "expected_value"].sum())


# edges


def test_an_empty_list_is_a_table_without_rows():
    found = chosen(budget=0)
    listed = playbook.arms(found.assign(draw=0.5), 0.10)
    assert listed.empty
    assert playbook.plan(listed).empty
