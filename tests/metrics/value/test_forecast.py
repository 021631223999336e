"""forecast.py: parts add up to the whole, failures are told once, a learned ranking takes the model's place."""

from dataclasses import replace
from datetime import date

import ibis
import pandas as pd
import pytest
import shoppers

from helpers.estimates import NotEnoughData, StepMissing
from helpers.metrics.acquisition import cac
from helpers.metrics.groups import markets
from helpers.metrics.occasions import numbered
from helpers.metrics.value import clv_model, histories
from helpers.metrics.value.forecast import Forecast
from helpers.periods import Period

AS_OF = date(2026, 10, 31)
SLOW = {"r": 0.6, "alpha": 90.0, "a": 1.2, "b": 2.0}
FAST = {"r": 0.9, "alpha": 40.0, "a": 0.5, "b": 3.0}


CHANNELS = {"email": (FAST, 1_500), "paid_social": (SLOW, 1_500), "sms": (SLOW, 60), None: (SLOW, 240)}


def simulated(column: str, groups: dict) -> pd.DataFrame:
    """Occasions of groups of customers, each with (true parameters, customers) of its own; alike in all else."""
    parts = []
    for k, (name, (params, customers)) in enumerate(groups.items()):
        part = shoppers.occasions("mbg_nbd", params, customers, AS_OF, seed=10 * k + 1)
        parts.append(part.assign(customer_id=part["customer_id"].str[1:] + f"{k:x}", **{column: name}))
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def by_market():
    return Forecast(numbered(ibis.memtable(simulated("home_market", {"DE": (FAST, 1_500), "GB": (SLOW, 1_500)}))), AS_OF)


@pytest.fixture(scope="module")
def by_channel():
    return Forecast(numbered(ibis.memtable(simulated("first_acquisition_channel", CHANNELS))), AS_OF)


@pytest.fixture(params=["by_market", "by_channel"])
def forecast(request):
    return request.getfixturevalue(request.param)


def test_markets_that_differ_are_modelled_apart(by_market):
    assert by_market.gains["home_market"] > 50 > by_market.gains["first_acquisition_channel"]
    assert set(by_market.parts) == {"", "DE", "GB"}


def test_small_markets_are_modelled_as_they_are_shown(by_market):
    """Two roads: put together here, or by the caller beforehand."""
    names = {"DE": "DE", "GB": "other"}
    here = Forecast(by_market.occasions, AS_OF, each=by_market.each, names=names)
    before = Forecast(markets.together(by_market.occasions, names, "home_market"), AS_OF)
    assert set(here.rows["home_market"]) == {"DE", "other"}
    assert here.gains == pytest.approx(before.gains)


def test_channels_that_differ_are_modelled_apart_and_come_nearer_to_the_truth(by_channel):
    assert by_channel.gains["first_acquisition_channel"] > 50 > by_channel.gains["home_market"]
    assert set(by_channel.parts) == {"", "email", "paid_social"}  # sms are too few, and the unknown no group
    for channel in ("email", "paid_social"):
        rows = by_channel.rows[by_channel.rows["first_acquisition_channel"] == channel]
        true = replace(by_channel.pooled, params=CHANNELS[channel][0])
        truth, own, pooled = (clv_model.expected(rows, fitted, 12)
                              for fitted in (true, by_channel.parts[channel][0], by_channel.pooled))
        assert abs(own / truth - 1) < 0.08 < 0.12 < abs(pooled / truth - 1)


def test_an_unknown_channel_is_no_group_however_it_is_written(by_channel):
    named = by_channel.occasions.mutate(first_acquisition_channel=ibis._.first_acquisition_channel.fill_null("unknown"))
    assert Forecast(named, AS_OF).gains == pytest.approx(by_channel.gains)
    assert Forecast(named, AS_OF).margin_expected() == pytest.approx(by_channel.margin_expected())


def test_alike_groups_share_one_model():
    alike = Forecast(ibis.memtable(shoppers.occasions("mbg_nbd", FAST, 2_000, AS_OF)), AS_OF)
    assert max(alike.gains.values()) < 2
    assert alike.by == ""
    assert set(alike.parts) == {""}


def test_within_one_market_channels_are_modelled_apart(by_channel):
    german = Forecast(by_channel.occasions.filter(ibis._.home_market == "DE"), AS_OF)
    assert set(german.gains) == {"first_acquisition_channel"}  # one market alone is compared with nothing
    assert set(german.parts) == {"", "email", "paid_social"}


def test_rare_channels_share_one_model():
    rare = shoppers.occasions("mbg_nbd", FAST, 2_000, AS_OF)
    rare = rare.assign(first_acquisition_channel=rare["customer_id"].str[:1], home_market="DE")
    forecast = Forecast(ibis.memtable(rare), AS_OF)
    assert forecast.rows["first_acquisition_channel"].nunique() == 32
    assert set(forecast.parts) == {""}
    assert forecast.valued.count().execute() == 2_000


