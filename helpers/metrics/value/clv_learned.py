"""Customer value by machine learning: the future margin learned from customers whose future is known, leak-free.

Features are what was known on a day; the target is the margin of the months after it. A model that is to be judged
from `cut` on is trained one horizon earlier, on targets that end at `cut`.
"""

from collections.abc import Callable
from datetime import date, timedelta
from functools import partial

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from threadpoolctl import threadpool_limits

from helpers.estimates import SEED, NotEnoughData
from helpers.metrics.occasions import numbered, sampled
from helpers.metrics.value.backtest import BASELINES, SAMPLE, Holdout
from helpers.metrics.value.histories import histories

RECENT_DAYS = (30, 90, 180, 365)
ENGAGED_DAYS = 90  # engagement looks this far back
FEWEST = 500  # customers to learn from
CATEGORIES = ("home_market", "first_acquisition_channel", "first_sales_channel")
LEVELS = 30  # of a category told apart; rarer ones are one
LEARNED = ("gradient_boosting", "random_forest")
CLEARLY = 0.01


def features(occasions: ir.Table, on: date, refunds: ir.Table | None = None, engagement: ir.Table | None = None) -> ir.Table:
    """One row per customer with what was known of them on a day (lazy), and nothing later.

    x, t_x, T, silent_days, mean_gap, last_gap, gap_trend (last / mean), money to date, mean and last spend, share
    discounted, occasions and spend of the last 30, 90, 180 and 365 days, market and channels; refunded_rc (refunds: one
    row per refund with customer_id, date, amount_rc) and the engagement of the last 90 days where given.

    >>> bought = numbered(ibis.memtable({"customer_id": ["a"] * 3, "net_sales_rc": [9, 7, 5],
    ...     "margin_rc": [3, 2, 1], "discount_rc": [0, 1, 0],
    ...     "date": [date(2026, 1, 1), date(2026, 1, 11), date(2026, 3, 9)]}))
    >>> features(bought, date(2026, 1, 31)).select("x", "silent_days", "last_gap", "recent_30").execute()
       x  silent_days  last_gap  recent_30
    0  1           20        10          1
    """
    seen = occasions.filter(_.date <= ibis.literal(on))
    gaps = seen.mutate(gap=seen.date.delta(seen.previous_date, unit="day"))
    recent = {f"recent_{days}": (gaps.date > on - timedelta(days=days)).sum() for days in RECENT_DAYS}
    recent |= {f"spent_{days}": gaps.net_sales_rc.sum(where=gaps.date > on - timedelta(days=days)).fill_null(0)
               for days in RECENT_DAYS}
    more = gaps.group_by("customer_id").agg(
        mean_gap=gaps.gap.mean(), discounted=(gaps.discount_rc > 0).cast("float64").mean(),
        last_gap=gaps.gap.argmax(gaps.n), last_spend=gaps.net_sales_rc.argmax(gaps.n), **recent)
    each = histories(occasions, on).join(more, "customer_id")
    each = each.mutate(silent_days=_.T - _.t_x, gap_trend=_.last_gap.cast("float64") / _.mean_gap.nullif(0.0),
                       mean_spend=_.net_sales_rc.cast("float64") / (_.x + 1).cast("float64"))
    for name, table, value, days in (("refunded_rc", refunds, "amount_rc", None), ("engaged", engagement, "value", ENGAGED_DAYS)):
        if table is not None:
            known = table.filter(_.date <= ibis.literal(on))
            known = known.filter(_.date > ibis.literal(on - timedelta(days=days))) if days else known
            sums = known.group_by("customer_id").agg(**{name: known[value].sum()})
            each = each.left_join(sums, "customer_id").drop("customer_id_right").mutate(**{name: _[name].fill_null(0)})
    return each


