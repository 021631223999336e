"""Clients with five and with nine orders: the whole way from `workbook new` to a report that says what it cannot know."""

import json
import re

import pytest
from exports import REPEAT, SHOPIFY
from report_runs import project_in, workbook

MONTH = "2026-06"
ADS = "date,channel,campaign,amount,currency\n2026-05-20,paid_search,all,40.00,EUR\n2026-06-10,paid_search,all,55.00,EUR\n"
HEADER, *_ = SHOPIFY.splitlines()
NINE = [("ann", 100, "04-03", "DE"), ("bob", 50, "04-20", "FR"), ("cid", 40, "05-02", "DE"), ("ann", 70, "05-20", "DE"),
        ("dee", 30, "06-05", "US"), ("eve", 25, "06-11", "DE"), ("flo", 99, "06-25", "DE"), ("bob", 20, "06-28", "FR"),
        ("gus", 20, "07-08", "GB")]  # fmt: skip
UNSAID = re.compile(r"\b(nan|None|NaT|inf)\b")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """The home, the two commands' results and the report's folder of a client with five orders of one month.

    Its ad spend ends twenty days early.
    """
    home, raw = project_in(tmp_path_factory.mktemp("tiny")), tmp_path_factory.mktemp("exports")
    (raw / "orders_export.csv").write_text(SHOPIFY, encoding="utf-8")
    (raw / "acquisition_spend.csv").write_text(ADS, encoding="utf-8")
    (raw / "repeat.json").write_text(REPEAT, encoding="utf-8")
    made = workbook(home, "new", "tiny", "--raw", str(raw))
    assert made.code == 0, made.said
    ran = workbook(home, "report", "tiny", "--month", MONTH)
    assert ran.code == 0, ran.said
    return ran, home / "reports" / "tiny" / MONTH


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """The report's folder of a client with nine orders of seven buyers, the last of them after the report's month."""
    home, raw = project_in(tmp_path_factory.mktemp("nine")), tmp_path_factory.mktemp("exports")
    paid = "#{},{}@mail.test,paid,fulfilled,EUR,{},0,0,{},,0,2026-{} 12:00:00 +0200,1,Tent,{},T-1,0,X,{},,,PayPal,0,,web"
    rows = [paid.format(k, who, price, price, day, price, market) for k, (who, price, day, market) in enumerate(NINE)]
    (raw / "orders_export.csv").write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")
    for command in (["new", "nine", "--raw", str(raw)], ["report", "nine", "--month", MONTH]):
        done = workbook(home, *command)
        assert done.code == 0, done.said
    return home / "reports" / "nine" / MONTH


def words(page) -> str:
    """What a reader sees of a page: no code, no style, no marks."""
    text = re.sub(r"(?s)<(style|script|pre|svg)\b.*?</\1>", " ", page.read_text(encoding="utf-8"))
    return re.sub(r"<[^>]+>", " ", text)


def test_every_page_is_there_and_says_what_is_missing(tiny):
    _, folder = tiny
    facts = json.loads((folder / "run.json").read_text())
    assert len(facts["seconds"]) == 9
    assert not facts["failures"]
    for name in facts["seconds"]:
        assert (folder / f"{name}.html").is_file()
    assert "was not supplied" in words(folder / "index.html")


def test_no_page_shows_a_number_that_is_none(tiny):
    _, folder = tiny
    for page in folder.glob("*.html"):
        assert not UNSAID.search(words(page)), page.name


def test_nothing_about_so_few_people_is_published(tiny):
    ran, _ = tiny
    rows = ran.metrics("tiny", MONTH)
    assert all("value" not in row for row in rows if 0 < row.get("n", 10) < 10 and not row["metric"].startswith("rows"))


def test_the_front_page_gives_the_reason_where_an_answer_would_stand(tiny):
    _, folder = tiny
    assert "There was not enough data" not in words(folder / "index.html")


