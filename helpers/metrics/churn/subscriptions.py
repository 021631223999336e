"""Monthly recurring revenue: what of it is lost, gross and net of what old customers add."""

from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData, ratio_of_sums
from helpers.metrics.occasions import bucket
from helpers.metrics.retention.cohorts import month_number
from helpers.money import exponent
from helpers.periods import months_of

KINDS = {"new": 1, "expansion": 1, "reactivation": 1, "contraction": -1, "churn": -1}  # and the sign of their movements


def revenue_churn(
    subscriptions: ir.Table, fx: ir.Table, as_of: date, currency: str, months: int = 13, customers: ir.Table | None = None
) -> pd.DataFrame:
    """MRR lost in each of the last `months` complete months: gross, net, quick ratio, and what moved.

    Starting MRR is the sum of all movements before the month. gross = (churned + contraction) / starting; net subtracts (expansion +
    reactivation) / starting; quick_ratio = (new + expansion + reactivation) / (churned + contraction); churned_mrr_rate = churned /
    starting, the articles' formula. `customers`, where given, are the only ones counted (say, those of a market). Intervals:
    bootstrap over customers; none where nothing moved. Movements are summed in their own currency; then all of a month, its start
    included, is worth what the rates `fx` say on its t0, so that no exchange rate is taken for churn; where it moved, a month does
    not begin with what the one before ended with.

    Returns period, starting_rc, new_rc, expansion_rc, reactivation_rc, contraction_rc, churn_rc (minor units of the reporting
    `currency`, losses positive), n (subscriptions at the start), and the four ratios with their _low and _high; blank where a
    denominator is 0. Raises NotEnoughData when nothing moved yet, or a currency has no rate.

    >>> movements = ibis.memtable({
    ...     "subscription_id": ["a", "b", "b"], "customer_id": ["a", "b", "b"], "kind": ["new", "new", "churn"],
    ...     "mrr_delta_minor": [50, 40, -40], "currency": ["USD", "EUR", "EUR"],
    ...     "date": [date(2026, 1, 5), date(2026, 1, 6), date(2026, 2, 9)]})
    >>> fx = ibis.memtable({"date": [date(2026, 1, 31)], "currency": ["USD"], "rate": [1.2]})
    >>> revenue_churn(movements, fx, date(2026, 2, 28), "EUR", months=1)[["period", "starting_rc", "gross", "n"]].values.tolist()
    [['2026-02', 100, 0.4, 2]]
    """
    wanted = months_of(as_of, months)
    numbers = [period.start.year * 12 + period.start.month - 1 for period in wanted]
    counted = subscriptions if customers is None else subscriptions.semi_join(customers, "customer_id")
    moved = _moved(counted, numbers[0], wanted[-1].end)
    worth = _worth(fx, sorted(moved["currency"].unique()), currency, [period.t0 for period in wanted])
    amounts = {kind: _wide(moved, moved["kind"] == kind, "amount", numbers, worth) for kind in KINDS}
    starting = _wide(moved, moved["kind"].isin(KINDS), "amount", numbers, worth, before=True)
    losses, gains = -amounts["churn"] - amounts["contraction"], amounts["expansion"] + amounts["reactivation"]
    table = pd.DataFrame({"period": [period.label for period in wanted], "starting_rc": _sums(starting)})
    for kind, sign in KINDS.items():
        table[f"{kind}_rc"] = sign * _sums(amounts[kind])
    table["n"] = _sums(_wide(moved, moved["kind"].isin(KINDS), "opened", numbers, before=True))
    ratios = {"gross": (losses, starting), "net": (losses - gains, starting), "churned_mrr_rate": (-amounts["churn"], starting),
              "quick_ratio": (amounts["new"] + gains, losses)}
    for name, (top, bottom) in ratios.items():
        columns = [name, f"{name}_low", f"{name}_high"]
        table[columns] = [ratio_of_sums(top[month], bottom[month])[:3] for month in numbers]
        table.loc[~top.any().to_numpy(), columns[1:]] = float("nan")
    return table


def _moved(subscriptions: ir.Table, first: int, end: date) -> pd.DataFrame:
    """Movements summed in the engine: amount, and subscriptions opened less closed, by bucket, currency and month.

    All before the first month stand in the month before it.
    """
    customer = ibis.coalesce(subscriptions.customer_id, subscriptions.subscription_id)
    grouped = subscriptions.filter(_.date <= ibis.literal(end)).group_by(
        group=bucket(customer), currency=_.currency, month=ibis.greatest(month_number(_.date), first - 1), kind=_.kind)
    frame = grouped.agg(amount=_.mrr_delta_minor.sum(), times=_.count()).execute()
    if frame.empty:
        raise NotEnoughData("There is no movement of monthly recurring revenue up to this day.")
    opens = frame["kind"].map({"new": 1, "reactivation": 1, "churn": -1}).fillna(0)
    return frame.assign(opened=frame["times"] * opens)


def _worth(fx: ir.Table, currencies: list[str], reporting: str, days: list[date]) -> pd.DataFrame:
    """Reporting minor units for one minor unit: a row per currency, a column per day, by the last rate known on it.

    A currency first rated after a day takes its first rate: until then nothing moved in it.
    """
    worth = pd.DataFrame(1.0, index=currencies, columns=days)
    if foreign := [each for each in currencies if each != reporting]:
        rates = fx.filter(_.currency.isin(foreign)).select("date", "currency", "rate").execute()
        if missing := sorted({*foreign} - {*rates["currency"]}):
            raise NotEnoughData(f"Recurring revenue in {', '.join(missing)} has no exchange rate to {reporting}. "
                                "Supply fx.csv with date, currency, rate.")  # fmt: skip
        daily = rates.assign(date=pd.to_datetime(rates["date"])).pivot(index="date", columns="currency", values="rate")
        asked = pd.DatetimeIndex(days)
        known = daily.reindex(daily.index.union(asked)).ffill().bfill().loc[asked]
        for each in foreign:
            worth.loc[each] = known[each].to_numpy() * 10.0 ** (exponent(reporting) - exponent(each))
    return worth


def _wide(
    moved: pd.DataFrame, rows: pd.Series, what: str, numbers: list[int], worth: pd.DataFrame | None = None, before: bool = False
) -> pd.DataFrame:
    """One row per bucket and one column per month: what moved in it, or all that moved before it, at the month's rates."""
    months = [numbers[0] - 1, *numbers]
    wide = moved[rows].pivot_table(index=["group", "currency"], columns="month", values=what, aggfunc="sum", fill_value=0)
    wide = wide.reindex(columns=months, fill_value=0)
    wide = (wide.cumsum(axis=1) - wide if before else wide)[numbers]
    if worth is not None:
        wide = wide * worth.loc[wide.index.get_level_values("currency")].to_numpy()
    return wide.groupby("group").sum().reindex(sorted(moved["group"].unique()), fill_value=0)


def _sums(wide: pd.DataFrame) -> np.ndarray:
    return wide.sum().round().to_numpy().astype("int64")
