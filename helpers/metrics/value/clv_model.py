"""The margin a purchase model expects: of each customer (lazy), of a group, and how surely."""

import math
from collections.abc import Iterable
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import ALPHA, Z_95, Estimate, bootstrap_weights
from helpers.metrics.occasions import bucket
from helpers.metrics.value import expectations
from helpers.metrics.value.fits import Fit
from helpers.money import to_major
from helpers.periods import DAYS_PER_MONTH, DAYS_PER_YEAR

DRAWS = 200
COARSE_DAYS = 28  # parameter draws are compared on rows this coarse: their ratio to the fit's value hardly feels it
EXPONENT_LIMIT = 700.0  # exp() of more is infinite


def customers(each: ir.Table, purchases: Fit, spending: Fit, *, horizon_months: float = 12, discount_rate: float = 0.10) -> ir.Table:
    """The rows of `histories` (lazy) with the value a model gives each customer; a million take a fraction of a second.

    Added: p_alive; expected_occasions in the next horizon_months; clv_historic (realised margin to date), clv_residual (expected margin
    of the horizon, discounted continuously at the yearly rate) and clv_total (their sum), in minor units of the reporting currency.
    Expected spend × the realised margin rate of the home market. What depends on (x, T) alone is computed once per pair and joined: a
    customer costs one logarithm and one exponential.

    >>> bought = ibis.memtable({"customer_id": ["1aa", "1aa", "2bb"], "n": [1, 2, 1], "home_market": ["DE"] * 3,
    ...     "net_sales_rc": [900, 700, 500], "margin_rc": [450, 350, 250],
    ...     "date": [date(2026, 1, 1), date(2026, 1, 11), date(2026, 1, 5)]})
    >>> buying = Fit("bg_nbd", {"r": 1.0, "alpha": 30.0, "a": 1.0, "b": 3.0}, np.eye(4), 0, 2, 2)
    >>> paying = Fit("gamma_gamma", {"p": 2.0, "q": 3.0, "v": 600.0}, np.eye(3), 0, 1, 1)
    >>> from helpers.metrics.value.histories import histories
    >>> valued = customers(histories(bought, date(2026, 1, 31)), buying, paying).order_by("customer_id").execute()
    >>> valued[["customer_id", "p_alive", "expected_occasions", "clv_historic", "clv_residual"]].round(2)
      customer_id  p_alive  expected_occasions  clv_historic  clv_residual
    0         1aa     0.57                3.04           800           954
    1         2bb     1.00                3.09           250           894
    """
    pairs = each.select("x", "T").distinct().order_by("x", "T").execute()
    pairs = _per_pair(pairs, purchases, spending, horizon_months * DAYS_PER_MONTH, discount_rate)
    markets = each.group_by("home_market").agg(net=_.net_sales_rc.sum().cast("float64"), margin=_.margin_rc.sum().cast("float64"))
    markets = markets.select(of_market=_.home_market.fill_null(""), margin_rate=_.margin / _.net.nullif(0.0))
    joined = each.join(ibis.memtable(pairs), ["x", "T"]).join(markets, each.home_market.fill_null("") == markets.of_market)
    r, alpha = purchases.params["r"], purchases.params["alpha"]
    log_odds = _.log_odds - (_.x.cast("float64") + r) * (_.t_x.cast("float64") + alpha).ln()
    valued = joined.mutate(p_alive=1 / (1 + ibis.least(log_odds, EXPONENT_LIMIT).exp()))
    margin = _.p_alive * (_.spend_rc.cast("float64") * _.slope + _.start) * _.margin_rate
    valued = valued.mutate(expected_occasions=_.p_alive * _.living, clv_historic=_.margin_rc, clv_residual=margin.round().cast("int64"))
    valued = valued.mutate(clv_total=_.clv_historic + _.clv_residual)
    return valued.drop("living", "log_odds", "slope", "start", "of_market", "margin_rate")


