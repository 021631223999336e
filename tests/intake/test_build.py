"""The build as a whole: rejects, refusals, reuse, atomicity, identity, reconciliation, money of two roads, adversarial files."""

import csv
import io
import os
import re
import shutil
import stat
import zipfile
from decimal import Decimal

import exports
import ibis
import openpyxl
import pandas as pd
import pytest
from exports import GOOD, HEADER
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from helpers.intake import build, read, staging
from helpers.intake.contract import IntakeError

# Known values


def test_all_problems_of_a_file_in_one_message(shop):
    shop.write(
        "orders.csv", f"{HEADER}\n1,31/02/2026,a@mail.test,DE,EUR,10.00\n2,2026-03-02,,Atlantis,GPB,ten\n3,2026-03-03,,DE,EUR,1.00\n"
    )
    said = shop.problem()
    assert "data/acme/raw/orders.csv has 5 problems:" in said
    assert "ordered_at: 1 of 3 values is not a date, first '31/02/2026' in row 2." in said
    assert "Write them as 2026-02-28" in said
    assert "currency: 1 of 3 values is not a known currency, first 'GPB' in row 3." in said
    assert "market: 1 of 3 values is not a known country" in said and "amount: 1 of 3 values is not a number" in said
    assert "2 of 3 rows are rejected, more than the 1.0% that may be" in said
    with (shop.folder / "rejected" / "orders.csv.csv").open() as file:
        rejected = list(csv.DictReader(file))
    assert [row["row"] for row in rejected] == ["2", "3"] and "is not a date" in rejected[0]["reason"]


def test_rejects_below_the_limit_are_set_aside_and_counted(shop):
    shop.write("orders.csv", GOOD + "3,soon,cora@mail.test,DE,EUR,5.00\n")
    files = shop.build(max_rejected=0.5).files
    assert files[["rows_read", "rows_accepted", "rows_rejected"]].iloc[0].tolist() == [3, 2, 1]
    assert (files["raw_minor"].sum(), files["table_minor"].sum()) == (3500, 3000)
    assert len(shop.table("orders")) == 2


def test_rejected_rows_of_an_export_that_has_reasons_of_its_own(shop):
    shop.write("orders.csv", GOOD)
    shop.write("refunds.csv", "order_id,refund_date,amount,currency,reason\n1,2026-03-05,ten,EUR,late\n")
    assert "amount: 1 of 1 values is not a number" in shop.problem()
    assert "late,,2,amount is not a number" in (shop.folder / "rejected" / "refunds.csv.csv").read_text()


@pytest.mark.parametrize("name, text", [("woo.csv", exports.WOO_ANALYTICS), ("magento.csv", exports.MAGENTO)])
def test_orders_of_a_grid_without_currency_say_where_to_set_it(shop, name, text):
    shop.write(name, text)
    said = shop.problem()
    assert "without a currency" in said and "set currency under [sources.<name>] in client.toml" in said


def test_a_currency_that_is_nowhere_is_said_once_with_where_to_set_it(shop):
    shop.write("tiktok.csv", exports.TIKTOK_SHOP)
    shop.write("orders.csv", GOOD.replace(",EUR,", ",,"))
    said = shop.problem().split("orders.csv has")[1].split("data/acme")[0]
    assert "currency: 2 of 2 values are empty" in said and "set currency under" in said and "without a currency" not in said


def test_a_share_or_an_answer_off_its_scale_is_rejected(shop):
    costs = "month,category,component,amount,currency,existing_share\n2026-03,service,support,10,EUR,{}\n"
    wide = "answered_date,email,nps,csat\n2026-03-12,anna@mail.test,{},4\n"
    long = "survey_id,kind,answered_date,score,scale_min,scale_max,direction\ns,ces,2026-03-12,{},1,7,higher\n"
    for name, text, good, bad, said in (
        ("costs.csv", costs, "0.7", "70", "existing_share: 1 of 1 values is not between 0 and 1, first in row 2.\n     Write 70% as 0.7."),
        ("wide.csv", wide, "10", "11", "nps: 1 of 1 values is not from 0 to 10"),
        ("long.csv", long, "7", "0", "score: 1 of 1 values is off its scale"),
    ):
        shop.write("orders.csv", GOOD)
        shop.write(name, text.format(bad))
        assert said in shop.problem()
        shop.write(name, text.format(good))
        assert not shop.build().files["rows_rejected"].any()


@pytest.mark.parametrize(("written", "said"), [("newsletter", "first 'newsletter' in row 2"), ("Anna Muster", "first in row 2")])
def test_a_word_that_is_not_listed_is_shown_and_a_name_is_not(shop, written, said):
    shop.write("orders.csv", GOOD)
    shop.write("costs.csv", f"month,category,component,amount,currency\n2026-03,marketing,{written},10,EUR\n")
    assert "component: 1 of 1 values is not one of email, coupons" in shop.problem() and said in shop.problem()


