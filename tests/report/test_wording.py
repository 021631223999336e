"""Sentences: known texts, two roads to one number, what is missing is said, edges."""

from datetime import date

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.estimates import Estimate
from helpers.report import texts, wording
from helpers.report.texts import LANGUAGES, WordingError
from helpers.report.wording import Words

NAN = float("nan")
WORDS = Words("en", "EUR", minimum_cell=10)


@pytest.fixture
def own_texts(tmp_path, monkeypatch):
    """A language folder of our own: write("churn", "...toml...")."""
    monkeypatch.setattr(texts, "LANGUAGES", tmp_path)
    texts.texts.cache_clear()
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "common.toml").write_bytes((LANGUAGES / "en" / "common.toml").read_bytes())
    yield lambda topic, text: (tmp_path / "en" / f"{topic}.toml").write_text(text, encoding="utf-8")
    texts.texts.cache_clear()


@pytest.mark.parametrize(("spec", "value", "text"), [
    ("percent", 0.182, "18.2%"),
    ("percent.0", 0.182, "18%"),
    ("+percent", 0.05, "+5.0%"),
    ("points", 0.01, "1.0 points"),
    ("points.0", 0.01, "1 point"),
    ("money", 9.8, "€9.80"),
    ("money", 999.99, "€999.99"),
    ("money", 1234.4, "€1,234"),
    ("money", -3.5, "−€3.50"),
    ("money.whole", 99.994, "€99.99"),
    ("money.whole", 100.4, "€100"),
    ("money.whole", Estimate(100.4, 98.2, 103.6, 90), "€100 (95% interval €98 to €104, n = 90)"),
    ("money.whole!short", Estimate(99.4, 98.2, 103.6, 90), "€99.40"),
    ("money.whole", NAN, "–"),
    ("ratio", 3.14, "3.1×"),
    ("number", 1234.56, "1,234.6"),
    ("count", 4210, "4,210"),
    ("count customer", 1, "1 customer"),
    ("count.1 month", 6.25, "6.2 months"),
    ("p", 0.0172, "0.017"),
    ("p", 0.0004, "<0.001"),
    ("p", 0.0, "<0.001"),
    ("p", NAN, "–"),
    ("day", date(2026, 10, 31), "31 October 2026"),
    ("day!short", "2026-10-31", "31 Oct 2026"),
    ("month", "2026-10", "October 2026"),
    ("month!short", pd.Timestamp(2026, 10, 1), "Oct 2026"),
    ("market", "DE", "Germany"),
    ("label", "crm", "CRM"),
    ("list market", ["DE", "FR", "JP"], "Germany, France and Japan"),
    ("text", "as it is", "as it is"),
    ("percent", NAN, "–"),
    ("day", pd.NaT, "–"),
    ("month", pd.NaT, "–"),
    ("number", float("inf"), "∞"),
    ("percent", -0.0001, "0.0%"),
])  # fmt: skip
def test_a_value_is_written_by_its_kind(spec, value, text):
    assert WORDS.format_field(value, spec) == text


@pytest.mark.parametrize(("spec", "text"), [
    ("percent", "18.2% (95% interval 17.1% to 19.3%, n = 4,210)"),
    ("percent!interval", "18.2% (95% interval 17.1% to 19.3%)"),
    ("percent!short", "18.2%"),
    ("percent.0!range", "17% to 19%"),
    ("percent!low", "17.1%"),
    ("percent!high", "19.3%"),
    ("percent!n", "4,210"),
])  # fmt: skip
def test_an_estimate_is_written_with_its_interval_and_n(spec, text):
    assert WORDS.format_field(Estimate(0.182, 0.171, 0.193, 4210), spec) == text


@pytest.mark.parametrize(("spec", "text"), [
    ("+points", "+1.0 points (95% interval −0.5 to +2.5 points)"),
    ("count.3 month", "0.010 months (95% interval −0.005 to 0.025 months)"),
])  # fmt: skip
def test_a_unit_in_words_stands_once_in_an_interval(spec, text):
    assert WORDS.format_field(Estimate(0.01, -0.005, 0.025), spec) == text


def test_an_estimate_without_interval_or_n_claims_none():
    assert WORDS.format_field(Estimate(0.5), "percent") == "50.0%"
    assert WORDS.format_field(Estimate(0.5, n=12), "percent") == "50.0% (n = 12)"


@pytest.mark.parametrize("part", ["", "!short", "!range", "!low", "!interval"])
def test_an_estimate_on_too_few_customers_is_never_written(part):
    text = WORDS.format_field(Estimate(0.7777, 0.7776, 0.7778, 9), f"percent{part}")
    assert "77" not in text
    assert text == "· (fewer than 10 customers)"


