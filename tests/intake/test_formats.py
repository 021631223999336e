"""Every format file against a small file in its shape; the expected numbers are worked out by hand from the text of exports.py."""

import exports
import ibis
import pandas as pd
import pytest

from helpers.intake import recognise, sales
from helpers.intake.contract import IntakeError


def order(shop, source, number):
    """One order of the built client."""
    orders = shop.table("orders")
    return orders[(orders["source"] == source) & (orders["order_id"] == number)].iloc[0]


EXPECTED = {
    "orders_export_eu.csv": "shopify_orders",
    "amazon_all.txt": "amazon_all_orders",
    "settlement.txt": "amazon_settlement",
    "fba_returns.csv": "fba_returns",
    "repeat.json": "amazon_repeat_purchase",
    "woo_export.csv": "woocommerce_orders",
    "woo_analytics.csv": "woocommerce_analytics",
    "magento_grid.csv": "magento_orders",
    "tiktok_shop.csv": "tiktok_shop_orders",
    "stripe.csv": "stripe_payments",
    "paypal.csv": "paypal_activity",
    "google.csv": "google_ads",
    "meta.csv": "meta_ads",
    "tiktok_ads.csv": "tiktok_ads",
    "amazon_ads.csv": "amazon_ads",
    "hubspot.csv": "hubspot_contacts",
    "salesforce.csv": "salesforce_contacts",
    "klaviyo.csv": "klaviyo_profiles",
    "shopify_customers.csv": "shopify_customers",
    "zendesk.csv": "zendesk_tickets",
    "gorgias.csv": "gorgias_tickets",
    "surveys_wide.csv": "surveys_wide",
    "own_shop.csv": "generic_orders",
    "retention_costs.csv": "costs",
}


def test_each_file_is_taken_for_what_it_is(everything):
    files = everything.result.files.drop_duplicates("file").set_index("file")["format"]
    wanted = {name: EXPECTED.get(name, name.removesuffix(".csv")) for name in exports.FILES}
    assert files.to_dict() == wanted
    assert set(files) == set(recognise.load_formats()), "a format without an example here"


def test_rows_and_money_of_every_file_add_up(everything):
    files = everything.result.files
    assert (files["rows_read"] == files["rows_accepted"] + files["rows_rejected"]).all()
    assert files["rows_rejected"].sum() == 0
    known = files.dropna(subset=["currency"])
    off = known[known["raw_minor"] != known["table_minor"]]
    assert off.empty, off[["file", "currency", "raw_minor", "table_minor"]]
    assert not [said for said in everything.result.remarks if "stand in the tables" in said]


def test_shopify_prices_with_tax_become_net(everything):
    """119.00 with 19.00 tax is 100.00 net; the discount of 11.90 is 10.00 net; local day across the change of clocks."""
    anna = order(everything, "eu", "#1001")
    assert (anna["gross_minor"], anna["discount_minor"], anna["net_minor"]) == (11_000, 1_000, 10_000)
    assert (anna["market"], anna["acquisition_channel"], anna["acquisition_campaign"]) == ("DE", "paid_social", "spring")
    assert str(anna["ordered_at"]) == "2026-03-29 00:30:00+00:00"
    assert (anna["status"], str(anna["delivered_date"])[:10]) == ("delivered", "2026-04-01")
    lines = everything.table("order_lines").query("source == 'eu' and order_id == '#1001'").set_index("product_id")
    assert lines["net_rc"].sum() == 10_000
    assert lines.loc["T-1", ["category", "unit_cost_rc", "quantity"]].tolist() == ["Tents", 4_000, 1]
    assert lines.loc["P-1", "product"] == 'Peg, "steel" XL'
    assert anna["category"] == "Tents"


def test_the_category_of_an_order_is_that_of_its_costliest_line():
    """Of equal ones the last by name; lines without a category do not count."""
    lines = [("a", 10, "pegs"), ("a", 90, "tents"), ("b", 50, "pegs"), ("b", 50, "tents"), ("c", 90, None), ("c", 1, "pegs"), ("d", 5, None)]
    lines = pd.DataFrame(lines, columns=["order_id", "net_rc", "category"]).assign(source="eu")
    found = sales.with_category(ibis.memtable({"source": ["eu"] * 5, "order_id": list("abcde")}), ibis.memtable(lines)).execute()
    assert found.set_index("order_id")["category"].dropna().to_dict() == {"a": "tents", "b": "tents", "c": "pegs"}