def test_an_order_number_that_a_spreadsheet_has_rounded_is_no_order(shop):
    """Else every order of an 18-digit shop would be one: 5.764E+17."""
    shop.settle('[sources.tiktok]\nfiles = "*.csv"\ncurrency = "GBP"\n')
    shop.write("tiktok.csv", exports.TIKTOK_SHOP.replace("\n801,", "\n5.764E+17,").replace("\n802,", "\n5.765E+17,"))
    said = shop.problem()
    assert "Order ID: 3 of 3 values are rounded by a spreadsheet, as 5.76E+17 is" in said and "do not save it in a spreadsheet" in said


def test_the_header_again_is_no_row(shop):
    """Exports put together by hand: the header stands between their rows."""
    shop.write("orders.csv", GOOD + f"{HEADER}\n3,2026-03-03,cora@mail.test,DE,EUR,30.00\n")
    files = shop.build().files
    assert files[["rows_read", "rows_rejected", "rows_ignored"]].iloc[0].tolist() == [3, 0, 1]


def test_a_date_that_cannot_be_read_is_not_called_empty_too(shop):
    """A row of several questions has one date."""
    shop.write("orders.csv", GOOD)
    shop.write("answers.csv", "answered_date,email,nps,csat,ces\n20/05/2026,anna@mail.test,9,4,6\n")
    said = shop.problem()
    assert "1 of 1 values is not a date" in said and "empty" not in said


def test_one_bad_row_sets_its_whole_order_aside(shop):
    """Half an order in the tables would be a wrong sum that nobody sees."""
    shop.write("orders.csv", f"{HEADER}\n1,2026-03-01,,DE,EUR,10.00\n1,2026-03-01,,DE,EUR,x\n2,2026-03-01,,DE,EUR,5.00\n")
    shop.build(max_rejected=0.9)
    assert shop.table("orders")["order_id"].tolist() == ["2"]


def test_an_unknown_file_names_the_nearest_format_and_what_it_lacks(shop):
    shop.write("orders.csv", GOOD)
    shop.write("export.csv", "Name,Email,Financial Status,Currency,Subtotal,Created at,Lineitem quantity\n")
    said = shop.problem()
    assert "Nearest is Shopify orders (shopify_orders), but these columns are missing: Total, Lineitem price" in said


def test_currency_without_rates_is_an_error_and_fx_csv_the_cure(shop):
    shop.write("orders.csv", f"{HEADER}\n1,2026-03-01,,AE,AED,100.00\n")
    assert "AED is not among the ECB's reference rates" in shop.problem()
    shop.write("fx.csv", "date,currency,rate\n2026-02-27,AED,0.25\n")
    shop.build()
    assert shop.table("orders")["net_rc"].tolist() == [2500]
    assert set(shop.table("fx").query("currency == 'AED'")["source"]) == {"client fx.csv"}


def test_recurring_revenue_that_runs_on_has_a_rate_to_the_last_day_and_what_ended_needs_none(shop):
    head = "subscription_id,email,date,kind,mrr_delta,currency\n"
    shop.write("orders.csv", f"{HEADER}\n1,2025-03-03,,DE,EUR,10.00\n2,2025-05-05,,DE,EUR,10.00\n")
    runs, ends = "a,a@mail.test,2025-03-03,new,9.00,USD\n", "b,b@mail.test,2025-03-04,{0},{1}9.00,GBP\n"
    shop.write("subscriptions.csv", head + runs + ends.format("new", "") + ends.format("churn", "-"))
    shop.build()
    last = shop.table("fx").groupby("currency")["date"].max().astype(str)
    assert (last["USD"], last["GBP"]) == ("2025-05-05", "2025-03-05")


def test_orders_in_two_exports_count_once_and_the_newest_wins(shop):
    shop.write("a.csv", GOOD)
    shop.write("b.csv", GOOD.replace("20.00", "25.00") + "3,2026-03-03,,DE,EUR,1.00\n")
    result = shop.build()
    assert sorted(shop.table("orders")["net_minor"]) == [100, 1000, 2500]
    assert any("2 orders stand in more than one export" in remark for remark in result.remarks)


def test_placeholder_addresses_become_nobody_and_are_reported(shop):
    many = "".join(f"{k},2026-03-01,import@shop.test,DE,EUR,1.00\n" for k in range(10, 40))
    shop.write("orders.csv", GOOD + "3,2026-03-03,noreply@shop.test,DE,EUR,1.00\n" + many)
    result = shop.build()
    assert (shop.table("orders")["identity_scope"] == "none").sum() == 31 and len(shop.table("customers")) == 2
    assert any("31 orders share 2 placeholder addresses; they count" in remark for remark in result.remarks)
    shop.write("orders.csv", GOOD + "3,2026-03-03,noreply@shop.test,DE,EUR,1.00\n")
    assert any("1 order has a placeholder address; it counts in revenue" in remark for remark in shop.build().remarks)


