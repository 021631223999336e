"""The demo: what is written is what the platforms write, and the workbook finds in it what the simulation put there.

Oracles: the formats as gathered from vendors' documentation; the simulation's own parameters and uncensored future.
"""

import csv
import hashlib
import re
import time
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from ibis import _

from helpers.client import open_client
from helpers.demo import CUSTOMERS, SEED, baskets, people, shops, write_demo
from helpers.demo.people import LAST, world
from helpers.metrics.acquisition import payback
from helpers.metrics.campaigns import effect
from helpers.metrics.costs import allocation, costs, reallocation
from helpers.metrics.retention import cohorts
from helpers.metrics.risk import signals
from helpers.metrics.voice import promoters, voice
from helpers.money import to_major
from helpers.settings import load_settings

SMALL, SMALL_SEED = 900, 5


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small demo's folder."""
    folder = tmp_path_factory.mktemp("raw")
    write_demo(folder, SMALL, SMALL_SEED)
    return folder


@pytest.fixture(scope="module")
def simulated():
    """The people, orders, lines and campaign arms of the full demo, nothing written."""
    folk = people.people(CUSTOMERS, SEED)
    return (folk, *baskets.all_orders(folk, SEED))


def read(path, **options):
    return pd.read_csv(path, dtype=str, keep_default_na=False, **options)


def orders_files(folder):
    return sorted(folder.glob("orders_export_*.csv"))


class TestWriting:
    def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(self, small, tmp_path):
        def digests(folder):
            return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}

        write_demo(tmp_path / "again", SMALL, SMALL_SEED)
        write_demo(tmp_path / "other", SMALL, SMALL_SEED + 1)
        assert digests(tmp_path / "again") == digests(small)
        assert digests(tmp_path / "other") != digests(small)

    def test_the_whole_demo_takes_less_than_ten_seconds_of_work(self, tmp_path):
        started = time.process_time()
        write_demo(tmp_path)
        assert time.process_time() - started < 10

    def test_every_address_and_telephone_number_is_one_reserved_for_examples(self, small):
        text = "".join(path.read_text("utf-8", errors="replace") for path in small.iterdir())
        found = set(re.findall(r"[\w.+'-]+@([\w.-]+)", text.casefold()))
        assert found
        assert all(re.search(r"(^|\.)example\.(com|org|net)$", domain) for domain in found)
        phones = set(re.findall(r"\+\d{8,}", text))
        assert phones
        assert all(re.fullmatch(r"\+(120255501|4416329601|4930231251)\d\d", number) for number in phones)


