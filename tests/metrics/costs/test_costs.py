"""Cost per active existing, retained and repurchasing customer."""

from dataclasses import replace
from datetime import date

import ibis
import pandas as pd
import pytest
from pencil import TIMELINE, orders_of

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import churn
from helpers.metrics.costs import books as cost_books
from helpers.metrics.costs import costs
from helpers.metrics.costs.allocation import UNALLOCATED, allocated
from helpers.metrics.costs.books import Books
from helpers.periods import Period

QUARTER = Period(date(2026, 4, 1), date(2026, 6, 30))
LINE = dict(category="service", component="support", currency="EUR", existing_share=1.0)


def worked(spent, active):
    ledger = pd.DataFrame({"part": ["existing"], "market": ["DE"], "component": ["crm"], "amount_rc": [spent]})
    base = pd.DataFrame(
        {"market": "DE", "bucket": [f"{k:03x}" for k in range(10)], "active_existing": active // 10, "discount_rc": 0}
    )
    return costs.retention_cost_per_customer(ledger, base, "EUR")


@pytest.fixture
def books(table, occasions_of):
    lines = [
        LINE | dict(month=date(2026, month, 30), market=market, amount_rc=rc, amount_minor=rc, channel=channel)
        for month, market, rc, channel in ((4, "DE", 3000, "email"), (5, "DE", 0, None), (6, "GB", 6000, "sms"), (6, None, 1200, None))
    ]  # May cost nothing, and is booked as that
    return Books(
        table("retention_costs", lines),
        table("orders", orders_of(TIMELINE)),
        occasions_of(TIMELINE, date(2026, 6, 30)),
        window=90,
        currency="EUR",
        data_start=date(2025, 11, 1),
    )


def test_customers_of_no_market_carry_their_share_under_the_name_they_have_everywhere(books):
    """Support goes by active customers; emil and fatima have no market, and still carry what the two of them cost."""
    nowhere = {"occasions": books.occasions.mutate(home_market=books.occasions.home_market.nullif("US")),
               "orders": books.orders.mutate(market=books.orders.market.nullif("US")),
               "costs": books.costs.mutate(market=ibis.null("string"))}
    placed, there = (replace(each, allocation={"support": "active_customers"}) for each in (replace(books, **nowhere), books))
    placed, there = (replace(each, costs=nowhere["costs"]) for each in (placed, there))
    renamed = costs.by_market(allocated(placed, QUARTER), costs.customers(placed, QUARTER), "EUR").set_index("market")
    by_market = costs.by_market(allocated(there, QUARTER), costs.customers(there, QUARTER), "EUR").set_index("market")
    assert set(renamed.index) == {"DE", "GB", "unknown"} and renamed.loc["unknown", "spend"] > 0
    pd.testing.assert_frame_equal(renamed.rename({"unknown": "US"}), by_market)
    counts = placed.active_existing(cost_books.whole_months(QUARTER))
    assert set(counts["market"]) <= {"DE", "GB", "unknown"}


def test_small_markets_put_together_leave_a_line_of_all_markets_theirs(books):
    """The line of June without a market goes to no one market, and an order without one to its customer's."""
    lost = replace(books, orders=books.orders.mutate(market=ibis.null("string")))
    shown = cost_books.together(lost, {"DE": "DE", "GB": "other", "US": "other", "unknown": "unknown"})
    assert shown.costs.market.isnull().sum().execute() == books.costs.market.isnull().sum().execute() > 0
    assert shown.orders.market.notnull().sum().execute() == 0
    assert set(shown.occasions.home_market.execute()) == {"DE", "other"}


def test_an_order_without_a_market_counts_where_its_customer_lives(books):
    lost = replace(books, orders=books.orders.mutate(market=ibis.null("string")), allocation={"support": "orders"},
                          costs=books.costs.mutate(market=ibis.null("string")))
    there = replace(lost, orders=books.orders)
    assert allocated(lost, QUARTER)["market"].tolist() == allocated(there, QUARTER)["market"].tolist()


# known values


def test_what_the_books_of_the_examples_know():
    """a (DE, old), b (FR, old) and c (DE, won) buy in October; September has no ledger line; orders begin with it."""
    ours, october = replace(cost_books.example(), data_start=date(2026, 9, 1)), Period.month("2026-10")
    assert ours.active_existing([october]).values.tolist() == [["2026-10", "DE", 1], ["2026-10", "FR", 1]]
    assert ours.active_buckets([october], "DE")[["active_existing", "discount_rc"]].values.tolist() == [[1, 200], [0, 0]]
    assert ours.unbooked(Period(date(2026, 9, 1), date(2026, 10, 31))) == ["2026-09"]
    assert not ours.observed(october) and ours.lines(october).count().execute() == 3


def test_the_articles_example():
    """50,000 of cost over 5,000 active customers is 10 each (the source article, quarterly)."""
    cost = worked(5_000_000, 5_000)
    assert (cost.value, cost.n) == (10.0, 5000)


def test_the_six_customers(books):
    """Before April anna, ben (10 January), emil and fatima are active; carla comes back; dora is gone.

    On 30 June anna and carla are active: anna alone was so on both days. In the quarter anna and carla buy."""
    base = costs.customers(books, QUARTER)
    assert base.groupby("market")[costs.BASES].sum().values.tolist() == [[2, 1, 1], [1, 0, 1], [2, 0, 0]]
    ledger = allocated(books, QUARTER)
    assert costs.by_base(ledger, base, "EUR")["value"].tolist() == [102 / 5, 102, 51]
    by_market = costs.by_market(ledger, base, "EUR")
    assert by_market[["market", "spend", "value", "n"]].fillna(-1).values.tolist() == [
        ["DE", 30, 15, 2],
        ["GB", 60, 60, 1],
        ["US", 0, 0, 2],
        [UNALLOCATED, 12, -1, 0],
    ]


def test_by_channel(books):
    """Every order of pencil.py came by e-mail: the sms of GB reached nobody."""
    found = costs.by_channel(books, allocated(books, QUARTER), costs.customers(books, QUARTER), QUARTER)
    assert found[["market", "channel", "spend", "reached", "value"]].fillna(-1).values.tolist() == [
        ["DE", "email", 30, 1, 30],
        ["GB", "sms", 60, 0, -1],
    ]
    assert found["share"].sum() == pytest.approx(1)


# two roads to one number


def test_active_existing_is_the_active_set_and_the_returned(books):
    """churn.active on the eve, and those who came back, less those whose first occasion lies in the period."""
    for month in ("2026-02", "2026-03", "2026-05"):
        period = Period.month(month)
        before, after = (
            set(churn.active(books.occasions, day, 90).execute()["customer_id"]) for day in (period.t0, period.t1)
        )
        rows = books.occasions.execute()
        inside = rows[pd.to_datetime(rows["date"]).between(str(period.start), str(period.end))]
        expected = (before | set(inside["customer_id"])) - set(inside.loc[inside["n"] == 1, "customer_id"])
        found = cost_books.existing(books.occasions, period, 90).execute()
        assert set(found["customer_id"]) == expected
        assert set(found.loc[found["before"] & found["after"], "customer_id"]) == before & after


def test_retained_is_that_of_the_churn_flows(books):
    flows = churn.flows(books.occasions, date(2026, 6, 30), 90, data_start=date(2025, 11, 1)).set_index("period")
    for month in ("2026-04", "2026-06"):
        base = costs.customers(books, Period.month(month))
        assert base["retained"].sum() == flows.loc[month, "retained"]


def test_the_interval_holds_the_value_and_shrinks_with_customers():
    few, many = (
        costs.retention_cost_per_customer(
            pd.DataFrame({"part": ["existing"], "market": ["DE"], "component": ["crm"], "amount_rc": [1000 * n]}),
            pd.DataFrame(
                {
                    "market": "DE",
                    "bucket": [f"{k:05x}" for k in range(2 * n)],
                    "active_existing": [1, 0] * n,
                    "discount_rc": 0,
                }
            ),
            "EUR",
        )
        for n in (50, 500)
    )
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.5 * (few.high - few.low)


# bad input and edges


def test_before_the_windows_worth_of_history_there_is_no_answer(books):
    with pytest.raises(NotEnoughData, match="2026-01-31|2026-01-30"):
        costs.customers(books, Period.month("2026-01"))
    assert costs.customers(books, Period.month("2026-02"))["active_existing"].sum() == 4


def test_without_customers_there_is_no_cost_per_customer():
    cost = worked(1000, 0)
    assert cost.value != cost.value and cost.n == 0


def test_a_market_no_line_serves_has_no_components(books):
    ledger, base = allocated(books, QUARTER), costs.customers(books, QUARTER)
    assert costs.components(ledger, base, "EUR", "DE")["spend"].sum() == 30
    with pytest.raises(NotEnoughData, match="No line of the cost table"):
        costs.components(ledger, base, "EUR", "JP")


def test_a_ledger_without_channels_says_what_to_fill(books):
    ledger = allocated(books, QUARTER).assign(channel="")
    with pytest.raises(NotEnoughData, match="channel"):
        costs.by_channel(books, ledger, costs.customers(books, QUARTER), QUARTER)


def test_orders_after_the_period_change_nothing(table, occasions_of, books):
    later = replace(
        books, occasions=occasions_of(
            [*TIMELINE, ("gina", "DE", "2026-07-03"), ("ben", "DE", "2026-07-05")], date(2026, 7, 31)
        )
    )
    assert costs.customers(later, QUARTER)[costs.BASES].sum().equals(costs.customers(books, QUARTER)[costs.BASES].sum())


def test_a_headline_of_a_quarter_not_wholly_booked_is_refused(books):
    """102 over five customers is 20.40; without June's lines it would be 6.00, and with none at all 0."""
    assert costs.headline(books, QUARTER).value == 102 / 5
    for kept, missing in ((date(2026, 5, 31), "2026-06"), (date(2026, 1, 31), "2026-04, 2026-05, 2026-06")):
        early = replace(books, costs=books.costs.filter(books.costs.month <= ibis.literal(kept)))
        with pytest.raises(NotEnoughData, match=f"No retention cost is booked for {missing}, so"):
            costs.headline(early, QUARTER)


def test_the_window_is_open_at_its_far_end(books):
    """Emil's last purchase, 1 March, is 60 days before 30 April: outside (t − 60, t], inside (t − 61, t]."""
    emil = "customer_id == 'emil'"
    assert cost_books.existing(books.occasions, Period.month("2026-05"), 60).execute().query(emil).empty
    assert len(cost_books.existing(books.occasions, Period.month("2026-05"), 61).execute().query(emil)) == 1
    counts = [
        replace(books, window=window).active_existing([Period.month("2026-05")]).set_index("market")
        for window in (60, 61)
    ]
    assert [int(each["active_existing"].get("US", 0)) for each in counts] == [1, 2]
