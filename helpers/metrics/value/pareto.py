"""Pareto/NBD (Schmittlein, Morrison & Colombo 1987) by lifetimes, to hold the other models against: no page uses it."""

import contextlib
import io
import warnings

import numpy as np
import pandas as pd
from lifetimes import ParetoNBDFitter
from statsmodels.tools.numdiff import approx_hess3

from helpers.estimates import NotEnoughData
from helpers.metrics.value.fits import Fit
from helpers.metrics.value.likelihoods import covariance

MOST_ROWS = 20_000  # lifetimes needs half a minute here


def fit(rows: pd.DataFrame) -> Fit:
    """The model fitted by maximum likelihood to unique rows (x, t_x, T, weight), at most 20,000; see `btyd.fit` for the others.

    >>> rows = pd.DataFrame({"x": [0, 1, 1, 4, 9], "t_x": [0, 5, 60, 20, 68], "T": [70] * 5, "weight": [60, 20, 20, 5, 5]})
    >>> list(fit(rows).params)
    ['r', 'alpha', 's', 'beta']
    """
    if len(rows) > MOST_ROWS:
        raise NotEnoughData(f"Pareto/NBD is fitted up to {MOST_ROWS:,} unique rows and there are {len(rows):,}.")
    histories, weight = [rows[name].to_numpy() for name in ("x", "t_x", "T")], rows["weight"].to_numpy()
    fitter = ParetoNBDFitter()

    def loss(logs: np.ndarray) -> float:
        """What the search makes small."""
        return -float(weight @ fitter._conditional_log_likelihood(np.exp(logs), *histories))

    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(action="ignore"), np.errstate(all="ignore"):
            fitter.fit(*histories, weights=weight, initial_params=np.ones(4), tol=1e-8)
            logs = np.log(fitter.params_.to_numpy())
            spread = covariance(approx_hess3(logs, loss, epsilon=1e-3))
    except Exception as reason:  # noqa: BLE001  its ConvergenceError lives in a module that fails on pandas 3
        raise NotEnoughData(f"Pareto/NBD does not fit these customers: {str(reason).strip()}.") from None
    return Fit("pareto_nbd", fitter.params_.to_dict(), spread, -loss(logs), int(weight.sum()), len(rows))


def p_alive(fitted: Fit, x, t_x, T) -> np.ndarray:
    """The probability that a customer with history (x, t_x, T) is alive at T: Fader & Hardie note 009, eq. 36.

    >>> fitted = Fit("pareto_nbd", {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, np.eye(4), 0, 1, 1)
    >>> p_alive(fitted, [26], [30.86], [31]).round(3)
    array([0.998])
    """
    return _fitter(fitted).conditional_probability_alive(*map(np.asarray, (x, t_x, T)))


def occasions(fitted: Fit, x, t_x, T, horizon) -> np.ndarray:
    """Occasions expected in (T, T + horizon] given the history (x, t_x, T): Fader & Hardie note 009, eq. 41.

    >>> fitted = Fit("pareto_nbd", {"r": 0.55, "alpha": 10.6, "s": 0.6, "beta": 11.7}, np.eye(4), 0, 1, 1)
    >>> occasions(fitted, [0.0], [0.0], [0.0], 52).round(4)      # the same note, eq. 27
    array([1.4716])
    """
    return _fitter(fitted).conditional_expected_number_of_purchases_up_to_time(horizon, *map(np.asarray, (x, t_x, T)))


def _fitter(fitted: Fit) -> ParetoNBDFitter:
    fitter = ParetoNBDFitter()
    fitter.params_ = pd.Series(fitted.params)
    return fitter