def test_a_seller_discount_of_tiktok_and_a_test_of_shopify(shop):
    """TikTok: 40.00 + 20.00 after discounts of 4.00 and 0 by the seller. Shopify: an order by the Bogus Gateway is a test."""
    head, *rows = exports.TIKTOK_SHOP.splitlines()
    rows = [f"{head},SKU Seller Discount,Currency", f"{rows[0]},,", f"{rows[1]},4.00,USD", f"{rows[2]},0,USD", f"{rows[3]},0,USD"]
    shop.write("tiktok.csv", "\n".join(rows) + "\n")
    shop.write("shopify.csv", exports.SHOPIFY.replace("Cash,0,,pos", "(for testing) Bogus Gateway,0,,web"))
    shop.build()
    sold = order(shop, "tiktok_shop", "801")
    assert (sold["gross_minor"], sold["discount_minor"], sold["net_minor"]) == (6_400, 400, 6_000)
    assert order(shop, "shopify", "#1004")["status"] == "cancelled"


def test_shopify_other_states(everything):
    """A yen order has no decimals; its refund is of goods first; a refused parcel, a till sale, a renewal."""
    bert = order(everything, "eu", "#1002")
    assert (bert["currency"], bert["net_minor"], bert["refund_undated_minor"]) == ("JPY", 1_500, 500)
    refused = order(everything, "eu", "#1003")
    assert (refused["status"], refused["market"], refused["is_cod"]) == ("refused", "NA", True)
    assert order(everything, "eu", "#1004")["identity_scope"] == "none"
    assert order(everything, "eu", "#1005")["is_renewal"]
    assert bert["referred_by"] == order(everything, "eu", "#1001")["customer_id"]


def test_amazon_line_totals_states_and_foreign_orders(everything):
    """238.00 with 38.00 tax less 11.90 promised: (238 − 11.9) − 38; the cancelled item and the Non-Amazon order are ignored."""
    first = order(everything, "amazon", "302-1")
    assert (first["net_minor"], str(first["order_date"])[:10]) == (18_810, "2026-03-02")
    assert pd.isna(first["customer_id"])
    assert order(everything, "amazon", "302-2")["status"] == "pending"
    american = order(everything, "amazon", "302-3")
    assert (american["net_minor"], american["shipping_minor"]) == (2_000, 500)
    account = everything.result.files.query("file == 'amazon_all.txt'").iloc[0]
    assert (account["rows_read"], account["rows_ignored"]) == (3, 2)


def test_settlement_refunds_and_advertising(everything):
    refunds = everything.table("refunds")
    amazon = refunds[refunds["source"] == "amazon"].set_index("order_id")
    assert amazon.loc["302-1", ["amount_minor", "currency"]].tolist() == [5_000, "EUR"]
    assert amazon.loc["302-3", ["amount_minor", "currency"]].tolist() == [2_000, "USD"], "a returned piece at its price"
    spend = everything.table("acquisition_spend")
    ads = spend[(spend["channel"] == "marketplace_ads") & (spend["amount_minor"] == 5_000)]
    assert len(ads) == 1 and str(ads["date"].iloc[0])[:10] == "2026-03-14"


def test_other_shops(everything):
    woo = order(everything, "woocommerce", "501")
    assert (woo["gross_minor"], woo["discount_minor"], woo["net_minor"], woo["status"]) == (6_000, 1_000, 5_000, "delivered")
    assert order(everything, "woocommerce", "502")["refund_undated_minor"] == 2_000
    assert order(everything, "woo-analytics", "601")["identity_scope"] == "none"
    magento = order(everything, "magento", "000000701")
    assert (magento["net_minor"], magento["currency"], str(magento["ordered_at"])) == (123_050, "USD", "2026-03-15 01:05:00+00:00")
    tiktok = order(everything, "tiktok-shop", "801")
    assert (tiktok["net_minor"], tiktok["refund_undated_minor"], tiktok["identity_scope"]) == (6_000, 2_000, "channel_account")
    assert order(everything, "tiktok-shop", "802")["identity_scope"] == "none", "a masked name is nobody"


