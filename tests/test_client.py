"""A client as of a date: nothing later is seen, missing tables are sentences, uncovered days stop the run."""

import json
from datetime import date

import ibis
import pandas as pd
import pytest
from pencil import REFUND, TIMELINE, orders_of

from helpers import client as clients
from helpers import periods, schema
from helpers.estimates import MissingTable, NotEnoughData

TOML = """
name = "Acme"
currency = "EUR"
time_zone = "Europe/Berlin"
[margin]
rate = 0.4
[sources.shop]
files = "orders.csv"
"""
FILE = dict(file="orders.csv", format="generic", source="shop", sha256="0", rows_read=17, rows_accepted=17,
            rows_rejected=0, rows_ignored=0, covered_through=date(2026, 6, 30), currency="EUR")


@pytest.fixture
def acme(tmp_path, monkeypatch, table):
    """The six customers as a built client on disk; gives its folder."""
    monkeypatch.setenv("WORKBOOK_HOME", str(tmp_path))
    folder = tmp_path / "data" / "acme"
    (folder / "tables").mkdir(parents=True)
    (folder / "client.toml").write_text(TOML)
    rows = {"orders": orders_of(TIMELINE), "refunds": [REFUND], "files": [FILE]}
    for name in schema.ALWAYS:
        table(name, rows.get(name, ())).to_parquet(folder / "tables" / f"{name}.parquet")
    (folder / "tables" / "build.json").write_text(json.dumps({"build": "one"}))
    return folder


def test_orders_and_occasions_stop_at_as_of(acme):
    shop = clients.open_client("acme", "2026-03-31")
    assert shop.orders.order_date.max().to_pandas().date() == date(2026, 3, 28)
    assert shop.occasions.count().to_pandas() == sum(day <= "2026-03-31" for _, _, day in TIMELINE)


def test_the_data_begin_with_the_first_known_customer(acme):
    path = acme / "tables" / "orders.parquet"
    orders = pd.read_parquet(path)
    first = orders["order_date"].min()
    orders.loc[orders["order_date"] == first, "customer_id"] = None
    orders.to_parquet(path)
    assert clients.open_client("acme", "2026-06-30").first_day == orders.loc[orders["order_date"] != first, "order_date"].min()
    orders.assign(customer_id=None).astype({"customer_id": orders["customer_id"].dtype}).to_parquet(path)
    assert clients.open_client("acme", "2026-06-30").first_day == first


def test_at_gives_the_earlier_view_of_a_client_opened_that_day(acme):
    late, early = clients.open_client("acme", "2026-06-30"), clients.open_client("acme", "2026-02-28")
    moved = late.at("2026-02-28").occasions.order_by("customer_id", "date").to_pandas()
    assert moved.equals(early.occasions.order_by("customer_id", "date").to_pandas())


def test_a_market_keeps_its_customers(acme):
    british = clients.open_client("acme", "2026-06-30", "gb").occasions.to_pandas()
    assert set(british["customer_id"]) == {"carla", "dora"}


def test_an_unknown_market_names_the_known_ones(acme):
    with pytest.raises(ValueError, match="Markets with orders: DE, GB, US"):
        clients.open_client("acme", "2026-06-30", "FR")


def test_a_day_beyond_the_export_stops_and_names_the_export(acme):
    with pytest.raises(clients.NotCovered, match="shop ends on 2026-06-30"):
        clients.open_client("acme", "2026-07-01")


@pytest.mark.parametrize("sources", ['[sources.shop]\nfiles = "orders.csv"', ""], ids=["named", "unnamed"])
@pytest.mark.parametrize("day", ["2020-01-31", "2027-06-30"])
def test_a_day_outside_the_orders_names_both_ends(acme, day, sources):
    (acme / "client.toml").write_text(TOML.split("[sources")[0] + sources)
    with pytest.raises(clients.NotCovered, match="the orders run from 2025-11-05 to 2026-06-30"):
        clients.open_client("acme", day)


def test_closed_shops_have_no_end(acme):
    (acme / "client.toml").write_text(TOML + "active = false\n")
    assert clients.open_client("acme", "2026-08-31").as_of == date(2026, 8, 31)


def test_a_quiet_help_desk_does_not_stop_the_run(acme, table):
    (acme / "client.toml").write_text(TOML + '[sources.desk]\nfiles = "tickets.csv"\n')
    desk = FILE | dict(file="tickets.csv", source="desk", covered_through=date(2026, 5, 1))
    table("files", [FILE, desk]).to_parquet(acme / "tables" / "files.parquet")
    assert clients.open_client("acme", "2026-06-30").as_of == date(2026, 6, 30)


def test_a_forecast_is_tested_on_what_was_known_on_its_day(acme, table):
    soon, cut = REFUND | dict(refund_date=date(2026, 4, 7)), date(2026, 4, 6)  # of an order of 28 March
    table("refunds", [soon]).to_parquet(acme / "tables" / "refunds.parquet")
    shop = clients.open_client("acme", "2026-06-30")
    before = lambda occasions: occasions.filter(occasions.date <= cut).net_sales_rc.sum().to_pandas()  # noqa: E731
    assert before(shop.known_at(cut)) == before(shop.at(cut).occasions) == before(shop.occasions) + soon["amount_rc"]
    assert shop.known_at(cut).filter(ibis._.date > cut).count().to_pandas() == sum(day > str(cut) for *_, day in TIMELINE)


