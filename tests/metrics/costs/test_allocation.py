"""The ledger, shared out to the cent."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from pencil import ORDER, TIMELINE, orders_of

from helpers.estimates import NotEnoughData
from helpers.metrics.costs.allocation import (
    DISCOUNTS,
    EXISTING,
    NEW,
    UNALLOCATED,
    UNIDENTIFIED,
    _discounts,
    allocated,
    reconciled,
    rules,
)
from helpers.metrics.costs.books import Books
from helpers.periods import Period, month_end
from helpers.schema import ALLOCATIONS

MAY = Period.month("2026-05")
QUARTER = Period(date(2026, 4, 1), date(2026, 6, 30))
LINE = dict(
    month=date(2026, 5, 31), category="technology", component="crm", amount_minor=1000, amount_rc=1000, currency="EUR"
)
AMAZON = dict(ORDER, customer_id=None, identity_scope="none", sales_channel="amazon", market="DE")


@pytest.fixture
def books(table, occasions_of):
    """`books(lines, orders=…, tickets=…, **settings)`: the six customers of pencil.py and a ledger."""

    def build(lines, extra_orders=(), tickets=None, **settings):
        rows = [dict(row, discount_rc=500, discount_minor=500) for row in orders_of(TIMELINE)]
        return Books(
            table("retention_costs", [LINE | line for line in lines]),
            table("orders", [*rows, *extra_orders]),
            occasions_of(TIMELINE, date(2026, 6, 30)),
            window=90,
            currency="EUR",
            tickets=None if tickets is None else table("tickets", tickets),
            **settings,
        )

    return build


def placed(ledger, **where):
    """Market and part → amount, of the rows that match."""
    rows = ledger[(ledger["component"] != DISCOUNTS)]
    for name, value in where.items():
        rows = rows[rows[name] == value]
    return rows.groupby(["market", "part"])["amount_rc"].sum().to_dict()


# known values: by pencil


def test_a_line_with_a_market_stays_there_and_its_share_splits_old_from_new(books):
    ledger = allocated(books([dict(market="DE", existing_share=0.7)]), MAY)
    assert placed(ledger) == {("DE", EXISTING): 700, ("DE", NEW): 300}


def test_by_orders_of_the_month(books):
    """In May anna (DE) and carla (GB) order once each."""
    assert placed(allocated(books([dict(allocation="orders", existing_share=1.0)]), MAY)) == {
        ("DE", EXISTING): 500,
        ("GB", EXISTING): 500,
    }


def test_by_active_customers_of_the_month(books):
    """On 30 April within 90 days: anna, emil, fatima; carla comes back in May: one in DE and GB, two in US."""
    ledger = allocated(books([dict(allocation="active_customers", existing_share=1.0)]), MAY)
    assert placed(ledger) == {("DE", EXISTING): 250, ("GB", EXISTING): 250, ("US", EXISTING): 500}


def test_by_revenue_the_nameless_keep_their_part(books):
    amazon = dict(
        AMAZON,
        order_id="a1",
        order_date=date(2026, 5, 2),
        ordered_at=pd.Timestamp("2026-05-02", tz="UTC"),
        net_rc=20_000,
    )
    ledger = allocated(books([dict(allocation="revenue", existing_share=0.5)], [amazon]), MAY)
    assert placed(ledger) == {
        ("DE", EXISTING): 125,
        ("DE", NEW): 125,
        ("GB", EXISTING): 125,
        ("GB", NEW): 125,
        ("DE", UNIDENTIFIED): 500,
    }


def test_a_channel_without_buyers_serves_nobody_we_know(books):
    amazon = dict(AMAZON, order_id="a1", order_date=date(2026, 5, 2), ordered_at=pd.Timestamp("2026-05-02", tz="UTC"))
    ledger = allocated(books([dict(market="DE", channel="amazon", existing_share=1.0)], [amazon]), MAY)
    assert placed(ledger) == {("DE", UNIDENTIFIED): 1000}


def test_a_nameless_channel_weighs_all_orders_of_a_market(books):
    """In May DE has two orders, one of them Amazon's, and GB one."""
    may = dict(AMAZON, order_id="amazon-1", order_date=date(2026, 5, 12), ordered_at=pd.Timestamp("2026-05-12"))
    ledger = allocated(books([dict(channel="amazon", allocation="orders")], extra_orders=[may]), MAY)
    assert placed(ledger) == {("DE", UNIDENTIFIED): 667, ("GB", UNIDENTIFIED): 333}


def test_by_tickets_and_a_ticket_of_no_market_is_not_lost(books):
    tickets = [
        dict(ticket_id=str(k), market=market, opened_date=date(2026, 5, 9))
        for k, market in enumerate(["DE", "DE", None])
    ]
    ledger = allocated(books([dict(allocation="tickets", existing_share=1.0, amount_rc=900)], tickets=tickets), MAY)
    assert placed(ledger) == {("DE", EXISTING): 600, (UNALLOCATED, EXISTING): 300}


def test_the_share_comes_from_the_line_then_the_client_then_the_orders(books):
    """In February anna (old) and emil (new) order: half of the orders are existing customers'."""
    lines = [
        dict(month=date(2026, 2, 28), market=None, component=name, existing_share=share)
        for name, share in (("crm", 0.9), ("automation", None), ("support", None))
    ]
    found = rules(allocated(books(lines, existing_share={"automation": 0.6}), Period.month("2026-02")), "EUR")
    assert found.set_index("component")[["share_from", "existing"]].loc[
        ["crm", "automation", "support"]
    ].values.tolist() == [["ledger", 9.0], ["client.toml", 6.0], ["orders", 5.0]]


