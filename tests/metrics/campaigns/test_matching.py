"""matching.py: simulated selection taken out, bad input, edges."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.campaigns import matching

AS_OF = date(2026, 6, 30)


def selected_campaign(lift=0.0, seed=2):
    """A campaign sent to recent buyers only, who come back more often anyway; no holdout."""
    rng, n = np.random.default_rng(seed), 6_000
    ids, sent = np.array([f"{k:04x}" for k in range(n)]), np.datetime64("2026-03-01")
    ago = rng.integers(1, 200, n)
    treated = rng.random(n) < np.where(ago < 90, 0.6, 0.1)
    back = rng.random(n) < np.where(ago < 90, 0.5, 0.15) + lift * treated
    first = pd.DataFrame({"customer_id": ids, "date": sent - ago, "margin_rc": 1_000})
    again = pd.DataFrame({"customer_id": ids, "date": sent + rng.integers(0, 60, n), "margin_rc": 1_000})[back]
    bought = pd.concat([first, again]).assign(home_market="DE").astype({"date": "datetime64[s]"})
    contacts = pd.DataFrame({"campaign_id": "c", "customer_id": ids[treated], "arm": "none", "sent_date": "2026-03-01"})
    return ibis.memtable(contacts).cast({"sent_date": "date"}), ibis.memtable(bought).cast({"date": "date"})


@pytest.mark.parametrize("lift", [0.0, 0.10])
def test_matching_takes_out_who_was_chosen(lift):
    """The plain difference is biased by a third of the base rate; the matched one covers the truth."""
    contacts, bought = selected_campaign(lift)
    table = matching.matched_change(contacts, bought, AS_OF, "c", "EUR").set_index("outcome")
    assert table.loc["repurchase", "low"] <= lift <= table.loc["repurchase", "high"]
    assert table.loc["margin", "low"] <= lift * 10 <= table.loc["margin", "high"]
    assert (table["n"] / table["contacted"]).between(0.99, 1.0).all()


def test_the_matched_are_told_of_all_who_were_contacted():
    """A hundred of the contacted had bought nothing before: they find no match and are among the contacted all the same."""
    contacts, bought = selected_campaign()
    n = contacts.count().execute()
    new = contacts.limit(100).mutate(customer_id="new" + _.customer_id)
    known, more = (matching.matched_change(each, bought, AS_OF, "c", "EUR") for each in (contacts, contacts.union(new)))
    assert (known["contacted"].iloc[0], more["contacted"].iloc[0]) == (n, n + 100)
    assert more["n"].tolist() == known["n"].tolist()


def test_a_match_for_less_than_half_of_the_contacted_is_none():
    contacts, bought = selected_campaign()
    new = contacts.mutate(customer_id="new" + _.customer_id).union(contacts.limit(100).mutate(customer_id="x" + _.customer_id))
    with pytest.raises(NotEnoughData, match="matched"):
        matching.matched_change(contacts.union(new), bought, AS_OF, "c", "EUR")


def test_controls_of_another_campaign_are_left_out():
    contacts, bought = selected_campaign()
    others = bought.anti_join(contacts, "customer_id").select("customer_id").distinct().mutate(
        campaign_id=ibis.literal("other"), arm=ibis.literal("none"), sent_date=ibis.date("2026-03-10"))
    both = contacts.union(others.select(*contacts.columns))
    with pytest.raises(NotEnoughData, match="matched"):
        matching.matched_change(both, bought, AS_OF, "c", "EUR")


def test_when_everybody_was_written_to_the_year_before_is_compared():
    """A campaign to all 400 customers, who come back at the rate of the same kinds a year before: about no effect."""
    rng, n, sent = np.random.default_rng(6), 400, np.datetime64("2026-03-01")
    ids, rows = np.array([f"{k:03x}" for k in range(n)]), []
    for year in (364, 0):
        rows.append(pd.DataFrame({"customer_id": ids, "date": sent - year - 20}))
        rows.append(pd.DataFrame({"customer_id": ids[rng.random(n) < 0.4], "date": sent - year + 10}))
    bought = pd.concat(rows).assign(margin_rc=500, home_market="DE").astype({"date": "datetime64[s]"})
    contacts = pd.DataFrame({"campaign_id": "c", "customer_id": ids, "arm": "none", "sent_date": "2026-03-01"})
    tables = ibis.memtable(contacts).cast({"sent_date": "date"}), ibis.memtable(bought).cast({"date": "date"})
    # a year before everybody had bought once, now two or three times: no stratum in common
    with pytest.raises(NotEnoughData, match="matched"):
        matching.matched_change(*tables, AS_OF, "c", "EUR")
    new = tables[1].mutate(customer_id=_.customer_id + ibis.ifelse(_.date < ibis.date("2025-06-01"), "x", ""))
    table = matching.matched_change(tables[0], new, AS_OF, "c", "EUR").set_index("outcome")
    assert set(table["compared_with"]) == {"year_before"}
    assert table.loc["repurchase", "low"] < 0 < table.loc["repurchase", "high"]


def test_unfinished_and_unknown_campaigns_are_sentences():
    contacts, bought = selected_campaign()
    with pytest.raises(NotEnoughData, match="not over"):
        matching.matched_change(contacts, bought, date(2026, 3, 20), "c", "EUR")
    with pytest.raises(NotEnoughData, match="no treated"):
        matching.matched_change(contacts.filter(_.campaign_id == "x"), bought, AS_OF, "x", "EUR")
