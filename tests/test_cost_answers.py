"""Notebooks 03 and 05 on the demo, against what is true about it, and headline numbers with their history."""

import pytest
from bs4 import BeautifulSoup
from report_runs import headline, published

MONTH = "2026-10"


@pytest.fixture(scope="module")
def rows(demo_run):
    return demo_run.metrics("demo", MONTH)


def test_the_cost_per_customer_is_the_simulated_one(rows, demo_truth):
    """Within 4 %: the simulation counts the part of orders without a buyer (some 2 %) and another churn window."""
    row, truth = headline(rows, "retention_cost_per_customer", MONTH), demo_truth.retention_cost
    parts = {each["component"]: each["value"] for each in rows if each["metric"] == "retention_cost_component"}
    given = parts.pop("discounts")
    assert row["n"] == pytest.approx(truth["active_existing"], rel=0.03)
    assert sum(parts.values()) == pytest.approx(truth["ledger"] / truth["active_existing"], rel=0.04)
    assert given == pytest.approx(truth["discounts"] / truth["active_existing"], rel=0.03)
    assert row["low"] < truth["per_customer"] < row["high"]


@pytest.mark.parametrize("metric", ["repeat_purchase_rate", "churn_rate", "payback_months", "nps"])
def test_a_first_report_knows_the_history_of_its_headlines(rows, metric):
    known = {row["period"]: row["value"] for row in published(rows, metric)}
    assert set(known) >= {f"{2025 + k // 12}-{k % 12 + 1:02d}" for k in range(9, 22)}


def test_pages_on_value_and_on_markets_give_one_ratio(rows):
    values = {row["market"]: row["value"] for row in rows if row["metric"] == "clv" and "market" in row}
    ratios = {row["market"]: row["value"] for row in rows if row["metric"] == "clv_to_cac" and "market" in row}
    assert sorted(values, key=values.get)[0] == sorted(ratios, key=ratios.get)[0] == "AE"
    assert ratios["AE"] < 1


def test_the_tiers_add_up_to_all_existing_customers(rows):
    tiers = [row["n"] for row in rows if row["metric"] == "ltv_to_retention_cost" and "tier" in row]
    assert len(tiers) == 4 and sum(tiers) == headline(rows, "ltv_to_retention_cost", MONTH)["n"]


def test_its_parts_add_up_to_it(rows):
    parts = [row for row in rows if row["metric"] == "retention_cost_component"]
    assert sum(row["value"] for row in parts) == pytest.approx(
        headline(rows, "retention_cost_per_customer", MONTH)["value"]
    )


def test_what_moved_it_adds_up_to_the_change(rows):
    value = {row["period"]: row["value"] for row in published(rows, "retention_cost_per_customer_month")}
    for since in ("2026-09", "2025-10"):
        moved = [row["value"] for row in rows if row["metric"] == "cost_change_effect" and row["since"] == since]
        assert sum(moved) == pytest.approx(value[MONTH] - value[since], abs=1e-9)


def test_markets_stand_in_the_order_they_were_simulated_in(rows, demo_truth):
    """By the share that bought in the sixth month: the best and the worst market, and no clear reversal between."""
    found = {row["market"]: row for row in rows if row["metric"] == "retention_6"}
    order = sorted(found, key=lambda market: found[market]["value"], reverse=True)
    assert (order[0], order[-1]) == (demo_truth.retention_order[0], demo_truth.retention_order[-1])
    for better, worse in zip(demo_truth.retention_order, demo_truth.retention_order[1:], strict=False):
        assert found[better]["high"] > found[worse]["low"], (better, worse)


def test_the_differences_that_were_built_in_are_found(rows):
    """Japan keeps its customers, the Emirates lose them; the price rise of March shows in British churn."""
    found = {(row["measure"], row["market"]): row for row in rows if row["metric"] == "market_difference"}
    assert found["retention_6", "JP"]["low"] > 0 > found["retention_6", "AE"]["high"]
    assert found["churn_rate_quarter", "GB"]["low"] > 0


def test_of_the_pairs_of_markets_those_that_differ_are_shown_and_all_are_folded(demo_run):
    page = (demo_run.home / "reports" / "demo" / MONTH / "05_market_comparison.html").read_text(encoding="utf-8")
    tables = BeautifulSoup(page, "html.parser").select("figure.table")
    shown = [each.select("tbody tr td:last-child") for each in tables if "differ from each other" in each.figcaption.text]
    folded = [each for each in tables if each.find_parent("details")]
    assert [len(each.select("tbody tr")) for each in folded] == [10, 10]
    assert len(shown) == 2
    assert all(0 < len(p) < 10 and all(float(each.text.removeprefix("<")) < 0.05 for each in p) for p in shown)


