"""What the data lack, by the pencil: shares in their order, sources with rows left out, columns that tell nothing."""

from pathlib import Path

import ibis
import pandas as pd

from helpers import settings
from helpers.metrics import completeness

FILE = dict(source="s", format="f", rows_read=940, rows_ignored=60)


def of(*ids):
    return pd.DataFrame({"source": "s", "order_id": list(ids)})


def test_gaps_stand_in_the_order_of_their_shares_and_small_ones_not_at_all():
    """2 of 40 orders without a buyer; 1 of 5 refunds without an order; 60 of 1,000 rows left out, a file counted once."""
    orders = ibis.memtable(of(*map(str, range(40))).assign(customer_id=["a"] * 38 + [None] * 2))
    files = pd.DataFrame([FILE | {"file": "a", "currency": each} for each in ("EUR", "USD")])
    found = completeness.gaps(orders, ibis.memtable(of("1", "2", "3", "4", "none")), files)
    assert found[["gap", "n", "of"]].values.tolist() == [["loose_refunds", 1, 5], ["ignored", 60, 1000], ["no_buyer", 2, 40]]
    few = completeness.gaps(orders.filter(orders.customer_id.notnull()), ibis.memtable(of("1")), files.assign(rows_ignored=9))
    assert few.empty


def test_without_orders_or_refunds_nothing_is_missing():
    empty = ibis.memtable(of("1").assign(customer_id=pd.Series(["a"], dtype="str"))).limit(0)
    assert completeness.gaps(empty, empty, pd.DataFrame([FILE | {"file": "a", "rows_read": 0, "rows_ignored": 0}])).empty


def test_of_another_store_an_order_of_the_same_name_is_another():
    orders = ibis.memtable(of("1").assign(customer_id="a"))
    refunds = ibis.memtable(of("1").assign(source="t"))
    files = pd.DataFrame([FILE | {"file": "a", "rows_ignored": 0}])
    assert completeness.gaps(orders, refunds, files)["gap"].tolist() == ["loose_refunds"]


def test_rows_left_out_are_told_by_source():
    files = pd.DataFrame([FILE | {"file": "a"}, FILE | {"file": "b", "rows_read": 0, "rows_ignored": 0},
                          FILE | {"file": "c", "source": "t", "rows_read": 9_999, "rows_ignored": 1}])
    assert completeness.ignored(files).values.tolist() == [["s", "f", 60, 0.06]]


def test_every_page_but_the_first_says_what_it_lacks():
    ready = completeness.readiness(set(), ["first_discounted"]).set_index("notebook")
    assert set(ready.index) == set(settings.NOTEBOOKS) - {"00_data_check"}
    assert ready.loc["07_campaign_effect", "missing"] == ["campaigns"]
    assert ready.loc["01_cohort_retention", "missing"] == ["first_discounted"]
    assert completeness.readiness(set(), []).set_index("notebook").loc["01_cohort_retention", "whole"]


def test_all_unknown_is_alike_and_known_beside_unknown_is_not(six_customers):
    assert completeness.alike(six_customers) == list(completeness.TELLING)
    some = six_customers.mutate(first_acquisition_channel=(six_customers.customer_id == "anna").ifelse("email", ibis.null("string")))
    assert completeness.alike(some) == ["first_product_category", "first_discounted"]


def test_a_notebook_reads_what_it_is_said_to_read():
    """Asked for by name in the notebook itself, the ledger by shop.books; 06 and 07 read theirs by way of helpers."""
    root = Path(__file__).resolve().parents[2]
    for notebook, tables in completeness.USES.items():
        text = (root / "notebooks" / f"{notebook}.ipynb").read_text(encoding="utf-8")
        if notebook[:2] not in ("06", "07"):
            asked = {table: f'table(\\"{table}\\")' for table in tables} | {"retention_costs": "shop.books"}
            assert [table for table in tables if asked[table] not in text] == [], notebook