@given(st.floats(-1e12, 1e12), st.sampled_from(["EUR", "JPY", "KWD", "USD"]))
def test_money_written_reads_back_as_the_money_rounded_to_its_digits(amount, currency):
    text = Words("en", currency).format_field(amount, "money")
    digits = "".join(c for c in text.replace("−", "-") if c in "-.0123456789")
    tolerance = 0.5 if abs(amount) >= 1000 else 0.5 / 10 ** {"JPY": 0, "KWD": 3}.get(currency, 2)
    assert abs(float(digits) - amount) <= tolerance * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(("now", "before", "text"), [
    (Estimate(0.20, 0.19, 0.21, 9000), Estimate(0.18, 0.17, 0.19, 9000), "up 2.0 points from 18.0% in September 2026"),
    (Estimate(0.18, 0.17, 0.19, 9000), Estimate(0.20, 0.19, 0.21, 9000), "down 2.0 points from 20.0% in September 2026"),
    (Estimate(0.20, 0.17, 0.23, 500), Estimate(0.19, 0.16, 0.22, 500),
     "not clearly changed from 19.0% in September 2026"),
    (0.2, 0.2, "the same as in September 2026"),
    (Estimate(0.2001, 0.19, 0.21, 900), Estimate(0.2, 0.19, 0.21, 900), "the same as in September 2026"),  # as printed
    (0.2, NAN, "not comparable with what it was in September 2026"),
    (Estimate(0.9, 0.8, 1.0, 50), Estimate(0.2, 0.1, 0.3, 5), "not comparable with what it was in September 2026"),  # 5 customers
])  # fmt: skip
def test_a_change_is_called_one_only_outside_its_interval(now, before, text):
    assert WORDS.change(now, before, "percent", "2026-09") == text


def test_a_difference_has_the_interval_of_two_independent_numbers():
    """√(0.01² + 0.01²) to either side."""
    moved = wording._difference(Estimate(0.20, 0.19, 0.21, 5000), Estimate(0.18, 0.17, 0.19, 5000))
    assert moved[:3] == pytest.approx((0.02, 0.02 - 0.02**0.5 / 10, 0.02 + 0.02**0.5 / 10))


def test_a_change_of_money_is_in_money():
    assert WORDS.change(12.0, 9.5, "money", date(2026, 9, 30)) == "up €2.50 from €9.50 in September 2026"
    assert WORDS.change(12.0, 9.5, "money", date(2026, 9, 15)) == "up €2.50 from €9.50 on 15 September 2026"


def test_a_change_compared_customer_by_customer_is_believed():
    now, before = Estimate(0.627, 0.613, 0.642, 4287), Estimate(0.612, 0.597, 0.627, 4270)
    assert WORDS.change(now, before, "percent", "2011-10") == "not clearly changed from 61.2% in October 2011"
    moved = Estimate(0.015, 0.004, 0.026, 4287)
    assert WORDS.change(now, before, "percent", "2011-10", moved) == "up 1.5 points from 61.2% in October 2011"


def test_plural_follows_the_value_named(own_texts):
    own_texts("churn", 'lost = {by = "n", one = "{n:count} left", other = "{n:count} have left"}')
    words = Words()
    assert [words.say("churn.lost", n=n) for n in (0, 1, 2)] == ["0 have left", "1 left", "2 have left"]


def test_a_topic_has_labels_and_columns_of_its_own(own_texts):
    own_texts("churn", '[labels]\ncrm = "Our CRM"\n[columns]\nlost = "Lost"')
    words = Words()
    assert (words.label("crm", "churn"), words.label("crm")) == ("Our CRM", "CRM")
    assert words.column("lost", "churn") == "Lost"


def test_what_is_missing_is_named(own_texts):
    own_texts("churn", 'answer = "{rate:percent} of {who}"\nodd = "{rate:colour}"\nmany = "{n:count unicorn}"')
    words = Words()
    for call, said in [
        (lambda: words.say("churn.answer", rate=0.1), "needs the value {who}"),
        (lambda: words.say("churn.nothing"), "no text 'nothing' in language/en/churn.toml"),
        (lambda: words.say("nowhere.answer"), "no text file language/en/nowhere.toml"),
        (lambda: words.say("churn.odd", rate=1), "'colour' is not a kind of format"),
        (lambda: words.say("churn.many", n=2), "'unicorn' is not under"),
        (lambda: words.say("common.change"), "is a group of texts"),
        (lambda: words.column("who_knows", "churn"), "has no heading"),
        (lambda: Words("xx"), "xx"),
        (lambda: Words("not a language"), "is not a language code"),
    ]:
        with pytest.raises(WordingError, match=said.replace("{", r"\{").replace("}", r"\}")):
            call()


