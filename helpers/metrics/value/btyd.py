"""Buy-till-you-die models: how often a customer buys, when they stop for good, what they spend on an occasion.

A model sees a customer as (x, t_x, T): repeat occasions, days from the first to the last, days from the first to as_of.
Equal customers are counted, not repeated: the fit on counts is the fit on customers, many times faster.
Pareto/NBD, the third of its kind, stands in `pareto`.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import stats

from helpers.estimates import NotEnoughData
from helpers.metrics.value.fits import Fit
from helpers.metrics.value.likelihoods import LOG_BOUND, beta_geometric, climb, covariance, gamma_gamma

PARAMETERS = ("r", "alpha", "a", "b")
NAMES = {"mbg_nbd": "MBG/NBD", "bg_nbd": "BG/NBD"}
NOBODY_LEAVES = "nobody seems to leave for good"
FEWEST = 20  # customers below whom no fit is tried at all
PENALTIES = (0.0, 0.01, 1.0)  # ridge on the whole base
STARTS = ((0.1, 0.1, 0.1, 0.1), (-1.0, -2.0, -1.0, 0.5), (0.0, 0.0, -2.0, 1.0))  # logarithms, on a time axis of length 1
SPEND_STARTS = ((0.1, 0.1, 0.1), (1.0, 1.2, 0.0), (2.0, 1.0, -1.0))  # with the mean spend as 1
HEAVY_TIMES_Q99 = 10  # suspects: this many times the 99th percentile of x
HEAVY_SURPRISE = 0.01  # ... of whom the model expects fewer than this in the whole base
HEAVY_SHIFT = 1.0  # ... and who move a parameter by more than its standard error
NO_MAXIMUM = (ValueError, ArithmeticError, np.linalg.LinAlgError)


def fit(rows: pd.DataFrame, model: str = "mbg_nbd") -> Fit:
    """The model fitted by maximum likelihood to unique rows (x, t_x, T, weight).

    Tried in this order, each from several starting points: plain; with a ridge penalty of 0.01 and 1 (whole
    base); then NotEnoughData, and the caller shows the cohort average. An attempt fails when the optimiser does not
    converge, a parameter sits on its bound, or the curvature is no maximum. Heavy accounts (an x the model holds
    impossible, whose presence moves a parameter by more than its standard error) are set aside. The log-likelihood
    is that of all customers on the time axis of the rows.

    >>> rows = pd.DataFrame({"x": [0, 1, 2, 5], "t_x": [0, 20, 30, 60], "T": [70] * 4, "weight": [60, 25, 10, 5]})
    >>> fitted = fit(rows, "bg_nbd")
    >>> fitted.model, fitted.customers, list(fitted.params)
    ('bg_nbd', 100, ['r', 'alpha', 'a', 'b'])
    """
    rows = _checked(rows, model)
    heavy = _heavy(rows)
    usual, aside = rows[~heavy], rows[heavy]
    customers = int(usual["weight"].sum())
    logs, spread, penalty = _first_maximum(
        lambda penalty, start: _maximise(usual, model, penalty / customers, start), STARTS,
        f"The {NAMES[model]} model does not fit these {customers:,} customers: {{}}. The average of earlier customers stands in for it.")
    params = dict(zip(PARAMETERS, np.exp(logs).tolist(), strict=True))
    return Fit(model, params, spread, log_likelihood(usual, model, params), customers, len(usual), penalty,
               int(aside["weight"].sum()), int(aside["x"].max()) if len(aside) else 0, bool(usual["weekly"].any()))


def _checked(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    if model not in NAMES:
        raise ValueError(f"'{model}' is not a model; choose one of {', '.join(NAMES)}.")
    weekly = bool(rows["weekly"].any()) if "weekly" in rows else False
    rows = rows.groupby(["x", "t_x", "T"], as_index=False)["weight"].sum().assign(weekly=weekly)
    wrong = (rows["x"] < 0) | (rows["t_x"] < 0) | (rows["t_x"] > rows["T"]) | ((rows["x"] == 0) & (rows["t_x"] != 0))
    if wrong.any():
        raise ValueError(f"{int(wrong.sum())} rows are no purchase history (0 ≤ t_x ≤ T, and t_x = 0 where x = 0), "
                         f"first {rows[wrong].iloc[0][['x', 't_x', 'T']].to_dict()}.")
    if not len(rows) or rows["T"].max() <= 0 or rows["x"].max() <= 0:
        raise NotEnoughData("Nobody has bought on a second day yet, so no model can say who will come back. "
                            "Wait for repeat orders, or add older order exports.")
    if rows["weight"].sum() < FEWEST:
        raise NotEnoughData(f"{int(rows['weight'].sum())} customers are too few for a purchase model (at least "
                            f"{FEWEST}, and many more to be worth reading).")
    return rows


def _first_maximum(attempt: Callable, starts: tuple, sentence: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Logarithms and covariance of the first attempt that finds a maximum, and its penalty; else the sentence with a reason."""
    reasons = []
    for penalty in PENALTIES:
        for start in starts:
            try:
                return *attempt(penalty, start), penalty
            except NO_MAXIMUM as reason:
                reasons.append(str(reason).strip())
                if reasons[-1] == NOBODY_LEAVES:
                    break  # another start ends at the same edge, and a ridge pulls towards it
    raise NotEnoughData(sentence.format(reasons[0]))


