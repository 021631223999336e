"""The sheet: what a notebook says is shown, escaped, and handed over once."""

import json
from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.cache import Cache
from helpers.estimates import Estimate, MissingTable, NotEnoughData, proportion
from helpers.metrics.costs.cost_history import fixed_and_variable
from helpers.report import charts, page

NAN = float("nan")
METRICS = page.MIME.format("metrics")


def handed(sheet, kind="metrics"):
    return [bundle[page.MIME.format(kind)] for bundle in sheet.seen if page.MIME.format(kind) in bundle]


def markup(sheet) -> str:
    return "\n".join(bundle.get("text/html", "") for bundle in sheet.seen)


def test_the_head_says_whose_data_as_of_when_and_is_escaped(sheet):
    assert "Tiny &lt;Shop&gt; · as of 31 October 2026 · all markets" in markup(sheet)


def test_an_answer_is_shown_and_handed_over(sheet):
    sheet.answer("common.rows_read", table="<orders>", rows=1)
    assert '<p class="answer">&lt;orders&gt;: 1 row read</p>' in markup(sheet)
    assert handed(sheet, "answer") == [["<orders>: 1 row read"]]


def test_an_estimate_becomes_one_row_with_its_labels(sheet):
    lost = proportion(10, 200)
    sheet.publish("churn_rate", lost, unit="fraction", market="DE", cohort=date(2026, 1, 1))
    (row,) = handed(sheet)[0]
    assert row == {
        "metric": "churn_rate", "unit": "fraction", "as_of": "2026-10-31", "notebook": "02_churn_rate",
        "period": "2026-10", "market": "DE", "cohort": "2026-01", "value": 0.05, "n": 200,
        "low": float(f"{lost.low:.12g}"), "high": float(f"{lost.high:.12g}"),
    }  # fmt: skip


def test_money_is_published_in_the_client_s_currency_and_periods_can_be_named(sheet):
    sheet.publish("cac", Estimate(20.0), unit="money", period="2026-09")
    sheet.publish("btyd_alpha", 7.25, unit="weeks", period="")
    rows = [row for rows in handed(sheet) for row in rows]
    assert rows[0]["unit"] == "EUR"
    assert rows[0]["period"] == "2026-09"
    assert "n" not in rows[0]
    assert "period" not in rows[1]


def test_a_cost_at_the_margin_counts_no_customers_and_is_published(sheet):
    """Twelve months of 1,000 fixed and 2.00 a customer: no n, so nothing to hide."""
    active = range(100, 112)
    fit = fixed_and_variable(pd.DataFrame({"active_existing": active, "spend": [1000 + 2.0 * n for n in active]}))
    sheet.publish("marginal_retention_cost", fit.unit_cost, unit="money")
    (row,) = handed(sheet)[0]
    assert row["value"] == pytest.approx(2) and {"low", "high"} <= {*row} and not {"n", "suppressed"} & {*row}


def test_missing_values_are_absent_and_floats_have_twelve_digits(sheet):
    frame = pd.DataFrame({"age": [1, 2], "value": [1 / 3, NAN], "low": [NAN, NAN], "n": [50.0, 60.0]})
    sheet.publish("retention", frame, unit="fraction")
    first, second = handed(sheet)[0]
    assert (first["value"], first["n"], first["age"]) == (0.333333333333, 50, 1)
    assert "low" not in first
    assert "value" not in second
    json.dumps(handed(sheet), allow_nan=False)


def test_small_cells_are_published_without_their_value(sheet):
    frame = pd.DataFrame({"market": ["DE", "FR", "IT"], "value": [0.1, 0.2, 0.3], "n": [90, 40, 4]})
    sheet.publish("churn_rate", frame, unit="fraction")
    shown = [(row["market"], row.get("value"), row.get("suppressed")) for row in handed(sheet)[0]]
    assert shown == [("DE", 0.1, None), ("FR", None, True), ("IT", None, True)]


def test_a_market_s_report_labels_its_rows(sheet):
    sheet.shop.market = "DE"
    sheet.publish("churn_rate", 0.5, unit="fraction")
    assert handed(sheet)[0][0]["market"] == "DE"


def test_a_frame_without_value_is_refused(sheet):
    with pytest.raises(ValueError, match="needs a column value"):
        sheet.publish("churn_rate", pd.DataFrame({"rate": [0.5]}), unit="fraction")