class TestShopify:
    def test_has_the_79_columns_in_shopifys_order(self, small):
        for path in orders_files(small):
            header = next(csv.reader(path.open(encoding="utf-8")))
            assert header == shops.headers("shopify")
            assert (len(header), header[0], header[-1]) == (79, "Name", "Payment References")

    def test_one_store_stands_in_several_files_by_year(self, small):
        names = [path.name for path in orders_files(small)]
        assert names == [f"orders_export_{s}_{y}.csv" for s in ("eu", "world") for y in (2023, 2024, 2025, 2026)]

    def test_continuation_rows_carry_the_line_and_little_else(self, small):
        rows = pd.concat([read(path) for path in orders_files(small)])
        later = rows[rows["Name"].duplicated()]
        carried = {c for c in rows if (later[c] != "").any()}
        assert carried == {"Name", "Email", "Created at", "Vendor", "Lineitem discount"} | {
            c for c in rows if c.startswith("Lineitem")} - {"Lineitem compare at price"}
        assert (rows.drop_duplicates("Name")[["Id", "Currency", "Total", "Financial Status"]] != "").all().all()

    def test_times_are_shop_local_with_both_offsets_of_the_year(self, small):
        for store, offsets in (("eu", {"+0100", "+0200"}), ("world", {"-0500", "-0400"})):
            created = pd.concat([read(p)["Created at"] for p in small.glob(f"orders_export_{store}_*.csv")])
            assert created.str.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}").all()
            assert set(created.str[-5:]) == offsets

    def test_the_amounts_of_an_order_add_up_as_they_do_in_shopify(self, small):
        for path in orders_files(small):
            rows = read(path)
            money = rows[["Subtotal", "Shipping", "Taxes", "Total", "Discount Amount"]]
            money = money.replace("", np.nan).astype(float)
            shelf = rows["Lineitem quantity"].astype(int) * rows["Lineitem price"].astype(float)
            shelf = shelf.groupby(rows["Name"]).sum()
            head = money.set_axis(rows["Name"]).dropna()
            tax_on_top = head["Taxes"] if "world" in path.name else 0
            assert np.allclose(head["Subtotal"] + head["Discount Amount"], shelf[head.index], atol=0.005)
            assert np.allclose(head["Total"], head["Subtotal"] + head["Shipping"] + tax_on_top, atol=0.005)

    def test_yen_have_no_decimals_and_zips_an_apostrophe(self, small):
        rows = pd.concat([read(path) for path in small.glob("orders_export_world_*.csv")])
        yen = rows[rows["Currency"] == "JPY"]
        assert yen["Total"].str.fullmatch(r"\d+").all()
        assert yen["Shipping Zip"].str.startswith("'").all()

    def test_some_orders_have_no_buyer_and_some_share_a_placeholder(self, small):
        rows = pd.concat([read(path) for path in orders_files(small)]).drop_duplicates("Name")
        assert (rows["Email"] == "").sum() == round(SMALL * baskets.PER_CUSTOMER[baskets.TILL])
        plain = rows["Email"].str.strip().str.casefold()
        assert plain.str.startswith("noreply@").sum() == int(SMALL * baskets.PER_CUSTOMER[baskets.IMPORTED])
        assert rows["Email"].nunique() > plain.nunique(), "guests type their address in several ways"


class TestOtherPlatforms:
    def test_amazon_is_tab_separated_without_buyers_and_one_year_is_in_the_windows_code_page(self, small):
        for path in small.glob("amazon_all_orders_*.txt"):
            rows = read(path, sep="\t", encoding="cp1252" if "2024" in path.name else "utf-8")
            assert list(rows) == shops.headers("amazon")
            assert "München" in set(rows["ship-city"])
        with pytest.raises(UnicodeDecodeError):
            (small / "amazon_all_orders_2024.txt").read_text("utf-8")

    def test_amazon_repeats_shopify_orders_it_only_shipped(self, small):
        rows = pd.concat([read(p, sep="\t", encoding="cp1252") for p in small.glob("amazon_all_orders_*.txt")])
        shipped = rows[rows["sales-channel"] == "Non-Amazon"]
        ours = pd.concat([read(path)["Name"] for path in small.glob("orders_export_eu_*.csv")])
        assert len(shipped)
        assert set(shipped["merchant-order-id"]) <= set(ours)
        unpriced = rows["order-status"].isin(["Pending", "Cancelled"]) | (rows["sales-channel"] == "Non-Amazon")
        assert (rows.loc[unpriced, "item-price"] == "").all()
        assert (rows.loc[~unpriced, "item-price"] != "").all()

    def test_ad_reports_have_the_platforms_preamble_currency_and_totals(self, small):
        google = (small / "google_ads_report.csv").read_text("utf-8").splitlines()
        assert google[2].startswith("Day,Campaign,")
        assert google[-1].startswith("Total: Account")
        meta = (small / "meta_ads_report.csv").read_bytes()
        assert meta.startswith(b"\xef\xbb\xbfReporting starts")
        assert b"Amount spent (USD)" in meta
        tiktok = (small / "tiktok_ads_report.csv").read_text("utf-8").splitlines()
        assert (tiktok[1][:10], tiktok[-1].split()[0]) == ("2025-01-01", "Total")

    def test_nothing_is_later_than_the_last_day(self, small):
        columns = {"refunds": "refund_date", "surveys": "answered_date", "engagement": "date",
                   "surveys_sent": "sent_date", "subscriptions": "date", "deliveries": "delivered_date"}
        for name, column in columns.items():
            days = read(small / f"{name}.csv")[column]
            assert days[days != ""].between("2023-11-01", "2026-10-31").all(), name