def test_everybody_is_valued_once(forecast):
    valued = forecast.valued.execute()
    assert valued["customer_id"].is_unique
    assert len(valued) == forecast.rows["weight"].sum()
    assert valued["clv_residual"].notna().all()


def test_the_margin_of_all_is_that_of_the_customers_and_that_of_the_parts(forecast):
    found = forecast.margin_expected()
    parts = []
    for part, rows in forecast._rows.items():
        sums = forecast._of(part).group_by("home_market").agg(net=ibis._.net_sales_rc.sum(), margin=ibis._.margin_rc.sum())
        rates = sums.execute().set_index("home_market").eval("margin / net")
        parts += [clv_model._totals(theirs, [forecast.parts[part]], 12, 0.1)[0] * rates[market]
                  for market, theirs in rows.groupby("home_market")]
    assert found.value == forecast.valued.clv_residual.sum().execute()
    assert found.value == pytest.approx(sum(parts), rel=1e-5)  # customers' values are whole cents
    assert found.low < found.value < found.high


def test_expected_occasions_of_parts(forecast):
    found = forecast.occasions_expected(12)
    assert found.value == pytest.approx(forecast.valued.expected_occasions.sum().execute(), rel=1e-6)
    assert found.low < found.value < found.high


def test_a_total_is_as_sure_as_one_model_makes_it_and_a_group_less(forecast):
    name = next(name for name, column in cac.DIMENSIONS.items() if column == forecast.by)
    single = forecast.ratios_of((name,))
    assert len(single) == forecast.rows[forecast.by].nunique(dropna=False)
    for group, ratios in single.items():
        assert (ratios.std() > forecast.ratios.std()) == (group in forecast.parts)
    other = {"market": "acquisition_channel", "acquisition_channel": "market"}[name]
    assert forecast.ratios_of((other,)) is forecast.ratios_of(()) is forecast.ratios


def test_the_parameters_of_the_unknown_channel_are_uncertain_too(by_channel):
    valued, measure = by_channel.valued, "clv_residual"
    by = ("acquisition_channel",)
    drawn, still = (clv_model.per_customer(valued, ratios, by, measure) for ratios in (by_channel.ratios_of(by), None))
    assert (drawn["value"] == still["value"]).all()
    assert (drawn["acquisition_channel"] == "unknown").sum() == 1
    assert (drawn["high"] != still["high"]).all()


@pytest.mark.parametrize(("made", "name", "more", "less"), [
    ("by_market", "market", "DE", "GB"), ("by_channel", "acquisition_channel", "email", "paid_social")])
def test_values_of_the_newly_won_by_group(request, made, name, more, less):
    forecast, year = request.getfixturevalue(made), Period.trailing(AS_OF, 12)
    whole, parts = forecast.won(year).iloc[0], forecast.won(year, (name,))
    assert whole["value"] == pytest.approx((parts["value"] * parts["n"]).sum() / parts["n"].sum())
    assert parts.set_index(name)["value"][more] > parts.set_index(name)["value"][less]


def test_channels_put_together_are_worth_what_they_are_apart(by_channel):
    year, name = Period.trailing(AS_OF, 12), "acquisition_channel"
    apart, folded = (by_channel.won(year, (name,), names).set_index(name) for names in (None, {"sms": "other", "unknown": "other"}))
    small = apart.loc[["sms", "unknown"]]
    assert folded.index.tolist() == ["email", "other", "paid_social"]
    assert folded.loc["other", "n"] == small["n"].sum()
    assert folded.loc["other", "value"] == pytest.approx((small["value"] * small["n"]).sum() / small["n"].sum())
    assert folded.loc["email"].equals(apart.loc["email"])


def test_an_earlier_day_keeps_the_parameters(forecast):
    day = date(2026, 8, 31)
    earlier = forecast.at(day).execute()
    assert len(earlier) < forecast.valued.count().execute()
    for part, found in earlier.groupby(forecast._part(earlier[forecast.by])):
        theirs = forecast.occasions.semi_join(ibis.memtable(found[["customer_id"]]), "customer_id")
        rows = histories.counts(histories.histories(theirs, day))
        expected = clv_model.expected(rows, forecast.parts[part][0], 12)
        assert found["expected_occasions"].sum() == pytest.approx(expected)


def test_ranking_by_the_model_or_by_a_learned_score(by_channel):
    forecast = by_channel
    plain = forecast.ranked("mbg_nbd", 365)
    assert (plain.score == plain.clv_residual).all().execute()
    learned = forecast.ranked("random_forest", 200)
    assert learned.count().execute() == forecast.valued.count().execute()


def test_a_failure_is_told_in_full_once_and_shortly_after(six_customers):
    forecast = Forecast(six_customers, date(2026, 6, 30))
    with pytest.raises(NotEnoughData, match="500 customers"):
        forecast.won(Period.month("2026-05"))
    with pytest.raises(StepMissing, match="further up on this page"):
        forecast.margin_expected()
