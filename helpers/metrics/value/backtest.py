"""Would last year's forecast have come true? Models and plain baselines on customers whose future is known by now."""

import contextlib
from dataclasses import dataclass
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from helpers.estimates import Z_95, NotEnoughData
from helpers.metrics.occasions import sampled
from helpers.metrics.value import btyd, expectations
from helpers.metrics.value.histories import counts, histories, spend_counts
from helpers.metrics.value.tiers import TIERS

SAMPLE = 100_000  # customers compared one by one; of more, a sample
LONGEST_DAYS, SHORTEST_DAYS = 365, 28
TOP = 0.20
BASELINES = ("own_last_period", "own_average")
FREQUENCIES = [-1, 0, 1, 2, 3, 6, np.inf]
FREQUENCY_LABELS = ["0", "1", "2", "3", "4–6", "7+"]
LEAST_RUN = 3  # neighbouring rows that lean to one side by more than chance


@dataclass(frozen=True)
class Holdout:
    """Customers known on `cut` (100,000 at most), one row each, with what they did in the `days` after it."""

    cut: date
    days: int
    customers: pd.DataFrame


def horizon_days(first: date, as_of: date) -> int:
    """H = a year, or a third of the history where that is shorter.

    >>> horizon_days(date(2024, 1, 1), date(2026, 6, 30)), horizon_days(date(2022, 1, 1), date(2026, 6, 30))
    (303, 365)
    """
    return min(LONGEST_DAYS, (as_of - first).days // 3)


def holdout(occasions: ir.Table, as_of: date, days: int) -> Holdout:
    """The customers known at as_of − days, with x, t_x, T and money then, and their occasions and margin since.

    Columns of `histories`, and: margin_rate (realised, all customers), last_occasions and last_margin_rc (the same
    number of days before the cut), actual_occasions and actual_margin_rc (after it). days: `horizon_days`.

    >>> bought = ibis.memtable({"customer_id": ["1a"] * 3, "n": [1, 2, 3], "net_sales_rc": [900] * 3,
    ...     "margin_rc": [300] * 3, "date": [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 15)]})
    >>> holdout(bought, date(2026, 3, 31), 30).customers[["x", "T", "actual_occasions", "actual_margin_rc"]]
       x   T  actual_occasions  actual_margin_rc
    0  1  59                 1               300
    """
    seen = occasions.filter(_.date <= ibis.literal(as_of))
    if days < SHORTEST_DAYS:
        raise NotEnoughData(f"A test of the forecast needs {3 * SHORTEST_DAYS} days of history: add older orders.")
    cut = as_of - timedelta(days=days)
    known = sampled(histories(seen, cut), SAMPLE)
    before, after = (seen.date > cut - timedelta(days=days)) & (seen.date <= cut), seen.date > cut
    around = seen.group_by("customer_id").agg(
        last_occasions=before.sum(), last_margin_rc=seen.margin_rc.sum(where=before).fill_null(0),
        actual_occasions=after.sum(), actual_margin_rc=seen.margin_rc.sum(where=after).fill_null(0))
    rows = known.join(around, "customer_id").order_by("customer_id").execute()
    if not len(rows) or not rows["net_sales_rc"].sum():
        raise NotEnoughData(f"Nobody had bought by {cut}, so there is no forecast to test.")
    rate = rows["margin_rc"].sum() / rows["net_sales_rc"].sum()
    return Holdout(cut, days, rows.assign(margin_rate=rate))


def predictions(occasions: ir.Table, held: Holdout, models: tuple[str, ...] = ("mbg_nbd", "bg_nbd")) -> dict:
    """What each model, fitted on the data up to the cut, and each baseline predicts: {name: frame}.

    A frame has expected_occasions and expected_margin_rc in the order of held.customers. own_last_period repeats what the customer did in
    as many days before the cut; own_average goes on at their own rate of repeat occasions per day and their own mean margin. Models that do
    not fit are left out.

    >>> bought = ibis.memtable({"customer_id": ["1a"] * 3, "n": [1, 2, 3], "net_sales_rc": [900] * 3,
    ...     "margin_rc": [300] * 3, "date": [date(2026, 1, 1), date(2026, 2, 1), date(2026, 3, 15)]})
    >>> found = predictions(bought, holdout(bought, date(2026, 3, 31), 30))
    >>> found["own_average"].round(2).values.tolist(), list(found)
    ([[0.51, 152.54]], ['own_last_period', 'own_average'])
    """
    rows, each, found = held.customers, histories(occasions, held.cut), {}
    known = counts(each)
    with contextlib.suppress(NotEnoughData):
        slope, start = expectations.spend_line(btyd.fit_spend_or_average(spend_counts(each)), rows["x"])
        for model in models:
            with contextlib.suppress(NotEnoughData):
                expected = expectations.occasions(btyd.fit(known, model), rows["x"], rows["t_x"], rows["T"], held.days)
                found[model] = _frame(expected, expected * (slope * rows["spend_rc"] + start) * rows["margin_rate"])
    found["own_last_period"] = _frame(rows["last_occasions"], rows["last_margin_rc"])
    rate = rows["x"] / rows["T"].clip(lower=1) * held.days
    found["own_average"] = _frame(rate, rate * rows["margin_rc"] / (rows["x"] + 1))
    return found


def _frame(occasions, margin) -> pd.DataFrame:
    return pd.DataFrame({"expected_occasions": np.asarray(occasions), "expected_margin_rc": np.asarray(margin)})


def compare(held: Holdout, predicted: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """How each prediction did against what happened: a row per name, best ranking first.

    occasions_error and margin_error: predicted total / actual total − 1. spearman: rank correlation with actual margin. gini: area
    under the concentration curve of actual margin in the predicted order, over that of the perfect order (1 is perfect, 0 is chance).
    top_caught: share of the true top 20 % found in the predicted top 20 %; top_margin: share of all margin which that brought. n:
    customers.

    >>> rows = pd.DataFrame({"actual_occasions": [0, 1, 2, 3, 9], "actual_margin_rc": [0, 1, 2, 3, 9]})
    >>> held = Holdout(date(2026, 3, 1), 30, rows)
    >>> perfect = _frame(rows.actual_occasions, rows.actual_margin_rc)
    >>> compare(held, {"perfect": perfect})[["gini", "top_caught", "top_margin"]]
       gini  top_caught  top_margin
    0   1.0         1.0         0.6
    """
    actual = held.customers["actual_margin_rc"].to_numpy(dtype="float64")
    occasions = held.customers["actual_occasions"].to_numpy(dtype="float64")
    if not actual.sum():
        raise NotEnoughData(f"Nobody bought in the {held.days} days after {held.cut}: nothing to compare with.")
    top = max(1, round(TOP * len(actual)))
    true_top = set(_order(actual)[:top]) & set(np.flatnonzero(actual > 0))
    rows = []
    for name, each in predicted.items():
        score = each["expected_margin_rc"].to_numpy(dtype="float64")
        best = _order(score)[:top]
        rows.append({
            "model": name, "occasions_error": each["expected_occasions"].sum(skipna=False) / occasions.sum() - 1,
            "margin_error": score.sum() / actual.sum() - 1,
            "spearman": stats.spearmanr(score, actual).statistic if np.ptp(score) and np.ptp(actual) else np.nan,
            "gini": _gini(actual, score) / _gini(actual, actual) if np.ptp(actual) else np.nan,
            "top_caught": len(true_top & set(best)) / len(true_top), "top_margin": actual[best].sum() / actual.sum(),
            "n": len(actual),
        })
    return pd.DataFrame(rows).sort_values("gini", ascending=False, kind="stable", ignore_index=True)


def _order(score: np.ndarray) -> np.ndarray:
    """Positions from best to worst; equal scores keep the (random) order of the pseudonyms."""
    return np.argsort(-score, kind="stable")


def _gini(actual: np.ndarray, score: np.ndarray) -> float:
    """Twice the area between the concentration curve of actual in the order of score and the diagonal."""
    groups = pd.DataFrame({"actual": actual, "score": score}).groupby("score")["actual"].agg(["sum", "size"])[::-1]
    customers = np.concatenate([[0], groups["size"].cumsum() / len(actual)])
    margin = np.concatenate([[0], groups["sum"].cumsum() / actual.sum()])
    return 2 * np.trapezoid(margin, customers) - 1


def calibration(held: Holdout, predicted: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Mean occasions after the cut by repeat occasions before it: what happened, and each prediction.

    Columns x, n, actual, actual_low and actual_high (the mean's 95 % interval over customers), *predicted.

    >>> rows = pd.DataFrame({"x": [0, 0, 5], "actual_occasions": [0, 1, 4]})
    >>> calibration(Holdout(date(2026, 3, 1), 30, rows), {})[["x", "n", "actual"]]
         x  n  actual
    0    0  2     0.5
    1  4–6  1     4.0
    """
    bins = pd.cut(held.customers["x"], FREQUENCIES, labels=FREQUENCY_LABELS)
    values = {"actual": held.customers["actual_occasions"]}
    values |= {name: each["expected_occasions"] for name, each in predicted.items()}
    frame = pd.DataFrame(values).assign(x=bins)
    groups = frame.groupby("x", observed=True)
    means, half = groups[list(values)].mean(), Z_95 * groups["actual"].std() / groups.size() ** 0.5
    means = means.assign(n=groups.size(), actual_low=means["actual"] - half, actual_high=means["actual"] + half)
    return means.reset_index()[["x", "n", "actual", "actual_low", "actual_high", *predicted]].astype({"x": "str"})


def leaning(bins: pd.DataFrame, name: str) -> dict | None:
    """The longest run of neighbouring rows of `calibration`, three or more, all forecast too high, or all too low.

    A forecast inside the interval of what happened leans to no side. None where there is no such run; else first, last
    (their x), side ("high" or "low"), near and far (the smallest and the largest relative error, without a sign).

    >>> bins = pd.DataFrame({"x": ["0", "1", "2", "3"], "actual": 1.0, "actual_low": 0.9, "actual_high": 1.1, "m": [1.2, 1.3, 1.5, 1.0]})
    >>> leaning(bins, "m")
    {'first': '0', 'last': '2', 'side': 'high', 'near': 0.2, 'far': 0.5}
    """
    side = np.select([bins[name] > bins["actual_high"], bins[name] < bins["actual_low"]], ["high", "low"], "")
    runs = bins.assign(side=side, run=(pd.Series(side) != pd.Series(side).shift()).cumsum().to_numpy())
    runs = [run for _run, run in runs[runs["side"] != ""].groupby("run") if len(run) >= LEAST_RUN]
    if not runs:
        return None
    longest = max(runs, key=len)
    errors = (longest[name] / longest["actual"] - 1).abs().round(12)
    ends = {"first": longest["x"].iloc[0], "last": longest["x"].iloc[-1], "side": longest["side"].iloc[0]}
    return ends | {"near": float(errors.min()), "far": float(errors.max())}


def tiers_measured(held: Holdout, predicted: pd.DataFrame, window_days: int) -> pd.DataFrame:
    """What tiers set on the cut really brought after it: tier, n, margin_share; active customers by predicted margin.

    >>> rows = pd.DataFrame({"T": [9] * 5, "t_x": [8] * 5, "actual_margin_rc": [60, 10, 10, 10, 10]})
    >>> said = pd.DataFrame({"expected_margin_rc": [9, 8, 7, 6, 5]})
    >>> tiers_measured(Holdout(date(2026, 3, 1), 30, rows), said, 90).values.tolist()
    [['vip', 1, 0.6], ['medium', 1, 0.1], ['low', 3, 0.3]]
    """
    active = (held.customers["T"] - held.customers["t_x"]).to_numpy() < window_days
    margin = held.customers["actual_margin_rc"].to_numpy(dtype="float64")[active]
    if not margin.sum() > 0:
        raise NotEnoughData(f"Nobody active on {held.cut} bought after it, so its tiers cannot be measured.")
    place = predicted["expected_margin_rc"][active].rank(ascending=False, method="first").to_numpy()
    tier = np.select([place <= share * len(margin) for share in TIERS.values()], list(TIERS), "low")
    groups = pd.DataFrame({"tier": tier, "margin": margin}).groupby("tier")["margin"]
    table = pd.DataFrame({"n": groups.size(), "margin_share": groups.sum() / margin.sum()})
    return table.reindex([name for name in TIERS if name in table.index]).rename_axis("tier").reset_index()