def test_history_begins_with_the_first_known_buyer(shop):
    """A marketplace without buyers that began earlier says nothing of who is new: the first month's buyers may be older."""
    shop.write("orders.csv", GOOD + "3,2026-02-27,,DE,EUR,1.00\n4,2026-04-03,cora@mail.test,DE,EUR,1.00\n")
    shop.build()
    assert shop.table("customers").set_index("first_order_date")["truncated"].sort_index().tolist() == [True, True, False]


def test_one_buyer_however_the_address_is_typed(shop):
    same = ["anna@mail.test", " Anna@Mail.TEST ", "ＡＮＮＡ@mail.test"]
    shop.write("orders.csv", HEADER + "\n" + "".join(f"{k},2026-03-0{k + 1},{mail},DE,EUR,1.00\n" for k, mail in enumerate(same)))
    shop.build()
    assert len(shop.table("customers")) == 1


def test_tax_included_by_rate_from_client_toml(shop):
    shop.settle('[sources.own]\nfiles = "orders.csv"\ntax_included = true\ntax_rate = 0.19\n')
    shop.write("orders.csv", f"{HEADER}\n1,2026-03-01,,DE,EUR,119.00\n")
    shop.build()
    assert shop.table("orders")["net_minor"].tolist() == [10_000]


def test_a_stated_rate_counts_where_the_export_has_no_tax_at_all(shop):
    """A column of nothing but 0 is of a shop that does not reckon tax; a 0 beside taxed orders is a real 0."""
    shop.settle('[sources.own]\nfiles = "*.csv"\ntax_included = true\ntax_rate = 0.2\n')
    shop.write("orders.csv", f"{HEADER},tax\n1,2026-03-01,,DE,EUR,120.00,0\n2,2026-03-01,,DE,EUR,60.00,\n")
    result = shop.build()
    assert shop.table("orders")["net_minor"].tolist() == [10_000, 5_000]
    assert any("own: the export's tax is 0 on all 2 orders; prices are taken to hold 20.0% tax" in remark for remark in result.remarks)
    assert result.files["raw_minor"].tolist() == result.files["table_minor"].tolist()
    shop.write("orders.csv", f"{HEADER},tax\n1,2026-03-01,,DE,EUR,120.00,0\n2,2026-03-01,,DE,EUR,60.00,10.00\n")
    assert not shop.build().remarks
    assert shop.table("orders")["net_minor"].tolist() == [12_000, 5_000]


def test_prices_without_any_tax_are_asked_about_until_client_toml_settles_it(shop):
    asked = "the export's tax is 0 on all 2 orders, so its prices count as net. If they hold tax, set tax_included = true and tax_rate"
    shop.write("orders.csv", f"{HEADER},tax\n1,2026-03-01,,DE,EUR,120.00,0\n2,2026-03-01,,DE,EUR,60.00,\n")
    assert any(asked in remark for remark in shop.build().remarks)
    shop.settle('[sources.own]\nfiles = "*.csv"\ntax_included = false\n')
    assert not shop.build().remarks
    assert shop.table("orders")["net_minor"].tolist() == [12_000, 6_000]


def test_a_tax_that_the_format_has_taken_off_is_not_taken_off_again(shop):
    """WooCommerce: 64.50 less 9.50 tax and 5.00 shipping are 50.00 net, whatever client.toml says that the prices include."""
    shop.settle('[sources.woo]\nfiles = "woo.csv"\ntax_included = true\ntax_rate = 0.19\n')
    shop.write("woo.csv", exports.WOO)
    shop.build()
    assert shop.table("orders").set_index("order_id").loc["501", "net_minor"] == 5_000


def test_an_order_that_a_newer_export_holds_is_no_money_lost(shop):
    """Two exports that overlap: each order once, the older file's copy is no difference, and one remark tells of it."""
    shop.write("orders_1.csv", GOOD)
    shop.write("orders_2.csv", f"{HEADER}\n2,2026-03-02,bert@mail.test,FR,EUR,25.00\n3,2026-03-09,cora@mail.test,DE,EUR,30.00\n")
    result = shop.build()
    assert sorted(shop.table("orders")["net_minor"]) == [1_000, 2_500, 3_000]
    assert result.files.set_index("file")[["raw_minor", "table_minor"]].to_numpy().tolist() == [[1_000, 1_000], [5_500, 5_500]]
    assert [remark for remark in result.remarks if "minor units were read" in remark] == []


def test_a_broken_line_is_of_its_own_file_where_two_folders_hold_files_of_one_name(shop):
    (shop.raw / "2025").mkdir()
    shop.write("2025/orders.csv", GOOD)
    shop.write("orders.csv", GOOD.replace("\n1,", "\n3,").replace("\n2,", "\n4,") + "5,2026-03-03,a@mail.test,DE,EUR,1.00,one,too,many\n")
    files = shop.build(max_rejected=0.9).files.set_index("file")
    assert files.loc["2025/orders.csv", ["rows_read", "rows_rejected"]].tolist() == [2, 0]
    assert files.loc["orders.csv", "rows_rejected"] == 1