def test_a_missing_table_says_how_to_supply_it(acme):
    shop = clients.open_client("acme", "2026-06-30")
    assert not shop.has("surveys")
    with pytest.raises(MissingTable, match=r"surveys was not supplied.*data/acme/raw/surveys\.csv"):
        shop.table("surveys")


def test_small_markets_are_shown_together(acme):
    (acme / "client.toml").write_text(TOML + "[privacy]\nminimum_cell = 3\n")
    shop = clients.open_client("acme", "2026-06-30", "gb")
    assert shop.minimum_cell == 3
    assert shop.markets_shown == {"DE": "other", "GB": "other", "US": "other"}  # two customers each, of every market


def test_the_books_say_what_is_missing_and_hold_every_market(acme, table):
    with pytest.raises(MissingTable, match="retention costs was not supplied"):
        _ = clients.open_client("acme", "2026-06-30").books
    line = dict(month=date(2026, 6, 30), category="service", component="support", market="DE", amount_rc=100, amount_minor=100,
                currency="EUR", existing_share=1.0)
    table("retention_costs", [line]).to_parquet(acme / "tables" / "retention_costs.parquet")
    (acme / "client.toml").write_text("churn_window_days = 90\n" + TOML + "[privacy]\nminimum_cell = 1\n")
    shop = clients.open_client("acme", "2026-06-30", "gb")
    assert (shop.books.window, shop.books.currency, shop.books.data_start) == (90, "EUR", date(2025, 11, 5))
    assert set(shop.books.orders.market.to_pandas()) == {"DE", "GB", "US"}


def test_an_export_that_ends_early_is_short(acme, table):
    ads = FILE | dict(file="ads.csv", source="ads", format="meta_ads", covered_through=date(2026, 6, 1))
    ended = FILE | dict(file="old.csv", source="old", format="meta_ads", covered_through=date(2026, 6, 11))
    table("files", [FILE, ads, ended]).to_parquet(acme / "tables" / "files.parquet")
    short = clients.open_client("acme", "2026-06-30").short_exports("acquisition_spend", periods.Period.month("2026-06"))
    assert short.values.tolist() == [["old", date(2026, 6, 11)]]  # books dated the first speak for their month


def test_occasions_are_kept_and_deleting_them_changes_no_number(acme):
    first = clients.open_client("acme", "2026-06-30").occasions.order_by("customer_id", "date").to_pandas()
    kept = list((acme / "cache").glob("occasions-*.parquet"))
    assert len(kept) == 1
    kept[0].unlink()
    assert clients.open_client("acme", "2026-06-30").occasions.order_by("customer_id", "date").to_pandas().equals(first)


def test_a_new_build_is_not_answered_from_the_old_one(acme):
    assert clients.open_client("acme", "2026-06-30").occasions.count().to_pandas() == len(TIMELINE)
    con = ibis.duckdb.connect()
    one = con.read_parquet(acme / "tables" / "orders.parquet").limit(1).to_pyarrow()
    con.create_table("one", one).to_parquet(acme / "tables" / "orders.parquet")
    (acme / "tables" / "build.json").write_text(json.dumps({"build": "two"}))
    assert clients.open_client("acme", "2026-06-30").occasions.count().to_pandas() == 1


def test_a_client_without_tables_says_how_to_build_them(acme):
    (acme / "tables" / "orders.parquet").unlink()
    with pytest.raises(clients.NotBuilt, match="workbook check acme"):
        clients.open_client("acme", "2026-06-30")


def test_tables_of_an_earlier_version_say_how_to_build_them_anew(acme):
    path = acme / "tables" / "orders.parquet"
    ibis.read_parquet(path).drop("day_orders").to_pandas().to_parquet(path)
    with pytest.raises(clients.NotBuilt, match="no column day_orders.*workbook check acme"):
        clients.open_client("acme", "2026-06-30")


def test_the_window_is_the_one_written_down(acme):
    (acme / "client.toml").write_text("churn_window_days = 120\n" + TOML)
    assert clients.open_client("acme", "2026-06-30").window == 120


def test_a_window_to_be_found_asks_for_purchases_enough(acme):
    with pytest.raises(NotEnoughData, match="set churn_window_days in client.toml"):
        _ = clients.open_client("acme", "2026-06-30").window


def test_tables_exchanged_by_hand_are_noticed_although_the_build_kept_its_name(acme):
    assert clients.open_client("acme", "2026-06-30").occasions.count().to_pandas() == len(TIMELINE)
    con = ibis.duckdb.connect()
    one = con.read_parquet(acme / "tables" / "orders.parquet").limit(1).to_pyarrow()
    con.create_table("one", one).to_parquet(acme / "tables" / "orders.parquet")
    assert clients.open_client("acme", "2026-06-30").occasions.count().to_pandas() == 1