def _maximise(rows: pd.DataFrame, model: str, penalty: float, start: tuple) -> tuple[np.ndarray, np.ndarray]:
    """The parameters' logarithms and their covariance; raises ValueError saying why when it is no maximum."""
    longest = rows["T"].max()
    scaled = rows.assign(t_x=rows["t_x"] / longest, T=rows["T"] / longest)
    logs, curvature = climb(beta_geometric(scaled, model), rows["weight"].sum(), penalty, start)
    ends = [name for name, log in zip(PARAMETERS, logs, strict=True) if abs(log) > LOG_BOUND - 0.01]
    if ends:
        raise ValueError(NOBODY_LEAVES if logs[2] < logs[3] + np.log(1e-3) else f"{' and '.join(ends)} ran to the edge")
    return logs + [0.0, np.log(longest), 0.0, 0.0], covariance(curvature)


def log_likelihood(rows: pd.DataFrame, model: str, params: dict[str, float]) -> float:
    """The log-likelihood of occasion rows under a model, on the time axis of the rows (no penalty).

    >>> one = pd.DataFrame({"x": [1], "t_x": [1.0], "T": [2.0], "weight": [1]})
    >>> round(log_likelihood(one, "bg_nbd", {"r": 1.0, "alpha": 1.0, "a": 1.0, "b": 1.0}), 4)
    -1.7117
    """
    return beta_geometric(rows, model)(np.log([params[name] for name in PARAMETERS]))[0]


def _heavy(rows: pd.DataFrame) -> np.ndarray:
    """Which rows are accounts no customer model should be bent by (judged by BG/NBD on coarse rows)."""
    most = np.quantile(rows["x"], 0.99, weights=rows["weight"], method="inverted_cdf")
    suspect = (rows["x"] > HEAVY_TIMES_Q99 * max(1, most)).to_numpy()
    nobody = np.zeros(len(rows), dtype=bool)
    if not suspect.any() or rows.loc[~suspect, "x"].max() == 0:
        return nobody
    try:
        (bent, _), (without, spread) = (
            _maximise(_coarse(each), "bg_nbd", 0.0, STARTS[0]) for each in (rows, rows[~suspect]))
    except NO_MAXIMUM:
        return nobody
    r, alpha, *_ = np.exp(without)
    expected = rows["weight"].sum() * stats.nbinom.sf(rows["x"] - 1, r, alpha / (alpha + rows["T"]))  # were all alive
    moved = (np.abs(bent - without) > HEAVY_SHIFT * np.sqrt(np.diag(spread))).any()
    return suspect & (expected < HEAVY_SURPRISE) if moved else nobody


def _coarse(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with time rounded to a 26th of the longest history: enough to judge by."""
    step = rows["T"].max() / 26
    rounded = ((rows[["t_x", "T"]] / step).round() * step).assign(x=rows["x"], weight=rows["weight"])
    return rounded.groupby(["x", "t_x", "T"], as_index=False)["weight"].sum()


def fit_spend(rows: pd.DataFrame) -> Fit:
    """Gamma–Gamma fitted to (x, m, weight): spend on an occasion varies around a mean that differs between customers.

    q ≤ 1 means the mean spend of the population does not exist: a penalised fit is tried, then NotEnoughData. v is in
    the unit of m. Source: Fader & Hardie (2013), note 025.

    >>> paid = pd.DataFrame({"x": [1, 2, 1, 3, 2], "m": [20.0, 25.0, 60.0, 30.0, 90.0], "weight": [40, 30, 20, 20, 5]})
    >>> fit_spend(paid).customers
    115
    """
    rows = rows[(rows["x"] > 0) & (rows["m"] > 0)]
    customers = int(rows["weight"].sum())
    if customers < 3:
        raise NotEnoughData("Fewer than three customers have bought again, so a repeat order has no value yet.")
    scale = float(np.average(rows["m"], weights=rows["weight"]))  # the search starts near 1, and so are the parameters on it
    likelihood = gamma_gamma(rows.assign(m=rows["m"] / scale))

    def attempt(penalty: float, start: tuple) -> tuple[np.ndarray, np.ndarray]:
        """As `_maximise`, with v on the scale of the search."""
        logs, curvature = climb(likelihood, customers, penalty / customers, start)
        if logs[1] <= 0 or max(abs(logs)) > LOG_BOUND - 0.01:
            raise ValueError("q is at most 1" if logs[1] <= 0 else "a parameter ran to the edge")
        return logs, covariance(curvature)

    logs, spread, penalty = _first_maximum(
        attempt, SPEND_STARTS, f"No spend model fits these {customers:,} repeat customers ({{}}); the report uses their average instead.")
    logs = logs + [0.0, 0.0, np.log(scale)]
    params = dict(zip(("p", "q", "v"), np.exp(logs).tolist(), strict=True))
    return Fit("gamma_gamma", params, spread, gamma_gamma(rows)(logs)[0], customers, len(rows), penalty)


def fit_spend_or_average(rows: pd.DataFrame) -> Fit:
    """Gamma–Gamma where it fits, else the mean spend of repeat occasions for everybody, as a Fit named "average".

    >>> fit_spend_or_average(pd.DataFrame({"x": [1, 3], "m": [20.0, 40.0], "weight": [1, 1]})).params
    {'mean': 35.0}
    """
    try:
        return fit_spend(rows)
    except NotEnoughData:
        if not rows["x"].sum():
            raise
    weights = rows["weight"] * rows["x"]
    mean = float(np.average(rows["m"], weights=weights))
    error = float(np.sqrt(np.average((rows["m"] - mean) ** 2, weights=weights) / rows["weight"].sum())) / mean
    return Fit("average", {"mean": mean}, np.array([[error ** 2]]), float("nan"), int(rows["weight"].sum()), len(rows))