def known_tables(table: Callable[[str], ir.Table], has: Callable[[str], bool], as_of: date, days: int) -> dict[str, ir.Table]:
    """The further tables of `features`: refunds by customer and day, and engagement where it reaches back far enough.

    table and has are those of the client. The judged model is trained two horizons of `days` before as_of; engagement
    that begins later would read as customers who woke up.

    >>> sold = ibis.memtable({"source": ["s"], "order_id": ["1"], "customer_id": ["a"]})
    >>> back = ibis.memtable({"source": ["s"], "order_id": ["1"], "refund_date": [date(2026, 1, 1)], "amount_rc": [5]})
    >>> found = known_tables({"orders": sold, "refunds": back}.get, lambda name: False, date(2026, 1, 31), 90)
    >>> found["refunds"].select("customer_id", "amount_rc").execute().values.tolist()
    [['a', 5]]
    """
    buyers = table("orders").filter(_.customer_id.notnull()).select("source", "order_id", "customer_id")
    refunds = table("refunds").join(buyers, ["source", "order_id"])
    found = {"refunds": refunds.select("customer_id", "amount_rc", date="refund_date")}
    if has("engagement"):
        engaged = table("engagement").filter(_.signal != "bot_score")
        first = pd.Timestamp(engaged.date.min().execute())
        if first <= pd.Timestamp(as_of - timedelta(days=2 * days + ENGAGED_DAYS)):
            found["engagement"] = engaged
    return found


def _matrix(rows: pd.DataFrame, levels: dict[str, list] | None = None) -> tuple[pd.DataFrame, dict[str, list]]:
    """Numbers for the trees: categories as ranks of their frequency, learned once and kept."""
    levels = levels or {name: rows[name].value_counts().index[:LEVELS].tolist() for name in CATEGORIES if name in rows}
    codes = {name: pd.Categorical(rows[name], categories=known).codes for name, known in levels.items()}
    drop = [*levels, "customer_id", "first", "last", "target"]
    numbers = rows.drop(columns=drop, errors="ignore").astype("float64")
    return numbers.assign(**codes), levels


def learn(occasions: ir.Table, cut: date, days: int, kinds: tuple[str, ...] = LEARNED, **tables) -> dict:
    """Models trained on what was known `days` before the cut and the margin until the cut: {name: predict}, of the kinds asked for.

    predict takes rows of `features` as pandas. Raises NotEnoughData when fewer than 500 customers were known then.

    >>> learn(_one_customer(), date(2026, 1, 31), 365)
    Traceback (most recent call last):
    helpers.estimates.NotEnoughData: Machine learning needs 500 customers known on 2025-01-31; there was 1.
    """
    start = cut - timedelta(days=days)
    later = occasions.filter(_.date > ibis.literal(start), _.date <= ibis.literal(cut))
    later = later.group_by("customer_id").agg(target=_.margin_rc.sum())
    known = features(occasions, start, **tables)
    total = int(known.count().execute())
    if total < FEWEST:
        raise NotEnoughData(f"Machine learning needs {FEWEST} customers known on {start}; there "
                            f"{'was' if total == 1 else 'were'} {total:,}.")
    rows = sampled(known.left_join(later, "customer_id").drop("customer_id_right"), SAMPLE).order_by("customer_id").execute()
    target = rows["target"].fillna(0).to_numpy(dtype="float64")
    x, levels = _matrix(rows)
    models = {
        "gradient_boosting": HistGradientBoostingRegressor(
            loss="poisson", max_leaf_nodes=8, min_samples_leaf=40, learning_rate=0.06, random_state=SEED),
        "random_forest": RandomForestRegressor(100, min_samples_leaf=20, max_features=0.4, random_state=SEED),
    }
    with threadpool_limits(1):  # two pages run at a time, and threads that wait for each other lose more than they win
        return {kind: partial(_predicted, models[kind].fit(x, np.maximum(target, 0)), levels) for kind in kinds}


def _predicted(model, levels: dict[str, list], rows: pd.DataFrame) -> np.ndarray:
    return model.predict(_matrix(rows, levels)[0][model.feature_names_in_])


