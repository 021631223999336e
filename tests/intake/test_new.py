"""A client from the template, and from a folder of exports."""

import csv
import shutil
import tomllib
import zipfile

import exports
import pytest
from babel.core import get_global

from helpers import schema, settings
from helpers.intake import new, recognise, stores
from helpers.intake.contract import IntakeError


@pytest.fixture
def empty(shop):
    """A home without clients."""
    shutil.rmtree(shop.folder)
    return shop


def test_the_template_is_valid_and_names_every_setting(empty):
    folder = new.new_client("acme").folder
    assert settings.load_settings("acme").name == "Acme"
    text = (folder / "client.toml").read_text()
    known = set(settings.Settings.model_fields) | set(settings.Source.model_fields) | set(settings.Playbook.model_fields)
    assert not [key for key in known - {"client"} if key not in text], "a setting the template does not show"
    with pytest.raises(ValueError, match="is there already"):
        new.new_client("acme")
    with pytest.raises(settings.SettingsError):
        new.new_client("../evil")


def test_the_csv_templates_are_recognised(empty):
    formats = recognise.load_formats()
    for path in sorted((new.TEMPLATE / "raw").glob("*.csv")):
        with path.open() as file:
            found = recognise.recognise(next(csv.reader(file)), formats)
        assert found is not None, path.name
        target = next(iter(found.format.tables))
        assert target in {*schema.TABLES, "deliveries", "referrals", "products", "rates"}
        assert found.format.name in (path.stem, "costs")


def test_a_folder_of_exports_becomes_a_client(empty, tmp_path):
    """Two commands to a report: the stores, currency, clock and span are taken from the exports; strangers are named."""
    folder = tmp_path / "exports"
    folder.mkdir()
    for name, text in {
        "orders_eu_2025.csv": exports.SHOPIFY,
        "orders_us_2025.csv": exports.SHOPIFY.replace(" +0200", " -0400")
        .replace(" +0100", " -0400")
        .replace(",DE,", ",US,")
        .replace("#10", "#20"),
        "amazon_all.txt": exports.AMAZON,
        "strange.csv": "a,b\n1,2\n",
    }.items():
        (folder / name).write_text(text)
    made = new.new_client("acme", folder)
    said = "\n".join(made.found)
    assert "strange.csv: not recognised" in said and "no known export has the columns a, b" in said
    assert "Without campaigns: 07" in said
    written = tomllib.loads((made.folder / "client.toml").read_text())
    assert (written["currency"], written["time_zone"]) == ("EUR", "Europe/Berlin")
    assert {name: part.get("time_zone") for name, part in written["sources"].items()} == {
        "amazon": None,
        "shopify-eu": "Europe/Berlin",
        "shopify-us": "America/New_York",
    }
    assert not any("covered_through" in source for source in written["sources"].values()), "next month's export must move it"
    assert "# covered_through = 2026-07-04" in (made.folder / "client.toml").read_text()
    (made.folder / "raw" / "strange.csv").unlink()
    assert empty.build().files["source"].nunique() >= 3