def test_undated_refunds_do_not_repeat_dated_ones(shop):
    shop.write("orders.csv", f"{HEADER},refunded\n1,2026-03-01,,DE,EUR,100.00,30.00\n")
    shop.write("refunds.csv", "order_id,refund_date,amount,currency\n1,2026-03-05,20.00,EUR\n9,2026-03-05,5.00,EUR\n")
    result = shop.build()
    assert shop.table("orders")["refund_undated_minor"].tolist() == [1_000]
    assert any("1 refund names no order" in remark for remark in result.remarks)


# Two roads


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    data=st.lists(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [
                        "2026-03-01",
                        "10.00",
                        "1,234.50",
                        "EUR",
                        "JPY",
                        "DE",
                        "Germany",
                        "anna@mail.test",
                        "=cmd|x",
                        "",
                        "  ",
                        "nan",
                        "1e400",
                        "-0",
                        "<script>",
                        "0\u0663",
                        "99999999999999999999",
                        "a\nb",
                        '"',
                        ";",
                        "\x00",
                        "ß\ufeff",
                    ]
                ),
                st.text(max_size=8),
            ),
            min_size=1,
            max_size=8,
        ),
        min_size=3,
        max_size=12,
    )
)
def test_whatever_the_dirt_rows_and_money_add_up(shop, data):
    """Accepted + rejected = read, money agrees with a sum of decimals over the accepted, and nothing but IntakeError is raised."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(HEADER.split(","))
    writer.writerow(["ok", "2026-03-01", "anna@mail.test", "DE", "EUR", "10.00"])
    writer.writerows(data)
    shop.write("orders.csv", text.getvalue().encode("utf-8", "surrogatepass"))
    try:
        files = shop.build(max_rejected=1.0).files
    except IntakeError as refused:
        assert "@" not in str(refused)
        return
    assert (files["rows_read"] == files["rows_accepted"] + files["rows_rejected"]).all()
    assert not shop.table("orders")["customer_id"].dropna().str.contains("@").any()
    lost = files["raw_minor"].fillna(0).sum() - files["table_minor"].fillna(0).sum()
    assert lost == 0 or files["rows_rejected"].sum() > 0


def test_money_equals_a_sum_of_decimals_over_the_text(shop):
    amounts = [f"{k * 7919 % 100_000 / 100:.2f}" for k in range(500)]
    shop.write("orders.csv", HEADER + "\n" + "".join(f"{k},2026-03-01,,DE,EUR,{a}\n" for k, a in enumerate(amounts)))
    shop.build()
    assert shop.table("orders")["net_minor"].sum() == int(sum(map(Decimal, amounts)) * 100)


# Bad input


def test_an_ambiguous_day_and_month_is_refused_with_both_readings(shop):
    shop.write("orders.csv", GOOD)
    shop.write("google.csv", "Day,Campaign,Clicks,Currency code,Cost\n03/04/2026,x,1,EUR,1.00\n")
    assert "could be day 3 of month 4 or day 4 of month 3" in shop.problem()
    shop.write("google.csv", "Day,Campaign,Clicks,Currency code,Cost\n03/04/2026,x,1,EUR,1.00\n03/25/2026,x,1,EUR,1.00\n")
    shop.build()
    assert shop.table("acquisition_spend")["date"].astype(str).tolist() == ["2026-03-04", "2026-03-25"]


TIKTOK = "Order ID,Order Status,SKU ID,Quantity,SKU Subtotal After Discount,Created Time,Currency,Delivered Time\n"
WOO = "order_id,order_date,status,order_total,order_currency,customer_email\n"


def tiktok(*days: str) -> str:
    """An export of TikTok Shop with an order on each day."""
    return TIKTOK + "".join(f"{k},Shipped,1,1,9.00,{day} 10:00:00,EUR,\n" for k, day in enumerate(days, 100))


def woo(*days: str, status: str = "completed") -> str:
    """An export of WooCommerce with an order on each day."""
    return WOO + "".join(f"{k},{day} 10:00:00,{status},9.00,EUR,a{k}@mail.test\n" for k, day in enumerate(days, 100))


def days_of(shop) -> list[str]:
    """The days of the built orders."""
    return sorted(shop.table("orders")["order_date"].astype(str))


def test_days_that_speak_against_the_documented_order_are_asked_for(shop):
    """Woo writes month first; 1 to 9 November, day first, would be nine days over nine months, and 12 December is to come."""
    november = [f"{day}/11/2026" for day in range(1, 10)]
    shop.write("woo.csv", woo(*november))
    assert "they are spread over 243 days, the other way over 8" in shop.problem() and "day_first = true" in shop.problem()
    shop.settle('[sources.w]\nfiles = "woo.csv"\nday_first = true\n')
    shop.build()
    assert days_of(shop)[0] == "2026-11-01" and days_of(shop)[-1] == "2026-11-09"
    shop.settle("")
    shop.write("woo.csv", woo(*(f"{day[3:5]}/{day[:2]}{day[5:]}" for day in (f"{k:02d}/11/2026" for k in range(1, 10)))))
    shop.build()
    assert days_of(shop)[0] == "2026-11-01" and days_of(shop)[-1] == "2026-11-09"


def test_a_day_to_come_shows_the_wrong_order(shop):
    shop.write("tiktok.csv", tiktok("05/12/2026", "05/03/2026"))
    assert "read day first, as this export usually is, 1 of 2 days lies in the future" in shop.problem()
    shop.write("tiktok.csv", tiktok("12/05/2026", "03/05/2026"))
    shop.build()
    assert days_of(shop) == ["2026-05-03", "2026-05-12"]


def test_one_day_after_the_twelfth_settles_the_whole_file(shop):
    shop.write("woo.csv", woo("3/4/2026", "25/3/2026"))
    shop.build()
    assert days_of(shop) == ["2026-03-25", "2026-04-03"]


def test_an_order_of_the_future_is_rejected_with_its_reason(shop):
    shop.write("orders.csv", GOOD + "3,2062-01-05,cora@mail.test,DE,EUR,5.00\n")
    assert "ordered_at: 1 of 3 values is later than 2026-12-02, when this was read, first '2062-01-05' in row 4" in shop.problem()
    shop.build(max_rejected=0.5)
    assert len(shop.table("orders")) == 2
    assert "later than 2026-12-02" in (shop.folder / "rejected" / "orders.csv.csv").read_text()


def test_a_meta_row_of_several_days_is_refused(shop):
    shop.write("orders.csv", GOOD)
    shop.write("meta.csv", "Reporting starts,Reporting ends,Campaign name,Amount spent (EUR)\n2026-03-01,2026-03-31,x,10.00\n")
    assert "the end of more than one day" in shop.problem()


def test_a_settlement_that_does_not_add_up_is_refused(shop):
    shop.write("orders.csv", GOOD)
    shop.write("settlement.txt", exports.SETTLEMENT.replace("69,55", "70,55"))
    assert "do not add up to its total-amount" in shop.problem()


def test_lines_with_too_many_values_and_unclosed_quotes_are_rejected_not_cut(shop):
    shop.write("orders.csv", GOOD + "3,2026-03-03,,DE,EUR,1,50\n")
    assert "more values than the header has columns" in shop.problem()
    shop.write("orders.csv", GOOD + '3,2026-03-03,"cora@mail.test,DE,EUR,1.00\n4,2026-03-03,,DE,EUR,1.00\n5,2026-03-03,,DE,EUR,1.00\n')
    assert "unclosed quote" in shop.problem()


def test_a_stray_quote_that_swallows_most_of_a_file_refuses_it(shop):
    """It made one record of all that follows, which counted as one rejected row of a few hundred."""
    lines = [f"{k},2026-03-01,,DE,EUR,1.00,Tent {k}" for k in range(60_000)]
    lines[302] = lines[302].replace("Tent", '"Tent')
    shop.write("orders.csv", f"{HEADER},product\n" + "\n".join(lines) + "\n")
    said = shop.problem(max_rejected=1.0)
    assert "line 304: an unclosed quote opens in it and swallows the 59,697 lines to line 60,001." in said and "remove the quote" in said
    lines[500] = lines[500].replace("Tent 500", '"Tent, ""large"""')
    shop.write("orders.csv", f"{HEADER},product\n" + "\n".join(lines) + "\n")
    shop.write("other.csv", f"{HEADER},product\n" + lines[0] + "\n")
    said = shop.problem(max_rejected=1.0)
    assert "swallows the 198 lines to line 502" in said and "other.csv" not in said