def _per_pair(pairs: pd.DataFrame, purchases: Fit, spending: Fit, days: float, discount_rate: float) -> pd.DataFrame:
    """The pairs (x, T) with all of the value that they settle.

    living: occasions of a living customer; log_odds: `expectations.log_odds_of_pair`; slope and start: the discounted spend of a
    living customer as a line in the sum of their repeat occasions.
    """
    living, discounted = expectations.living_occasions(purchases, pairs["x"], pairs["T"], days, (0.0, _daily(discount_rate)))
    log_odds = expectations.log_odds_of_pair(purchases, pairs["x"], pairs["T"])
    slope, start = expectations.spend_line(spending, pairs["x"])
    return pairs.assign(living=living, log_odds=log_odds, slope=discounted * slope, start=discounted * start)


def _daily(discount_rate: float) -> float:
    """The continuous rate per day of a yearly discount."""
    return math.log1p(discount_rate) / DAYS_PER_YEAR


def expected(rows: pd.DataFrame, purchases: Fit, months: float) -> float:
    """Occasions expected of today's customers, the rows of `histories.counts`, in the next months.

    >>> rows = pd.DataFrame({"x": [0, 2], "t_x": [0, 60], "T": [100, 100], "weight": [70, 30]})
    >>> buying = Fit("bg_nbd", {"r": 1.0, "alpha": 90.0, "a": 1.0, "b": 3.0}, np.eye(4), 0, 100, 2)
    >>> round(expected(rows, buying, 12), 1)
    170.8
    """
    return float(_totals(rows, [(purchases, None)], months)[0])


def draw_ratios(
    rows: pd.DataFrame, purchases: Fit, spending: Fit | None = None, *, horizon_months: float = 12, discount_rate: float = 0.0
) -> np.ndarray:
    """200 drawn totals over the fitted total: how uncertain the parameters leave a forecast of occasions, or of spend.

    The interval they give is that of an expected total; what happens scatters around it.

    >>> rows = pd.DataFrame({"x": [0, 2], "t_x": [0, 60], "T": [100, 100], "weight": [70, 30]})
    >>> buying = Fit("bg_nbd", {"r": 1.0, "alpha": 90.0, "a": 1.0, "b": 3.0}, np.eye(4) / 100, 0, 100, 2)
    >>> draw_ratios(rows, buying).shape
    (200,)
    """
    silent = ((rows["T"] - rows["t_x"]) / COARSE_DAYS).round() * COARSE_DAYS
    age = np.maximum((rows["T"] / COARSE_DAYS).round() * COARSE_DAYS, silent)
    coarse = rows.assign(T=age, t_x=np.where(rows["x"] > 0, age - silent, 0))
    sums = [name for name in ("weight", "spend_rc") if name in rows]
    coarse = coarse.groupby(["x", "t_x", "T"], as_index=False)[sums].sum()
    drawn = zip(purchases.draws(DRAWS), spending.draws(DRAWS) if spending else [None] * DRAWS, strict=True)
    fitted = _totals(coarse, [(purchases, spending)], horizon_months, discount_rate)[0]
    return _totals(coarse, drawn, horizon_months, discount_rate, nodes=12) / (fitted if fitted > 0 else np.nan)


def _totals(rows: pd.DataFrame, fits: Iterable[tuple[Fit, Fit | None]], horizon_months: float, discount_rate: float = 0.0,
            nodes: int = expectations.NODES) -> np.ndarray:
    """Expected occasions of all rows under each pair of fits, or, where there is a spend model, discounted net sales."""
    x, t_x, age, weight = (rows[name].to_numpy(dtype="float64") for name in ("x", "t_x", "T", "weight"))
    pairs, which = np.unique([x, age], axis=1, return_inverse=True)
    repeat = rows["spend_rc"].to_numpy(dtype="float64") if "spend_rc" in rows else 0.0
    found = []
    for purchases, spending in fits:
        living = expectations.living_occasions(purchases, *pairs, horizon_months * DAYS_PER_MONTH, _daily(discount_rate), nodes)
        slope, start = expectations.spend_line(spending, x) if spending else (0.0, 1.0)
        of_each = slope * repeat + start * weight
        found.append((expectations.p_alive(purchases, x, t_x, age) * living[which] * of_each).sum())
    return np.array(found)