def soup(demo_run, name):
    page = (demo_run.home / "reports" / "demo" / MONTH / name).read_text(encoding="utf-8")
    return BeautifulSoup(page, "html.parser")


def test_small_channels_are_one_so_that_no_other_is_hidden(demo_run, rows):
    """A single customer came by text message: counted together with e-mail, the next smallest."""
    ratios = [row for row in rows if row["metric"] == "clv_to_cac" and "acquisition_channel" in row]
    assert not any(row.get("suppressed") for row in ratios)
    known = {row["acquisition_channel"]: row["value"] for row in ratios if row.get("value") is not None}
    assert max(known, key=known.get) == "other" and not {"sms", "email"} & set(known)
    titles = [each.text for each in soup(demo_run, "04_clv_to_cac.html").select("figure.chart strong")]
    assert "Customers won through Paid social pay least" in titles


def test_a_market_that_loses_money_stands_in_the_answers(demo_run):
    """The Emirates were simulated to lose: in what customers won are worth, and in what keeping them brings. No other market is named."""
    for name in ("04_clv_to_cac.html", "03_retention_cost.html", "index.html"):
        answers = " ".join(each.text for each in soup(demo_run, name).select(".answer, .answers")) or soup(demo_run, name).text
        assert "United Arab Emirates" in answers, name
    answers = [each.text for each in soup(demo_run, "04_clv_to_cac.html").select(".answer")]
    assert len(answers) == 2 and answers[1].startswith("Not everywhere: a customer won in ")
    assert answers[1].count("is worth") == 1


def test_the_answers_of_the_cost_page_say_what_moved_it(demo_run, rows):
    answers = [each.text for each in soup(demo_run, "03_retention_cost.html").select(".answer")]
    moved = [row for row in rows if row["metric"] == "cost_change_effect" and row["since"] == "2026-09"]
    sums = {}
    for row in moved:
        sums[row["component"]] = sums.get(row["component"], 0) + row["value"]
    assert max(sums, key=sums.get) == "discounts"
    assert "rose from" in answers[1] and "Discounts to existing customers" in answers[1]
    assert "other" not in sums and {"sms", "paid_social"} <= set(sums)


def test_every_market_has_its_value_cost_ratio_and_payback_in_one_table(demo_run, rows):
    tables = soup(demo_run, "04_clv_to_cac.html").select("figure.table")
    table = next(each for each in tables if each.figcaption.text.endswith("by market"))
    ratios = {row["market"]: row["value"] for row in rows if row["metric"] == "clv_to_cac" and "market" in row}
    cells = [[cell.text for cell in row.select("td")] for row in table.select("tbody tr")]
    assert len(cells) == len(ratios) == 5 and all(len(row) == 7 for row in cells)
    assert [row[4] for row in cells if "Emirates" in row[0]] == ["–"]


def test_a_payback_has_the_customers_it_rests_on_and_its_interval_wherever_it_stands(demo_run, rows):
    told = headline(rows, "payback_months", MONTH)
    assert told["n"] > 1_000
    said = soup(demo_run, "04_clv_to_cac.html").text.replace("\N{NO-BREAK SPACE}", " ")
    assert f"in month {told['value']:.0f} (95% interval {told['low']:.0f} to {told['high']:.0f}, n = {told['n']:,})" in said
    card = next(each.text for each in soup(demo_run, "index.html").select(".card") if "Payback" in each.text)
    assert f"n = {told['n']:,}" in card.replace("\N{NO-BREAK SPACE}", " ")


def test_who_changed_tier_tells_no_few_customers(demo_run):
    """Five VIPs were lost in October; with the losses of the month and the tiers' sizes a lone hidden cell would say so."""
    tables = soup(demo_run, "04_clv_to_cac.html").select("figure.table")
    table = next(each for each in tables if each.figcaption and each.figcaption.text.startswith("Who changed tier"))
    cells = [[cell.text for cell in row.select("td")] for row in table.select("tbody tr")]
    hidden = [row for row in cells if row[-1] in ("·", "<10")]
    assert 3 <= len(hidden) <= 4 < len(cells)
    assert sum("VIP" in row[0] + row[1] for row in hidden) >= 2


def test_an_order_value_of_two_years_rests_on_enough_buyers_in_both(rows):
    found = [row for row in rows if row["metric"] == "order_value_change_constant_currency"]
    assert len(found) == 5 and all(10 <= row["n"] < 5_000 for row in found)
