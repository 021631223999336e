"""The margin a purchase model expects: of each customer (lazy, a million in seconds), of a group, and how surely."""

import math
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from scipy import stats

from helpers.estimates import ALPHA, Estimate, bootstrap_weights
from helpers.metrics.occasions import bucket
from helpers.metrics.value import expectations
from helpers.metrics.value.fits import Fit
from helpers.money import to_major
from helpers.periods import DAYS_PER_MONTH, DAYS_PER_YEAR

DRAWS = 200
COARSE_DAYS = 28  # parameter draws are compared on rows this coarse: their ratio to the fit's value hardly feels it
Z = stats.norm.ppf(1 - ALPHA / 2)
EXPONENT_LIMIT = 700.0  # exp() of more is infinite


def customers(
    each: ir.Table, purchases: Fit, spending: Fit, *, horizon_months: float = 12, discount_rate: float = 0.10
) -> ir.Table:
    """The rows of `histories` (lazy) with the value a model gives each customer; a million take a second.

    Added: p_alive; expected_occasions in the next horizon_months; wait_days (median days to the
    next order if they are still a customer); clv_historic (realised margin to date), clv_residual (expected margin of the
    horizon, discounted continuously at the yearly rate) and clv_total (their sum), in minor units of the reporting
    currency. Expected spend × the realised margin rate of the home market.

    The costly part depends on (x, T) alone: it is computed once per pair and joined, the rest is one expression.

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
    home = ibis.window(group_by="home_market")
    net = each.net_sales_rc.sum().over(home).cast("float64")
    each = each.mutate(margin_rate=each.margin_rc.sum().over(home).cast("float64") / net.nullif(0.0))
    each = _with_occasions(each, purchases, horizon_months, discount_rate)
    population, pull = expectations.spend_line(spending)
    x = each.x.cast("float64")
    own = x / (x + pull) if math.isfinite(pull) else x * 0.0
    repeat = (each.spend_rc.cast("float64") / x.nullif(0.0)).fill_null(0.0)
    each = each.mutate(expected_spend=own * repeat + (1 - own) * population)
    residual = (each.discounted_occasions * each.expected_spend * each.margin_rate).round().cast("int64")
    each = each.mutate(clv_historic=each.margin_rc, clv_residual=residual)
    return each.mutate(clv_total=each.clv_historic + each.clv_residual)


def _with_occasions(each: ir.Table, purchases: Fit, horizon_months: float, discount_rate: float) -> ir.Table:
    """The histories with p_alive, expected_occasions, discounted_occasions and wait_days."""
    pareto = purchases.model == "pareto_nbd"
    keys = ["x", "t_x", "T"] if pareto else ["x", "T"]
    pairs = each.select(*keys).distinct().order_by(keys).execute()
    unit, horizon = purchases.unit_days, horizon_months * DAYS_PER_MONTH
    x, age = pairs["x"].to_numpy(), pairs["T"].to_numpy() / unit
    rate = math.log1p(discount_rate) / DAYS_PER_YEAR * unit
    pairs["living"], pairs["living_discounted"] = expectations.living_occasions(purchases, x, age, horizon / unit, (0.0, rate))
    pairs["wait_days"] = expectations.wait(purchases, x, age) * unit
    if pareto:
        pairs["p_alive"] = expectations.p_alive(purchases, x, pairs["t_x"] / unit, age)
    each = each.join(ibis.memtable(pairs), keys)
    if not pareto:
        each = each.mutate(p_alive=_p_alive(each, purchases))
    return each.mutate(
        expected_occasions=each.p_alive * each.living, discounted_occasions=each.p_alive * each.living_discounted
    ).drop("living", "living_discounted")


def _p_alive(each: ir.Table, purchases: Fit) -> ir.FloatingColumn:
    """`expectations.p_alive` of the two beta-geometric models, as an expression."""
    r, alpha, a, b = purchases.params.values()
    alpha = alpha * purchases.unit_days
    x = each.x.cast("float64")
    coins = x + b if purchases.model == "mbg_nbd" else ibis.greatest(x, 1.0) + (b - 1)
    silence = ((each["T"].cast("float64") + alpha) / (each.t_x.cast("float64") + alpha)).ln()
    log_odds = math.log(a) - coins.ln() + (x + r) * silence
    alive = 1 / (1 + ibis.least(log_odds, EXPONENT_LIMIT).exp())
    return alive if purchases.model == "mbg_nbd" else (each.x == 0).ifelse(1.0, alive)


def expected(
    rows: pd.DataFrame, purchases: Fit, spending: Fit | None = None, *, horizon_months: float = 12,
    discount_rate: float = 0.0, by: tuple[str, ...] = (),
) -> pd.DataFrame:
    """Totals a model expects of today's customers, with 95 % intervals from draws of its parameters.

    rows: `histories.counts`. Without `spending` the value is occasions; with it, discounted
    margin in minor units (rows' own margin_rc / net_sales_rc is the margin rate of each group). The interval is that of
    the expected total; what happens scatters around it. Columns *by, value, low, high, n (customers).

    >>> rows = pd.DataFrame({"x": [0, 2], "t_x": [0, 60], "T": [100, 100], "weight": [70, 30]})
    >>> buying = Fit("bg_nbd", {"r": 1.0, "alpha": 90.0, "a": 1.0, "b": 3.0}, np.eye(4) / 100, 0, 100, 2)
    >>> expected(rows, buying).round(1)
       value    low   high    n
    0  170.8  144.5  194.7  100
    """
    total, groups = _totals(rows, spending is not None, horizon_months, discount_rate, by)
    value = total(purchases, spending)
    ratios = draw_ratios(rows, purchases, spending, horizon_months=horizon_months, discount_rate=discount_rate, by=by)
    low, high = np.quantile(ratios, [ALPHA / 2, 1 - ALPHA / 2], axis=0)
    return groups.assign(value=value, low=value * low, high=value * high)[[*by, "value", "low", "high", "n"]]


def draw_ratios(
    rows: pd.DataFrame, purchases: Fit, spending: Fit | None = None, *, horizon_months: float = 12,
    discount_rate: float = 0.0, by: tuple[str, ...] = (), draws: int = DRAWS,
) -> np.ndarray:
    """Drawn totals over the fitted total, an array (draws, groups): how uncertain the parameters leave a forecast.

    >>> rows = pd.DataFrame({"x": [0, 2], "t_x": [0, 60], "T": [100, 100], "weight": [70, 30]})
    >>> buying = Fit("bg_nbd", {"r": 1.0, "alpha": 90.0, "a": 1.0, "b": 3.0}, np.eye(4) / 100, 0, 100, 2)
    >>> draw_ratios(rows, buying, draws=50).shape
    (50, 1)
    """
    step = COARSE_DAYS / purchases.unit_days
    silent = ((rows["T"] - rows["t_x"]) / step).round() * step
    age = np.maximum((rows["T"] / step).round() * step, silent)
    coarse = rows.assign(T=age, t_x=np.where(rows["x"] > 0, age - silent, 0))
    money = [name for name in ("spend_rc", "net_sales_rc", "margin_rc") if name in rows]
    coarse = coarse.groupby([*by, "x", "t_x", "T"], as_index=False)[["weight", *money]].sum()
    total, _ = _totals(coarse, spending is not None, horizon_months, discount_rate, by)
    pairs = zip(purchases.draws(draws), spending.draws(draws) if spending else [None] * draws, strict=True)
    fitted = total(purchases, spending)
    return np.array([total(*pair, nodes=12) for pair in pairs]) / np.where(fitted > 0, fitted, np.nan)


def _totals(rows: pd.DataFrame, money: bool, horizon_months: float, discount_rate: float, by: tuple):
    """A function of (purchases, spending) giving the expected total of each group of rows, and the groups with n."""
    keys = rows[list(by)].fillna("") if by else pd.DataFrame({"all": ""}, index=rows.index)
    groups = rows.groupby([keys[name] for name in keys], sort=True)
    group, n = groups.ngroup().to_numpy(), groups["weight"].sum()
    pairs, which = np.unique(rows[["x", "T"]].to_numpy(dtype="float64"), axis=0, return_inverse=True)
    x, t_x, age, weight = (rows[name].to_numpy(dtype="float64") for name in ("x", "t_x", "T", "weight"))
    if money:
        spent = rows["spend_rc"].to_numpy(dtype="float64") / np.maximum(x, 1)
        margin_rate = (groups["margin_rc"].sum() / groups["net_sales_rc"].sum()).to_numpy()

    def total(purchases: Fit, spending: Fit | None, nodes: int | None = None) -> np.ndarray:
        """Expected occasions, or discounted margin, of each group."""
        unit = purchases.unit_days
        rate, horizon = math.log1p(discount_rate) / DAYS_PER_YEAR * unit, horizon_months * DAYS_PER_MONTH / unit
        living = expectations.living_occasions(purchases, *pairs.T, horizon, rate, nodes)[which.ravel()]
        each = expectations.p_alive(purchases, x, t_x, age) * living
        if not money:
            return np.bincount(group, each * weight)
        population, pull = expectations.spend_line(spending)
        own = x / (x + pull)
        return np.bincount(group, each * (own * spent + (1 - own) * population * weight)) * margin_rate

    return total, n.rename("n").rename_axis(list(keys)).reset_index()


def per_customer(
    valued: ir.Table, ratios: np.ndarray | dict | None = None, by: tuple[str, ...] = (), measure: str = "clv_total"
) -> pd.DataFrame:
    """Mean value per customer by group, with a 95 % interval: customers resampled in buckets, parameters drawn.

    valued: rows of `customers` (filter it to a cohort first). measure: clv_historic, clv_residual or clv_total.
    ratios: a column of `draw_ratios`, how the residual part moves with the parameters, or one for each value of a
    single `by`. Money in minor units.
    Columns *by, value, low, high, n.

    >>> valued = ibis.memtable({"customer_id": ["1aa", "2bb"], "clv_historic": [800, 250], "clv_residual": [900, 50]})
    >>> per_customer(valued)
        value    low    high  n
    0  1000.0  300.0  1700.0  2
    """
    parts = {"clv_historic": (1, 0), "clv_residual": (0, 1), "clv_total": (1, 1)}[measure]
    grouped = valued.mutate(bucket=bucket(valued.customer_id)).group_by([*by, "bucket"])
    sums = grouped.agg(n=lambda t: t.count(), historic=lambda t: t.clv_historic.sum(),
                       residual=lambda t: t.clv_residual.sum()).order_by([*by, "bucket"]).execute()
    still, found = np.ones(DRAWS), []
    for key, group in sums.groupby(list(by), dropna=False) if by else [((), sums)]:
        historic, residual, n = (group[name].to_numpy(dtype="float64") for name in ("historic", "residual", "n"))
        value = (parts[0] * historic.sum() + parts[1] * residual.sum()) / n.sum() if len(group) else math.nan
        low = high = math.nan
        moves = ratios.get(key[0], still) if isinstance(ratios, dict) else still if ratios is None else ratios
        if len(group) > 1:
            weights = bootstrap_weights(len(group), len(moves))
            drawn = (parts[0] * (weights @ historic) + parts[1] * moves * (weights @ residual)) / (weights @ n)
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
    row = per_customer(active, ratios, measure="clv_residual").iloc[0]
    return Estimate(*(float(row[name]) for name in ("value", "low", "high")), int(row["n"]))


def parameters(*fits: Fit) -> pd.DataFrame:
    """The parameters of fits, one row each: model, parameter, value, error, low, high (log-normal), n (customers).

    >>> parameters(Fit("average", {"mean": 20.0}, np.array([[0.01]]), 0.0, 9, 9)).round(1).values.tolist()
    [['average', 'mean', 20.0, 2.0, 16.4, 24.3, 9]]
    """
    rows = []
    for fitted in fits:
        for (name, value), error in zip(fitted.params.items(), fitted.errors.values(), strict=True):
            spread = math.exp(Z * error / value)
            rows.append((fitted.model, name, value, error, value / spread, value * spread, fitted.customers))
    return pd.DataFrame(rows, columns=["model", "parameter", "value", "error", "low", "high", "n"])
