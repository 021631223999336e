"""How fast customers are lost: active sets, flows that add up, churn."""

from collections.abc import Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData, with_wilson
from helpers.metrics.retention.cohorts import month_number
from helpers.periods import Period, add_months, last_complete_month, month_end, months_between

WINDOW_FACTORS = (0.5, 1.0, 1.5, 2.0)
MOVES = ("start", "lost", "retained", "new", "reactivated", "end")
UNKNOWN = pd.DataFrame(columns=["period", "t0", "t1", *MOVES])  # the flows of a client about whom nothing is known yet


def active(occasions: ir.Table, t: date, window_days: int) -> ir.Table:
    """The customers active at the end of day t, one lazy row each: those with a purchase occasion in (t − W, t].

    Before the data's start + W the set is too small, since earlier purchases are unknown.

    >>> bought = ibis.memtable({"customer_id": ["a", "b"], "date": [date(2026, 1, 1), date(2026, 1, 2)]})
    >>> active(bought, date(2026, 1, 31), 30).execute().customer_id.tolist()     # 1 January is 30 days before: outside
    ['b']
    """
    begin = t - timedelta(days=window_days)
    return occasions.filter(_.date > ibis.literal(begin), _.date <= ibis.literal(t)).select("customer_id").distinct()


def flows(occasions: ir.Table, as_of: date, window_days: int, data_start: date, *, months: int = 1, by: Sequence[str] = ()) -> pd.DataFrame:
    """Active customers at the start and end of each period, and who moved between: a row per period, in customers.

    For a period with eve t0 and last day t1: start = |active(t0)|, end = |active(t1)|; lost are in the first set and not in the
    second, retained in both; new are active at t1 with a first occasion after t0; reactivated are active at t1, were not at t0, and
    had bought before. end = start − lost + new + reactivated. Periods are `months` calendar months long, the last ends with the
    last complete month of as_of. Numbers are blank (NA) where t0 (for `end`, t1) lies before data_start, the first day of the data,
    plus W: who was active then is unknown.

    Returns the `by` columns, period ("2026-10"), t0, t1, start, lost, retained, new, reactivated, end; empty without a purchase.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "date": [
    ...     date(2026, 1, 5), date(2026, 3, 9), date(2026, 1, 20)]})
    >>> flows(bought, date(2026, 3, 31), 40, date(2026, 1, 5)).tail(1)[["period", "start", "lost", "new", "reactivated", "end"]]
        period  start  lost  new  reactivated  end
    2  2026-03      1     1    0            1    1
    """
    by, last = list(by), month_end(last_complete_month(as_of))
    count = months_between(data_start, last) // months + 1 if data_start <= last else 0
    cuts = [add_months(last, -months * back) for back in range(count, -1, -1)]
    knows = np.array([cut >= data_start + timedelta(days=window_days) for cut in cuts])
    nobody = UNKNOWN.assign(**{name: [] for name in by})
    if not count:
        return nobody
    counts = runs(occasions, last, window_days, months=months, periods=count, by=by).execute()
    labels = [Period(eve + timedelta(days=1), end).label for eve, end in zip(cuts, cuts[1:], strict=False)]
    frames = []
    for key, part in counts.groupby(by, dropna=False) if by else [((), counts)]:
        moves = _moves(part, count).assign(period=labels, t0=cuts[:-1], t1=cuts[1:], **dict(zip(by, key, strict=True)))
        moves.loc[~knows[:-1], list(MOVES[:-1])] = pd.NA
        moves.loc[~knows[1:], "end"] = pd.NA
        frames.append(moves[[*by, "period", "t0", "t1", *MOVES]])
    return pd.concat(frames, ignore_index=True) if frames else nobody


def known(flows: pd.DataFrame) -> pd.DataFrame:
    """The periods whose flows are known, oldest first; NotEnoughData, with what is missing, when there is none.

    >>> known(pd.DataFrame({"period": ["2026-01", "2026-02"], "start": [None, 5]})).period.tolist()
    ['2026-02']
    """
    there = flows[flows["start"].notna()].reset_index(drop=True)
    if there.empty:
        raise NotEnoughData("Churn is not known yet: it needs the purchases of a whole churn window and of one whole month after "
                            "it. More history helps, or a shorter churn_window_days in client.toml if it fits your customers.")
    return there


def churn_rate(flows: pd.DataFrame) -> pd.DataFrame:
    """lost / start, those active at the start of a period who are not at its end: the flows with value, low, high, n.

    n is start; 95 % Wilson interval; blank where the flows are. It is a rate per period of the flows: never name it without.

    >>> churn_rate(pd.DataFrame({"lost": [10], "start": [200]})).value.tolist()
    [0.05]
    """
    return with_wilson(flows, "lost", "start")