def challengers(occasions: ir.Table, held: Holdout, **tables) -> dict[str, pd.DataFrame]:
    """The learned models' predictions for the customers of a holdout, in their order, for `backtest.compare`.

    expected_margin_rc is predicted; expected_occasions is nan (only the margin is learned).

    >>> challengers(_one_customer(), Holdout(date(2026, 1, 31), 365, pd.DataFrame()))
    Traceback (most recent call last):
    helpers.estimates.NotEnoughData: Machine learning needs 500 customers known on 2025-01-31; there was 1.
    """
    models = learn(occasions, held.cut, held.days, **tables)
    wanted = ibis.memtable(held.customers[["customer_id"]])
    rows = features(occasions, held.cut, **tables).semi_join(wanted, "customer_id").order_by("customer_id").execute()
    return {name: pd.DataFrame({"expected_occasions": np.nan, "expected_margin_rc": predict(rows)})
            for name, predict in models.items()}


def scored(occasions: ir.Table, as_of: date, days: int, model: str, **tables) -> ir.Table:
    """Every customer's margin in the next `days` as a learned model predicts it: customer_id, score (minor units).

    Used for ranking where the model won the test against the others.

    >>> scored(_one_customer(), date(2026, 1, 31), 365, "random_forest")
    Traceback (most recent call last):
    helpers.estimates.NotEnoughData: Machine learning needs 500 customers known on 2025-01-31; there was 1.
    """
    predict = learn(occasions, as_of, days, (model,), **tables)[model]
    rows = features(occasions, as_of, **tables).order_by("customer_id").execute()
    score = predict(rows).round().astype("int64")
    return ibis.memtable(pd.DataFrame({"customer_id": rows["customer_id"], "score": score}))


def winner(compared: pd.DataFrame) -> str:
    """The model that ranks customers best on the test, fitted ones first when it is a tie.

    compared: `backtest.compare`. A learned model must beat the best other by more than 0.01 of Gini to be used. The
    plain rules are no models; `beaten_by` says when they did better.

    >>> winner(pd.DataFrame({"model": ["random_forest", "mbg_nbd"], "gini": [0.655, 0.650]}))
    'mbg_nbd'
    """
    models = compared[~compared["model"].isin(BASELINES)]
    if not len(models):
        raise NotEnoughData("No model could be fitted to the data before the test, so there is none to choose.")
    handicap = models["model"].isin(LEARNED) * CLEARLY
    return str(models.loc[(models["gini"] - handicap).idxmax(), "model"])


def as_good(compared: pd.DataFrame, best: str) -> list[str]:
    """The others that rank customers neither better nor worse than the best model, as far as so many customers can tell.

    compared: `backtest.compare`. Ranks (Spearman) closer than 2 / √n, two standard errors of one, are no difference.

    >>> compared = pd.DataFrame({"model": ["mbg_nbd", "own_last_period", "own_average"], "spearman": [0.62, 0.61, 0.50], "n": 4_900})
    >>> as_good(compared, "mbg_nbd")
    ['own_last_period']
    """
    rank = compared.set_index("model")["spearman"]
    near = (rank - rank[best]).abs() < _noise(compared)
    return [name for name in rank.index[near] if name != best]


def beaten_by(compared: pd.DataFrame, best: str) -> str:
    """The plain rule that ranked customers clearly better than the best model, by Gini and by rank; "" where none did.

    >>> compared = pd.DataFrame({"model": ["own_last_period", "mbg_nbd"], "gini": [0.70, 0.65], "spearman": [0.6, 0.5], "n": 4_900})
    >>> beaten_by(compared, "mbg_nbd"), beaten_by(compared.assign(n=100), "mbg_nbd")
    ('own_last_period', '')
    """
    mine = compared.set_index("model").loc[best]
    better = (compared["gini"] > mine["gini"]) & (compared["spearman"] > mine["spearman"] + _noise(compared))
    rules = compared[better & compared["model"].isin(BASELINES)]
    return str(rules.loc[rules["gini"].idxmax(), "model"]) if len(rules) else ""


def _noise(compared: pd.DataFrame) -> float:
    return 2 / float(compared["n"].iloc[0]) ** 0.5


def _one_customer() -> ir.Table:
    bought = {"customer_id": ["a"], "net_sales_rc": [9], "margin_rc": [3], "discount_rc": [0], "date": [date(2024, 1, 1)]}
    return numbered(ibis.memtable(bought))
