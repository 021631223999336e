"""What stands twice: rows within an export, orders, refunds, costs and ad spend across exports, and whose version counts."""

import exports
import pytest
from exports import GOOD


def said(result, *words) -> bool:
    """Whether one remark of a build has all of these words."""
    return any(all(word in remark for word in words) for remark in result.remarks)


def lines(text: str, *numbers: int) -> str:
    """Lines of a text, the header being 1."""
    return "".join(text.splitlines(keepends=True)[number - 1] for number in numbers)


def in_order(table):
    """A table sorted by all that it holds."""
    return table.sort_values(list(table.columns), ignore_index=True)


# Within an export


@pytest.mark.parametrize("name, text, rows", [
    ("woo.csv", exports.WOO, (2, 3)), ("tiktok.csv", exports.TIKTOK_SHOP, (3, 4)), ("stripe.csv", exports.STRIPE, (2,)),
    ("shopify.csv", exports.SHOPIFY, (4,)), ("amazon.txt", exports.AMAZON, (2,)), ("magento.csv", exports.MAGENTO, (2,)),
])  # fmt: skip
def test_rows_appended_again_count_once(shop, name, text, rows):
    shop.settle('[sources.one]\nfiles = "*"\ncurrency = "EUR"\nmarket = "DE"\n')
    shop.write(name, text)
    before = shop.build(max_rejected=0.0)
    orders, bought = shop.table("orders"), in_order(shop.table("order_lines"))
    shop.write(name, text + lines(text, *rows))
    after = shop.build(max_rejected=0.0)
    assert shop.table("orders").equals(orders) and in_order(shop.table("order_lines")).equals(bought)
    assert (after.files["rows_ignored"] - before.files["rows_ignored"]).unique().tolist() == [len(rows)]
    assert after.files["raw_minor"].tolist() == before.files["raw_minor"].tolist()
    assert said(after, f"{name}: {len(rows)} row", "an earlier one, first in row")


def test_a_line_twice_side_by_side_in_one_order_counts_twice(shop):
    """A cart may hold the same product in two lines; a copy of the whole order further down is a copy."""
    shop.settle('[sources.one]\nfiles = "*"\ncurrency = "EUR"\n')
    text = lines(exports.TIKTOK_SHOP, 1, 2, 4, 4, 5)
    shop.write("tiktok.csv", text)
    result = shop.build()
    assert shop.table("order_lines")["quantity"].sum() == 5 and said(result, "1 row is the same as another beside it")
    shop.write("tiktok.csv", text + lines(exports.TIKTOK_SHOP, 4, 4))
    result = shop.build()
    assert shop.table("order_lines")["quantity"].sum() == 5 and said(result, "2 rows repeat an earlier one, first in row 6")


def test_an_order_written_twice_in_a_row_counts_once(shop):
    """Shopify gives the order itself on its first row only: a second such row begins the copy."""
    first = lines(exports.SHOPIFY, 1, 2, 3, 2, 3, 4, 5)
    shop.write("shopify.csv", first)
    result = shop.build()
    assert shop.table("orders")["order_id"].is_unique and shop.table("order_lines")["quantity"].tolist().count(2) == 1
    assert said(result, "2 rows repeat an earlier one")


def test_a_row_per_order_that_differs_is_set_aside_with_its_twin(shop):
    shop.write("orders.csv", GOOD)
    shop.write("stripe.csv", exports.STRIPE + lines(exports.STRIPE, 2).replace("Paid", "Refunded"))
    assert "id: 2 of" in shop.problem() and "one row per order" in shop.problem()
    shop.build(max_rejected=0.9)
    assert not shop.table("orders").duplicated(["source", "order_id"]).any()


def test_an_order_in_two_currencies_is_set_aside(shop):
    """100 EUR and 5,000 JPY are no 5,100 of anything."""
    shop.write("orders.csv", GOOD + "3,2026-03-03,,DE,EUR,100.00\n3,2026-03-03,,DE,JPY,5000\n")
    assert "order_id: 2 of 4 values are of an order in several currencies" in shop.problem()
    shop.build(max_rejected=0.5)
    assert shop.table("orders")["order_id"].tolist() == ["1", "2"]


# Across exports

SPEND = "date,channel,campaign,market,amount,currency,kind\n"
META = "Day,Campaign name,Amount spent (EUR)\n"


def test_two_accounts_of_the_same_days_both_count(shop):
    shop.write("orders.csv", GOOD)
    shop.write("meta_de.csv", META + "2026-03-01,DE spring,10.00\n2026-03-02,DE spring,11.00\n")
    shop.write("meta_fr.csv", META + "2026-03-01,FR spring,20.00\n2026-03-02,FR spring,21.00\n")
    result = shop.build()
    assert shop.table("acquisition_spend")["amount_minor"].sum() == 6200 and not result.remarks


