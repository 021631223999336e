"""Notebooks 06, 07 and 08 on the demo, against what is true about it."""

import stat

import pandas as pd
import pytest
from report_runs import headline

MONTH, CAMPAIGN = "2026-10", "winback-2026-08"


@pytest.fixture(scope="module")
def rows(demo_run):
    return demo_run.metrics("demo", MONTH)


@pytest.fixture(scope="module")
def issued(demo_run):
    return pd.read_csv(demo_run.home / "data" / "demo" / "actions" / f"{MONTH}.csv")


def test_the_interval_of_the_campaign_covers_its_true_effect(rows, demo_truth):
    lift = headline(rows, "campaign_lift", MONTH, campaign=CAMPAIGN)
    assert lift["low"] <= demo_truth.campaign_lift <= lift["high"]


def test_models_of_leaving_tell_more_than_chance(rows):
    aucs = [row for row in rows if row["metric"] == "churn_probability_auc"]
    assert {row["model"] for row in aucs} == {"alive", "signals"}
    assert all(row["low"] > 0.6 for row in aucs)


def test_expected_and_seen_churn_are_of_one_size(rows):
    share = headline(rows, "expected_churn", MONTH)
    assert 0.2 < share["low"] < share["high"] < 0.7


def test_scores_of_the_year_are_near_those_of_all_answers(rows, demo_truth):
    for market, score in demo_truth.nps.items():
        row = headline(rows, "nps", MONTH, market=market)
        assert row["low"] - 15 <= score <= row["high"] + 15, market


def test_the_list_is_issued_frozen_and_private(demo_run, issued):
    path = demo_run.home / "data" / "demo" / "actions" / f"{MONTH}.csv"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert issued["customer_id"].is_unique
    assert not list((demo_run.home / "reports").rglob("*.csv"))


def test_a_tenth_of_every_stratum_is_held_out(issued):
    held = (issued["arm"] == "holdout").groupby([issued["segment"], issued["action"]]).agg(["sum", "size"])
    assert (held["sum"] - 0.1 * held["size"]).abs().max() <= 0.5


def test_no_customer_of_the_list_stands_in_a_report(demo_run, issued):
    pages = "".join(p.read_text(encoding="utf-8") for p in (demo_run.home / "reports").rglob("*.html"))
    assert not any(customer in pages for customer in issued["customer_id"].head(200))


def test_value_at_risk_is_the_lost_times_the_margin_expected_of_an_active_customer(rows):
    """metrics.md: 12-month expected margin per active customer, as page 04 publishes it; not what last year brought."""
    churned, each = headline(rows, "churn_rate", MONTH), headline(rows, "clv_12m", MONTH)
    lost, risk = round(churned["value"] * churned["n"]), headline(rows, "value_at_risk", MONTH)
    assert risk["n"] == lost
    assert all(risk[end] == pytest.approx(lost * each[end]) for end in ("value", "low", "high"))
    assert headline(rows, "lost_margin_realised", MONTH)["value"] != pytest.approx(risk["value"], rel=0.01)