def test_discounts_are_those_of_existing_customers(books):
    """Quarter from April: anna thrice, carla once; emil and fatima did not buy. By month in February: anna alone."""
    every = books([])
    assert _discounts(every, QUARTER, by_month=False).groupby("market")["amount_rc"].sum().to_dict() == {"DE": 1500, "GB": 500}
    assert _discounts(every, Period.month("2026-02"), by_month=True)["amount_rc"].tolist() == [500]


# two roads to one number


def test_discounts_of_orders_and_of_occasions_agree(table, occasions_of, books):
    source = books([])
    firsts = source.occasions.filter(source.occasions.n == 1).select("customer_id", first="date")
    own = [dict(row, discount_rc=500, discount_minor=500) for row in orders_of(TIMELINE)]
    assert len(own) == source.occasions.count().execute()
    old = source.occasions.join(firsts, "customer_id")
    old = old.filter(old["first"] < ibis.literal(QUARTER.start), old.date >= ibis.literal(QUARTER.start))
    assert _discounts(source, QUARTER, by_month=False)["amount_rc"].sum() == 500 * old.count().execute()


def test_components_sum_to_the_ledger_to_the_cent(books):
    """300 lines with every mixture of market, share and rule, credits among them."""
    draw = np.random.default_rng(7)
    lines = [
        dict(
            amount_rc=int(draw.integers(-5000, 99_999)),
            market=draw.choice(["", "DE", "GB"]) or None,
            existing_share=[None, 0.0, 1 / 3, 1.0][draw.integers(4)],
            allocation=draw.choice(["", *ALLOCATIONS]) or None,
            month=date(2026, int(draw.integers(4, 7)), 30),
        )
        for _ in range(300)
    ]
    lines = [dict(line, amount_minor=line["amount_rc"], month=month_end(line["month"])) for line in lines]
    ledger = allocated(books(lines), QUARTER)
    ledger = ledger[ledger["component"] != DISCOUNTS]
    assert ledger["amount_rc"].sum() == sum(line["amount_rc"] for line in lines)
    assert ledger["amount"].sum() == pytest.approx(sum(line["amount_rc"] for line in lines) / 100)
    found = reconciled(ledger, "EUR")
    assert found["ledger"] == pytest.approx(found["existing"] + found["new"] + found["unidentified"])


# bad input and edges


def test_what_no_rule_places_is_a_row(books):
    assert placed(allocated(books([dict(existing_share=1.0)]), MAY)) == {(UNALLOCATED, EXISTING): 1000}
    assert placed(allocated(books([dict(existing_share=1.0, allocation="tickets")]), MAY)) == {
        (UNALLOCATED, EXISTING): 1000
    }


def test_an_empty_ledger_is_an_empty_frame_by_month_and_no_cost_of_a_period(books):
    """A series can leave the month out; a sum would call it free."""
    assert allocated(books([]), Period.month("2025-11"), by_month=True).empty
    with pytest.raises(NotEnoughData, match="booked for 2025-11,"):
        allocated(books([]), Period.month("2025-11"))


def test_a_month_without_a_line_is_unknown_and_a_line_of_nothing_is_known(books):
    """The quarter with June, with May and June, and with all three not yet booked; then June as a line of 0."""
    april, may, june = (dict(month=date(2026, month, day), market="DE") for month, day in ((4, 30), (5, 31), (6, 30)))
    for lines, missing in (([april, may], "2026-06,"), ([april], "2026-05, 2026-06,"), ([], "2026-04, 2026-05, 2026-06,")):
        with pytest.raises(NotEnoughData, match=f"booked for {missing} so .* or report as of an earlier month"):
            allocated(books(lines), QUARTER)
    assert sum(placed(allocated(books([april, may, june | dict(amount_rc=0, amount_minor=0)]), QUARTER)).values()) == 2000


def test_a_quarter_that_reaches_before_the_ledger_is_unknown_too(books):
    lines = [dict(month=date(2026, 5, 31)), dict(month=date(2026, 6, 30))]
    with pytest.raises(NotEnoughData, match="booked for 2026-04,"):
        allocated(books(lines), QUARTER)
    assert set(allocated(books(lines), QUARTER, by_month=True).query("component == 'crm'")["month"]) == {"2026-05", "2026-06"}


def test_only_whole_months_are_shared_out(books):
    with pytest.raises(ValueError, match="whole months"):
        allocated(books([{}]), Period(date(2026, 5, 1), date(2026, 5, 30)))


def test_quarters_counted_from_one_set_of_sums_are_those_counted_alone(books):
    """April to June and a month each, from the same books and from books of their own."""
    lines = [dict(month=date(2026, month, 28), allocation=rule) for month in (4, 5, 6) for rule in ("active_customers", "orders")]
    kept = books(lines)
    for period in (QUARTER, MAY, Period.month("2026-06"), QUARTER):
        pd.testing.assert_frame_equal(allocated(kept, period), allocated(books(lines), period))


def test_a_line_booked_as_other_is_called_by_its_channel(books):
    """The money and the rules stay: those of client.toml are asked for by the name in the ledger."""
    lines = [dict(component="other", channel="sms", market="DE"), dict(component="other", market="DE"),
             dict(component="crm", channel="sms", market="DE")]
    ledger = allocated(books(lines, existing_share={"other": 0.5}), MAY)
    booked = ledger[ledger["component"] != DISCOUNTS]
    assert booked.groupby("component")["amount_rc"].sum().to_dict() == {"crm": 1000, "other": 1000, "sms": 1000}
    assert placed(ledger, component="sms") == {("DE", EXISTING): 500, ("DE", NEW): 500}
