"""Pareto/NBD by lifetimes: its likelihood, and the search for its parameters (Schmittlein, Morrison & Colombo 1987)."""

import contextlib
import io
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from lifetimes import ParetoNBDFitter
from statsmodels.tools.numdiff import approx_hess3

from helpers.metrics.value.maximum_likelihood import coarse


def log_likelihood(rows: pd.DataFrame, params: np.ndarray) -> float:
    """The log-likelihood of unique rows x, t_x, T with weight (customers), given (r, alpha, s, beta).

    >>> one = pd.DataFrame({"x": [0], "t_x": [0.0], "T": [1.0], "weight": [1]})
    >>> round(log_likelihood(one, np.ones(4)), 4)
    -0.47
    """
    with np.errstate(invalid="ignore"):
        each = ParetoNBDFitter._conditional_log_likelihood(params, *_histories(rows))
    return float((rows["weight"].to_numpy() * each).sum())


def climb(rows: pd.DataFrame, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """As `maximum_likelihood.climb`: logarithms of (r, alpha, s, beta) on a time axis on which the longest history is 1.

    By Nelder–Mead on coarse rows, then on all, because it is slow; the curvature by differences.

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5]})
    >>> at, curvature = climb(rows, 0.0)
    >>> at.shape, curvature.shape
    ((4,), (4, 4))
    """
    customers, tolerance = rows["weight"].sum(), 1e-4
    fitter, at = ParetoNBDFitter(penalizer_coef=penalty), np.ones(4)
    for each in (coarse(rows), rows):
        with _lifetimes():
            fitter.fit(*_histories(each), weights=each["weight"].to_numpy(), initial_params=at, tol=tolerance, maxiter=800)
        scale = np.array([1, fitter._scale, 1, fitter._scale])
        at, tolerance = fitter.params_.to_numpy() * scale, 1e-8

    def loss(logs: np.ndarray) -> float:
        """What the search made small, for the whole base."""
        ridge = penalty * customers * (np.exp(logs) ** 2).sum()
        return ridge - log_likelihood(rows, np.exp(logs) / scale)

    return np.log(at), approx_hess3(np.log(at), loss, epsilon=1e-3)


def _histories(rows: pd.DataFrame) -> list[np.ndarray]:
    return [rows[name].to_numpy() for name in ("x", "t_x", "T")]


@contextlib.contextmanager
def _lifetimes() -> Iterator[None]:
    """lifetimes without what it prints and warns of; a failed search is a ValueError."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            yield
        except Exception as reason:  # noqa: BLE001  its ConvergenceError lives in a module that fails on pandas 3
            raise ValueError("it did not converge" if "converge" in str(reason) else str(reason).strip()) from None
