"""The front page's numbers: this report's own history first, then earlier reports."""

import json
from types import SimpleNamespace

import pytest

from helpers.report import index
from helpers.report.wording import Words

WORDS = Words("en", "EUR")


def row(metric, value, period, unit="fraction", **more):
    half = {"low": value * 0.98, "high": value * 1.02, "n": 900}
    return {"metric": metric, "value": value, "unit": unit, "period": period, "notebook": "02_churn_rate"} | half | more


def card(rows, earlier=()):
    (made,) = index.cards(list(rows), list(earlier), "2026-10", WORDS)
    return made


def test_only_rows_for_the_whole_client_are_headlines():
    rows = [row("churn_rate", 0.2, "2026-10", market="DE"), row("churn_rate", 0.3, "2026-10", tier="vip"),
            row("churn_rate", 0.25, "2026-10")]  # fmt: skip
    assert card(rows)["value"] == "25.0%"
    assert index._headline_rows(rows, "DE")["churn_rate", "2026-10"]["value"] == 0.2


@pytest.mark.parametrize(("metric", "tone"), [("churn_rate", "bad"), ("repeat_purchase_rate", "good")])
def test_more_churn_is_bad_and_more_repeat_purchases_are_good(metric, tone):
    rows = [row(metric, 0.25, "2026-10"), row(metric, 0.20, "2026-09"), row(metric, 0.251, "2025-10")]
    assert card(rows)["changes"] == [
        (tone, "up 5.0 points from 20.0% in September 2026"), ("", "not clearly changed from 25.1% in October 2025")
    ]  # fmt: skip


def test_what_is_printed_alike_is_the_same_whatever_its_interval():
    rows = [row("churn_rate", 0.25, "2026-10"), row("churn_rate", 0.2501, "2026-09"), row("churn_rate", 0.20, "2025-10")]
    assert card(rows)["changes"][0] == ("", "the same as in September 2026")
    near = [row("nps", 36.6, "2026-10", "points"), row("nps", 36.4, "2026-09", "points")]  # 37 and 36, a difference of 0
    assert card(near)["changes"] == [("", "not clearly changed from 36 in September 2026")]


def test_earlier_reports_fill_the_months_this_one_does_not_know():
    known = {"2026-09": 30.0, "2026-08": 28.0, "2026-10": 1.0}
    earlier = [row("clv_12m", value, month, "EUR") for month, value in known.items()]
    made = card([row("clv_12m", 33.0, "2026-10", "EUR")], earlier)
    assert made["value"] == "€33.00"
    assert made["changes"] == [("good", "up €3.00 from €30.00 in September 2026")]
    assert "from Aug 2026 (€28.00) to Oct 2026 (€33.00)" in made["spark"]


def test_a_line_stops_at_the_first_month_nobody_knows():
    months = ["2026-10", "2026-09", "2025-10"]
    assert card([row("churn_rate", 0.2, month) for month in months])["spark"] == ""
    made = card([row("churn_rate", 0.2, month) for month in [*months, "2026-08"]])
    assert "from Aug 2026" in made["spark"]
    assert made["spark"].count(",") == 3


def test_two_months_make_no_line():
    assert card([row("churn_rate", 0.2, "2026-10"), row("churn_rate", 0.2, "2026-09")])["spark"] == ""


def test_a_headline_on_too_few_customers_has_no_card():
    hidden = {"metric": "nps", "unit": "points", "period": "2026-10", "notebook": "08", "suppressed": True}
    assert not index.cards([hidden, row("nps", 30.0, "2026-09", "points")], [], "2026-10", WORDS)


@pytest.mark.parametrize(("metric", "unit", "text"), [
    ("payback_months", "months", "7 months"), ("clv_to_cac", "ratio", "7.0×"), ("nps", "points", "7"),
])  # fmt: skip
def test_a_headline_is_written_in_its_unit(metric, unit, text):
    assert card([row(metric, 7.0, "2026-10", unit)])["value"] == text


@pytest.mark.parametrize(("ends", "text"), [
    ({"low": 4.0, "high": 6.0, "n": 900}, "4 to 6 months, n = 900"),
    ({"low": 5.0, "high": 5.0, "n": 900}, "95% interval: no other month, n = 900"),
    ({"low": 4.0, "high": None, "n": 900}, "4 months at least, the later end not yet seen, n = 900"),
    ({"low": None, "high": None, "n": 900}, "n = 900"),
    ({"low": None, "high": None, "n": None}, ""),
])  # fmt: skip
def test_a_headline_says_its_interval_and_its_n_and_why_there_is_none(ends, text):
    known = {name: value for name, value in (row("payback_months", 5.0, "2026-10", "months") | ends).items() if value is not None}
    assert card([known])["interval"] == text


def test_a_share_carries_its_n():
    assert card([row("churn_rate", 0.2, "2026-10", low=0.19, high=0.21)])["interval"] == "19.0% to 21.0%, n = 900"


def test_earlier_reports_are_the_good_monthly_ones_of_the_same_market(tmp_path):
    for name in ("2026-08", "2026-09", "2026-10", "2026-09-DE", "2026-09.failed", "2026-09-15", ".2026-09.12"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps([{"metric": name}]), encoding="utf-8")
    assert [r["metric"] for r in index.earlier_rows(tmp_path, "2026-10")] == ["2026-09", "2026-08"]
    assert [r["metric"] for r in index.earlier_rows(tmp_path, "2026-10", "-DE")] == ["2026-09-DE"]
    assert index.earlier_rows(tmp_path / "none", "2026-10") == []


def test_what_is_missing_is_said_once_with_the_pages_it_concerns():
    runs = [SimpleNamespace(title=t, missing=["No surveys."] * 2) for t in ("A?", "B?")]
    assert index.missing_inputs(runs) == [("No surveys.", "A? · B?")]
    assert index.missing_inputs(runs, told=["No surveys."]) == []


def test_a_reason_stands_under_the_first_page_without_an_answer():
    page = {"answers": [], "failure": "", "missing": ["No surveys."]}
    runs = [SimpleNamespace(name=name, title=f"{name}?", **page) for name in ("A", "B")]
    runs.append(SimpleNamespace(name="C", title="C?", answers=["Yes."], failure="", missing=page["missing"]))
    assert index.reasons(runs, WORDS) == {"A": "No surveys.", "B": "Not answered, for the reason given under “A?”"}


def test_a_published_change_rules_the_card_as_it_rules_the_answer():
    rates = [row("repeat_purchase_rate", value, month) for value, month in ((0.25, "2026-10"), (0.245, "2026-09"))]
    assert card(rates)["changes"] == [("", "not clearly changed from 24.5% in September 2026")]
    moved = {"metric": "repeat_purchase_rate_change", "value": 0.005, "low": 0.001, "high": 0.009, "n": 900, "since": "2026-09"}
    assert card([*rates, moved])["changes"] == [("good", "up 0.5 points from 24.5% in September 2026")]