def per_customer(
    valued: ir.Table, ratios: np.ndarray | dict | None = None, by: tuple[str, ...] = (), measure: str = "clv_total"
) -> pd.DataFrame:
    """Mean value per customer by group, with a 95 % interval: customers resampled in buckets, parameters drawn.

    valued: rows of `customers` (filter it to a cohort first). measure: clv_historic, clv_residual or clv_total.
    ratios: `draw_ratios`, how the residual part moves with the parameters, or one array for each value of a single `by`.
    Money in minor units. Columns *by, value, low, high, n.

    >>> valued = ibis.memtable({"customer_id": ["1aa", "2bb"], "clv_historic": [800, 250], "clv_residual": [900, 50]})
    >>> per_customer(valued)
        value    low    high  n
    0  1000.0  300.0  1700.0  2
    """
    realised, still = (measure != "clv_residual"), (measure != "clv_historic")
    grouped = valued.mutate(bucket=bucket(valued.customer_id)).group_by([*by, "bucket"])
    sums = grouped.agg(n=_.count(), historic=_.clv_historic.sum() * int(realised), residual=_.clv_residual.sum() * int(still))
    sums, found = sums.order_by([*by, "bucket"]).execute(), []
    for key, group in sums.groupby(list(by), dropna=False) if by else [((), sums)]:
        historic, residual, n = (group[name].to_numpy(dtype="float64") for name in ("historic", "residual", "n"))
        value = (historic.sum() + residual.sum()) / n.sum() if len(group) else math.nan
        low = high = math.nan
        moves = ratios.get(key[0]) if isinstance(ratios, dict) else ratios
        if len(group) > 1:
            weights = bootstrap_weights(len(group), DRAWS)
            drawn = (weights @ historic + (1.0 if moves is None else moves) * (weights @ residual)) / (weights @ n)
            low, high = np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2])
        found.append((*key, value, low, high, int(n.sum())))
    return pd.DataFrame(found, columns=[*by, "value", "low", "high", "n"])


def major(what, currency: str, columns: tuple[str, ...] = ("value", "low", "high")):
    """An Estimate, or those columns of a frame (keys of a dict), in the currency instead of its minor units.

    >>> major(pd.DataFrame({"value": [1999.0], "n": [3]}), "EUR").values.tolist()
    [[19.99, 3.0]]
    """
    if isinstance(what, Estimate):
        return Estimate(*(float(to_major(each, currency)) for each in what[:3]), what.n)
    if isinstance(what, dict):
        return what | {name: float(to_major(what[name], currency)) for name in columns}
    return what.assign(**{name: to_major(what[name].astype("float64"), currency) for name in columns if name in what})


def expected_per_active(valued: ir.Table, as_of: date, window_days: int, ratios: np.ndarray | None = None) -> Estimate:
    """Expected margin of the horizon per active customer (an occasion in the last window_days), minor units.

    >>> valued = ibis.memtable({"customer_id": ["1a", "2b"], "clv_historic": [800, 250], "clv_residual": [900, 50],
    ...     "last": [date(2026, 1, 30), date(2024, 1, 30)]})
    >>> expected_per_active(valued, date(2026, 1, 31), 90).value
    900.0
    """
    active = valued.filter(valued["last"] > ibis.literal(as_of - timedelta(days=window_days)))
    return Estimate.of(per_customer(active, ratios, measure="clv_residual").iloc[0])


def parameters(*fits: Fit) -> pd.DataFrame:
    """The parameters of fits, one row each: model, parameter, value, error, low, high (log-normal), n (customers).

    >>> parameters(Fit("average", {"mean": 20.0}, np.array([[0.01]]), 0.0, 9, 9)).round(1).values.tolist()
    [['average', 'mean', 20.0, 2.0, 16.4, 24.3, 9]]
    """
    rows = []
    for fitted in fits:
        for (name, value), error in zip(fitted.params.items(), fitted.errors.values(), strict=True):
            spread = math.exp(Z_95 * error / value)
            rows.append((fitted.model, name, value, error, value / spread, value * spread, fitted.customers))
    return pd.DataFrame(rows, columns=["model", "parameter", "value", "error", "low", "high", "n"])