def test_values_of_several_lines_are_no_unclosed_quotes(shop):
    note = '"Please ring twice, then leave it there\n\nThank you, all of you, dear shop, Anna"'
    shop.write("orders.csv", f"{HEADER},product\n1,2026-03-01,,DE,EUR,1.00,{note}\n2,2026-03-01,,DE,EUR,1.00,\"5\"\"\"\n")
    assert shop.build().files["rows_accepted"].tolist() == [2]


def test_encodings(shop):
    """UTF-8 with a BOM, Windows, UTF-16 and Japanese, told apart by their bytes; read together, as files of one layout are."""
    for k, (encoding, name) in enumerate([("utf-8-sig", "Münster"), ("cp1252", "München"), ("utf-16", "Łódź"), ("cp932", "東京テント")]):
        text = exports.AMAZON.replace('Tent 5" pole', name).replace("Köln", "Koeln").replace("302-", f"{k}-")
        shop.write(f"amazon_{k}.txt", text.encode(encoding))
    shop.build()
    assert {"Münster", "München", "Łódź", "東京テント"} <= set(shop.table("order_lines")["product"])


@pytest.mark.parametrize("far", [False, True], ids=["at the start", "beyond the sample"])
def test_french_in_windows_letters_is_not_japanese(shop, far):
    """Bytes that can be read as Japanese, too: é and c are one Chinese character. Amazon does come in Japanese."""
    shop.write("orders.csv", GOOD)
    plain = "".join(f"1{k},2026-03-31 22:30:00,2026-04-01 08:00:00,anna@mail.test,78,DE,Return\n" for k in range(5_000 if far else 1))
    shop.write("zendesk.csv", (exports.ZENDESK.splitlines()[0] + "\n" + plain
                               + "2,2026-03-31 22:30:00,2026-04-01 08:00:00,anna@mail.test,78,DE,Réclamation\n").encode("cp1252"))  # fmt: skip
    shop.write("amazon.txt", exports.AMAZON.replace('Tent 5" pole', "Réclamation").replace("Köln", "Koeln").encode("cp1252"))
    shop.build()
    assert "Réclamation" in set(shop.table("tickets")["reason"]) and "Réclamation" in set(shop.table("order_lines")["product"])