def test_the_data_check_names_ad_spend_that_ends_early(tiny):
    _, folder = tiny
    assert "The ad spend of acquisition_spend is known up to 10 June 2026 only" in words(folder / "00_data_check.html")
    assert "ad spend whose export ends early" in words(folder / "index.html")


def test_first_purchases_of_a_young_export_are_not_taken_for_first_ever(tiny):
    _, folder = tiny
    for page in ("00_data_check", "01_cohort_retention"):
        assert "customers first seen later may be older than they look" in words(folder / f"{page}.html"), page


def test_no_heading_stands_over_nothing(tiny):
    """Every section has a chart, a table or the reason why there is none; some are words alone, or hold subheadings."""
    _, folder = tiny
    words_alone = {"How-we-counted", "What-this-cannot-tell-you", "Who-comes-back-more?", "Who-is-happier?"}
    for page in sorted(folder.glob("0[1-8]*.html")):
        for part in re.split(r"(?=<h[23] id=)", page.read_text(encoding="utf-8"))[1:]:
            heading = re.match(r'<h[23] id="([^"]+)"', part)[1]
            assert heading in words_alone or re.search(r'class="(missing|chart|table|heat)', part), (page.name, heading)


def test_no_page_tells_a_reason_twice(tiny):
    _, folder = tiny
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        told = re.findall(r'<p class="missing">([^<]*)</p>', text) + re.findall(r'<li>([^<]*) <span class="source">', text)
        told = [reason for reason in told if not reason.startswith("Not answered, for the reason given under")]
        assert len(told) == len(set(told)), page.name
        assert "rests on a number" not in text, page.name


def test_what_amazon_counts_is_shown_apart(tiny):
    """Three of 36 buyers, as its Brand Analytics report says (tests/exports.py)."""
    ran, folder = tiny
    assert "8.3%" in words(folder / "01_cohort_retention.html")
    told = [row for row in ran.metrics("tiny", MONTH) if row["metric"] == "marketplace_repeat_share"]
    assert [(row["n"], row["period"], row["value"]) for row in told] == [(36, "2026-03", 0.0833)]


def test_a_margin_nobody_filled_in_is_named(tiny):
    """`workbook new` writes a placeholder, on which every value of a customer would rest."""
    _, folder = tiny
    assert "still the template's placeholder" in words(folder / "00_data_check.html").replace("&#x27;", "'")


def test_an_export_that_goes_on_after_the_month_does_not_end_early(tiny):
    """The only order up to June is of March; the file's other orders are of July."""
    _, folder = tiny
    assert "exports that end early" not in words(folder / "index.html")
    assert "a long silence up to the last day observed, after which orders go on" in words(folder / "index.html")
    assert "from 29 March 2026 to 30 June 2026, 93 days, though its files hold later ones" in words(folder / "00_data_check.html")


def test_what_a_table_hides_no_footer_tells(tiny, nine):
    for page in [*tiny[1].glob("0*.html"), *nine.glob("0*.html")]:
        assert "Fewer than 10 orders up to this day" in words(page), page.name
        assert "can be tied to a customer:" not in words(page) and not re.search(r"\d% of \d+ orders? can be tied", words(page)), page.name


def test_too_few_customers_are_said_in_a_sentence_and_drawn_in_no_chart(nine):
    page = (nine / "01_cohort_retention.html").read_text(encoding="utf-8")
    assert "Fewer than 10 customers bought in the twelve months to 30 June 2026: too few" in words(nine / "index.html")
    assert "Fewer than 10 customers were followed to month 1" in words(nine / "01_cohort_retention.html")
    assert "<figure class=\"chart\">" not in page and "(fewer than 10 customers)" not in page


def test_no_heading_and_no_reason_stands_there_for_nothing_with_nine_orders(nine):
    for page in nine.glob("0*.html"):
        assert not UNSAID.search(words(page)), page.name
        told = re.findall(r'<p class="missing">([^<]*)</p>', page.read_text(encoding="utf-8"))
        assert len(told) == len(set(told)), page.name
