"""What stands twice: rows within an export, orders, refunds, costs and ad spend across exports, and whose version counts."""

import exports
import pytest

from helpers.intake.contract import IntakeError

HEADER = "order_id,ordered_at,email,market,currency,amount"
GOOD = f"{HEADER}\n1,2026-03-01,anna@mail.test,DE,EUR,10.00\n2,2026-03-02,bert@mail.test,FR,EUR,20.00\n"


def problem(shop, **options) -> str:
    """The message a build fails with."""
    with pytest.raises(IntakeError) as caught:
        shop.build(**options)
    return str(caught.value)


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
    assert "id: 2 of" in problem(shop) and "one row per order" in problem(shop)
    shop.build(max_rejected=0.9)
    assert not shop.table("orders").duplicated(["source", "order_id"]).any()


def test_an_order_in_two_currencies_is_set_aside(shop):
    """100 EUR and 5,000 JPY are no 5,100 of anything."""
    shop.write("orders.csv", GOOD + "3,2026-03-03,,DE,EUR,100.00\n3,2026-03-03,,DE,JPY,5000\n")
    assert "order_id: 2 of 4 values are of an order in several currencies" in problem(shop)
    shop.build(max_rejected=0.5)
    assert shop.table("orders")["order_id"].tolist() == ["1", "2"]
