"""A fitted purchase or spend model, whoever fitted it."""

from dataclasses import dataclass, replace

import numpy as np

from helpers.estimates import SEED


@dataclass(frozen=True)
class Fit:
    """A fitted model: parameters in the unit of time of its rows, which are days here, and how the fit came about.

    covariance is that of the logarithms of the parameters; `penalty` is 0 for plain maximum likelihood; set_aside
    counts heavy accounts left out, and heaviest is the x of the largest of them.
    """

    model: str
    params: dict[str, float]
    covariance: np.ndarray
    log_likelihood: float
    customers: int
    rows: int
    penalty: float = 0.0
    set_aside: int = 0
    heaviest: int = 0
    weekly: bool = False

    @property
    def errors(self) -> dict[str, float]:
        """Standard errors of the parameters (delta method from their logarithms)."""
        spread = np.sqrt(np.diag(self.covariance))
        return {name: float(value * s) for (name, value), s in zip(self.params.items(), spread, strict=True)}

    @property
    def dropout_seen(self) -> bool:
        """Whether the data tell the share of customers who leave after a purchase from none (beta-geometric models)."""
        odds = np.log(self.params["a"] / self.params["b"])
        step = np.array([0.0, 0.0, 1.0, -1.0])
        return bool(odds > -4.6 and np.sqrt(step @ self.covariance @ step) < 1.0)

    def draws(self, count: int) -> list["Fit"]:
        """The same fit with parameters drawn from their joint sampling distribution (normal in logarithms)."""
        logs = np.log(list(self.params.values()))
        drawn = np.random.default_rng(SEED).multivariate_normal(logs, self.covariance, size=count, method="eigh")
        return [replace(self, params=dict(zip(self.params, np.exp(row).tolist(), strict=True))) for row in drawn]
