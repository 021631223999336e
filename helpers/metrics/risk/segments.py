"""Groups of customers one can do something for, and the recency–frequency grid."""

from datetime import date
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import Estimate
from helpers.metrics.groups.markets import bootstrapped
from helpers.metrics.risk.risk import Model, expected_share, sample
from helpers.metrics.value.clv_model import major
from helpers.money import to_major

AT_RISK = 0.5  # more likely lost than not
HIGH_VALUE_SHARE = 0.20
SLOWING = 1.5  # silent for this many times the usual gap
SEGMENTS = ("high_value_at_risk", "new_without_second", "reactivated", "slowing_down", "lapsed", "steady")
TIMES = ("1", "2", "3–4", "5–9", "10+")


def assign(scored: ir.Table, window_days: int, lapsed_days: int = 30) -> ir.Table:
    """The active customers with the one segment each belongs to: the first that fits, in this order.

    high_value_at_risk: among the fifth with the highest kept_rc (margin of the next 12 months if still a customer), and at least 50 %
    likely to leave. new_without_second: one purchase so far. reactivated: the last gap was longer than the churn window. slowing_down:
    three purchases or more, and silent for over 1.5 × the own usual gap. lapsed: silent for `lapsed_days` or more. steady: everybody
    else. scored: `risk.with_probability` with kept_rc (`with_kept_margin`). Adds column segment; lazy but for one quantile.

    >>> rows = pd.DataFrame({"kept_rc": [90.0, 10.0, 10.0, 10.0, 10.0, 10.0],
    ...     "churn_probability": [.6, .6, .2, .2, .2, .2], "times": [5, 1, 3, 3, 3, 3],
    ...     "last_gap_days": [9, None, 200, 20, 40, 20], "silent_days": [5, 5, 5, 35, 35, 5],
    ...     "usual_gap_days": [9, 30, 99, 20, 40, 20]})
    >>> assign(ibis.memtable(rows), window_days=120).segment.execute().tolist()
    ['high_value_at_risk', 'new_without_second', 'reactivated', 'slowing_down', 'lapsed', 'steady']
    """
    line = scored.kept_rc.quantile(1 - HIGH_VALUE_SHARE).execute()
    line = float("inf") if pd.isna(line) else float(line)
    fits = (
        (_.kept_rc > line) & (_.churn_probability >= AT_RISK),
        _.times == 1,
        _.last_gap_days.fill_null(0) > window_days,
        (_.times >= 3) & (_.silent_days > SLOWING * _.usual_gap_days),
        _.silent_days >= lapsed_days,
    )
    return scored.mutate(segment=ibis.cases(*zip(fits, SEGMENTS, strict=False), else_=SEGMENTS[-1]))


def with_kept_margin(scored: ir.Table, valued: ir.Table) -> ir.Table:
    """The scored customers with kept_rc: the margin expected of the next 12 months from each who has not left for good.

    valued: `clv_model.customers`. kept_rc = clv_residual / p_alive, minor units, float64; 0 where nothing is expected.

    >>> valued = ibis.memtable({"customer_id": ["a"], "clv_residual": [300], "p_alive": [0.5]})
    >>> with_kept_margin(ibis.memtable({"customer_id": ["a"]}), valued).kept_rc.execute().tolist()
    [600.0]
    """
    kept = valued.select("customer_id", kept=_.clv_residual.cast("float64") / _.p_alive.nullif(0.0))
    joined = scored.left_join(kept, "customer_id").drop("customer_id_right")
    return joined.mutate(kept_rc=_.kept.fill_null(0.0)).drop("kept")


def summary(assigned: ir.Table, model: Model, currency: str) -> pd.DataFrame:
    """Each segment's size, mean chance of leaving and margin at stake: a row per segment, in their order.

    value, low, high, n: `risk.expected_share` of its customers under the model that scored them. at_stake: sum of
    churn_probability × kept_rc in major units, what leaving would cost in the next 12 months.

    >>> import numpy as np
    >>> model = Model("alive", ("const", "alive_log_odds"), np.array([0.0, 1.0]), np.eye(2) / 100, 500)
    >>> rows = {"customer_id": ["a01", "b01"], "segment": ["steady"] * 2, "churn_probability": [.5, .5],
    ...         "alive_log_odds": [0.0, 0.0], "kept_rc": [1e4, 2e4]}
    >>> summary(ibis.memtable(rows), model, "EUR").round(3).values.tolist()
    [['steady', 0.5, 0.058, 0.942, 2, 150.0]]
    """
    sums = assigned.group_by("segment").agg(n=_.count(), at_stake=(_.churn_probability * _.kept_rc).sum()).execute()
    shares = {name: expected_share(model, rows) for name, rows in sample(assigned).groupby("segment")}
    rows = [(name, *shares.get(name, Estimate(float("nan")))[:3], n, to_major(at_stake, currency))
            for name, n, at_stake in sums.itertuples(index=False)]
    table = pd.DataFrame(rows, columns=["segment", *Estimate._fields, "at_stake"])
    return table.sort_values("segment", key=lambda names: names.map(SEGMENTS.index), ignore_index=True)


def rfm(occasions: ir.Table, as_of: date, window_days: int, currency: str) -> pd.DataFrame:
    """Customers by how recently and how often they bought, with the margin they brought in the last 12 months.

    Classes: bought in the last 30 days (as_of included), in the last half of the churn window W, in W (so they are the active), in 2 W, and
    longer ago; 1, 2, 3–4, 5–9, 10 or more occasions so far. Columns recency (days of silence, such as "0–29" or "240+"), times, value
    (mean margin of 365 days per customer, major units), low, high (bootstrap), n.

    >>> bought = ibis.memtable({"customer_id": ["a01", "b01"], "date": [date(2026, 1, 30)] * 2,
    ...                         "margin_rc": [300, 500]})
    >>> rfm(bought, date(2026, 1, 31), 120, "EUR")[["recency", "times", "n", "value"]].values.tolist()
    [['0–29', '1', 2, 4.0]]
    """
    edges = sorted({30, window_days // 2, window_days, 2 * window_days})
    seen = occasions.filter(_.date <= ibis.literal(as_of))
    silent = ibis.literal(as_of).delta(seen.date, unit="day")
    each = seen.group_by("customer_id").agg(
        silent=silent.min(), k=_.count(), x=_.margin_rc.sum(where=silent < 365).fill_null(0))
    spans = [*(f"{first}–{end - 1}" for first, end in pairwise([0, *edges])), f"{edges[-1]}+"]
    recency = ibis.cases(*[(_.silent < edge, span) for edge, span in zip(edges, spans, strict=False)], else_=spans[-1])
    times = ibis.cases(*[(_.k <= top, name) for top, name in zip((1, 2, 4, 9), TIMES, strict=False)], else_=TIMES[-1])
    grid = bootstrapped(each.mutate(recency=recency, times=times, y=1), ("recency", "times"))
    ranks = {"recency": spans, "times": list(TIMES)}
    grid = grid.sort_values(["recency", "times"], key=lambda column: column.map(ranks[column.name].index), ignore_index=True)
    return major(grid, currency)
