"""Monthly recurring revenue: what of it is lost, gross and net of what old customers add. See metrics.md, Churn."""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData, ratio_of_sums
from helpers.metrics.cohorts import month_number
from helpers.metrics.occasions import bucket
from helpers.periods import months_of

KINDS = {"new": 1, "expansion": 1, "reactivation": 1, "contraction": -1, "churn": -1}  # and the sign of their movements


def revenue_churn(
    subscriptions: ir.Table, as_of: date, months: int = 13, customers: ir.Table | None = None
) -> pd.DataFrame:
    """MRR lost in each of the last `months` complete months: gross, net, quick ratio, and what moved.

    Starting MRR is the sum of all movements before the month. gross = (churned + contraction) / starting; net
    subtracts (expansion + reactivation) / starting; quick_ratio = (new + expansion + reactivation) / (churned +
    contraction); churned_mrr_rate = churned / starting, the articles' formula. `customers`, where given, are the
    only ones counted (say, those of a market). Intervals of gross and net: bootstrap over customers.

    Returns period, starting_rc, new_rc, expansion_rc, reactivation_rc, contraction_rc, churn_rc (minor units, losses
    positive), n (subscriptions at the start), gross, gross_low, gross_high, net, net_low, net_high, churned_mrr_rate,
    quick_ratio; blank where a denominator is 0. Source: metrics.md, `revenue_churn`.

    >>> movements = ibis.memtable({
    ...     "subscription_id": ["a", "b", "b"], "customer_id": ["a", "b", "b"], "kind": ["new", "new", "churn"],
    ...     "mrr_delta_rc": [60, 40, -40], "date": [date(2026, 1, 5), date(2026, 1, 6), date(2026, 2, 9)]})
    >>> revenue_churn(movements, date(2026, 2, 28), months=1)[["period", "starting_rc", "gross", "n"]]
        period  starting_rc  gross  n
    0  2026-02          100    0.4  2
    """
    wanted = months_of(as_of, months)
    numbers = [period.start.year * 12 + period.start.month - 1 for period in wanted]
    counted = subscriptions if customers is None else subscriptions.semi_join(customers, "customer_id")
    moved = _moved(counted, wanted[-1].end)
    amounts = {kind: _wide(moved, moved["kind"] == kind, "amount", numbers) for kind in KINDS}
    starting = _wide(moved, moved["kind"].isin(KINDS), "amount", numbers, before=True)
    losses, gains = -amounts["churn"] - amounts["contraction"], amounts["expansion"] + amounts["reactivation"]
    table = pd.DataFrame({"period": [period.label for period in wanted], "starting_rc": _sums(starting)})
    for kind, sign in KINDS.items():
        table[f"{kind}_rc"] = sign * _sums(amounts[kind])
    table["n"] = _sums(_wide(moved, moved["kind"].isin(KINDS), "opened", numbers, before=True))
    for name, top in {"gross": losses, "net": losses - gains}.items():
        ratios = [ratio_of_sums(top[month], starting[month])[:3] for month in numbers]
        table[[name, f"{name}_low", f"{name}_high"]] = ratios
    lost, begun = _sums(losses), table["starting_rc"]
    table["churned_mrr_rate"] = table["churn_rc"] / begun.where(begun > 0)
    table["quick_ratio"] = (table["new_rc"] + _sums(gains)) / pd.Series(lost).where(lost > 0)
    return table


def _moved(subscriptions: ir.Table, end: date) -> pd.DataFrame:
    """Movements summed in the engine: amount, and subscriptions opened less closed, by bucket and month."""
    customer = ibis.coalesce(subscriptions.customer_id, subscriptions.subscription_id)
    grouped = subscriptions.filter(_.date <= ibis.literal(end)).group_by(
        group=bucket(customer), month=month_number(_.date), kind=_.kind)
    frame = grouped.agg(amount=_.mrr_delta_rc.sum(), times=_.count()).execute()
    if frame.empty:
        raise NotEnoughData("There is no movement of monthly recurring revenue up to this day.")
    opens = frame["kind"].map({"new": 1, "reactivation": 1, "churn": -1}).fillna(0)
    return frame.assign(opened=frame["times"] * opens)


def _wide(moved: pd.DataFrame, rows: pd.Series, what: str, numbers: list[int], before: bool = False) -> pd.DataFrame:
    """One row per bucket and one column per month: what moved in it, or everything that moved before it."""
    months = list(range(min(numbers[0], int(moved["month"].min())), numbers[-1] + 1))
    wide = moved[rows].pivot_table(index="group", columns="month", values=what, aggfunc="sum", fill_value=0)
    wide = wide.reindex(index=sorted(moved["group"].unique()), columns=months, fill_value=0)
    return (wide.cumsum(axis=1) - wide if before else wide)[numbers].astype("int64")


def _sums(wide: pd.DataFrame) -> np.ndarray:
    return wide.sum().to_numpy()
