"""actions.py: arms that cannot be guessed or redrawn, lists that stay as they were issued."""

import stat
from datetime import date
from types import SimpleNamespace

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers import actions
from helpers.estimates import MissingTable


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """What a client is to this module: a folder, a day, a market, a contact gap and, perhaps, campaigns."""
    monkeypatch.setenv("WORKBOOK_KEYS", str(tmp_path / "keys"))
    rules = SimpleNamespace(contact_gap_days=30, holdout_share=0.1, planned_holdouts={"easter": 0.3})
    settings = SimpleNamespace(client="acme", folder=tmp_path / "acme", playbook=rules)
    bought = ibis.memtable({"customer_id": ["c0", "c2"]})

    def at(as_of=date(2026, 10, 31), market="", campaigns=None):
        def table(_name):
            if campaigns is None:
                raise MissingTable("The table campaigns was not supplied.")
            return campaigns

        return SimpleNamespace(settings=settings, as_of=as_of, market=market, currency="EUR", occasions=bought,
                               has=lambda name: campaigns is not None, table=table)

    return at


def listed(n=10, market="DE"):
    arm = np.where(np.arange(n) % 10 == 0, "holdout", "treated")
    value = {"expected_value": 1 / 3 + np.arange(n), "low": -0.1, "high": 2.0, "cost": 0.8, "churn_probability": 0.4}
    who = {"customer_id": [f"c{k}" for k in range(n)], "segment": "lapsed", "action": "win-back coupon"}
    return pd.DataFrame(who | {"channel": "email", "arm": arm, "market": market} | value)


def send(shop, month="2026-10"):
    """What `workbook contacts` leaves beside a list."""
    (shop().settings.folder / "actions" / f"{month}-contacts.csv").write_text("email\n")


# draws


def test_draws_are_uniform_and_belong_to_customer_and_campaign(shop):
    ids = pd.Series([f"{k:08x}" for k in range(4_000)])
    first, again, other = (actions.draws(shop(), ids, f"list-2026-{month}") for month in (10, 10, 11))
    pd.testing.assert_series_equal(first, again)
    assert abs(np.corrcoef(first, other)[0, 1]) < 0.05
    counts = np.histogram(first, bins=10, range=(0, 1))[0]
    assert ((counts - 400) ** 2 / 400).sum() < 27.9  # chi-square, 9 degrees, p = 0.001
    assert actions.draws(shop(), ids[2_000:], "list-2026-10").tolist() == first[2_000:].tolist()


def test_another_key_draws_other_arms(shop, tmp_path, monkeypatch):
    ids = pd.Series(["a", "b", "c"])
    mine = actions.draws(shop(), ids, "x")
    monkeypatch.setenv("WORKBOOK_KEYS", str(tmp_path / "elsewhere"))
    assert not np.isclose(mine, actions.draws(shop(), ids, "x")).any()


# issued once


def test_a_list_is_issued_once_and_then_frozen(shop):
    first = actions.issue(shop(), "2026-10", listed())
    assert actions.is_issued(shop(), "2026-10")
    changed = listed(20).assign(arm="treated")
    pd.testing.assert_frame_equal(actions.issue(shop(), "2026-10", changed), first)
    pd.testing.assert_frame_equal(first, listed()[list(actions.COLUMNS)], check_dtype=False)


def test_only_its_owner_may_read_it(shop):
    actions.issue(shop(), "2026-10", listed())
    assert stat.S_IMODE(actions.list_path(shop(), "2026-10").stat().st_mode) == 0o600
    assert [p.name for p in actions.list_path(shop(), "2026-10").parent.iterdir()] == ["2026-10.csv"]


def test_no_list_for_one_market_or_before_the_months_end(shop):
    for early in (shop(market="DE"), shop(as_of=date(2026, 10, 30))):
        assert len(actions.issue(early, "2026-10", listed())) == 10
        assert not actions.is_issued(early, "2026-10")


def test_one_market_sees_its_part_of_the_issued_list(shop):
    actions.issue(shop(), "2026-10", pd.concat([listed(4), listed(3, "JP")]))
    assert len(actions.issue(shop(market="JP"), "2026-10", listed(9, "JP"))) == 3


def test_formulas_are_quoted_for_spreadsheets_and_read_back(shop):
    rows = listed(3).assign(action=["=cmd|'/c calc'!A0", "+1", "plain"])
    back = actions.issue(shop(), "2026-10", rows)
    assert back["action"].tolist() == rows["action"].tolist()
    text = actions.list_path(shop(), "2026-10").read_text()
    assert ",'=cmd" in text
    assert ",=cmd" not in text


def test_an_empty_list_is_issued_too(shop):
    assert actions.issue(shop(), "2026-10", listed(0)).empty
    assert actions.issue(shop(), "2026-10", listed()).empty


def test_a_month_is_no_path(shop):
    with pytest.raises(ValueError, match="not a month"):
        actions.list_path(shop(), "../../etc/passwd")


# read back as contacts


def test_a_list_nobody_fetched_addresses_for_was_not_sent(shop):
    actions.issue(shop(), "2026-10", listed())
    november = shop(as_of=date(2026, 11, 30))
    with pytest.raises(MissingTable):
        actions.contacts(november)
    send(shop)
    sent = actions.contacts(november).order_by("customer_id").execute()
    assert sent["campaign_id"].unique().tolist() == ["list-2026-10"]
    assert sent["cost_rc"].tolist() == [0] + [80] * 9
    assert pd.Timestamp(sent["sent_date"].iloc[0]).date() == date(2026, 11, 1)


def test_a_list_of_the_future_is_not_seen(shop):
    actions.issue(shop(), "2026-10", listed())
    send(shop)
    with pytest.raises(MissingTable):
        actions.contacts(shop(as_of=date(2026, 10, 31)))


def campaigns(name):
    rows = {"campaign_id": [name], "customer_id": ["c9"], "arm": ["treated"], "sent_date": ["2026-11-02"],
            "channel": ["email"], "action": ["win-back coupon"], "segment": ["lapsed"], "cost_rc": [70]}
    return ibis.memtable(rows).cast({"sent_date": "date"})


def test_an_export_of_the_mailing_tool_comes_before_the_list(shop):
    actions.issue(shop(), "2026-10", listed())
    send(shop)
    day = date(2026, 11, 30)
    assert actions.contacts(shop(day, campaigns=campaigns("list-2026-10"))).count().execute() == 1
    assert actions.contacts(shop(day, campaigns=campaigns("spring"))).count().execute() == 11


def test_the_planned_holdout_is_known_for_lists_issued_here_and_campaigns_the_client_names(shop):
    actions.issue(shop(), "2026-10", listed())
    send(shop)
    november = shop(date(2026, 11, 30))
    assert actions.planned_holdout(november, "list-2026-10") == 0.1
    assert actions.planned_holdout(november, "easter") == 0.3
    assert actions.planned_holdout(november, "spring") is None


def test_one_market_sees_its_own_contacts(shop):
    actions.issue(shop(), "2026-10", listed())
    send(shop)
    found = actions.contacts(shop(date(2026, 11, 30), market="DE")).execute()
    assert sorted(found["customer_id"]) == ["c0", "c2"]


def test_both_arms_rest_after_a_contact(shop):
    actions.issue(shop(), "2026-10", listed())
    send(shop)
    assert actions.recently_contacted(shop(date(2026, 11, 30))).count().execute() == 10
    assert actions.recently_contacted(shop(date(2026, 12, 1))).count().execute() == 0
    assert actions.recently_contacted(shop()) is None
