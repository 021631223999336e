"""Persons: pseudonyms, the way back for an action list, and erasing somebody from everything."""

import csv
import io
import json
import time
import zipfile

import exports
import openpyxl
import pandas as pd
import pytest

from helpers.intake import people, privacy
from helpers.metrics.occasions import DIGITS


def test_pseudonyms_are_keyed_and_normalised(shop):
    key = privacy.client_key("acme")
    assert key == privacy.client_key("acme") != privacy.client_key("other")
    anna = privacy.pseudonym(key, privacy.normalised(" Anna@MAIL.test"))
    assert anna == privacy.pseudonym(key, "anna@mail.test") != privacy.pseudonym(bytes(32), "anna@mail.test")
    assert len(anna) == privacy.LENGTH and set(anna) <= set(DIGITS)


def test_a_list_that_comes_back_is_joined_and_a_name_of_the_same_shape_is_hashed(shop):
    """An id of twelve letters in the customer column is a pseudonym only if it is a known buyer's."""
    anna, _bert = people_shop(shop)
    assert len("annakarenina") == len(anna) == privacy.LENGTH
    shop.write("campaigns.csv", f"campaign_id,customer_id,arm,sent_date\nc1,{anna},treated,2026-04-01\nc1,annakarenina,treated,2026-04-01\n")
    shop.build()
    sent = set(shop.table("campaigns")["customer_id"])
    assert anna in sent and len(sent) == 2 and "annakarenina" not in sent


@pytest.mark.parametrize("address", ["noreply@shop.test", "x1y@marketplace.amazon.de", "guest@shop.test", "a***b@mail.test"])
def test_placeholders(address):
    assert privacy.is_placeholder(address)


def people_shop(shop):
    """A client with a list issued: Anna is treated, Bert held out."""
    shop.settle(exports.SOURCES.split("[sources.woo-analytics]")[0])
    for name in ("orders_export_eu.csv", "woo_export.csv", "zendesk.csv", "klaviyo.csv"):
        shop.write(name, exports.FILES[name])
    shop.write(
        "tickets.json",
        '[{"ticket_id": "9", "opened_at": "2026-03-01", "email": "anna@mail.test"}, '
        '{"ticket_id": "8", "opened_at": "2026-03-01", "email": "bert@mail.test"}]',
    )
    shop.build()
    key = privacy.client_key("acme")
    anna, bert = (privacy.pseudonym(key, f"{name}@mail.test") for name in ("anna", "bert"))
    (shop.folder / "actions").mkdir()
    (shop.folder / "actions" / "2026-10.csv").write_text(f"customer_id,arm,action\n{anna},treated,coupon\n{bert},holdout,coupon\n")
    return anna, bert


def test_contacts_leave_out_the_holdout_and_forget_erases(shop):
    anna, _bert = people_shop(shop)
    path = people.contacts("acme", "2026-10")
    assert path.read_text().splitlines() == ["email,customer_id,arm,action", f"anna@mail.test,{anna},treated,coupon"]
    assert path.stat().st_mode & 0o077 == 0
    net = shop.table("orders")["net_minor"].sum()
    cora = (shop.raw / "woo_export.csv").read_bytes()

    said = people.forget("acme", " ANNA@mail.test")

    for part in (
        "raw/orders_export_eu.csv",
        "raw/zendesk.csv",
        "raw/tickets.json",
        "tables/orders.parquet",
        "tables/customers.parquet",
        "actions/2026-10.csv",
        "actions/2026-10-contacts.csv",
    ):
        assert part in said, part
    left = " ".join(p.read_text(errors="replace") for p in shop.folder.rglob("*") if p.suffix in (".csv", ".json"))
    assert "anna@" not in left.lower() and "Anna Muster" not in left and "301234567" not in left and anna not in left
    assert anna not in set(shop.table("orders")["customer_id"]) | set(shop.table("customers")["customer_id"])
    assert (shop.raw / "woo_export.csv").read_bytes() == cora, "a file without the person stays byte for byte"
    assert "bert@mail.test" in left

    shop.build()
    assert shop.table("orders")["net_minor"].sum() == net, "the books stay"
    assert anna not in set(shop.table("orders")["customer_id"])
    assert "holds nobody" in people.forget("acme", "nobody@mail.test")