def test_nul_bytes_and_a_line_of_ten_megabytes(shop):
    shop.write("orders.csv", GOOD.replace("FR", "F\0R").encode() + b"3,2026-03-03,," + b"x" * 10_000_000 + b",EUR,1.00\n")
    result = shop.build(max_rejected=0.5)
    assert set(shop.table("orders")["market"]) == {"DE", "FR"} and result.files["rows_rejected"].iloc[0] == 1


def test_zip_bombs_links_and_broken_workbooks_are_refused(shop, tmp_path):
    shop.write("orders.csv", GOOD)
    with zipfile.ZipFile(shop.raw / "bomb.xlsx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/worksheets/sheet1.xml", b"0" * 20_000_000)
    shop.write("broken.xlsx", b"PK not a workbook")
    said = shop.problem()
    assert "it unpacks to 20,000,000 bytes" in said and "it is no XLSX workbook" in said
    (shop.raw / "bomb.xlsx").unlink()
    (shop.raw / "broken.xlsx").unlink()
    (tmp_path / "secret.csv").write_text(GOOD)
    (shop.raw / "link.csv").symlink_to(tmp_path / "secret.csv")
    assert "a link that leaves the folder" in shop.problem()


def test_formulas_and_scripts_stay_text(shop):
    shop.write(
        "orders.csv", f"{HEADER},product\n1,2026-03-01,,DE,EUR,10.00,<script>alert(1)</script>\n=cmd|' /C calc'!A0,x,,DE,EUR,1.00,-1+1\n"
    )
    shop.build(max_rejected=0.9)
    assert shop.table("order_lines")["product"].tolist() == ["<script>alert(1)</script>"]
    assert "'=cmd|" in (shop.folder / "rejected" / "orders.csv.csv").read_text()


# Edges


def test_a_build_is_reused_until_something_it_rests_on_changes(shop):
    shop.write("orders.csv", GOOD)
    assert not shop.build().reused
    assert shop.build().reused
    shop.settle("refund_window_days = 20\n")
    assert shop.build().reused, "a setting the tables do not rest on"
    shop.write("orders.csv", GOOD.replace("20.00", "21.00"))
    assert not shop.build().reused


def test_a_failed_build_leaves_the_last_good_tables(shop):
    shop.write("orders.csv", GOOD)
    shop.build()
    shop.write("orders.csv", "nothing\n")
    shop.problem()
    assert len(shop.table("orders")) == 2
    assert not [p for p in shop.folder.iterdir() if p.name.startswith(".build-")]


def test_xlsx_with_two_sheets_counts_overlapping_lines_once(shop):
    """The k-th copy of a line in one sheet is the k-th copy in the other; doubles inside one sheet are real."""
    book = openpyxl.Workbook()
    first, second = book.active, book.create_sheet("2011")
    first.title = "2010"
    line, other = ["7", "2026-03-01", "DE", "EUR", 5.5, "T-1"], ["8", "2026-03-02", "DE", "EUR", 3, "T-1"]
    for sheet, rows in ((first, [line, line]), (second, [line, line, other])):
        sheet.append(["order_id", "ordered_at", "market", "currency", "amount", "product_id"])
        for row in rows:
            sheet.append(row)
    book.save(shop.raw / "orders.xlsx")
    shop.settle('[sources.own]\nfiles = "orders.xlsx"\ncolumns = { part = "sheet" }\n')
    files = shop.build().files
    assert shop.table("orders")["net_minor"].tolist() == [1100, 300]
    assert files["rows_ignored"].iloc[0] == 2