class TestSimulation:
    def test_dropout_leaves_the_share_the_parameters_say(self):
        """MBG: after each order the customer leaves with the same chance, so P(a second order) = 1 - that chance."""
        same = {"leave": np.log(1 / 3), "rate": 1 / 10, "market": "US", "first": 0, "subscriber": False}
        orders = people.purchases(people.people(20_000, 3).assign(**same), 3)
        late = people.fact("late")["US"]
        leaves = (1 - late) * 0.25 + late / (1 + 3 * np.exp(-world()["late_shift"]))
        assert orders["nth"].eq(2).sum() / 20_000 == pytest.approx(1 - leaves, abs=0.01)

    def test_gaps_of_a_living_customer_have_the_mean_they_were_given(self):
        """Exponential gaps in seasonal time: over whole years the season averages out."""
        same = {"leave": -30.0, "rate": 1 / 10, "market": "DE", "first": 0, "subscriber": False}
        orders = people.purchases(people.people(300, 3).assign(**same), 3)
        assert len(orders) / 300 == pytest.approx(1 + people.END / 10, rel=0.02)

    def test_the_price_rise_makes_customers_of_its_market_leave_and_no_others(self, simulated):
        """Share of purchases soon followed by another: four months from the rise on against the year before."""
        folk, orders, _, _ = simulated
        rows = orders[(orders["person"] >= 0) & ~orders["renewal"]].sort_values("at")
        rows = rows.assign(followed=rows.groupby("person")["day"].shift(-1).sub(rows["day"]).le(200))
        day = people.number(world()["price_rise"]["day"])
        after, before = rows[rows["day"].between(day, day + 120)], rows[rows["day"].between(day - 365, day - 245)]
        change = after.groupby("market")["followed"].mean() - before.groupby("market")["followed"].mean()
        assert change["GB"] < -0.07
        assert change.drop("GB").min() > -0.02

    def test_the_campaign_adds_its_lift_to_the_treated(self, simulated):
        _, orders, _, arms = simulated
        day, plan = people.number(world()["campaign"]["day"]), world()["campaign"]
        within = orders[orders["day"].between(day, day + plan["within_days"] - 1) & (orders["status"] != "refused")]
        back = arms["person"].isin(within["person"]).groupby(arms["holdout"])
        lift, n = back.mean()[False] - back.mean()[True], back.size()
        error = np.sqrt((back.var() / n).sum())
        assert abs(lift - plan["lift"]) < 2 * error
        caused = orders[orders["extra"]]
        assert len(caused) / n[False] == pytest.approx(plan["lift"], abs=0.01)

    def test_markets_differ_as_they_were_meant_to(self, demo_truth):
        assert demo_truth.retention_order[0] == "JP"
        assert demo_truth.retention_order[-1] == "AE"
        assert 0.08 < min(demo_truth.retention.values()) < max(demo_truth.retention.values()) < 0.30

    def test_the_business_is_believable(self, demo_truth):
        assert 90 <= demo_truth.churn_window_days <= 200
        assert 10 <= demo_truth.retention_cost["per_customer"] <= 40
        payback = demo_truth.payback_months()
        assert payback.pop("AE") > 8
        assert max(payback.values()) <= 6


