"""Cohort tables against the pencil, two public data sets, and pandas."""

import gzip
import json
from datetime import date

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from pencil import orders_of
from purchases import drawn, histories, purchases

from helpers.estimates import NotEnoughData
from helpers.metrics import occasions as purchase_occasions
from helpers.metrics.retention import cohorts

END = date(2026, 6, 30)
ONLINE_RETAIL_RULES = (
    "A_nonnull_customer", "A2_dedup_nonnull_customer", "B_no_cancel", "C_no_cancel_positive", "C2_positive_only",
    "D_dedup_no_cancel_positive",
)


def row(table: pd.DataFrame, cohort: str, column: str = "active") -> list:
    cells = table[table["cohort"] == cohort].sort_values("age")[column]
    return [None if pd.isna(each) else each for each in cells]


def counts(table: pd.DataFrame) -> dict:
    seen = table[table["active"].fillna(0) > 0]
    return {(each.cohort, each.age): each.active for each in seen.itertuples()}


def published_counts(entry: dict) -> dict:
    return {(cohort, int(age)): n for cohort, ages in entry["cohort_counts"].items() for age, n in ages.items() if n}


# --- known values

def test_six_customers_by_pencil(six_customers):
    table = cohorts.retention_table(six_customers, END)
    assert row(table, "2025-11") == [3, 1, 2, 1, 1, 1, 2, 1]  # anna always; ben again in January, carla in May
    assert row(table, "2025-12") == [1, 0, 0, 0, 0, 0, 0, None]  # dora: nobody came is 0, not yet is blank
    assert row(table, "2026-02") == [1, 1, 0, 0, 0, None, None, None]
    assert row(table, "2025-11", "value")[1] == pytest.approx(1 / 3)
    assert row(table, "2025-11", "n") == [3] * 8


def test_second_purchases_by_pencil(six_customers):
    table = cohorts.cumulative_repurchase(six_customers, END)
    assert row(table, "2025-11") == [0, 1, 2, 2, 2, 2, 3, 3]  # anna after one month, ben after two, carla after six
    assert row(table, "2026-02") == [0, 1, 1, 1, 1, None, None, None]


def test_unbounded_by_pencil(six_customers):
    table = cohorts.unbounded_retention(six_customers, END)
    assert row(table, "2025-11") == [3, 3, 3, 2, 2, 2, 2, 1]  # ben is seen in January for the last time


def test_ages_of_thirty_days_by_pencil(six_customers):
    table = cohorts.rolling_retention_table(six_customers, END)
    # from 5 November anna buys on days 30, 61, 92, 120, 151, 181, 212; carla on day 181; ben on day 61
    assert row(table, "2025-11") == [3, 1, 2, 1, 1, 1, 2]
    # until 30 June every February customer has been seen for 122 days, which are four whole ages
    assert row(table, "2026-02")[:5] == [1, 0, 0, 0, None]


def test_a_thousand_at_ten_percent_and_ten_at_fifty_average_to_10_4_percent():
    """A worked example of the definition."""
    table = pd.DataFrame({"cohort": ["a", "b"], "age": 1, "active": [100, 5], "n": [1000, 10]})
    assert cohorts.retention_curve(table)["value"].item() == pytest.approx(0.104, abs=5e-5)


@pytest.fixture(scope="module")
def online_retail(shared_data):
    """UCI Online Retail II with the column names of the published rules."""
    con = ibis.duckdb.connect()
    path = shared_data / "data" / "online_retail_ii" / "online_retail_ii.parquet"
    con.raw_sql(
        f"""CREATE VIEW lines AS SELECT Invoice AS InvoiceNo, StockCode, Description, Quantity, InvoiceDate,
        Price AS UnitPrice, "Customer ID" AS CustomerID, Country FROM read_parquet('{path}')"""
    )
    published = json.loads((shared_data / "published.json").read_text(encoding="utf-8"))
    return con, published


def by_rule(con, where: str, once: bool = False):
    """The customer-days a cleaning rule leaves, as occasions; the market is the country of the first invoice."""
    lines = "(SELECT DISTINCT * FROM lines)" if once else "lines"
    return con.sql(
        f"""WITH days AS (
            SELECT CustomerID, CAST(InvoiceDate AS DATE) AS date, min((InvoiceDate, InvoiceNo, Country)) AS one
            FROM {lines} WHERE {where} GROUP BY 1, 2)
        SELECT CAST(CustomerID AS VARCHAR) AS customer_id, date, false AS truncated,
            first_value(struct_extract(one, 3)) OVER (PARTITION BY CustomerID ORDER BY date) AS home_market FROM days"""
    ).pipe(purchase_occasions.numbered).cache()


