"""Tables: formatted, escaped, small cells hidden, blank told apart from nothing."""

import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup

from helpers.report import tables
from helpers.report.texts import WordingError
from helpers.report.wording import Words

NAN = float("nan")
WORDS = Words("en", "EUR")
FRAME = pd.DataFrame({
    "market": ["DE", "FR", "IT", "<b>US</b>"], "value": [0.5, 0.25, 0.125, 0.75], "low": [0.4, 0.2, 0.1, 0.7],
    "high": [0.6, 0.3, 0.2, 0.8], "orders": [200, 10, 1, 300], "n": [400, 40, 4, 400],
})  # fmt: skip
KINDS = {"market": "market", "value": "percent", "orders": "count", "n": "count"}


def cells(markup: str) -> list[list[str]]:
    rows = BeautifulSoup(markup, "html.parser").select("tbody tr")
    return [[cell.get_text(" ", strip=True) for cell in row.select("td")] for row in rows]


def test_cells_are_formatted_with_interval_and_small_ones_hidden_with_a_neighbour():
    """The neighbour's own number too: the total of all would give the small one away by it."""
    assert cells(tables.table(FRAME, KINDS, WORDS)) == [
        ["Germany", "50.0% 40.0% to 60.0%", "200", "400"],
        ["France", "·", "·", "·"],
        ["Italy", "·", "·", "<10"],
        ["<b>US</b>", "75.0% 70.0% to 80.0%", "300", "400"],
    ]


def test_rows_that_count_no_customers_are_all_shown():
    rows = cells(tables.table(FRAME, KINDS, WORDS, n=""))
    assert [row[2:] for row in rows] == [["200", "400"], ["10", "40"], ["1", "4"], ["300", "400"]]


def test_headings_come_from_the_texts_and_a_missing_one_is_an_error():
    assert "Market</th>" in tables.table(FRAME, KINDS, WORDS)
    with pytest.raises(WordingError, match="'surprise' has no heading"):
        tables.table(FRAME.assign(surprise=1), {"surprise": "count"}, WORDS)


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(ValueError, match="no column churn; it has market, value"):
        tables.table(FRAME, {"churn": "percent"}, WORDS)


def test_missing_values_are_a_dash():
    assert cells(tables.table(pd.DataFrame({"value": [NAN, None]}), {"value": "money"}, WORDS)) == [["–"], ["–"]]


def test_the_markup_carries_no_style_sheet_of_its_own_and_a_name_for_the_scrolling_box():
    markup = tables.table(FRAME, KINDS, WORDS, title="By <market>", note="So & so")
    assert "<style" not in markup
    assert 'aria-label="By &lt;market&gt;"' in markup
    assert "So &amp; so" in markup


TRIANGLE = pd.DataFrame({"n": [400, 300, 50, 4], 0: [1.0] * 4, 1: [0.4, 0.0, 0.2, NAN], 2: [0.3, NAN, NAN, NAN]},
                        index=pd.to_datetime(["2026-05-01", "2026-06-01", "2026-07-01", "2026-08-01"]))  # fmt: skip


def test_in_a_triangle_blank_is_not_yet_0_is_nobody_and_a_dot_is_hidden():
    shown = cells(tables.heat(TRIANGLE, "percent.0", WORDS, heading="Cohort"))
    assert shown == [
        ["May 2026", "400", "100%", "40%", "30%"],
        ["Jun 2026", "300", "100%", "0%", ""],
        ["Jul 2026", "·", "·", "·", ""],
        ["Aug 2026", "<10", "·", "", ""],
    ]


def test_a_triangle_colours_by_value_and_leaves_blanks_uncoloured():
    markup = tables.heat(TRIANGLE, "percent.0", WORDS, heading="Cohort")
    assert re.search(r"background-color: #0b4a7c[^>]*>40%", markup)
    assert not re.search(r"background-color[^>]*></td>", markup)


@pytest.mark.parametrize(("first", "shown"), [(1.0, "100%"), (0.3, "30%")])
def test_a_triangle_of_the_first_month_alone_is_drawn(first, shown):
    young = pd.DataFrame({"n": [400, 300], 0: [first] * 2}, index=["2026-09", "2026-10"])
    assert [row[2:] for row in cells(tables.heat(young, "percent.0", WORDS, heading="Cohort"))] == [[shown]] * 2