def test_no_list_no_contacts(shop):
    with pytest.raises(ValueError, match="There is no action list for 2026-09"):
        people.contacts("acme", "2026-09")


def orders_as(kind, shop):
    """The Shopify export as a workbook with a cover sheet, as JSON or as Parquet."""
    header, *rows = csv.reader(io.StringIO(exports.SHOPIFY))
    path = shop.raw / f"orders.{kind}"
    if kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.append(["asked for by", "anna@mail.test"])
        sheet = book.create_sheet("Orders")
        for row in (header, *rows):
            sheet.append(row)
        sheet.cell(2, 2).hyperlink = "mailto:anna@mail.test"
        sheet = book.create_sheet("Desk")
        for row in (["ticket_id", "email", "note"], ["T1", "anna@mail.test", "x"], ["T2", "bert@mail.test", "=1"], ["T3", "dora@mail.test", "y"]):
            sheet.append(row)
        sheet["C3"].data_type = "s"
        book.save(path)
    elif kind == "json":
        path.write_text(json.dumps({"orders": [dict(zip(header, row, strict=True)) for row in rows], "by": {"email": "x@mail.test"}}))
    else:
        pd.DataFrame(rows, columns=header).astype({"Email": "category"}).to_parquet(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["xlsx", "json", "parquet"])
def test_orders_stay_for_the_books_whatever_the_kind_of_file(shop, kind):
    """The person's orders, continuation rows included, lose names and addresses and keep their money; a second time finds nobody."""
    path = orders_as(kind, shop)
    shop.settle('[sources.eu]\nfiles = "orders.*"\ntax_included = true\n')
    shop.build()
    before = shop.table("orders").set_index("order_id")["net_minor"].to_dict()
    said = people.forget("acme", "anna@mail.test")
    assert f"raw/orders.{kind}: {4 + 2 * (kind == 'xlsx')} rows" in said
    if kind == "xlsx":
        book = openpyxl.load_workbook(path)
        text = str([[cell.value for row in sheet for cell in row] for sheet in book])
        assert book["Orders"].cell(2, 2).hyperlink is None
        assert [[cell.value for cell in row] for row in book["Desk"]][1:] == [["T2", "bert@mail.test", "=1"], ["T3", "dora@mail.test", "y"]]
        assert book["Desk"]["C2"].data_type == "s", "a text does not become a formula"
    else:
        text = path.read_text() if kind == "json" else pd.read_parquet(path).to_csv()
    assert "anna" not in text.lower() and "301234567" not in text and "bert@mail.test" in text
    shop.build()
    assert shop.table("orders").set_index("order_id")["net_minor"].to_dict() == before
    content = path.read_bytes()
    assert "holds nobody" in people.forget("acme", "anna@mail.test") and path.read_bytes() == content


def test_what_forget_cannot_search_is_named(shop):
    people_shop(shop)
    shop.write("old.xls", b"anna@mail.test")
    shop.write("orders.csv.bak", b"anna@mail.test")
    shop.write("broken.xlsx", b"PK")
    with zipfile.ZipFile(shop.raw / "more.zip", "w") as archive:
        archive.writestr("a.csv", "anna@mail.test")
    said = people.forget("acme", "anna@mail.test")
    assert "Not searched" in said and "raw/more.zip, raw/old.xls, raw/orders.csv.bak, raw/broken.xlsx" in said
    assert "Not searched" in people.forget("acme", "nobody@mail.test")


def test_forgetting_in_a_long_workbook_takes_seconds(shop):
    book = openpyxl.Workbook()
    header, *rows = csv.reader(io.StringIO(exports.SHOPIFY))
    book.active.append(header)
    for k in range(2000):
        book.active.append([f"#{k}", f"p{k % 500}@mail.test", *rows[0][2:]])
    book.save(shop.raw / "orders.xlsx")
    began = time.monotonic()
    assert "raw/orders.xlsx: 4 rows" in people.forget("acme", "p7@mail.test")
    assert time.monotonic() - began < 60