@pytest.fixture(scope="module")
def shop(demo_run):
    """The demo's tables as intake built them, opened as of the last day."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_HOME", str(demo_run.home))
        yield open_client("demo", "2026-10-31")


class TestThroughTheWorkbook:
    """Two roads: the simulation's own sums, and the tables that intake built from the files."""

    def test_every_order_arrives_once(self, shop, demo_truth):
        counted = shop.orders.group_by("source").agg(n=_.count()).execute().set_index("source")["n"]
        assert {"eu": counted["shopify-eu"], "world": counted["shopify-world"]} == demo_truth.orders

    def test_sales_agree_to_the_minor_unit_in_every_currency(self, shop, demo_truth):
        kept = shop.orders.filter(_.sales_channel == "shopify", _.status.isin(["paid", "delivered"]))
        sums = kept.group_by("currency").agg(net=_.net_minor.sum()).execute()
        for row in sums.itertuples():
            assert to_major(row.net, row.currency) == pytest.approx(demo_truth.net[row.currency], abs=0.001)

    def test_nothing_is_rejected_and_every_files_money_arrives(self, shop):
        files = shop.files
        assert files["rows_rejected"].sum() == 0
        assert (files["raw_minor"].fillna(0) == files["table_minor"].fillna(0)).all()

    def test_purchase_occasions_are_the_simulated_ones(self, shop, demo_truth):
        """To the day where no exchange rate comes between."""
        facts = {"days": _.count(), "people": _.customer_id.nunique(), "net": _.net_sales_rc.sum()}
        told = shop.occasions.group_by("home_market").agg(**facts).execute().set_index("home_market").sort_index()
        own = demo_truth.occasions.groupby("market").agg(
            days=("day", "size"), people=("person", "nunique"), net=("net", "sum"))
        assert told.loc["DE", ["days", "people"]].tolist() == own.loc["DE", ["days", "people"]].tolist()
        assert told["days"].tolist() == pytest.approx(own["days"].tolist(), rel=0.025)
        assert told["people"].tolist() == pytest.approx(own["people"].tolist(), rel=0.02)
        assert (told["net"] / 100).tolist() == pytest.approx(own["net"].tolist(), rel=1e-3)

    def test_first_channels_and_categories_are_the_simulated_ones(self, shop, demo_truth):
        firsts = shop.occasions.filter(_.n == 1)
        told = firsts.group_by("first_acquisition_channel").agg(n=_.count()).execute().dropna()
        own = demo_truth.occasions.query("n == 1")["channel"].value_counts()
        shares = told.set_index("first_acquisition_channel")["n"] / told["n"].sum()
        assert shares.to_dict() == pytest.approx((own / own.sum()).to_dict(), abs=0.002)
        categories = firsts.group_by("first_product_category").agg(n=_.count()).execute()
        assert set(categories["first_product_category"].dropna()) == set(world()["products"])

    def test_amazon_buyers_the_till_and_the_marketplace_import_are_nobody(self, shop):
        nobody = shop.orders.filter(_.customer_id.isnull()).group_by("sales_channel").agg(n=_.count()).execute()
        counted = nobody.set_index("sales_channel")["n"]
        strays = sum(int(CUSTOMERS * baskets.PER_CUSTOMER[who]) for who in (baskets.TILL, baskets.IMPORTED))
        assert counted["shopify"] == strays
        assert shop.orders.filter(_.sales_channel == "amazon", _.customer_id.notnull()).count().execute() == 0

    def test_the_censored_life_table_finds_the_true_churn_window(self, shop, demo_truth):
        found = replace(shop, settings=shop.settings.model_copy(update={"churn_window_days": "auto"})).window
        assert found == pytest.approx(demo_truth.churn_window_days, rel=0.10)
        assert shop.window == found  # as its client.toml keeps it

    def test_media_spend_agrees_by_channel(self, shop, demo_truth):
        """Dollars of Meta were bought at a planned rate, so its euro differ from plan as the dollar moved."""
        media = shop.table("acquisition_spend").filter(_.kind == "media")
        told = media.group_by("channel").agg(spent=_.amount_rc.sum()).execute().set_index("channel")["spent"] / 100
        own = demo_truth.cac["media"].groupby("channel").sum()
        for channel in ("paid_search", "influencer", "referral", "email"):
            assert told[channel] == pytest.approx(own[channel], rel=1e-4)
        assert told["paid_social"] == pytest.approx(own["paid_social"], rel=0.08)

    def test_the_ledger_agrees(self, shop, demo_truth):
        """Of the trailing quarter, what serves existing customers, in euro at each month's rate."""
        quarter = shop.table("retention_costs").filter(_.month >= date(2026, 8, 1))
        told = quarter.agg(euro=(_.amount_rc * _.existing_share).sum()).execute().iloc[0, 0] / 100
        assert told == pytest.approx(demo_truth.retention_cost["ledger"], rel=2e-3)


    def test_retention_at_each_age_is_the_simulated_one(self, shop, demo_truth):
        table = cohorts.retention_table(shop.occasions, shop.as_of, ["home_market"])
        curve = cohorts.retention_curve(table, ["home_market"])
        told = curve[curve["age"].between(1, 6)].groupby("home_market")["value"].mean()
        assert told.to_dict() == pytest.approx(demo_truth.retention, abs=0.01)
        assert sorted(told.index, key=told.get, reverse=True) == demo_truth.retention_order

    def test_winning_a_customer_costs_and_pays_back_as_simulated(self, shop, demo_truth):
        """Media alone; the workbook's curve of margin by age against the simulation's, at the true cost."""
        curve = payback.ltv_curve(shop.occasions, shop.as_of, ["home_market"])
        cost = pd.Series(demo_truth.media_per_customer, name="value").rename_axis("home_market").reset_index()
        told = payback.payback_months(curve, cost.assign(value=100 * cost["value"]), ["home_market"])
        own = demo_truth.payback_months()
        assert told.set_index("home_market")["value"].to_dict() == pytest.approx(own, abs=1)

    def test_the_interval_of_the_campaigns_effect_covers_the_truth(self, shop, demo_truth):
        assert demo_truth.campaign_days == effect.HORIZON_DAYS
        sums = effect.arm_sums(shop.table("campaigns"), shop.occasions, shop.as_of)
        found = effect.effects(sums, "EUR").set_index(["campaign_id", "outcome"])
        worked, nothing = (found.loc[(world()[name]["id"], "repurchase")] for name in ("campaign", "bundle"))
        assert worked["low"] < demo_truth.campaign_lift < worked["high"]
        assert nothing["low"] < 0 < nothing["high"]
        assert (worked["called"], nothing["called"]) == (True, False)

    def test_the_planned_holdouts_of_the_settings_are_the_simulated_ones(self):
        told = load_settings("demo").playbook.planned_holdouts
        assert told == {world()[name]["id"]: world()[name]["holdout"] for name in ("campaign", "bundle")}

    def test_customers_answer_to_channel_spend_as_simulated(self, shop):
        """Elasticities of the big markets' channels, and what the recommended split would truly save."""
        found = reallocation.responses(reallocation.panel(shop.books, date(2026, 10, 31)))
        found["true"] = found["channel"].map(world()["reach"])
        big = found[found["market"].isin(["DE", "GB", "US"]) & (found["channel"] != "sms")]
        assert (big["basis"] == "fitted").all()
        assert ((big["elasticity"] - big["true"]).abs() < 2.5 * big["se"]).all()
        plan = reallocation.best_split(found)
        saving = reallocation.worth(plan)[1]
        assert saving.low < reallocation._saved(plan, plan["true"].to_numpy()) < saving.high

    def test_signals_reach_back_far_enough_for_both_models(self, shop):
        days = [shop.as_of - timedelta(days=back * shop.window) for back in (2, 1, 0)]
        assert signals.usable(shop.table, shop.has, days) == {"tickets": "", "engagement": ""}

    def test_what_goes_with_recommending_stands_in_the_order_of_its_weights(self, shop):
        found = promoters.drivers(shop.table("surveys")).set_index("question")["value"]
        weights = pd.Series(world()["questions"]["weight"])
        assert found.sort_values().index.tolist() == weights.sort_values().index.tolist()

    def test_cost_per_customer_is_the_simulated_one(self, shop, demo_truth):
        """The workbook leaves out what orders without a buyer share of lines spread by orders or revenue: some 2 %."""
        period = costs.quarter(shop.as_of)
        ledger, customers = allocation.allocated(shop.books, period), costs.customers(shop.books, period)
        told = costs.retention_cost_per_customer(ledger, customers, "EUR")
        assert told.value == pytest.approx(demo_truth.retention_cost["per_customer"], rel=0.03)

    def test_nps_of_each_market_is_the_score_of_its_answers(self, shop, demo_truth):
        told = voice.nps(shop.table("surveys"), None, ["market"]).set_index("market")["value"]
        assert told.to_dict() == pytest.approx(demo_truth.nps, abs=1e-6)


class TestSettings:
    def test_client_toml_is_valid_and_states_the_margins_that_the_truth_uses(self):
        told = load_settings("demo")
        assert told.margin.by_market == people.fact("margin")
        assert {source.covered_through for source in told.sources.values()} == {date(2026, 10, 31)}
        assert people.number(date(2026, 10, 31)) == LAST
