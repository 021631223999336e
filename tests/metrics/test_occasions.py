"""Purchase occasions: what counts, what a refund takes away, and which attributes a customer keeps."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from pencil import ORDER, REFUND, TIMELINE, orders_of

from helpers.intake import sales
from helpers.metrics import occasions as purchase_occasions

END = date(2026, 6, 30)


def test_six_customers_have_the_occasions_of_the_drawing(six_customers):
    counts = six_customers.group_by("customer_id").agg(k=lambda t: t.count()).to_pandas()
    assert counts.set_index("customer_id")["k"].to_dict() == {
        "anna": 8, "ben": 2, "carla": 2, "dora": 1, "emil": 2, "fatima": 1,
    }


def test_n_counts_up_from_one_in_date_order(six_customers):
    anna = six_customers.filter(six_customers.customer_id == "anna").order_by("date").to_pandas()
    assert anna["n"].tolist() == list(range(1, 9))
    assert anna["date"].is_monotonic_increasing


@pytest.mark.parametrize(("days", "kept"), [(39, 1), (40, 0)])
def test_a_refund_counts_only_inside_the_window(occasions_of, days, kept):
    found = occasions_of([("fatima", "US", "2026-03-28")], END, refunds=[REFUND], refund_window_days=days)
    assert found.count().execute() == kept


def test_a_refund_dated_after_as_of_does_not_count_yet(occasions_of):
    found = occasions_of([("fatima", "US", "2026-03-28")], date(2026, 5, 6), refunds=[REFUND], refund_window_days=60)
    assert found.count().execute() == 1


def test_refunds_of_another_source_with_the_same_order_id_are_not_taken(occasions_of):
    other = dict(REFUND, source="other shop", refund_date=date(2026, 3, 30))
    assert occasions_of([("fatima", "US", "2026-03-28")], END, refunds=[other]).count().execute() == 1


def test_margin_is_taken_from_unit_costs_then_category_then_market_then_client(table):
    orders = orders_of([(f"c{k}", market, "2026-01-01") for k, market in enumerate(("DE", "DE", "GB", "US"))])
    for row, name in zip(orders, "abcd", strict=True):
        row["order_id"] = name
    line = dict(source="shop", quantity=2, net_rc=10_000)
    lines = [dict(line, order_id="a", unit_cost_rc=3_000, category="tents"), dict(line, order_id="b", category="tents")]
    found = purchase_occasions.occasions(
        table("orders", orders), table("order_lines", lines), table("refunds"), table("customers"), END,
        margin_rate=0.4, margin_by_market={"GB": 0.3}, margin_by_category={"tents": 0.2},
    ).order_by("customer_id").to_pandas()
    assert found["margin_rc"].tolist() == [4_000, 2_000, 3_000, 4_000]


def test_a_refund_takes_margin_in_proportion(occasions_of):
    half = dict(REFUND, refund_date=date(2026, 4, 1), amount_minor=5_000, amount_rc=5_000)
    row = occasions_of([("fatima", "US", "2026-03-28")], END, refunds=[half]).to_pandas().iloc[0]
    assert (row["net_sales_rc"], row["margin_rc"]) == (5_000, 2_000)


def test_an_undated_refund_counts_at_the_order_and_is_flagged(table):
    row = dict(orders_of([("x", "DE", "2026-01-01")])[0], refund_undated_minor=2_500, net_rc=5_000)
    found = purchase_occasions.occasions(
        table("orders", [row]), table("order_lines"), table("refunds"), table("customers"), END, margin_rate=0.5
    ).to_pandas().iloc[0]
    assert (found["net_sales_rc"], bool(found["refund_undated"])) == (3_750, True)  # a quarter, at the order's own rate


def test_unidentified_cancelled_refused_and_pending_orders_are_no_occasions(table):
    rows = orders_of([("x", "DE", "2026-01-01")] * 5)
    for k, (row, status) in enumerate(zip(rows, ("paid", "cancelled", "refused", "pending", "delivered"), strict=True)):
        row.update(order_id=str(k), customer_id=None if k == 0 else f"c{k}", status=status)
    found = purchase_occasions.occasions(
        table("orders", rows), table("order_lines"), table("refunds"), table("customers"), END, margin_rate=0.5
    )
    assert found.to_pandas()["customer_id"].tolist() == ["c4"]


def test_home_market_is_that_of_the_first_order_of_the_first_day(table):
    rows = orders_of([("x", "GB", "2026-01-01"), ("x", "DE", "2026-01-01"), ("x", "US", "2026-02-01")])
    rows[0]["order_id"], rows[1]["order_id"] = "late", "early"
    rows[0]["ordered_at"] = pd.Timestamp("2026-01-01 18:00", tz="UTC")
    found = purchase_occasions.occasions(
        table("orders", rows), table("order_lines"), table("refunds"), table("customers"), END, margin_rate=0.5
    ).to_pandas()
    assert set(found["home_market"]) == {"DE"}
    assert len(found) == 2  # two orders of one day are one occasion


def test_renewals_count_unless_left_out(table):
    rows = orders_of([("x", "DE", "2026-01-01"), ("x", "DE", "2026-02-01")])
    rows[1]["is_renewal"] = True
    tables = [table("orders", rows), table("order_lines"), table("refunds"), table("customers")]
    assert purchase_occasions.occasions(*tables, END, margin_rate=0.5).count().execute() == 2
    assert purchase_occasions.occasions(*tables, END, margin_rate=0.5, exclude_renewals=True).count().execute() == 1


def test_orders_after_as_of_change_nothing(occasions_of):
    march = date(2026, 3, 31)
    known_then = [row for row in TIMELINE if row[2] <= str(march)]
    asked, cut = (occasions_of(rows, march).order_by("customer_id", "date") for rows in (TIMELINE, known_then))
    pd.testing.assert_frame_equal(asked.to_pandas(), cut.to_pandas())


def test_an_order_alone_on_its_day_counts_as_it_would_in_a_sum(table):
    """Two roads: told how many orders a day has, and not told."""
    rng = np.random.default_rng(4)
    whom, days = rng.integers(0, 40, 600), rng.integers(1, 29, 600)
    rows = orders_of([(f"c{who:02}", "DE", f"2026-02-{day:02}") for who, day in zip(whom, days, strict=True)])
    for k, row in enumerate(rows):
        net = int(rng.choice([0, 500, 10_000]))
        row.update(order_id=str(k), net_rc=net, net_minor=net, status=str(rng.choice(["paid", "delivered", "refused"])),
                   refund_undated_minor=int(rng.choice([0, net // 2])), is_renewal=bool(rng.choice([True, False])))
    refunds = [dict(REFUND, order_id=str(k), refund_date=date(2026, 3, 1), amount_rc=rows[k]["net_rc"]) for k in range(0, 600, 7)]
    others = table("order_lines"), table("refunds", refunds), table("customers")
    told = sales.with_day_orders(table("orders", rows).drop("day_orders"))
    assert told.day_orders.min().execute() == 1 < told.day_orders.max().execute()
    found, summed = (
        purchase_occasions.occasions(orders, *others, END, margin_rate=0.4).order_by("customer_id", "date").to_pandas()
        for orders in (told, table("orders", rows))
    )
    assert len(found) > 200
    pd.testing.assert_frame_equal(found, summed)


def test_a_customer_is_described_by_the_earliest_counted_order_of_the_first_occasion(table):
    """Two roads: sorted and searched in pandas. Nothing is lost where an order has no market, channel or category."""
    rng = np.random.default_rng(7)
    rows = orders_of([(f"c{who:02}", None, f"2026-02-{day:02}") for who, day in rng.integers(1, (40, 9), (900, 2))])
    for k, row in enumerate(rows):
        row.update(order_id=str(k), source=str(rng.choice(["shop", "amazon"])), market=rng.choice(["DE", "GB", None]),
                   category=rng.choice(["tea", None]), acquisition_channel=rng.choice(["email", None]),
                   discount_rc=int(rng.choice([0, 100])), ordered_at=row["ordered_at"] + pd.Timedelta(hours=int(rng.integers(3))),
                   status=str(rng.choice(["paid", "refused"])), net_rc=int(rng.choice([-10_000, 10_000])))
    found = purchase_occasions.occasions(
        table("orders", rows), table("order_lines"), table("refunds"), table("customers"), END, margin_rate=0.5
    ).to_pandas().query("n == 1").set_index("customer_id").sort_index()
    counted = pd.DataFrame(rows).query("status == 'paid'").sort_values(["ordered_at", "source", "order_id"])
    spent = counted.groupby(["customer_id", "order_date"])["net_rc"].sum()
    days = spent[spent > 0].reset_index().groupby("customer_id")["order_date"].min()
    first = counted[counted["order_date"] == counted["customer_id"].map(days)].groupby("customer_id").head(1)
    first = first.set_index("customer_id").sort_index()
    assert len(found) == len(days) > 15
    for column, origin in {"home_market": "market", "first_acquisition_channel": "acquisition_channel",
                           "first_product_category": "category"}.items():
        assert found[column].fillna("none").tolist() == first[origin].fillna("none").tolist()
        assert found[column].isna().any()
    assert found["first_discounted"].tolist() == (first["discount_rc"] > 0).tolist()


def test_net_sales_add_up_to_the_orders(six_customers):
    assert six_customers.net_sales_rc.sum().execute() == len(TIMELINE) * ORDER["net_rc"]


def test_bucket_is_two_digits_of_the_pseudonym():
    ids = ibis.memtable({"customer_id": ["0a1b2c", "0a1fff", "fff000"]})
    assert ids.select(b=purchase_occasions.bucket(ids.customer_id)).to_pandas()["b"].tolist() == ["0a", "0a", "ff"]
