"""likelihoods.py: the values of lifetimes to the last digits, and gradients that are their slopes."""

import warnings

import numpy as np
import pandas as pd
import pytest
import shoppers
from lifetimes import BetaGeoFitter, GammaGammaFitter, ModifiedBetaGeoFitter
from scipy import optimize

from helpers.metrics.value import btyd, likelihoods

FITTERS = {"mbg_nbd": ModifiedBetaGeoFitter, "bg_nbd": BetaGeoFitter}
LOGS = [np.log([0.5, 40.0, 0.6, 2.5]), np.log([2.0, 300.0, 0.01, 5.0]), np.log([0.1, 3.0, 30.0, 0.2]),
        np.log([8.0, 0.5, 1e-3, 1e-2])]


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    """Histories of all kinds: one purchase, hundreds, none but today's, bought on the last day."""
    rng = np.random.default_rng(7)
    x = np.r_[np.zeros(40), rng.geometric(0.3, 150), 700.0, 0.0]
    age = np.r_[rng.integers(1, 900, 190), 800.0, 0.0]
    last = np.where(x > 0, np.ceil(age * rng.uniform(0.01, 1, len(x))), 0.0)
    return pd.DataFrame({"x": x, "t_x": last, "T": age, "weight": rng.integers(1, 50, len(x))})


@pytest.mark.parametrize("model", FITTERS)
@pytest.mark.parametrize("logs", LOGS)
def test_the_value_is_that_of_lifetimes(rows, model, logs):
    """Its loss is the negative mean over customers."""
    data = [rows[name].to_numpy() for name in ("x", "t_x", "T", "weight")]
    with warnings.catch_warnings():
        theirs = -FITTERS[model]._negative_log_likelihood(logs, *data, 0.0) * rows["weight"].sum()
    assert likelihoods.beta_geometric(rows, model)(logs)[0] == pytest.approx(theirs, rel=1e-12)


@pytest.mark.parametrize("model", FITTERS)
@pytest.mark.parametrize("logs", LOGS)
def test_the_gradient_is_the_slope(rows, model, logs):
    likelihood = likelihoods.beta_geometric(rows, model)
    slopes = optimize.approx_fprime(logs, lambda at: likelihood(at)[0], 1e-7)
    assert likelihood(logs)[1] == pytest.approx(slopes, rel=1e-4, abs=1e-3 * abs(slopes).max())


@pytest.mark.parametrize("model", FITTERS)
def test_the_fit_and_its_errors_are_those_of_lifetimes(model):
    rows = shoppers.rows(model, {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.5}, 3_000)
    theirs = FITTERS[model]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs.fit(rows["x"], rows["t_x"], rows["T"], rows["weight"], tol=1e-12, bounds=[(-9, 9)] * 4)
    ours = btyd.fit(rows, model)
    assert ours.params == pytest.approx(theirs.params_.to_dict(), rel=1e-4)
    assert ours.errors == pytest.approx(theirs.standard_errors_.to_dict(), rel=1e-3)


@pytest.fixture(scope="module")
def paid() -> pd.DataFrame:
    return shoppers.spend_rows({"p": 6.0, "q": 4.0, "v": 15.0}, np.random.default_rng(3).geometric(0.4, 3_000))


class TestGammaGamma:
    SPEND_LOGS = [np.log([6.0, 4.0, 15.0]), np.log([0.5, 1.2, 900.0]), np.log([50.0, 0.8, 0.1])]

    @pytest.mark.parametrize("logs", SPEND_LOGS)
    def test_the_value_is_that_of_lifetimes(self, paid, logs):
        data = [paid[name].to_numpy() for name in ("x", "m", "weight")]
        with warnings.catch_warnings():
            theirs = -GammaGammaFitter._negative_log_likelihood(logs, *data, 0.0) * paid["weight"].sum()
        assert likelihoods.gamma_gamma(paid)(logs)[0] == pytest.approx(theirs, rel=1e-12)

    @pytest.mark.parametrize("logs", SPEND_LOGS)
    def test_the_gradient_is_the_slope(self, paid, logs):
        likelihood = likelihoods.gamma_gamma(paid)
        slopes = optimize.approx_fprime(logs, lambda at: likelihood(at)[0], 1e-7)
        assert likelihood(logs)[1] == pytest.approx(slopes, rel=1e-4, abs=1e-3 * abs(slopes).max())

    def test_the_fit_and_its_errors_are_those_of_lifetimes(self, paid):
        theirs = GammaGammaFitter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.fit(paid["x"], paid["m"], weights=paid["weight"], tol=1e-12, q_constraint=True)
        ours = btyd.fit_spend(paid)
        assert ours.params == pytest.approx(theirs.params_.to_dict(), rel=1e-3)
        assert ours.errors == pytest.approx(theirs.standard_errors_.to_dict(), rel=1e-2)
