"""What a fitted purchase model expects: who is still a customer, how often they buy, what they spend.

Every function takes arrays in the time unit of the fit. What costs most depends on x and T alone, and is computed once for each
pair of them. The purchase models are MBG/NBD and BG/NBD; what Pareto/NBD expects stands in `pareto`.
"""

from functools import cache

import numpy as np
import pandas as pd
from scipy import special, stats

from helpers.metrics.value.fits import Fit

NODES = 48  # a millionth at worst for parameters from 0.01 to 100, mostly a thousandth of that; 12 do for comparisons
FEWER = (16, 24, 32)  # tried first: they cost less, and mostly serve as well
AS_GOOD = 1e-12  # relative
FOREVER = 37.0  # e^-37 is below the precision of a float


def p_alive(fitted: Fit, x, t_x, T) -> np.ndarray:
    """The probability that a customer with history (x, t_x, T) has not dropped out by T.

    MBG/NBD: Batislam, Denizel & Filiztekin (2007); BG/NBD: Fader, Hardie & Lee (2005), where one-time buyers are
    always alive.

    >>> fitted = Fit("mbg_nbd", {"r": 0.5, "alpha": 6.0, "a": 0.9, "b": 1.6}, np.eye(4), 0, 1, 1)
    >>> p_alive(fitted, [0, 3], [0, 10], [39, 39]).round(3)
    array([0.394, 0.12 ])
    """
    x, t_x = np.asarray(x, dtype="float64"), np.asarray(t_x, dtype="float64")
    until_last = (fitted.params["r"] + x) * np.log(fitted.params["alpha"] + t_x)
    return special.expit(until_last - log_odds_of_pair(fitted, x, T))


def log_odds_of_pair(fitted: Fit, x, T) -> np.ndarray:
    """What x and T alone settle of the log-odds that a customer has dropped out: they are this − (r + x) log(α + t_x).

    That is log(a / (b + x)) + (r + x) log(α + T), in BG/NBD with x − 1 beside b, and no odds at all where x = 0.

    >>> fitted = Fit("bg_nbd", {"r": 1.0, "alpha": 1.0, "a": 1.0, "b": 1.0}, np.eye(4), 0, 1, 1)
    >>> np.exp(log_odds_of_pair(fitted, [0, 1], [1, 1])).round(6)   # of 1 / 1 · (1 + T)²
    array([0., 4.])
    """
    x, T = np.asarray(x, dtype="float64"), np.asarray(T, dtype="float64")
    r, alpha, a, b = (fitted.params[name] for name in ("r", "alpha", "a", "b"))
    odds = a / (b + x) if fitted.model == "mbg_nbd" else np.where(x > 0, a / (b + np.maximum(x, 1) - 1), 0.0)
    with np.errstate(divide="ignore"):
        return np.log(odds) + (r + x) * np.log(alpha + T)