def test_single_cells_of_a_heat_are_hidden_and_a_loss_is_a_number_like_others():
    wide = pd.DataFrame({"n": [400, 300], "1": [-5.0, 7.0], "2": [None, 3.0]}, index=["0–29", "30–79"])
    few = pd.DataFrame({"1": [False, False], "2": [False, True]}, index=wide.index)
    markup = tables.heat(wide, "number.0", WORDS, heading="Last purchase", full=True, few=few)
    assert [row[2:] for row in cells(markup)] == [["−5", ""], ["7", "·"]]
    assert "means fewer than 10 customers" in markup


def test_a_table_hides_the_rows_it_is_told_to_and_no_other():
    moved = pd.DataFrame({"tier": ["vip", "low"], "n": [230, 40]})
    hide = pd.Series([True, False])
    assert [row[1] for row in cells(tables.table(moved, {"tier": "label", "n": "count"}, WORDS, hide=hide))] == ["·", "40"]


def test_of_a_table_with_nothing_but_hidden_rows_the_reason_is_left():
    months = pd.DataFrame({"period": ["2026-01", "2026-02", "2026-03"], "value": [0.1, 0.2, 0.3], "n": [3, 4, 5]})
    markup = tables.table(months, {"period": "month", "value": "percent", "n": "count"}, WORDS, title="By month")
    assert "By month" in markup and "Every row rests on fewer than 10 customers" in markup and "<table" not in markup
    two = tables.table(months.head(2), {"period": "month", "value": "percent", "n": "count"}, WORDS)
    assert [row[1] for row in cells(two)] == ["·", "·"]
    wide = months.set_index("period")[["n", "value"]].rename(columns={"value": "0"})
    assert "Every row rests on fewer" in tables.heat(wide, "percent.0", WORDS, heading="Cohort")


def test_a_frame_is_left_as_it_was():
    frame, triangle = FRAME.copy(), TRIANGLE.copy()
    tables.table(FRAME, KINDS, WORDS)
    tables.heat(TRIANGLE, "percent", WORDS, heading="Cohort")
    pd.testing.assert_frame_equal(FRAME, frame)
    pd.testing.assert_frame_equal(TRIANGLE, triangle)


def test_an_empty_frame_gives_an_empty_table():
    assert cells(tables.table(FRAME.head(0), KINDS, WORDS)) == []
    assert cells(tables.heat(TRIANGLE.head(0), "percent", WORDS, heading="Cohort")) == []


WIDE = pd.DataFrame({
    "market": ["DE", "FR", "US"], "n": [900, 400, 300], "clv": [40.0, 31.0, NAN], "clv_low": [39.0, 30.0, 8.0],
    "clv_high": [41.0, 32.0, NAN], "clv_n": [90, 80, 70], "cod_refusal_rate": [NAN, 0.1, 0.2],
    "cod_refusal_rate_n": [NAN, 60, 4],
})  # fmt: skip


def test_in_a_wide_table_a_dot_is_hidden_and_a_dash_is_unknown():
    """Nobody in DE pays on delivery; of the four who do in the US nothing is said, nor of FR, which would tell."""
    kinds = {"market": "market", "clv": "money", "cod_refusal_rate": "percent", "n": "count"}
    assert cells(tables.table(WIDE, kinds, WORDS, topic="markets")) == [
        ["Germany", "€40.00 €39.00 to €41.00", "–", "900"],
        ["France", "€31.00 €30.00 to €32.00", "·", "400"],
        ["United States", "–", "·", "300"],
    ]


def test_an_interval_narrower_than_what_is_printed_is_not_written():
    frame = pd.DataFrame({"value": [0.46], "low": [0.45999], "high": [0.46001], "n": [900]})
    assert cells(tables.table(frame, {"value": "percent"}, WORDS)) == [["46.0%"]]


def test_many_rows_with_nothing_to_show_are_named_under_the_table():
    """Three markets on fewer than ten customers go; two stay as they are, and so do months, which stand in a row."""
    kinds = {"market": "market", "value": "percent", "n": "count"}
    frame = pd.DataFrame({"market": ["DE", "FR", "IT", "JP"], "value": 0.5, "n": [400, 4, 5, 6]})
    shown = tables.table(frame, kinds, WORDS)
    assert shown.count("<tr") == 2
    assert "give such a row away: France, Italy and Japan." in shown
    assert "·" not in shown
    assert tables.table(frame.head(3), kinds, WORDS).count("<tr") == 0  # all three: the reason alone
    months = frame.assign(period=["2026-07", "2026-08", "2026-09", "2026-10"])
    assert tables.table(months, {"period": "month", "value": "percent", "n": "count"}, WORDS).count("<tr") == 5