def test_every_sheet_is_looked_at_and_the_ones_not_read_are_named(shop):
    """A cover sheet hides nothing; sheets of one format are read together, whatever the order and spelling of their columns."""
    book = openpyxl.Workbook()
    book.active.title = "Info"
    for row in (["Shop", "Exported"], ["acme", "2026"]):
        book.active.append(row)
    for title, rows in {
        "H1": [["order_id", "ordered_at", "currency", "amount"], [7, "2026-03-01", "EUR", 5.5]],
        "H2": [["Amount", "Order ID", "ordered_at", "currency", "market"], [3, 8, "2026-03-02", "EUR", "FR"], [4, 9, "2026-03-03", "EUR", "AT"]],
        "Desk": [["ticket_id", "opened_at", "email"], ["T1", "2026-03-01", "anna@mail.test"]],
    }.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(shop.raw / "orders.xlsx")
    built = shop.build()
    orders = shop.table("orders").set_index("order_id")
    assert orders["net_minor"].to_dict() == {"7": 550, "8": 300, "9": 400} and orders.loc["9", "market"] == "AT"
    note = "orders.xlsx: of its sheets only H1, H2 are read, not Info (2 rows), Desk (Support tickets). If data stand there, save"
    (shop.raw / "orders (1).xlsx").write_bytes((shop.raw / "orders.xlsx").read_bytes())
    assert shop.build().files["rows_read"].tolist() == [3, 3] and len(shop.table("orders")) == 3, "a copy is read as a file of its own"
    assert note in "\n".join(built.remarks) and note in "\n".join(build.check(shop.settings)["problems"])


def test_files_that_are_not_read_are_named(shop):
    shop.write("orders.csv", GOOD)
    assert not shop.build().remarks
    shop.write("old.xls", b"x")
    shop.write("orders.csv.bak", b"x")
    with zipfile.ZipFile(shop.raw / "payments.zip", "w") as archive:
        archive.writestr("unified_payments.csv", "id")
    built = shop.build()
    assert not built.reused
    for said in (built.remarks, build.check(shop.settings)["problems"]):
        text = "\n".join(said)
        assert "payments.zip: it is not read: an archive that holds unified_payments.csv. Unpack it here" in text
        assert "old.xls: it is not read" in text and "Save it as .xlsx or CSV" in text and "orders.csv.bak: it is not read" in text


def test_the_key_is_outside_the_data_and_only_its_owners(shop):
    shop.write("orders.csv", GOOD)
    shop.build()
    key = shop.home / "keys" / "acme.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and not key.is_relative_to(shop.folder)
    before = set(shop.table("customers")["customer_id"])
    key.unlink()
    assert not shop.build().reused, "a new key means new pseudonyms"
    assert not before & set(shop.table("customers")["customer_id"])


def test_each_text_is_parsed_once(shop, monkeypatch):
    """Checks and values read the parsed columns of a view; DuckDB would parse a text again at every mention."""
    made, real = [], staging._parsed_once
    monkeypatch.setattr(staging, "_parsed_once", lambda *given: made.append(real(*given)) or made[-1])
    shop.write("orders.csv", exports.SHOPIFY)
    shop.build()
    assert not re.search("number_point|try_strptime|trim", ibis.to_sql(made[0], dialect="duckdb"), re.IGNORECASE)


def test_a_template_not_filled_in_is_counted_and_not_loaded(shop, monkeypatch):
    loaded, real = [], read.load
    monkeypatch.setattr(read, "load", lambda con, name, found, *rest: loaded.extend(one.raw.file for one in found) or real(con, name, found, *rest))
    shop.write("orders.csv", GOOD)
    shop.write("refunds.csv", "order_id,refund_date,amount,currency,reason\n\n")
    files = shop.build().files.set_index("file")
    assert loaded == ["orders.csv"] and files.loc["refunds.csv", ["format", "rows_read"]].tolist() == ["refunds", 0]


def test_check_says_what_each_file_was_taken_for(shop):
    shop.write("orders.csv", GOOD)
    shop.write("strange.csv", "a,b\n1,2\n")
    found = build.check(shop.settings).set_index("file")
    assert found.loc["orders.csv", ["format", "rows_read"]].tolist() == ["Orders, generic", 2]
    assert (
        found.loc["strange.csv", "format"] == "not recognised"
        and "no known export has the columns a, b" in found.loc["strange.csv", "problems"]
    )


def test_check_names_a_file_beside_raw_and_a_source_without_a_file(shop):
    shop.write("orders.csv", GOOD)
    (shop.folder / "retention_costs.csv").write_text("month,category,component,amount,currency\n")
    shop.settle('[sources.web]\nfiles = "web_*.csv"\n')
    found = build.check(shop.settings).set_index("file")
    assert found.loc["web_*.csv", "format"] == "no such file"
    assert "it lies beside raw/. Put it into raw/" in found.loc["../retention_costs.csv", "problems"]
    assert len(build.check(shop.settings, shop.raw.parent / "raw")) == len(found)


def test_an_empty_file_is_called_empty_and_a_source_can_be_left_out(shop):
    shop.write("orders.csv", GOOD)
    shop.write("empty.csv", "")
    shop.write("strange.csv", "a,b\n1,2\n")
    said = shop.problem()
    assert "data/acme/raw/empty.csv has 1 problem:\n  1. the file: it is empty" in said
    assert "move it out of raw/, or name it in a source with skip = true" in said
    shop.settle('[sources.old]\nfiles = ["empty*", "strange*"]\nskip = true\n')
    assert shop.build().files["file"].tolist() == ["orders.csv"]


