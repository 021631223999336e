"""pareto.py: the published fit and predictions, customers whose parameters are known, and what it refuses."""

import numpy as np
import pytest
import shoppers
from published_values import (
    CDNOW_PARETO_NBD,
    CDNOW_PARETO_NBD_ERRORS,
    CDNOW_PARETO_NBD_LOG_LIKELIHOOD,
    CUSTOMER_1516,
    CUSTOMER_1516_PARETO_NBD,
)

from helpers.estimates import NotEnoughData
from helpers.metrics.value import pareto

TRUTH = {"r": 0.6, "alpha": 60.0, "s": 0.6, "beta": 90.0}


@pytest.fixture(scope="module")
def cdnow():
    return shoppers.cdnow_sample()  # in days


@pytest.fixture(scope="module")
def fitted(cdnow):
    """In weeks."""
    return pareto.fit(cdnow.assign(t_x=cdnow.t_x / 7, T=cdnow["T"] / 7))


def test_cdnow(fitted):
    """Fader, Hardie & Lee 2005; CLVTools' tests for the standard errors."""
    assert fitted.params == pytest.approx(CDNOW_PARETO_NBD, abs=6e-4)
    assert fitted.log_likelihood == pytest.approx(CDNOW_PARETO_NBD_LOG_LIKELIHOOD, abs=0.04)
    assert fitted.errors == pytest.approx(CDNOW_PARETO_NBD_ERRORS, rel=1e-3)
    assert fitted.customers == 2357


def test_customer_1516(fitted):
    """BTYD (CRAN) walkthrough."""
    x, t_x, age = ([value] for value in CUSTOMER_1516)
    assert pareto.occasions(fitted, x, t_x, age, 52)[0] == pytest.approx(CUSTOMER_1516_PARETO_NBD["occasions_52"], rel=2e-3)
    assert pareto.p_alive(fitted, x, t_x, age)[0] == pytest.approx(CUSTOMER_1516_PARETO_NBD["p_alive"], rel=1e-4)


def test_days_make_times_seven_times_longer_and_nothing_else(cdnow, fitted):
    scaled = {name: value * (7 if name in ("alpha", "beta") else 1) for name, value in fitted.params.items()}
    assert pareto.fit(cdnow).params == pytest.approx(scaled, rel=2e-4)


def test_parameters_are_recovered_within_two_standard_errors():
    rows = shoppers.rows("pareto_nbd", TRUTH, 8_000, days=365)
    rows = rows.assign(t_x=rows.t_x.round()).groupby(["x", "t_x", "T"], as_index=False)["weight"].sum()  # whole days: fewer rows
    found = pareto.fit(rows)
    for name, truth in TRUTH.items():
        assert abs(found.params[name] - truth) < 2 * found.errors[name], name


def test_simulated_customers_buy_what_is_expected():
    ages = np.full(20_000, 730.0)
    bought = shoppers.purchase_days("pareto_nbd", TRUTH, ages)
    known = [each[each <= 365] for each in bought]
    x, t_x = np.array([len(k) for k in known]), np.array([k[-1] if len(k) else 0.0 for k in known])
    later = np.array([len(each) for each in bought]) - x
    true = pareto.Fit("pareto_nbd", TRUTH, np.eye(4), 0.0, 1, 1)
    assert pareto.occasions(true, x, t_x, np.full(20_000, 365.0), 365).sum() == pytest.approx(later.sum(), rel=0.03)


def test_what_it_cannot_fit_is_a_sentence(monkeypatch, cdnow):
    with pytest.raises(NotEnoughData, match="does not fit"):
        pareto.fit(cdnow.assign(x=0, t_x=0))
    monkeypatch.setattr(pareto, "MOST_ROWS", 100)
    with pytest.raises(NotEnoughData, match="unique rows"):
        pareto.fit(cdnow)
