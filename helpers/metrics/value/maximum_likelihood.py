"""The search for the parameters under which the customers are likeliest, and how surely these are known."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import optimize
from statsmodels.tools.numdiff import approx_fprime

from helpers.metrics.value.likelihoods import Likelihood

LOG_BOUND = 9.0  # a parameter this far from 1 (on a time axis of length 1) has run away: e^9 is 8,103


def climb(likelihood: Likelihood, customers: int, penalty: float, start: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the parameters at which the log-likelihood is highest, and the curvature of its negative there.

    From each customer's share of the log-likelihood, `penalty` times the sum of the squared parameters is taken. The
    search keeps within LOG_BOUND; a parameter found on it has run away. Raises ValueError where it does not end.

    >>> normal = lambda at: (-50 * float((at**2).sum()), -100 * at)  # the mean of 100 numbers
    >>> at, curvature = climb(normal, 100, 0.0, [1.0])
    >>> abs(at).round(6).tolist(), curvature.round(3).tolist()
    ([0.0], [[100.0]])
    """
    def loss(logs: np.ndarray) -> tuple[float, np.ndarray]:
        """What the search makes small, per customer, and its gradient."""
        value, gradient = likelihood(logs)
        squares = np.exp(2 * logs)
        return penalty * squares.sum() - value / customers, 2 * penalty * squares - gradient / customers

    bounds = [(-LOG_BOUND, LOG_BOUND)] * len(start)
    with np.errstate(all="ignore"):
        found = optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, tol=1e-12)
        curvature = approx_fprime(found.x, lambda logs: loss(logs)[1], centered=True) * customers
    if not found.success:
        raise ValueError("it did not converge")
    return found.x, (curvature + curvature.T) / 2


def coarse(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with time rounded to a 26th of the longest history: enough to judge by, or to begin a slow search.

    >>> rows = pd.DataFrame({"x": [1, 1], "t_x": [1, 2], "T": [259, 260], "weight": [1, 1]})
    >>> coarse(rows)[["x", "t_x", "T", "weight"]].values.tolist()
    [[1.0, 0.0, 260.0, 2.0]]
    """
    step = rows["T"].max() / 26
    rounded = ((rows[["t_x", "T"]] / step).round() * step).assign(x=rows["x"], weight=rows["weight"], weekly=False)
    return rounded.groupby(["x", "t_x", "T", "weekly"], as_index=False)["weight"].sum()


def covariance(curvature: np.ndarray) -> np.ndarray:
    """The covariance of the parameters' logarithms. Raises ValueError where the curvature is not that of a maximum.

    >>> covariance(np.array([[4.0]])).tolist()
    [[0.25]]
    """
    if not np.isfinite(curvature).all() or np.linalg.eigvalsh(curvature).min() <= 0:
        raise ValueError("the optimum is no maximum")
    return np.linalg.inv(curvature)
