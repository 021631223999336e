"""client.toml: every problem named at once, with a suggestion; names that cannot leave the folder."""

import pytest

from helpers import settings

MINIMAL = 'name = "Acme"\ncurrency = "EUR"\ntime_zone = "Europe/Berlin"\n[margin]\nrate = 0.4\n'


@pytest.fixture
def write_client(tmp_path, monkeypatch):
    """`write_client(text)`: data/acme/client.toml in a folder of its own."""
    monkeypatch.setenv("WORKBOOK_HOME", str(tmp_path))

    def write(text: str) -> None:
        folder = tmp_path / "data" / "acme"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "client.toml").write_text(text, encoding="utf-8")

    return write


def test_five_lines_are_enough(write_client):
    write_client(MINIMAL)
    loaded = settings.load_settings("acme")
    assert (loaded.client, loaded.margin.rate, loaded.churn_window_days) == ("acme", 0.4, "auto")


def test_all_problems_come_in_one_message_with_suggestions(write_client):
    wrong = MINIMAL.replace("Europe/Berlin", "Europe/Berln").replace("EUR", "EUX")
    write_client(wrong + "[thresholds]\nclv_to_ca = 3\n")
    with pytest.raises(settings.SettingsError) as caught:
        settings.load_settings("acme")
    message = str(caught.value)
    assert "has 3 problems" in message
    for part in ("Did you mean Europe/Berlin?", "'EUX' is not an ISO 4217", "Did you mean clv_to_cac?"):
        assert part in message


def test_margin_is_required_and_never_a_default(write_client):
    write_client(MINIMAL.split("[margin]")[0])
    with pytest.raises(settings.SettingsError, match="margin: required"):
        settings.load_settings("acme")


def test_a_margin_of_42_instead_of_42_percent_is_refused(write_client):
    write_client(MINIMAL.replace("0.4", "42"))
    with pytest.raises(settings.SettingsError, match=r"margin\.rate.*less than or equal to 1.*A share of 45% is written 0.45"):
        settings.load_settings("acme")


def test_a_file_that_is_not_toml_says_where(write_client):
    write_client("name = Acme")
    with pytest.raises(settings.SettingsError, match="is not TOML.*line 1.*numbers have a point"):
        settings.load_settings("acme")


def test_an_unknown_client_names_the_known_ones(write_client):
    write_client(MINIMAL)
    with pytest.raises(settings.SettingsError, match="Known: acme. Make it with: workbook new nobody"):
        settings.load_settings("nobody")


@pytest.mark.parametrize("name", ["../etc", "acme/../../x", "Acme", "a b", "", "-a", "acme\n", ".", "a" * 65, "äcme"])
def test_a_client_name_cannot_leave_its_folder(name):
    with pytest.raises(settings.SettingsError, match="cannot be a client name"):
        settings.client_folder(name)


def test_a_source_has_files_or_a_database_and_not_both(write_client):
    write_client(MINIMAL + '[sources.shop]\nfiles = "a.csv"\nurl = "duckdb://x"\n')
    with pytest.raises(settings.SettingsError, match="either files"):
        settings.load_settings("acme")


@pytest.mark.parametrize("client", ["demo", "online-retail-ii"])
def test_the_clients_that_come_with_the_project_load(client, monkeypatch):
    monkeypatch.delenv("WORKBOOK_HOME", raising=False)
    assert settings.load_settings(client).sources


@pytest.mark.parametrize(("wrong", "said"), [
    ("by_market = { Germany = 0.3 }", "by_market.Germany: 'Germany' is not an ISO 3166 country code such as DE. Did you mean DE?"),
    ('[sources.a]\nfiles = "x"\ncurrency = "Euro"', "a.currency: 'Euro' is not an ISO 4217 currency code such as EUR. Did you mean EUR?"),
    ('[sources.a]\nfiles = "x"\ntime_zone = "Berlin"', "Did you mean Europe/Berlin?"),
    ('[sources.a]\nfiles = "x"\nwhere = { status = "(paid" }', "'(paid' is no regular expression: missing )"),
    ('[sources.a]\nfiles = "x"\nwhere = { status = "^(?!x)" }', "looks ahead or behind"),
    ('[sources.a]\nfiles = "x"\ndate_format = "DD/MM/YYYY"', "names no part of a date"),
    ('[sources.a]\nfiles = "x"\nstatuses = { shipped = "payed" }', "Input should be 'paid', 'delivered'"),
])  # fmt: skip
def test_what_a_code_was_meant_to_be_is_suggested(write_client, wrong, said):
    write_client(MINIMAL + wrong)
    with pytest.raises(settings.SettingsError) as caught:
        settings.load_settings("acme")
    assert said in str(caught.value)


def test_a_language_without_texts_is_refused(write_client):
    write_client('language = "de"\n' + MINIMAL)
    with pytest.raises(settings.SettingsError, match="language: there is no 'de' yet; there is en"):
        settings.load_settings("acme")


def test_a_byte_order_mark_is_no_mistake(write_client):
    write_client("\ufeff" + MINIMAL)
    assert settings.load_settings("acme").name == "Acme"


def test_a_margin_left_as_the_template_has_it_is_said(write_client):
    write_client(MINIMAL)
    assert settings.load_settings("acme").placeholders() == []
    write_client(MINIMAL.replace("rate = 0.4", "rate = 0.30    # FILL IN, then remove this remark"))
    assert "margin.rate is still the template's placeholder, 30%" in settings.load_settings("acme").placeholders()[0]