def test_every_text_of_every_language_is_made_of_known_formats():
    """Fills each placeholder with a value of its kind: a misspelt kind or noun fails here, not on a client's page."""
    sample = {"day": "2026-10-31", "month": "2026-10", "market": "DE", "label": "crm", "text": "x", "": "x"}
    for path in sorted(LANGUAGES.glob("*/*.toml")):
        words = Words(path.parent.name)
        for key, text in flat(texts.texts(path.parent.name, path.stem)):
            for _, name, spec, _ in words.parse(text):
                if name is None:
                    continue
                kind = spec.split("!")[0].lstrip("+").split(" ")[0].split(".")[0]
                value = ["DE"] if kind == "list" else sample.get(kind, 1.0)
                assert words.format_field(value, spec), f"{path}: {key} {{{name}:{spec}}}"


def flat(table: dict, above: str = ""):
    """Every text of a nested table with its key."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from flat(value, f"{above}{key}.")
        elif isinstance(value, str) and key != "by":
            yield f"{above}{key}", value


# a title for every case in which a chart can stand

ENDS, MOVES = ("both", "first", "last", "apart", "alike"), ("up", "down", "same", "unchanged", "unknown")
SCORE, SHARE, OFF = Estimate(5.95, 5.9, 6.0, 90), Estimate(0.91, 0.9, 0.92, 90), Estimate(0.031, 0.018, 0.043, 90)
SAID = {
    "best": "AE", "worst": "GB", "ratio": 1.23, "market": "United Arab Emirates", "value": 1234.5, "least": 1034.5, "most": 49.0,
    "highest": "United Kingdom", "lowest": "Germany", "now": SCORE, "mean": SCORE, "csat": SHARE, "options": 7, "bias": OFF,
    "clear": 4, "markets": 5, "topics": 5, "measure": "Refunded share of sales",
}  # fmt: skip
TITLES = [f"{chart}.{case}" for charts, cases in (
    (("costs.by_market", "clv.by_market", "clv.by_channel"), (*ENDS, "one")), (("voice.market", "voice.channel"), ENDS),
    (("voice.month", "voice.month_csat", "voice.month_ces"), MOVES), (("risk.calibration",), ("high", "low", "none")),
    (("markets.forest",), ("alike", "one", "several")), (("voice.drivers",), ("all", "some", "none")),
    (("clv.home_market", "clv.first_acquisition_channel"), ("clear", "some", "alike")),
) for chart in charts for case in cases]  # fmt: skip


@pytest.mark.parametrize("key", TITLES)
def test_every_case_of_a_title_has_its_text_of_ten_words(key):
    said = SAID | ({"best": "Paid search", "worst": "Paid social"} if "channel" in key else {})
    said |= {"now": said["csat"]} if "csat" in key else {}
    words = [word for word in WORDS.say(key, **said).split() if any(letter.isalnum() for letter in word)]
    assert 0 < len(words) <= 10, words


@pytest.mark.parametrize("case", ENDS)
def test_the_answer_on_worth_by_market_has_a_sentence_for_every_case(case):
    ratios = {"best_ratio": Estimate(2.8, 2.5, 3.0, 720), "worst_ratio": Estimate(0.8, 0.7, 0.9, 479)}
    said = WORDS.say(f"markets.worth_{case}", best="JP", worst="AE", **ratios)
    assert "0.8× (95% interval 0.7× to 0.9×, n = 479)" in said and "2.8×" in said
    assert ("best" in said) == (case in ("both", "first")) and ("told apart" in said) == (case in ("apart", "alike"))


def test_the_answer_on_markets_names_an_end_only_where_it_is_clear():
    ends = {"best": "JP", "worst": "AE", "points": 0.086, "measure": "buying", "tests": 45, "real": 33}
    ends |= {"best_value": Estimate(0.23, 0.21, 0.26, 900), "worst_value": Estimate(0.08, 0.05, 0.11, 900)}
    both, best, worst = (WORDS.say(f"markets.answer_{key}", **ends) for key in ("best_worst", "best", "worst"))
    assert "Japan" in both and "Emirates" in both
    assert "Emirates" not in best and "No market is clearly behind" in best
    assert "Japan" not in worst and "No market is clearly ahead" in worst
