"""Cost by month, and its fixed and variable part."""

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from pencil import TIMELINE, orders_of

from helpers.estimates import NotEnoughData
from helpers.metrics.costs import cost_history
from helpers.metrics.costs.allocation import EXISTING, allocated
from helpers.metrics.costs.books import Books
from helpers.metrics.costs.costs import customers, retention_cost_per_customer
from helpers.periods import Period, month_end

AS_OF = date(2026, 6, 30)


@pytest.fixture
def books(table, occasions_of):
    lines = [
        dict(
            category="technology",
            component="crm",
            currency="EUR",
            existing_share=1.0,
            market=market,
            amount_rc=rc,
            amount_minor=rc,
            month=month_end(f"2026-0{month}"),
        )
        for month in (3, 4, 6)
        for market, rc in (("DE", 1200), ("GB", 600))
    ]
    orders = [dict(row, discount_rc=100, discount_minor=100) for row in orders_of(TIMELINE)]
    occasions = occasions_of(TIMELINE, AS_OF).mutate(discount_rc=100)
    return Books(
        table("retention_costs", lines),
        table("orders", orders),
        occasions,
        window=90,
        currency="EUR",
        data_start=date(2025, 11, 1),
    )


def test_months_by_pencil(books):
    """March: anna, emil buy and ben, dora (15 Dec, 90 days before 28 Feb: 1 Dec) are active; May has no ledger line."""
    found = cost_history.series(cost_history.monthly(books, AS_OF, 6))
    assert found[["month", "spend", "active_existing"]].values.tolist() == [
        ["2026-03", 20.0, 4],
        ["2026-04", 19.0, 4],
        ["2026-06", 19.0, 3],
    ]


def test_a_month_is_the_same_by_both_roads(books):
    """monthly against allocated + customers of that month."""
    months = cost_history.monthly(books, AS_OF, 6)
    for month in ("2026-03", "2026-06"):
        period = Period.month(month)
        ledger = allocated(books, period)
        cost = retention_cost_per_customer(ledger, customers(books, period), "EUR")
        row = cost_history.with_intervals(cost_history.series(months), books).set_index("month").loc[month]
        assert (row["value"], row["n"]) == (pytest.approx(cost.value), cost.n)
        assert (row["low"], row["high"]) == (pytest.approx(cost.low), pytest.approx(cost.high))
        there = cost_history.with_intervals(cost_history.series(months, "DE"), books, "DE").set_index("month").loc[month]
        cost = retention_cost_per_customer(ledger, customers(books, period), "EUR", market="DE")
        assert list(there[["value", "low", "high"]]) == pytest.approx(list(cost[:3]), nan_ok=True)
        assert row["spend"] == pytest.approx(ledger.loc[ledger["part"] == EXISTING, "amount_rc"].sum() / 100)


def test_a_month_in_which_nobody_was_active_has_no_interval(books):
    rows = pd.DataFrame({"month": ["2020-01", "2026-05"], "spend": 10.0, "value": [float("nan"), 5.0]})
    found = cost_history.with_intervals(rows, books).set_index("month")
    assert found.loc["2020-01", ["low", "high"]].isna().all() and found.loc["2026-05", ["low", "high"]].notna().all()


def test_components_and_markets_add_up(books):
    months = cost_history.monthly(books, AS_OF, 6)
    whole = cost_history.series(months).set_index("month")
    parts = cost_history.series(months, by="component").groupby("month")
    assert parts["value"].sum().round(9).tolist() == whole["value"].round(9).tolist()
    spend = [cost_history.series(months, market).set_index("month")["spend"] for market in ("DE", "GB", "US")]
    assert pd.concat(spend, axis=1).sum(axis=1).tolist() == whole["spend"].tolist()


def test_months_before_the_window_are_left_out_and_a_history_too_short_is_said(books):
    assert cost_history.monthly(books, AS_OF, 24)["month"].min() == "2026-03"
    with pytest.raises(NotEnoughData, match="orders begin on"):
        cost_history.monthly(replace(books, data_start=date(2026, 5, 1)), AS_OF, 24)
    with pytest.raises(NotEnoughData, match="no line"):
        cost_history.monthly(books, date(2026, 2, 28), 1)


def test_fixed_and_variable_recovers_the_truth():
    """Simulated: 20,000 a month and 3.50 a customer, noise of 1,000: both inside their intervals."""
    draw = np.random.default_rng(3)
    active = np.linspace(2000, 5000, 30) + draw.normal(0, 200, 30)
    fit = cost_history.fixed_and_variable(
        pd.DataFrame({"active_existing": active, "spend": 20_000 + 3.5 * active + draw.normal(0, 1000, 30)})
    )
    assert fit.fixed.low < 20_000 < fit.fixed.high and fit.unit_cost.low < 3.5 < fit.unit_cost.high
    assert fit.unit_cost.high - fit.unit_cost.low < 2 and 0.5 < fit.fixed_share < 0.75


@pytest.mark.parametrize("active, why", [
    (range(5), "5 months"), ([1000, 1010] * 6, "hardly moved"), ([0] * 12, "hardly moved"), ([float("nan")] * 12, "0 months")])
def test_fixed_and_variable_says_when_it_cannot_tell(active, why):
    frame = pd.DataFrame({"active_existing": list(active), "spend": 1.0})
    with pytest.raises(NotEnoughData, match=why):
        cost_history.fixed_and_variable(frame)


def test_the_cheaper_months_need_a_history():
    months = pd.DataFrame(
        {"month": ["2026-01", "2026-02", "2026-03", "2026-04", "2026-05"], "value": [9.0, 8.0, 12.0, 7.0, 10.0]}
    )
    assert cost_history.cheaper_months(months) == (3, 4)
    with pytest.raises(NotEnoughData):
        cost_history.cheaper_months(months.head(1))


def test_a_component_that_stops_is_remarked_on_and_one_that_comes_and_goes_is_not():
    """The quarter from August: email ends in August, crm goes on, support began in April, loyalty skips May."""
    quarter = Period(date(2026, 8, 1), date(2026, 10, 31))
    booked = {"email": range(2, 9), "crm": range(2, 11), "support": range(4, 9), "loyalty": (2, 3, 4, 6, 7), "discounts": range(2, 9)}
    rows = [(f"2026-{month:02}", component) for component, months in booked.items() for month in months]
    months = pd.DataFrame(rows, columns=["month", "component"])
    assert cost_history.absent(months, quarter).values.tolist() == [["email", "2026-09"]]
    assert cost_history.absent(months[months["month"] > "2026-03"], quarter).empty