def test_names_in_a_source_that_are_not_there_are_said_with_what_was_meant(shop):
    shop.write("orders.csv", GOOD.replace("email", "e mail address").replace("order_id", "Doc No"))
    shop.settle('[sources.a]\nfiles = "orders*"\ncolumns = { order_id = "Doc No", emial = "e mail address", category = "Kat" }\n'
                'where = { ordered_on = "^2026" }\n')  # fmt: skip
    said = shop.problem()
    assert "columns: 'emial' is no column that Orders, generic reads" in said and "For 'emial', did you mean email?" in said
    assert "columns: no file has a column 'Kat'" in said
    assert "where: 'ordered_on' is no column of the file" in said and "For 'ordered_on', did you mean ordered_at?" in said
    shop.settle('[sources.a]\nfiles = "orders*"\ncolumns = { order_id = "Doc No", email = "e mail address", category = "=Tents" }\n'
                'where = { ordered_at = "^2026" }\n')  # fmt: skip
    assert shop.build().files["rows_accepted"].tolist() == [2]


def test_a_source_whose_file_is_gone_stops_the_run(shop):
    shop.write("orders.csv", GOOD)
    shop.settle('[sources.gone]\nfiles = "other*.csv"\n')
    assert "no file named other*.csv" in shop.problem()


def test_coverage_is_the_later_of_the_setting_and_the_last_order(shop):
    """A setting never holds the monthly job back; it reaches further than the last order, where the export does."""
    shop.put(orders_csv=exports.SHOPIFY)
    for said, covered in {"2026-05-31": "2026-07-04", "2026-07-31": "2026-07-31"}.items():
        shop.settle(f'[sources.eu]\nfiles = "orders*.csv"\ncovered_through = {said}\n')
        assert {str(day) for day in shop.build().files["covered_through"]} == {covered}
    shop.put(orders2_csv=exports.SHOPIFY.replace("2026-07-04", "2026-08-31").replace("#1005", "#1006"))
    assert str(shop.build().files["covered_through"].max()) == "2026-08-31"


def test_one_shop_under_two_sources_is_said(shop):
    """An order counts twice when its number and day stand in two sources of one format; the same number years apart does not."""
    shop.put(a_csv=exports.SHOPIFY, b_csv=exports.SHOPIFY)
    shop.settle('[sources.a]\nfiles = "a.csv"\n[sources.b]\nfiles = "b.csv"\n')
    said = "\n".join(shop.build().remarks)
    assert "5 orders of a stand in b too, number and day alike (first: #1001), and count twice." in said and "files = [" in said
    shop.put(b_csv=exports.SHOPIFY.replace("2026-", "2025-"))
    assert "stand in b too" not in "\n".join(shop.build().remarks)


def test_payments_beside_a_shop_are_said_and_left_out_on_request(shop):
    payment = "ch_9,2026-07-04 09:00,23.80,0.00,eur,true,23.80,1.00,Paid,,Anna@mail.test,Order 1005\n"
    shop.put(orders_csv=exports.SHOPIFY, payments_csv=exports.STRIPE.splitlines()[0] + "\n" + payment)
    assert "1 of the 1 payments of stripe" in "\n".join(shop.build().remarks) and len(shop.table("orders")) == 6
    shop.settle('[sources.stripe]\nfiles = "payments.csv"\nskip = true\n[sources.eu]\nfiles = "orders.csv"\nactive = false\n')
    built = shop.build()
    assert "payments.csv: it is left out: [sources.stripe] says skip = true." in built.remarks
    assert len(shop.table("orders")) == 5 and set(built.files["file"]) == {"orders.csv"}, "a closed shop's orders stay"
    assert build.check(shop.settings).set_index("file").loc["payments.csv", "format"] == "left out: skip = true"


def test_online_retail_agrees_with_the_raw_file_to_the_penny(shop, shared_data):
    """22,523 lines stand in both sheets and count once (PROVENANCE.md); the money is summed apart from the file itself."""
    shutil.copy(os.path.join(os.path.dirname(__file__), "../../data/online-retail-ii/client.toml"), shop.folder / "client.toml")
    files = shop.build(raw=shared_data / "data" / "online_retail_ii").files
    assert (files["rows_read"] + files["rows_ignored"]).iloc[0] == 1_067_371
    raw = pd.read_parquet(shared_data / "data/online_retail_ii/online_retail_ii.parquet")
    overlap = (raw["sheet"] == "Year 2009-2010") & (raw["InvoiceDate"] >= "2010-12-01")
    assert overlap.sum() == 22_523
    fees = raw["StockCode"].isin(["AMAZONFEE", "BANK CHARGES", "CRUK", "B", "S", "ADJUST", "ADJUST2"])
    kept = raw[~overlap & raw["Invoice"].str.fullmatch(r"C?\d{6}") & ~fees]
    pence = (kept["Quantity"] * kept["Price"] * 100).round().sum()
    assert files["raw_minor"].iloc[0] == files["table_minor"].iloc[0] == pence
    assert read.SUFFIXES