def test_an_export_that_lacks_a_setting_gets_a_section_to_write_it_in(empty, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(exports.SHOPIFY)
    (folder / "All order-2026-04-01.csv").write_text(exports.TIKTOK_SHOP)
    made = new.new_client("acme", folder).folder / "client.toml"
    section = tomllib.loads(made.read_text())["sources"]["tiktok_shop"]
    assert section == {"files": ["All order-*.csv"], "format": "tiktok_shop_orders"}
    made.write_text(made.read_text().replace('# currency = "EUR" ', 'currency = "USD" '))
    empty.build()
    assert empty.table("orders").query("source == 'tiktok_shop'")["currency"].unique().tolist() == ["USD"]


def test_times_without_an_offset_are_read_by_the_clock_of_the_main_market(empty, tmp_path):
    """A German WooCommerce shop beside a Canadian one: by the reporting clock its evening orders would lie on another day."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "woo.csv").write_text(exports.WOO.replace(",DE,AT,", ",DE,DE,"))
    (folder / "orders.csv").write_text(exports.SHOPIFY.replace(" +0200", " -0400").replace(" +0100", " -0400").replace(",DE,", ",CA,"))
    (folder / "utc.csv").write_text(f"{exports.HEADER}\n1,2026-03-01T10:00:00Z,anna@mail.test,US,EUR,10.00\n")
    text = (new.new_client("acme", folder).folder / "client.toml").read_text()
    zones = {name: part.get("time_zone") for name, part in tomllib.loads(text)["sources"].items()}
    assert zones == {"shopify": "America/Toronto", "woocommerce": "Europe/Berlin", "own-site": None}
    assert text.count("# a guess, by its main market") == 1


def test_a_day_without_a_time_is_no_clock_and_stays_the_day_that_is_written(empty, tmp_path):
    """Read by a clock of its own, a day would be another one in a client to the west of it."""
    folder = tmp_path / "exports"
    folder.mkdir()
    rows = "1,a@mail.test,2026-03-02,20,USD,US\n2,b@mail.test,2026-10-28,20,USD,US\n"
    (folder / "orders.csv").write_text(f"order_id,email,date,amount,currency,country\n{rows}")
    made = new.new_client("acme", folder)
    text = (made.folder / "client.toml").read_text()
    assert "2 orders from 2026-03-02 to 2026-10-28" in text and "# covered_through = 2026-10-28 " in text
    assert "time_zone" not in tomllib.loads(text)["sources"]["own-site"]


def test_a_country_of_several_clocks_gets_the_one_most_of_it_uses():
    assert [stores.zones_of(market)[0] for market in ("US", "CA", "AU", "BR", "ES", "DE", "JP")] == [
        "America/New_York", "America/Toronto", "Australia/Sydney", "America/Sao_Paulo", "Europe/Madrid", "Europe/Berlin", "Asia/Tokyo",
    ]  # fmt: skip
    known = {zone for zone, territory in get_global("zone_territories").items()}
    assert set(stores.WORDS["clocks"]["most_used"]) <= known


def test_a_folder_that_cannot_be_used_still_makes_a_client(empty, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(exports.SHOPIFY.splitlines()[0] + "\n#1,a@mail.test,paid,,GPB,x,,,,,,soon,1,,1,,,,,,,,,,\n")
    assert "is not a date" in "\n".join(new.new_client("acme", folder).found)
    with pytest.raises(IntakeError):
        empty.build()


def found_in(tmp_path, **files):
    """A client made from these exports (name, with _ for the point before the suffix): what was said, and its sources."""
    folder = tmp_path / "exports"
    shutil.rmtree(folder, ignore_errors=True)
    for name, text in files.items():
        path = folder / ".".join(name.rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    shutil.rmtree(settings.home() / "data" / "acme", ignore_errors=True)
    made = new.new_client("acme", folder)
    sources = tomllib.loads((made.folder / "client.toml").read_text()).get("sources", {})
    return "\n".join(made.found), {name: source["files"] for name, source in sources.items()}


def woo(*orders):
    """A WooCommerce export with an order of ten euros for each (number, day)."""
    row = "{0},{0},{1} 10:00:00,completed,0,0,0,0,10.00,10.00,EUR,stripe,0,c{0}@mail.test,C,,DE,DE,Peg,P-1,1,10.00"
    return "\n".join([exports.WOO.splitlines()[0], *(row.format(*order) for order in orders), ""])


JAN, FEB = woo((1, "1/5/2026"), (2, "1/16/2026")), woo((3, "2/5/2026"), (4, "2/16/2026"))


def test_copies_months_and_archives_of_one_store_are_one_source(empty, tmp_path):
    said, sources = found_in(tmp_path, **{"orders-2026_csv": JAN, "orders-2026 (1)_csv": JAN, "archive/orders-2026_csv": JAN})
    assert sources == {"woocommerce": "orders-*.csv"} and "2 orders from" in said and "DE 100%" in said
    assert "are read as one store's: order numbers stand in both. If they are several" in said
    assert empty.build().files["source"].dropna().isin(["woocommerce"]).sum() >= 3 and len(empty.table("orders")) == 2
    said, sources = found_in(tmp_path, orders_jan_csv=JAN, orders_feb_csv=FEB)
    assert sources == {"woocommerce": "orders_*.csv"} and "order numbers go on" in said


def test_stores_with_numbers_of_their_own_stay_apart(empty, tmp_path):
    """The same numbers on other days are two stores even under one name; so are other currencies, prefixes or names."""
    said, sources = found_in(tmp_path, orders_1_csv=JAN, orders_2_csv=JAN.replace("1/", "6/"))
    assert sources == {"woocommerce": "orders_1.csv", "woocommerce-2": "orders_2.csv"} and "are read as 2 stores" in said
    _said, sources = found_in(tmp_path, orders_1_csv=JAN, orders_2_csv=woo((9001, "1/5/2026")).replace("EUR", "GBP"))
    assert len(sources) == 2
    _said, sources = found_in(tmp_path, orders_de_csv=JAN, orders_fr_csv=woo((9001, "1/5/2026")))
    assert sources == {"woocommerce-de": "orders_de.csv", "woocommerce-fr": "orders_fr.csv"}


def test_payments_beside_their_shop_are_warned_of(empty, tmp_path):
    paid = exports.STRIPE.splitlines()[0] + "\n" + "".join(
        f"ch_{k},2026-01-{(5, 16)[k - 1]:02d} 11:00,10.00,0.00,eur,true,10.00,1.00,Paid,,c{k}@mail.test,Order {k}\n" for k in (1, 2)
    )
    said, sources = found_in(tmp_path, orders_csv=JAN, unified_payments_csv=paid)
    assert "2 of the 2 payments of stripe with a known buyer" in said and "(first: ch_1 on 2026-01-05, order 1)" in said
    early = "".join(f"ch_0{k},2025-01-{k:02d} 11:00,10.00,0.00,eur,true,10.00,1.00,Paid,,c{k}@mail.test,Order\n" for k in range(1, 9))
    said, _sources = found_in(tmp_path, orders_csv=JAN, unified_payments_csv=paid + early)
    assert "2 of the 2 payments" in said, "payments from before the shop's export begins say nothing"
    said, sources = found_in(tmp_path, orders_csv=JAN, unified_payments_csv=paid.replace("@mail", "@post"))
    assert "payments of stripe" not in said, "other buyers are other sales"
    assert set(sources) == {"stripe", "woocommerce"}


def test_archives_are_unpacked_and_what_is_not_read_is_named(empty, tmp_path):
    """Tables come out of a ZIP under their bare names, links and programs do not; old workbooks say what to save them as."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(JAN)
    (folder / "old.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    (folder / "broken.zip").write_bytes(b"PK no archive")
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(folder / "more.zip", "w") as archive:
        for name, text in {"../../feb.csv": FEB, "a/feb.csv": FEB, "run.sh": "", link: "/etc/passwd"}.items():
            archive.writestr(name, text)
    with zipfile.ZipFile(folder / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.csv", b"0" * 20_000_000)
    made = new.new_client("acme", folder)
    said = "\n".join(made.found)
    assert "more.zip: unpacked into raw/more/: feb.csv, 1 feb.csv" in said and "more/feb.csv: WooCommerce orders" in said
    assert "bomb.zip: it unpacks to 20,000,000 bytes" in said and "broken.zip: it cannot be unpacked" in said
    assert "old.xls: it is not read: a workbook of another kind. Save it as .xlsx or CSV." in said
    raw = made.folder / "raw"
    assert sorted(p.name for p in raw.rglob("*.csv") if p.parent != raw) == ["1 feb.csv", "feb.csv"]
    assert not list(tmp_path.glob("*.csv")) and not [*raw.rglob("*.zip"), *raw.rglob("*.sh")]