@pytest.mark.parametrize("rule", ONLINE_RETAIL_RULES)
def test_online_retail_cohorts_under_each_cleaning_rule(online_retail, rule):
    """Counts recomputed by pandas and DuckDB, in ../shared/published.json; A2 is the triangle k-bosko printed."""
    con, published = online_retail
    entry = published["cohorts"]["recomputed"]["online_retail_ii"][rule]
    bought = by_rule(con, entry["sql_where"], once="dedup" in rule)
    assert counts(cohorts.retention_table(bought, date(2011, 12, 31))) == published_counts(entry)


def test_the_month_cut_on_the_9th_of_december_is_blank(online_retail):
    con, published = online_retail
    entry = published["cohorts"]["recomputed"]["online_retail_ii"]["C_no_cancel_positive"]
    table = cohorts.retention_table(by_rule(con, entry["sql_where"]), date(2011, 12, 9))
    assert row(table, "2011-11")[:2] == [entry["cohort_counts"]["2011-11"]["0"], None]
    assert row(table, "2011-12")[0] is None


def test_online_retail_first_month_by_country(online_retail):
    """country_and_returns of ../shared/published.json: cohorts up to October 2011, back in the next month."""
    con, published = online_retail
    known = published["country_and_returns"]["online_retail_ii"]["country_table"]
    where = published["cohorts"]["recomputed"]["online_retail_ii"]["C_no_cancel_positive"]["sql_where"]
    table = cohorts.retention_table(by_rule(con, where), date(2011, 11, 30), by=["home_market"])
    ones = cohorts.retention_curve(table, by=["home_market"]).query("age == 1").set_index("home_market")
    assert {country: (each.active, each.n) for country, each in ones.iterrows()} == {
        country: (each["m1_retained"], each["m1_eligible"]) for country, each in known.items() if each["m1_eligible"]}


def test_cdnow_master_cohorts(shared_data):
    """The 23,570 customers of CDNOW, counts in ../shared/published.json (they count days of no spend too)."""
    with gzip.open(shared_data / "data" / "cdnow" / "CDNOW_master.txt.gz", "rt") as file:
        raw = pd.read_csv(file, sep=r"\s+", skiprows=1, names=["customer_id", "date", "cds", "dollars"], dtype=str)
    table = cohorts.retention_table(purchases(raw[["customer_id", "date"]].drop_duplicates()), date(1998, 6, 30))
    published = json.loads((shared_data / "published.json").read_text(encoding="utf-8"))["cohorts"]["cdnow_master"]
    assert counts(table) == published_counts(published)


# --- two roads to one number

@settings(max_examples=8, deadline=None)
@given(histories)
def test_pandas_counts_the_same_triangle(history):
    rows, as_of = drawn(history), date(2025, 4, 15)
    table = cohorts.retention_table(purchases(rows), as_of, by=["home_market"])
    seen = rows[rows["date"] <= pd.Timestamp(as_of)].assign(month=lambda f: f["date"].dt.to_period("M"))
    seen["cohort"] = seen.groupby("customer_id")["month"].transform("min")
    seen["age"] = (seen["month"] - seen["cohort"]).map(lambda gap: gap.n)
    seen = seen[seen["month"] <= pd.Period("2025-03")]
    triangle = seen.groupby(["home_market", "cohort", "age"])["customer_id"].nunique()
    ours = table[table["active"].fillna(0) > 0]
    assert {(r.home_market, r.cohort, r.age): r.active for r in ours.itertuples()} == {
        (market, str(cohort), age): n for (market, cohort, age), n in triangle.items()}


@settings(max_examples=5, deadline=None)
@given(histories)
def test_what_must_hold_between_the_tables(history):
    bought, as_of = purchases(drawn(history)), date(2025, 6, 30)
    bounded = cohorts.retention_table(bought, as_of)
    unbounded, second = cohorts.unbounded_retention(bought, as_of), cohorts.cumulative_repurchase(bought, as_of)
    seen = bounded["active"].notna()
    assert (bounded.loc[seen & (bounded["age"] == 0), "value"] == 1).all()
    assert (unbounded.loc[seen, "active"] >= bounded.loc[seen, "active"]).all()
    assert (second.loc[seen].groupby("cohort")["active"].diff().dropna() >= 0).all()
    assert (second.loc[seen, "active"] <= second.loc[seen, "n"]).all()
    assert cohorts.retention_table(bought, as_of, by=["home_market"])["active"].sum() == bounded["active"].sum()


