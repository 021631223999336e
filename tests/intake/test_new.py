"""A client from the template, and from a folder of exports."""

import csv
import shutil
import tomllib

import exports
import pytest

from helpers import schema, settings
from helpers.intake import new, recognise
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


def test_a_folder_that_cannot_be_used_still_makes_a_client(empty, tmp_path):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "orders.csv").write_text(exports.SHOPIFY.splitlines()[0] + "\n#1,a@mail.test,paid,,GPB,x,,,,,,soon,1,,1,,,,,,,,,,\n")
    assert "is not a date" in "\n".join(new.new_client("acme", folder).found)
    with pytest.raises(IntakeError):
        empty.build()