def test_payments(everything):
    stripe = order(everything, "stripe", "ch_1")
    assert (stripe["net_minor"], stripe["currency"], str(stripe["order_date"])[:10]) == (2_500, "EUR", "2026-04-01")
    assert stripe["customer_id"] == order(everything, "eu", "#1001")["customer_id"], "one buyer across platforms"
    assert order(everything, "stripe", "ch_2")["status"] == "cancelled"
    assert order(everything, "paypal", "TX1")["net_minor"] == 110_000
    refund = everything.table("refunds").query("source == 'paypal'").iloc[0]
    assert (refund["order_id"], refund["amount_minor"]) == ("TX1", 10_000)


def test_generic_orders_in_a_national_layout(everything):
    """Semicolons, decimal commas, days first, country names; a negative line is a refund laid on the last order of the product."""
    assert order(everything, "own", "9002")[["net_minor", "market"]].tolist() == [101_000, "AT"]
    refund = everything.table("refunds").query("source == 'own'").iloc[0]
    assert (refund["order_id"], refund["amount_minor"]) == ("9002", 1_050)


@pytest.mark.parametrize(
    ("channel", "market", "minor", "currency"),
    [
        ("paid_search", "DE", 101_250, "EUR"),
        ("paid_social", "FR", 101_250, "USD"),
        ("paid_social", "GB", 3_025, "EUR"),
        ("marketplace_ads", None, 350, "EUR"),
        ("influencer", "DE", 9_990, "EUR"),
    ],
)
def test_advertising(everything, channel, market, minor, currency):
    spend = everything.table("acquisition_spend")
    here = spend["market"].isna() if market is None else spend["market"] == market
    assert ((spend["channel"] == channel) & here & (spend["amount_minor"] == minor) & (spend["currency"] == currency)).sum() == 1


def test_contacts_enrich_customers(everything):
    people = everything.table("customers").set_index("customer_id")
    anna, bert = (people.loc[order(everything, "eu", number)["customer_id"]] for number in ("#1001", "#1002"))
    assert (anna["consent_email"], str(anna["signup_date"])[:10], anna["truncated"]) == (True, "2025-12-24", True)
    assert bert["consent_email"] is False or bert["consent_email"] == False  # noqa: E712
    assert people.loc[order(everything, "woocommerce", "501")["customer_id"], "consent_sms"] == False  # noqa: E712


def test_service_and_voice(everything):
    tickets = everything.table("tickets").set_index("ticket_id")
    assert str(tickets.loc["20001", "opened_date"])[:10] == "2026-03-31", "a time without offset is the client's"
    assert tickets.loc["t1", "cost_rc"] == 250 and tickets.loc["g1", "cost_rc"] > 0
    surveys = everything.table("surveys")
    assert sorted(surveys["kind"]) == ["ces", "csat", "csat", "nps"]
    assert surveys.set_index("kind").loc["nps", ["score", "scale_max", "has_comment"]].tolist() == [9.0, 10.0, True]
    assert everything.table("campaigns")["arm"].tolist() == ["treated", "holdout"]
    assert everything.table("retention_costs")["month"].astype(str).tolist() == ["2026-03-31"]
    repeat = everything.table("repeat_aggregates").iloc[0]
    assert (repeat["repeat_customers_share"], repeat["repeat_revenue_minor"]) == (0.0833, 31_050)


def test_no_personal_data_in_the_tables(everything):
    """Two roads: whatever the format, no e-mail, name, telephone number or street is in any table."""
    personal = ("@", "Muster", "4930", "030 123", "Anna", "Cora", "user_g", "cus_1")
    for path in (everything.folder / "tables").glob("*.parquet"):
        frame = pd.read_parquet(path)
        text = " ".join(frame[c].dropna().astype(str).str.cat(sep=" ") for c in frame.columns)
        assert not [word for word in personal if word in text], path.name


def test_constant_amounts_in_the_reporting_currency(everything):
    """Every amount stands in the reporting currency as well, at the rate the fx table gives for its day."""
    orders, fx = everything.table("orders"), everything.table("fx")
    joined = orders.merge(fx, left_on=["currency", "order_date"], right_on=["currency", "date"])
    assert len(joined) == len(orders)
    factor = joined["currency"].map({"EUR": 1.0, "USD": 1.0, "JPY": 100.0})
    assert (joined["net_rc"] - joined["net_minor"] * factor * joined["rate"]).abs().max() <= 0.5 + 1e-6