def net_loss_rate(start, end):
    """(start − end) / start, from two counts: churn only if nobody was won between them. No proportion, so no interval.

    >>> net_loss_rate(500, 400)
    0.2
    """
    return (start - end) / start


def churn_by_window(occasions: ir.Table, as_of: date, window_days: int, data_start: date) -> pd.DataFrame:
    """The newest month's churn rate had the churn window been half, once, one and a half or twice as long: a row each.

    A short window calls slow customers lost and wins them back later; a long one notices losses late. Windows that the history cannot fill
    are blank. Returns factor, window_days, period, value, low, high (95 % Wilson), n.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "date": [
    ...     date(2026, 1, 5), date(2026, 3, 9), date(2026, 1, 20)]})
    >>> churn_by_window(bought, date(2026, 3, 31), 40, date(2026, 1, 5))[["window_days", "value"]].values.tolist()
    [[20.0, nan], [40.0, 1.0], [60.0, nan], [80.0, nan]]
    """
    month, spans = Period.month(last_complete_month(as_of)), [round(window_days * factor) for factor in WINDOW_FACTORS]
    moves = pd.concat([_moves(runs(occasions, month.t1, days, periods=1).execute(), 1) for days in spans], ignore_index=True)
    table = moves[["start", "lost"]].assign(factor=WINDOW_FACTORS, window_days=spans, period=month.label)
    unknown = [data_start + timedelta(days=days) > month.t0 for days in spans]
    table.loc[unknown, ["start", "lost"]] = pd.NA
    return churn_rate(table).drop(columns=["start", "lost"])


def runs(occasions: ir.Table, last: date, window_days: int, *, periods: int, months: int = 1, by: Sequence[str] = ()) -> ir.Table:
    """How many customers were active at the ends of periods `block` … `until`, lazily: the one query behind `flows`.

    Of a customer's occasions in a period only the last matters for its end. It keeps them active for W days, at most
    until their next one: the period ends it covers run from its own, `block`, to `until`. Periods are numbered from 1
    to `periods`, the last one ending on `last`; 0 is all before. is_new and is_back tell how the run began, goes_on
    whether the next one follows without a gap.

    >>> bought = ibis.memtable({"customer_id": ["a", "a"], "date": [date(2026, 1, 5), date(2026, 3, 9)]})
    >>> found = runs(bought, date(2026, 3, 31), 40, periods=3).order_by("block").execute()
    >>> found[["block", "until", "is_new", "is_back", "customers"]].values.tolist()
    [[1, 1, True, False, 1], [3, 3, False, True, 1]]
    """
    base = last.year * 12 + last.month - 1 - months * periods  # month number of the first cut, the eve of period 1
    occasions = occasions.filter(_.date <= ibis.literal(last))
    block = (ibis.greatest(month_number(occasions.date), base) - base + months - 1) // months
    newest = occasions.group_by("customer_id", *by, block=block.cast("int64")).agg(day=_.date.max())
    end = month_number(newest.day + ibis.interval(days=window_days)) - 1  # the last month whose end still is covered
    reach = (ibis.greatest(end, base - months) - base + months) // months - 1
    newest = newest.mutate(reach=ibis.least(reach.cast("int64"), periods))
    history = ibis.window(group_by="customer_id", order_by="block")
    beside = {"before": _.reach.lag(), "next_block": _.block.lead(), "next_reach": _.reach.lead()}
    each = newest.mutate(**{name: value.over(history) for name, value in beside.items()}).mutate(
        until=ibis.least(_.reach, _.next_block.fill_null(periods + 1) - 1),
        is_new=_.before.isnull(), is_back=(_.before < _.block - 1).fill_null(False))
    goes_on = ((_.next_block == _.until + 1) & (_.next_reach >= _.next_block)).fill_null(False)
    covering = each.filter(_.until >= _.block).mutate(goes_on=goes_on)
    return covering.group_by(*by, "block", "until", "is_new", "is_back", "goes_on").agg(customers=_.count())


def _moves(runs: pd.DataFrame, count: int) -> pd.DataFrame:
    """Runs summed to the flows of periods 1 … count."""
    def at(place: pd.Series, customers: pd.Series) -> np.ndarray:
        """Customers counted by period, 0 … count."""
        return np.bincount(place, weights=customers, minlength=count + 2)[: count + 1].astype("int64")

    came, went, customers = runs["block"], runs["until"] + 1, runs["customers"]
    active = np.cumsum(at(came, customers) - at(went, customers))
    moves = {
        "start": active[:-1],
        "lost": at(went, customers.where(~runs["goes_on"], 0))[1:],
        "new": at(came, customers.where(runs["is_new"], 0))[1:],
        "reactivated": at(came, customers.where(runs["is_back"], 0))[1:],
        "end": active[1:],
    }
    return pd.DataFrame(moves).assign(retained=moves["start"] - moves["lost"]).astype("Int64")