@cache
def _quadrature(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on 0..1."""
    nodes, weights = np.polynomial.legendre.leggauss(count)
    return (nodes + 1) / 2, weights / 2


def living_occasions(fitted: Fit, x, T, horizon, rate: float | tuple = 0.0, nodes: int | None = None) -> np.ndarray:
    """Occasions expected in (T, T + horizon] of a customer who is alive at T, discounted continuously at `rate`.

    It depends on x and T alone. The purchase rate of the living, s after T, has a closed form in both models ((r+x)/(α+T)
    times a 2F1) that is smooth where the textbook sum has a pole at a = 1; its integral is taken by Gauss–Legendre in log
    time. horizon may be math.inf when rate > 0. Of several rates, the results stand one above the other: nearly all the
    work is the same. Without `nodes`, as few as serve.

    >>> fitted = Fit("bg_nbd", {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, np.eye(4), 0, 1, 1)
    >>> living_occasions(fitted, [0.0], [0.0], 52).round(3)      # Fader, Hardie & Lee (2005), eq. 9
    array([1.446])
    """
    x, T, horizon = np.broadcast_arrays(*(np.asarray(each, dtype="float64") for each in (x, T, horizon)))
    if np.min(rate) > 0:
        horizon = np.minimum(horizon, FOREVER / np.min(rate))
    if not np.isfinite(horizon).all():
        raise ValueError("An endless horizon needs a discount rate above 0.")
    r, alpha, a, b = (fitted.params[name] for name in ("r", "alpha", "a", "b"))
    now = alpha + T  # the time scale on which the living buy less often
    reach = np.log1p(horizon / now)[..., None]
    at, weights = _quadrature(nodes or _nodes(fitted, x, T, horizon, rate))
    spread = reach * at ** 2  # squared: more nodes just after T, where heavy buyers' rates fall fastest
    passed = np.expm1(spread)
    flips = b + x + (1 if fitted.model == "mbg_nbd" else 0)
    steps = _thinned(r + x[..., None], a, flips[..., None], passed) * (1 + passed) * reach * 2 * at * weights
    s = now[..., None] * passed
    found = [(r + x) * (steps * np.exp(-each * s)).sum(axis=-1) for each in np.atleast_1d(rate)]
    return np.array(found) if np.ndim(rate) else found[0]


def _nodes(fitted: Fit, x: np.ndarray, T: np.ndarray, horizon: np.ndarray, rate: float | tuple) -> int:
    """As few quadrature nodes as give what NODES give, at the corners of the histories, where the integrand is steepest."""
    if x.size <= NODES:
        return NODES
    corners = np.meshgrid([x.min(), x.max()], [T.min(), T.max()], [horizon.min(), horizon.max()])
    best, *fewer = (living_occasions(fitted, *corners, rate, nodes) for nodes in (NODES, *FEWER))
    serve = (count for count, found in zip(FEWER, fewer, strict=True) if np.allclose(found, best, rtol=AS_GOOD, atol=0))
    return next(serve, NODES)


def _thinned(n, a, b, k) -> np.ndarray:
    """E[(1 + p k)^−(n+1)] for p ~ Beta(a, b): how much of the purchase rate dropout has left."""
    n, b, k = np.broadcast_arrays(n, b, k)
    share, lost = np.empty(k.shape), np.ones(k.shape, dtype=bool)
    with np.errstate(all="ignore"):
        for form in (_pfaff, _other_pfaff, _by_quantiles):  # scipy's 2F1 overflows in each of the first two, mostly not in both
            share[lost] = form(n[lost], a, b[lost], k[lost])
            lost = ~np.isfinite(share) | (share < 0) | (share > 1 + 1e-9)
            if not lost.any():
                break
    return share


def _pfaff(n, a, b, k) -> np.ndarray:
    """2F1(n + 1, a; a + b; −k) as (1 + k)^−a 2F1(a + b − n − 1, a; a + b; k / (1 + k)) (DLMF 15.8.1)."""
    w = k / (1 + k)
    return special.hyp2f1(a + b - n - 1, a, a + b, w) * np.exp(a * np.log1p(-w))


def _other_pfaff(n, a, b, k) -> np.ndarray:
    """The same as (1 + k)^−(n + 1) 2F1(n + 1, b; a + b; k / (1 + k))."""
    w = k / (1 + k)
    return special.hyp2f1(n + 1, b, a + b, w) * np.exp((n + 1) * np.log1p(-w))


def _by_quantiles(n, a, b, k) -> np.ndarray:
    """The mean over 64 quantiles, for where both forms overflow: the beta is narrow there, and a year is a millionth off."""
    p = stats.beta.ppf((np.arange(64) + 0.5) / 64, a, b[:, None])
    return np.exp(-(n + 1)[:, None] * np.log1p(p * k[:, None])).mean(axis=1)


def occasions(fitted: Fit, x, t_x, T, horizon, nodes: int | None = None) -> np.ndarray:
    """Occasions expected in (T, T + horizon] given the history (x, t_x, T).

    A new customer, before the first day is over, is (0, 0, 0).

    >>> fitted = Fit("bg_nbd", {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426}, np.eye(4), 0, 1, 1)
    >>> occasions(fitted, [2], [30.43], [38.86], 39).round(3)    # Fader, Hardie & Lee (2005), spreadsheet
    array([1.226])
    """
    given = pd.DataFrame(dict(enumerate(np.broadcast_arrays(x, T, horizon))))
    living = living_occasions(fitted, *given.drop_duplicates().to_numpy().T, nodes=nodes)
    return p_alive(fitted, x, t_x, T) * living[given.groupby([0, 1, 2], sort=False).ngroup()]


def spend_line(fitted: Fit, x) -> tuple[np.ndarray, np.ndarray]:
    """Expected spend on an occasion as slope × the sum of x repeat occasions + start: p (sum + v) / (p x + q − 1).

    Their mean is drawn toward the population's, p v / (q − 1), which is all that is expected where x = 0: Fader & Hardie note
    025, eq. 5. Where no spend model could be fitted the line is flat: everybody gets the mean.

    >>> slope, start = spend_line(Fit("gamma_gamma", {"p": 6.25, "q": 3.74, "v": 15.44}, np.eye(3), 0, 1, 1), [0, 2])
    >>> (slope * [0, 2 * 22.35] + start).round(2)
    array([35.22, 24.66])
    """
    x = np.asarray(x, dtype="float64")
    if fitted.model == "average":
        return np.zeros_like(x), np.full_like(x, fitted.params["mean"])
    p, q, v = fitted.params.values()
    slope = p / (p * x + q - 1)
    return slope, slope * v