GERMAN = '''"Datum","Uhrzeit","Zeitzone","Name","Typ","Status","Währung","Brutto","Gebühr","Netto","Absender E-Mail-Adresse","Transaktionscode",\
"Zugehöriger Transaktionscode","Ländervorwahl","Auswirkung auf Guthaben"
"13.09.2026","23:30:00","PDT","X","PayPal Express-Zahlung","Abgeschlossen","EUR","1.050,00","-1,50","1.048,50","a@mail.test","G1","","DE","Haben"
"14.09.2026","12:00:00","CEST","X","Handyzahlung","Ausstehend","EUR","50,00","-1,50","48,50","b@mail.test","G2","","AT","Haben"
"20.09.2026","10:00:00","CEST","X","Rückzahlung","Abgeschlossen","EUR","-20,00","0,60","-19,40","shop@mail.test","R1","G1","DE","Soll"
"21.09.2026","10:00:00","CEST","X","Allgemeine Abbuchung","Abgeschlossen","EUR","-500,00","0,00","-500,00","","W1","","DE","Soll"
"22.09.2026","10:00:00","CEST","X","Bankgutschrift auf PayPal-Konto","Abgeschlossen","EUR","300,00","0,00","300,00","","D1","","DE","Haben"
"22.09.2026","10:00:00","CEST","X","Allgemeine Währungsumrechnung","Abgeschlossen","EUR","250,00","0,00","250,00","","D2","","DE","Haben"
"22.09.2026","10:00:00","CEST","X","Einbehaltung für offene Autorisierung","Ausstehend","EUR","70,00","0,00","70,00","","H1","","DE","Memo"
'''


def test_paypal_in_german(shop):
    """Sales and refunds are read; transfers, conversions and holds are neither; each row's own clock counts (23:30 in PDT is 8:30)."""
    shop.write("Download.csv", GERMAN)
    files = shop.build().files.iloc[0]
    orders, refunds = shop.table("orders").set_index("order_id"), shop.table("refunds")
    assert orders[["gross_minor", "market", "status"]].values.tolist() == [[105_000, "DE", "paid"], [5_000, "AT", "pending"]]
    assert str(orders.loc["G1", "ordered_at"]) == "2026-09-14 06:30:00+00:00"
    assert refunds[["order_id", "amount_minor"]].values.tolist() == [["G1", 2_000]]
    assert (files["rows_read"], files["rows_ignored"], files["rows_rejected"]) == (3, 4, 0)


def test_an_unknown_paypal_type_is_said_and_can_be_named(shop):
    shop.write("Download.csv", GERMAN.replace("Handyzahlung", "Neues"))
    with pytest.raises(IntakeError) as caught:
        shop.build()
    assert "Type: 1 of 3 values is not known: 'Neues' (1), first" in str(caught.value) and "[sources.<name>.types]" in str(caught.value)
    shop.settle('[sources.pp]\nfiles = "Down*"\n[sources.pp.types]\nneues = "sale"\n')
    shop.build()
    assert len(shop.table("orders")) == 2
    shop.write("Download.csv", GERMAN.replace("CEST", "IST"))
    with pytest.raises(IntakeError, match="TimeZone: 2 of 3 values are not a known time zone"):
        shop.build()


def test_states_of_the_shops_own_are_listed_and_can_be_named(shop):
    header = "order_id,order_date,status,order_total,order_currency\n"
    shop.write("woo.csv", header + "".join(f"{k},2026-05-0{k},{s},9,EUR\n" for k, s in enumerate(["shipped", "shipped", "paid-out", "completed"], 1)))
    with pytest.raises(IntakeError) as caught:
        shop.build()
    said = str(caught.value)
    assert "status: 3 of 4 values are not known: 'shipped' (2), 'paid-out' (1); known are completed, processing, on-hold" in said
    assert 'shipped = "paid"' in said and "paid, delivered, cancelled, refused, pending" in said
    shop.settle('[sources.w]\nfiles = "woo.csv"\n[sources.w.statuses]\nShipped = "delivered"\npaid-out = "pending"\n')
    shop.build()
    assert shop.table("orders").sort_values("order_id")["status"].tolist() == ["delivered", "delivered", "pending", "delivered"]