@settings(max_examples=4, deadline=None)
@given(histories)
def test_order_names_and_later_purchases_change_nothing(history):
    rows, as_of = drawn(history), date(2024, 12, 31)
    now = cohorts.retention_table(purchases(rows), as_of) if (rows["date"] <= "2024-12-31").any() else None
    if now is None:
        return
    renamed = rows.sample(frac=1, random_state=1).assign(customer_id="f" + rows["customer_id"])
    known = rows[rows["date"] <= "2024-12-31"]
    pd.testing.assert_frame_equal(cohorts.retention_table(purchases(renamed), as_of), now)
    pd.testing.assert_frame_equal(cohorts.retention_table(purchases(known), as_of), now)


def test_the_curve_of_one_cohort_is_its_row(six_customers):
    table = cohorts.retention_table(six_customers, END)
    one = table[table["cohort"] == "2025-11"]
    assert cohorts.retention_curve(one)["value"].tolist() == one["value"].tolist()


# --- bad input

def test_nothing_to_follow_gives_an_empty_table_and_a_sentence(occasions_of):
    bought = occasions_of([("anna", "DE", "2026-01-05")], date(2025, 1, 31))
    for make in (cohorts.retention_table, cohorts.cumulative_repurchase, cohorts.unbounded_retention):
        table = make(bought, date(2025, 1, 31))
        assert table.empty
        with pytest.raises(NotEnoughData, match="nobody whose first purchase is known was followed"):
            cohorts.retention_curve(table)


def test_an_age_that_no_cohort_has_reached_is_said(six_customers):
    curve = cohorts.retention_curve(cohorts.retention_table(six_customers, END))
    assert cohorts.at_age(curve, 7) == pytest.approx((1 / 3, 0.061, 0.792, 3), abs=1e-3)
    with pytest.raises(NotEnoughData, match="in month 8 after the first purchase"):
        cohorts.at_age(curve, 8)


def test_too_few_followed_to_an_age_are_said(six_customers):
    curve = cohorts.retention_curve(cohorts.retention_table(six_customers, END))
    assert cohorts.at_age(curve, 7, least=3) == cohorts.at_age(curve, 7)
    with pytest.raises(NotEnoughData, match="Fewer than 4 customers were followed to month 7"):
        cohorts.at_age(curve, 7, least=4)


# --- edges

def test_a_cohort_tells_how_many_may_be_older(table):
    rows = [("old", "DE", "2025-11-03"), ("new", "DE", "2025-12-03")]
    bought = purchase_occasions.occasions(
        table("orders", orders_of(rows)), table("order_lines"), table("refunds"),
        table("customers", [{"customer_id": "old", "first_order_date": date(2025, 11, 3), "truncated": True}]),
        END, margin_rate=0.4)
    older = cohorts.retention_table(bought, END).groupby("cohort")["older"].first()
    assert older.to_dict() == {"2025-11": 1, "2025-12": 0}


def test_a_month_that_has_not_ended_is_blank_and_its_last_day_is_enough():
    bought = purchases(pd.DataFrame([("a", "2026-01-15"), ("a", "2026-02-10")], columns=["customer_id", "date"]))
    assert row(cohorts.retention_table(bought, date(2026, 2, 27)), "2026-01") == [1]
    assert row(cohorts.retention_table(bought, date(2026, 2, 28)), "2026-01") == [1, 1]
    assert row(cohorts.retention_table(bought, date(2026, 1, 20)), "2026-01") == [None]


def test_a_purchase_in_the_unended_month_counts_as_later():
    bought = purchases(pd.DataFrame([("a", "2026-01-15"), ("a", "2026-03-10")], columns=["customer_id", "date"]))
    assert row(cohorts.unbounded_retention(bought, date(2026, 3, 15)), "2026-01") == [1, 1]


def test_an_unknown_value_to_split_by_is_kept_as_a_group():
    rows = pd.DataFrame({"customer_id": ["a", "b", "b"], "date": ["2026-01-01", "2026-01-01", "2026-02-01"],
                         "first_product_category": ["tents", None, None]})
    table = cohorts.cumulative_repurchase(purchases(rows), date(2026, 2, 28), by=["first_product_category"])
    unknown = table[table["first_product_category"].isna()]
    assert unknown["active"].tolist() == [0, 1]
