"""What losing customers costs: value at risk, and the revenue kept from the same customers."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import Estimate, NotEnoughData, ratio_of_sums
from helpers.metrics.churn.churn import active
from helpers.metrics.occasions import bucket
from helpers.money import to_major
from helpers.periods import Period, add_months, month_end


def value_at_risk(lost: int, value_per_customer: Estimate) -> Estimate:
    """Lost customers × value per customer, in the currency of the value, with n = lost.

    The value is the 12-month expected margin per active customer, `clv_model.expected_per_active`; times
    `value_per_active_customer`, what such customers brought in fact, it is published as lost_margin_realised. The interval is that
    of the value alone: the lost were counted, not estimated.

    >>> value_at_risk(10, Estimate(100.0, 90.0, 110.0, 500))
    Estimate(value=1000.0, low=900.0, high=1100.0, n=10)
    """
    return value_per_customer.times(lost)._replace(n=lost)


def value_per_active_customer(occasions: ir.Table, as_of: date, window_days: int, currency: str, data_start: date) -> Estimate:
    """What an active customer is worth over a year: the margin that those active a year ago brought since, per head.

    Σ margin in (t0, as_of] of the customers active at t0, 12 months before as_of, divided by their number, those who never returned
    included; in major units of the reporting currency, not discounted. It is what happened, so it needs no model; a changed business
    does (`value_at_risk`, notebook 06). Interval: bootstrap over customers. Raises NotEnoughData when the data do not reach back W
    days before t0.

    >>> bought = ibis.memtable({"customer_id": ["a1", "a1", "b2"], "margin_rc": [900, 1000, 700],
    ...                         "date": [date(2025, 1, 20), date(2025, 5, 9), date(2025, 1, 30)]})
    >>> value_per_active_customer(bought, date(2026, 1, 31), 30, "EUR", date(2024, 12, 1)).value
    5.0
    """
    t0 = add_months(as_of, -12)
    if data_start + timedelta(days=window_days) > t0:
        raise NotEnoughData("What an active customer brings in 12 months cannot be told yet: it needs the purchases of the "
                            f"{window_days} days before {t0}, and they begin on {data_start}.")
    were = active(occasions, t0, window_days)
    since = occasions.filter(_.date > ibis.literal(t0), _.date <= ibis.literal(as_of))
    earned = since.group_by("customer_id").agg(margin=_.margin_rc.sum())
    each = were.left_join(earned, "customer_id").select(were.customer_id, margin=earned.margin.fill_null(0))
    sums = each.group_by(group=bucket(_.customer_id)).agg(margin=_.margin.sum(), customers=_.count())
    frame = sums.order_by("group").execute()
    if frame.empty:
        raise NotEnoughData(f"No customer was active on {t0}, so what one brings cannot be told.")
    worth = ratio_of_sums(frame["margin"], frame["customers"], n=frame["customers"].sum())
    return Estimate(*(to_major(each, currency) for each in worth[:3]), worth.n)


def revenue_retention(occasions: ir.Table, as_of: date, data_start: date) -> pd.DataFrame:
    """GRR and NRR: what the customers of a window a year ago spend now, without and with those who spend more.

    R0 is the net sales of the 12 months before the last 12; the same customers are followed to the 12 months that end at as_of (same
    season). lost: R0 of those who spend nothing now; contraction and expansion: what the others spend less or more. GRR =
    1 − (lost + contraction) / R0, NRR = R1 of the same customers / R0. New and reactivated customers are outside. Intervals:
    bootstrap over customers. When `survival.median_return_days` exceeds the window, customers absent from it are mostly not due yet.

    Returns one row with starting_rc, lost_rc, contraction_rc, expansion_rc (minor units), n (customers of R0), grr, nrr and their
    _low and _high. Raises NotEnoughData when data_start lies after the first month of R0's window.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b", "c"], "net_sales_rc": [100, 80, 100, 500],
    ...     "date": [date(2024, 6, 1), date(2025, 6, 1), date(2024, 7, 1), date(2025, 7, 1)]})
    >>> revenue_retention(bought, date(2025, 12, 31), date(2024, 1, 1))[["grr", "nrr", "n"]].values.tolist()
    [[0.4, 0.4, 2.0]]
    """
    now, before = Period.trailing(as_of, 12), Period.trailing(add_months(as_of, -12), 12)
    if data_start > month_end(before.start):
        raise NotEnoughData(f"Revenue retention compares {now.start} to {now.end} with {before.start} to {before.end}, and the "
                            f"purchases begin on {data_start}: two such windows are needed.")
    in_now, in_before = (p.covers(_.date) for p in (now, before))
    each = occasions.filter(in_now | in_before).group_by("customer_id").agg(
        r0=_.net_sales_rc.sum(where=in_before).fill_null(0), r1=_.net_sales_rc.sum(where=in_now).fill_null(0))
    sums = each.filter(_.r0 > 0).group_by(group=bucket(_.customer_id)).agg(
        n=_.count(), starting=_.r0.sum(), now=_.r1.sum(), kept=ibis.least(_.r0, _.r1).sum(),
        lost=(_.r1 == 0).ifelse(_.r0, 0).sum())
    frame = sums.order_by("group").execute()
    if frame.empty:
        raise NotEnoughData(f"No identified customer bought between {before.start} and {before.end}.")
    starting, now, kept, lost, n = (frame[name] for name in ("starting", "now", "kept", "lost", "n"))
    row = {"starting_rc": starting.sum(), "lost_rc": lost.sum(), "contraction_rc": (starting - kept - lost).sum(),
           "expansion_rc": (now - kept).sum(), "n": int(n.sum())}
    for name, top in {"grr": kept, "nrr": now}.items():
        row |= dict(zip((name, f"{name}_low", f"{name}_high"), ratio_of_sums(top, starting)[:3], strict=True))
    return pd.DataFrame([row])


def bridge(kept: pd.Series, currency: str) -> pd.DataFrame:
    """How the spending of the same customers moved, in major units: rows step, amount; the steps sum to the last row.

    Parameters: kept, a row of `revenue_retention`. Steps: starting, lost, contraction, expansion, ending.

    >>> row = pd.Series({"starting_rc": 40000, "lost_rc": 20000, "contraction_rc": 4000, "expansion_rc": 5000})
    >>> bridge(row, "EUR").amount.tolist()
    [400.0, -200.0, -40.0, 50.0, 210.0]
    """
    moved = [kept["starting_rc"], -kept["lost_rc"], -kept["contraction_rc"], kept["expansion_rc"]]
    amounts = [float(to_major(amount, currency)) for amount in (*moved, sum(moved))]
    return pd.DataFrame({"step": ["starting", "lost", "contraction", "expansion", "ending"], "amount": amounts})