def test_spend_of_two_kinds_in_two_files_both_counts(shop):
    shop.write("orders.csv", GOOD)
    shop.write("acquisition_spend_agency.csv", SPEND + "2026-03-01,paid_social,,,1000,EUR,agency\n")
    shop.write("acquisition_spend_salaries.csv", SPEND + "2026-03-01,paid_social,,,3000,EUR,salary\n")
    shop.build()
    assert shop.table("acquisition_spend")["amount_minor"].sum() == 400_000


def test_spend_of_the_same_campaign_and_day_is_the_newer_exports(shop):
    """Whatever the file is called: the newer has seen more days. What is left out is said, and is no money lost."""
    shop.write("orders.csv", GOOD)
    shop.write("b.csv", META + "2026-03-01,DE spring,10.00\n2026-03-01,DE summer,1.00\n")
    shop.write("a.csv", META + "2026-03-01,DE spring,12.00\n2026-03-02,DE spring,11.00\n")
    result = shop.build()
    assert sorted(shop.table("acquisition_spend")["amount_minor"]) == [100, 1100, 1200]
    assert said(result, "b.csv: 1 ad spend row (10.00 EUR) is left out, as a.csv holds the same day")
    assert result.files.set_index("file").loc["b.csv", ["raw_minor", "table_minor"]].tolist() == [100, 100]


def test_a_campaign_split_by_market_replaces_the_same_without(shop):
    shop.write("orders.csv", GOOD)
    shop.write("spend_1.csv", SPEND + "2026-03-01,paid_social,spring,,30,EUR,media\n")
    shop.write("spend_2.csv", SPEND + "2026-03-01,paid_social,spring,DE,10,EUR,media\n2026-03-01,paid_social,spring,FR,20,EUR,media\n")
    assert shop.build() and sorted(shop.table("acquisition_spend")["amount_minor"]) == [1000, 2000]


def test_settlements_that_charge_the_same_day_both_count(shop):
    """Ads paid from the balance are postings: two settlements may each hold some of one day's."""
    shop.write("orders.csv", GOOD)
    shop.write("settlement_1.txt", exports.SETTLEMENT)
    other = exports.SETTLEMENT.replace("77\t", "78\t").replace("69,55", "59,55").replace("Advertising\t-50,00", "Advertising\t-60,00")
    shop.write("settlement_2.txt", other.replace("Principal\t-50,00", "Principal\t-50,00"))
    shop.build()
    assert sorted(shop.table("acquisition_spend")["amount_minor"]) == [5000, 6000]


def test_refunds_and_costs_of_overlapping_files_count_once(shop):
    header, first = "order_id,refund_date,amount,currency,reason\n", "1,2026-03-05,2.00,EUR,late\n"
    shop.write("orders.csv", GOOD)
    shop.write("refunds.csv", header + first + "1,2026-03-06,1.00,EUR,\n1,2026-03-06,1.00,EUR,\n")
    shop.write("refunds_2.csv", header + first + "1,2026-03-06,1.00,EUR,\n2,2026-03-07,3.00,EUR,late\n")
    costs = "month,category,component,market,amount,currency\n2026-03,marketing,email,,100,EUR\n2026-03,service,support,,50,EUR\n"
    shop.write("costs.csv", costs)
    shop.write("costs (1).csv", costs + "2026-04,service,support,,50,EUR\n")
    result = shop.build()
    assert sorted(shop.table("refunds")["amount_minor"]) == [100, 100, 200, 300]
    assert sorted(shop.table("retention_costs")["amount_minor"]) == [5000, 5000, 10000]
    assert said(result, "refunds.csv: 2 refunds (3.00 EUR) stand in refunds_2.csv too")
    assert said(result, "costs.csv: 2 cost lines (150.00 EUR) stand in costs (1).csv too")
    files = result.files.set_index("file")["table_minor"]
    assert files[["refunds.csv", "refunds_2.csv"]].sum() == 700 and files[["costs.csv", "costs (1).csv"]].sum() == 20_000


def test_overlapping_paypal_downloads_count_once(shop):
    text = exports.FILES["paypal.csv"]
    shop.write("Download.csv", text)
    shop.build()
    orders, refunds = shop.table("orders"), shop.table("refunds")
    shop.write("Download (1).csv", text)
    result = shop.build()
    assert shop.table("orders").equals(orders) and shop.table("refunds").equals(refunds) and len(refunds)
    assert result.files["table_minor"].sum() == result.files["raw_minor"].sum() > 0, "the copy is no money lost"


@pytest.mark.parametrize("older, newer", [("orders_9.csv", "orders_10.csv"), ("orders.csv", "orders (1).csv"), ("b.csv", "a.csv")])
def test_the_newest_export_is_the_one_that_has_seen_most_then_the_last_by_number(shop, older, newer):
    shop.write(older, GOOD)
    shop.write(newer, GOOD.replace("20.00", "25.00") + ("3,2026-03-03,,DE,EUR,1.00\n" if newer == "a.csv" else ""))
    result = shop.build()
    assert shop.table("orders").set_index("order_id")["net_minor"]["2"] == 2500
    assert said(result, f"2 orders stand in more than one export; the newest export's version counts: {newer} for 2.")
