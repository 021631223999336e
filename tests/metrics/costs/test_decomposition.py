"""The change of cost per customer, split exactly."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.estimates import NotEnoughData
from helpers.metrics.costs import decomposition
from helpers.metrics.costs.decomposition import EFFECTS

MARKETS = ("DE", "US", "unallocated")


def months_of(amounts, rates, bases):
    """Rows of `cost_history.monthly`: amounts[month][component][market] in own currency, rates and bases by market."""
    rows = []
    for month, by_component in amounts.items():
        every = sum(bases[month].values())
        for (component, market), amount in by_component.items():
            rows.append(
                dict(
                    month=month,
                    category="service",
                    component=component,
                    channel="",
                    market=market,
                    currency="USD" if market == "US" else "EUR",
                    amount=amount,
                    spend=amount * rates[month].get(market, 1.0),
                    active_existing=bases[month].get(market, 0),
                    active_existing_all=every,
                )
            )
    return pd.DataFrame(rows)


def unit(months, month):
    rows = months[months["month"] == month]
    return rows["spend"].sum() / rows["active_existing_all"].max()


money = st.one_of(st.just(0.0), st.floats(0.01, 1e6))
people = st.integers(0, 10_000)


@st.composite
def two_months(draw):
    amounts = {
        month: {(component, market): draw(money) for component in ("crm", "email") for market in MARKETS}
        for month in ("a", "b")
    }
    rates = {month: {"US": draw(st.floats(0.5, 2.0))} for month in ("a", "b")}
    bases = {month: {"DE": draw(people), "US": draw(people), "FR": draw(st.integers(1, 10))} for month in ("a", "b")}
    return months_of(amounts, rates, bases)


# known values


def test_a_spend_that_doubles_is_spend_effect_alone():
    months = months_of(
        {"a": {("crm", "DE"): 1000}, "b": {("crm", "DE"): 2000}},
        {"a": {}, "b": {}},
        {"a": {"DE": 100}, "b": {"DE": 100}},
    )
    assert decomposition.change(months, "a", "b")[EFFECTS].to_numpy() == pytest.approx(np.array([[10, 0, 0, 0]]))


def test_a_dollar_that_rises_is_exchange_rate_effect_alone():
    months = months_of(
        {"a": {("crm", "US"): 1000}, "b": {("crm", "US"): 1000}},
        {"a": {"US": 0.9}, "b": {"US": 0.8}},
        {"a": {"US": 100}, "b": {"US": 100}},
    )
    assert decomposition.change(months, "a", "b")[EFFECTS].to_numpy() == pytest.approx(np.array([[0, 0, 0, -1]]))


def test_a_market_mix_that_moves():
    """Same spend per customer in each market, total unchanged, a third of the customers move to the dear market."""
    months = months_of(
        {"a": {("crm", "DE"): 500.0, ("crm", "US"): 1000.0}, "b": {("crm", "DE"): 250.0, ("crm", "US"): 1500.0}},
        {"a": {"US": 1.0}, "b": {"US": 1.0}},
        {"a": {"DE": 100, "US": 100}, "b": {"DE": 50, "US": 150}},
    )
    sums = decomposition.change(months, "a", "b")[EFFECTS].sum()
    assert sums["market_mix"] == pytest.approx(1.25) and sums["spend"] + sums["active_base"] == pytest.approx(0)


def test_log_mean_two_terms_by_hand():
    """Ang 2005: the effect of x is L(v1, v0) ln(x1/x0): 12 → 10 by spend 24 → 30 and customers 2 → 3."""
    months = months_of(
        {"a": {("crm", "DE"): 24}, "b": {("crm", "DE"): 30}}, {"a": {}, "b": {}}, {"a": {"DE": 2}, "b": {"DE": 3}}
    )
    weight = (10 - 12) / np.log(10 / 12)
    terms = decomposition.change(months, "a", "b").iloc[0]
    assert terms["spend"] == pytest.approx(weight * np.log(30 / 24))
    assert terms["active_base"] == pytest.approx(weight * np.log(2 / 3))


# two roads to one number


@settings(max_examples=30, deadline=None)
@given(two_months())
def test_the_terms_sum_to_the_change(months):
    terms = decomposition.change(months, "a", "b")
    assert terms[EFFECTS].to_numpy().sum() == pytest.approx(unit(months, "b") - unit(months, "a"), abs=1e-6, rel=1e-9)
    assert np.isfinite(terms[EFFECTS].to_numpy()).all()


@settings(max_examples=15, deadline=None)
@given(two_months())
def test_back_again_is_the_same_with_the_other_sign(months):
    there, back = (decomposition.change(months, *pair)[EFFECTS].to_numpy() for pair in (("a", "b"), ("b", "a")))
    assert there == pytest.approx(-back, abs=1e-9, rel=1e-9)


def test_the_order_of_rows_and_markets_does_not_matter():
    months = months_of(
        {
            m: {(c, k): float(10 + 7 * i) for i, (c, k) in enumerate(itertools.product(("crm", "email"), MARKETS))}
            for m in ("a", "b")
        },
        {"a": {"US": 0.9}, "b": {"US": 0.95}},
        {"a": {"DE": 7, "US": 5}, "b": {"DE": 9, "US": 4}},
    )
    one = decomposition.by_component(decomposition.change(months, "a", "b"))
    other = decomposition.by_component(decomposition.change(months.sample(frac=1, random_state=2), "a", "b"))
    pd.testing.assert_frame_equal(one, other)


@settings(max_examples=30, deadline=None)
@given(two_months())
def test_the_waterfall_adds_up_and_shows_what_the_table_shows(months):
    """A step is the table's cell to the last digit, so that both are printed alike; the small ones are put together."""
    terms, before, after = decomposition.change(months, "a", "b"), unit(months, "a"), unit(months, "b")
    steps, table = decomposition.steps(terms, before, after), decomposition.by_component(terms).set_index("component")
    assert steps["value"].iloc[:-1].sum() == pytest.approx(after)
    for row in steps[steps["effect"] != ""].itertuples():
        assert row.value == pytest.approx(table.loc[row.component, row.effect], rel=1e-12)


# edges


def test_zeros_by_their_limit():
    """A cost that begins is all spend effect; the same split as with a vanishing first month."""
    bases, rates = {"a": {"DE": 100}, "b": {"DE": 120}}, {"a": {}, "b": {}}
    begins = months_of({"a": {("crm", "DE"): 0.0}, "b": {("crm", "DE"): 600.0}}, rates, bases)
    assert decomposition.change(begins, "a", "b")[EFFECTS].iloc[0].tolist() == [5.0, 0, 0, 0]
    nearly = months_of({"a": {("crm", "DE"): 1e-300}, "b": {("crm", "DE"): 600.0}}, rates, bases)
    assert decomposition.change(nearly, "a", "b")["spend"].iloc[0] == pytest.approx(5.0, abs=0.01)


def test_a_month_without_costs_is_said():
    months = months_of({"a": {("crm", "DE"): 1.0}}, {"a": {}}, {"a": {"DE": 1}})
    with pytest.raises(NotEnoughData, match="2026-09"):
        decomposition.change(months, "2026-09", "a")
