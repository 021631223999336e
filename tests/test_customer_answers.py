"""Notebooks 01, 02, 06, 07 and 08 on the demo, against what is true about it."""

import re
import stat

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from report_runs import ROOT, headline

from helpers.demo.people import LAST

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


def test_the_list_expects_of_the_lapsed_what_was_seen_in_the_lapsed(rows, issued):
    """The assumed 3 points (0 to 6) and the experiment's result in this segment, weighed by their certainty, by hand."""
    seen, assumed = headline(rows, "campaign_lift", MONTH, campaign=CAMPAIGN, segment="lapsed"), 0.03
    half = (seen["high"] - seen["low"]) / 2
    weight = assumed**2 / (assumed**2 + half**2)
    effect = weight * seen["value"] + (1 - weight) * assumed
    high = effect + weight**0.5 * half
    mine = issued[(issued["action"] == "win-back coupon") & (issued["churn_probability"] > high)]
    assert set(mine["segment"]) == {"lapsed"}
    ratio = (mine["expected_value"] + mine["cost"]).sum() / (mine["high"] + mine["cost"]).sum()
    assert ratio == pytest.approx(effect / high, abs=0.001)


def test_as_many_are_active_a_year_later_as_truly_bought(rows, demo_truth):
    """Oracle: the simulation's own purchases, in days since its beginning."""
    last, window = LAST, 175
    days = demo_truth.occasions[["person", "day"]]
    then, now = (set(days.loc[days["day"].between(end - window + 1, end), "person"]) for end in (last - 365, last))
    found = headline(rows, "active_after_a_year", MONTH)
    assert found["n"] == pytest.approx(len(then), rel=0.01)
    assert found["value"] == pytest.approx(len(then & now) / len(then), abs=0.01)


def test_the_pages_on_coming_back_and_leaving_say_what_moved_and_who_stands_where(demo_run, rows):
    folder = demo_run.home / "reports" / "demo" / MONTH
    back, lost = ((folder / f"{name}.html").read_text(encoding="utf-8") for name in ("01_cohort_retention", "02_churn_rate"))
    before = headline(rows, "repeat_purchase_rate", "2026-09")["value"]
    assert f"from {before:.1%} in September 2026" in back
    assert re.search(r"Japan: \d\d% come back; United Arab Emirates: \d\d%", back)
    assert "lapsed" not in lost
    assert "first_seen_known_before" not in {row["metric"] for row in rows}  # the demo's history is complete


def test_nobody_who_was_invited_or_contacted_is_left_unsaid(demo_run):
    """Customers without a purchase that counts: a bar of their own among the invited, a sentence among the contacted."""
    folder = demo_run.home / "reports" / "demo" / MONTH
    assert "No purchase that counts</text>" in (folder / "08_customer_voice.html").read_text(encoding="utf-8")
    assert "are in no row, since fewer than 30" in (folder / "07_campaign_effect.html").read_text(encoding="utf-8")


def test_recency_is_a_text_nobody_can_take_for_a_number(rows):
    """A BI tool that read the oldest class as 0 days took it for the newest."""
    spans = {row["recency"] for row in rows if row["metric"] == "margin_12m"}
    assert {"0–29"} < spans
    assert not any(str(span).isdigit() for span in spans)


def test_models_of_leaving_tell_more_than_chance(rows):
    aucs = [row for row in rows if row["metric"] == "churn_probability_auc"]
    assert {row["model"] for row in aucs} == {"alive", "signals"}
    assert all(row["low"] > 0.6 for row in aucs)


def test_the_title_of_the_calibration_says_what_its_sentences_say(demo_run):
    page = (demo_run.home / "reports" / "demo" / MONTH / "06_customers_at_risk.html").read_text(encoding="utf-8")
    more = re.search(r"([\d.]+ points) \(95% interval [^)]*\) more left than it had expected", page.replace("&nbsp;", " "))
    assert f"<strong>{more[1]} more left than was predicted</strong>" in page
    assert re.search(r"Tenth by tenth, the share that left lies [\d.]+ points from the chance predicted", page)


def test_few_held_out_are_counted_on_no_page(demo_run, issued):
    page = (demo_run.home / "reports" / "demo" / MONTH / "06_customers_at_risk.html").read_text(encoding="utf-8")
    tables = BeautifulSoup(page, "html.parser").select("figure.table")
    table = next(each for each in tables if each.figcaption.text.startswith("The list by segment"))
    held = [row.select("td")[4].text for row in table.select("tbody tr")]
    arms = issued[issued["arm"] == "holdout"].groupby(["segment", "action"]).size()
    assert (arms < 10).any() and "·" in held
    assert all(int(each) >= 10 for each in held if each != "·")


def test_the_titles_of_the_scores_say_what_moved(demo_run):
    """A title over a year must not hide what its sentence says of the last quarter."""
    page = (demo_run.home / "reports" / "demo" / MONTH / "08_customer_voice.html").read_text(encoding="utf-8")
    moved = re.search(r"In the last three months [^<]* were satisfied: (down|up|not clearly|the same)", page)[1]
    title = {"down": "Satisfaction fell to", "up": "Satisfaction rose to"}.get(moved, "satisfied over twelve months")
    assert re.search(f"<strong>[^<]*{title}", page)


def test_customers_without_a_purchase_are_told_where_all_are_counted(demo_run):
    page = (demo_run.home / "reports" / "demo" / MONTH / "00_data_check.html").read_text(encoding="utf-8")
    more, known = re.search(r"([\d,]+) customers more have orders and no purchase that counts.*speak of the other ([\d,]+)", page).groups()
    assert int(more) >= 10
    assert f"fitted to {known} customers" in (demo_run.home / "reports" / "demo" / MONTH / "04_clv_to_cac.html").read_text(encoding="utf-8")


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
    """By definition: 12-month expected margin per active customer, as page 04 publishes it; not what last year brought."""
    churned, each = headline(rows, "churn_rate", MONTH), headline(rows, "clv_12m", MONTH)
    lost, risk = round(churned["value"] * churned["n"]), headline(rows, "value_at_risk", MONTH)
    assert risk["n"] == lost
    assert all(risk[end] == pytest.approx(lost * each[end]) for end in ("value", "low", "high"))
    assert headline(rows, "lost_margin_realised", MONTH)["value"] != pytest.approx(risk["value"], rel=0.01)


def test_every_published_metric_is_in_the_list_of_metrics_and_none_else(rows):
    """reports/README.md says what each metric is; names that the demo has no data for are published somewhere all the same."""
    page = (ROOT / "reports" / "README.md").read_text(encoding="utf-8")
    listed = {name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line.split("|")[1])}
    published = {row["metric"].replace("_by_month", "") if row["metric"].startswith("ces_") else row["metric"] for row in rows}
    assert published <= listed, "not in reports/README.md"
    calls = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert {name for name in listed - published if f'publish(\\"{name}' not in calls} == set(), "published nowhere"
