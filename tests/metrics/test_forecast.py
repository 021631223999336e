"""forecast.py: parts add up to the whole, failures are told once, a learned ranking takes the model's place."""

from datetime import date

import ibis
import pandas as pd
import pytest
import shoppers

from helpers.estimates import NotEnoughData, StepMissing
from helpers.metrics.forecast import Forecast
from helpers.periods import Period

AS_OF = date(2026, 10, 31)
SLOW = {"r": 0.6, "alpha": 90.0, "a": 1.2, "b": 2.0}
FAST = {"r": 0.9, "alpha": 40.0, "a": 0.5, "b": 3.0}


@pytest.fixture(scope="module")
def forecast():
    fast, slow = (shoppers.occasions("mbg_nbd", params, 1_500, AS_OF, seed=seed)
                  for params, seed in ((FAST, 1), (SLOW, 5)))
    slow["customer_id"] = "f" + slow["customer_id"].str[1:] + "0"
    both = pd.concat([fast.assign(home_market="DE"), slow.assign(home_market="GB")], ignore_index=True)
    return Forecast(ibis.memtable(both), AS_OF)


def test_markets_that_differ_are_modelled_apart(forecast):
    assert forecast.apart > 0
    assert set(forecast.parts) == {"", "DE", "GB"}


def test_everybody_is_valued_once(forecast):
    valued = forecast.valued.execute()
    assert valued["customer_id"].is_unique
    assert len(valued) == forecast.rows["weight"].sum()
    assert valued["clv_residual"].sum() == pytest.approx(forecast.margin_expected().value, rel=1e-3)


def test_expected_occasions_of_parts(forecast):
    found = forecast.occasions_expected(12)
    assert found.value == pytest.approx(forecast.valued.expected_occasions.sum().execute(), rel=1e-6)
    assert found.low < found.value < found.high


def test_values_of_the_newly_won_by_market(forecast):
    year = Period.trailing(AS_OF, 12)
    whole, parts = forecast.won(year).iloc[0], forecast.won(year, ("market",))
    assert whole["value"] == pytest.approx((parts["value"] * parts["n"]).sum() / parts["n"].sum())
    assert parts.set_index("market")["value"]["DE"] > parts.set_index("market")["value"]["GB"]


def test_an_earlier_day_keeps_the_parameters(forecast):
    earlier = forecast.at(date(2026, 8, 31))
    assert earlier.count().execute() < forecast.valued.count().execute()


def test_ranking_by_the_model_or_by_a_learned_score(forecast):
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