def test_a_section_says_what_is_missing_and_lets_errors_through(sheet):
    with sheet.section():
        raise MissingTable("Surveys were not supplied.")
    with sheet.section():
        raise NotEnoughData("Only 3 customers.")
    assert handed(sheet, "missing") == [["Surveys were not supplied."], ["Only 3 customers."]]
    with pytest.raises(ZeroDivisionError), sheet.section():
        _ = 1 / 0


def test_what_would_rest_on_too_few_is_said_in_its_section(sheet):
    with sheet.section():
        sheet.enough(10, "costs.plan_few")
        sheet.enough(9, "costs.plan_few")
        sheet.say("costs.plan_certain")
    assert "fewer than 10 customers a month" in markup(sheet) and "keep a holdout" not in markup(sheet)


def test_a_section_writes_its_dates_out_and_leaves_names_alone(sheet):
    with sheet.section():
        raise NotEnoughData("Nobody bought from 2026-05-30 to 2026-06, nor in campaign winback-2026-08.")
    assert handed(sheet, "missing")[0][0] == "Nobody bought from 30 May 2026 to June 2026, nor in campaign winback-2026-08."


def test_a_chart_shows_its_texts_beside_the_picture(sheet):
    frame = pd.DataFrame({"name": ["A"], "value": [1.0]})
    sheet.chart(charts.bars(frame, "name", "value", str), "cohorts.by_market", verdict="A <wins>")
    sheet.chart(charts.bars(frame, "name", "value", str), "voice.market", "alike")
    shown = markup(sheet)
    assert "<strong>A &lt;wins&gt;</strong><span>Share of customers with a second purchase" in shown
    assert '<p class="source">Source: Tiny &lt;Shop&gt;, orders to 31 October 2026.</p>' in shown
    assert '<p class="source">Source: Tiny &lt;Shop&gt;, survey answers to 31 October 2026.</p>' in shown
    assert 'A &lt;wins&gt;. Share of customers with' in shown.split("<title")[1]


def test_what_charts_of_small_groups_are_given_is_blank(sheet):
    frame = pd.DataFrame({"market": ["DE", "FR", "IT"], "value": [0.1, 0.2, 0.3], "low": 0.0, "n": [90, 40, 4]})
    shown = sheet.shown(frame)
    assert shown["value"].isna().tolist() == shown["low"].isna().tolist() == [False, True, True]
    assert frame["value"].notna().all()


def test_a_table_can_be_folded_away_under_a_text(sheet):
    sheet.table(pd.DataFrame({"market": ["DE"]}), {"market": "market"}, fold="common.rows_read", table="pairs", rows=12)
    folded, rest = markup(sheet).split("</summary>")
    assert folded.endswith('<details class="counted"><summary>pairs: 12 rows read')
    assert "Germany" in rest and rest.endswith("</details>")


def test_how_we_counted_shows_the_sql_and_the_rows_read(sheet):
    orders = ibis.duckdb.connect().create_table("orders", pd.DataFrame({"order_id": ["<1>", "2"]}))
    sheet.counted(orders.filter(orders.order_id == "<1>"))
    shown = markup(sheet)
    assert "orders: 2 rows read" in shown
    assert "&lt;1&gt;" in shown
    assert "SELECT" in shown


def test_how_we_counted_calls_a_kept_table_by_its_plain_name(sheet, tmp_path):
    kept = Cache(ibis.duckdb.connect(), tmp_path, "a build").once("occasions", lambda: ibis.memtable({"n": [1, 2]}))
    assert kept.get_name() != "occasions"
    sheet.counted(kept)
    assert "occasions: 2 rows read" in markup(sheet)
    assert "&quot;occasions&quot;" in markup(sheet)
    assert kept.get_name() not in markup(sheet)


def test_next_steps_are_at_most_five_and_filled_from_their_rows(sheet):
    frame = pd.DataFrame({"table": [f"t{k}" for k in range(7)], "rows": range(7), "value": 1.0, "low": 0.5})
    sheet.do_next("common.rows_read", frame)
    assert handed(sheet, "actions") == [[f"t{k}: {k} row{'s' * (k != 1)} read" for k in range(5)]]


def test_every_output_can_be_shown_where_there_is_no_html(sheet):
    sheet.publish("churn_rate", 0.5, unit="fraction")
    assert all("text/plain" in bundle for bundle in sheet.seen)
