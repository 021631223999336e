"""What acquired customers have brought by age, and when that has paid for winning them."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from helpers.estimates import ALPHA, NotEnoughData
from helpers.metrics.acquisition.cac import clv_to_cac
from helpers.metrics.retention.cohorts import month_number
from helpers.periods import last_complete_month, month_end

ENDS = {"value": "", "low": "_low", "high": "_high"}
MONEY = ("worth", "worth_low", "worth_high", "cost")  # the columns of `by_group` that are money


def ltv_curve(occasions: ir.Table, as_of: date, by: Sequence[str] = (), last_cohorts: int | None = None, least: int = 0) -> pd.DataFrame:
    """Cumulative realised margin per acquired customer by age in months, minor units; age 0 is the month of winning.

    Each age's margin is divided by the customers observed at that whole age, over all cohorts (months of first purchase), and the
    increments are summed; truncated histories are left out. by: columns of the customer, or cohort (compare cohorts at one age).
    last_cohorts: only the newest so many; least: only ages at which so many customers are observed. The interval comes from 32
    random groups of customers, t with 31 degrees of freedom. Columns *by, age, value, low, high, n (customers observed at that age).

    >>> from helpers.metrics.occasions import numbered
    >>> bought = numbered(ibis.memtable({"customer_id": ["1a", "1a", "2b"], "truncated": [False] * 3,
    ...     "margin_rc": [100, 50, 300], "date": [date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]}))
    >>> ltv_curve(bought, date(2026, 2, 28))[["age", "value", "n"]]
       age  value  n
    0    0  200.0  2
    1    1  225.0  2
    """
    by, last = list(by), month_end(last_complete_month(as_of))
    cells = _cells(occasions.filter(_.date <= ibis.literal(last)), [name for name in by if name != "cohort"])
    newest = last.year * 12 + last.month - 1
    cells = cells[cells["cohort"] > newest - last_cohorts] if last_cohorts else cells
    if not len(cells):
        raise NotEnoughData(f"No customer up to {last} is known to have been new: the data may begin after their first purchase. "
                            "So there is no margin to add up by age.")
    parts = cells.groupby(by, dropna=False) if by else [((), cells)]
    curves = [_curve(group, newest).assign(**dict(zip(by, key, strict=True))) for key, group in parts]
    curve = pd.concat(curves, ignore_index=True)
    curve = curve[curve["n"] >= least]
    if curve.empty:
        raise NotEnoughData(f"Fewer than {least} customers up to {last} are known to have been new: too few for their margin by age.")
    if "cohort" in by:
        curve["cohort"] = [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in curve["cohort"]]
    return curve[[*by, "age", "value", "low", "high", "n"]]


def _cells(occasions: ir.Table, by: list[str]) -> pd.DataFrame:
    """by, cohort, group (of 32), age, margin, won: sums in the engine; won stands in the rows of age 0."""
    own = occasions.filter(~_.truncated).mutate(cohort=month_number(_.first_date), group=_.customer_id.substr(0, 1))
    each = own.mutate(age=month_number(_.date) - _.cohort)
    keys = [*by, "cohort", "group", "age"]
    sums = each.group_by(keys).agg(margin=_.margin_rc.sum(), won=(_.n == 1).cast("int64").sum())
    return sums.order_by(keys).execute()


def _curve(cells: pd.DataFrame, newest: int) -> pd.DataFrame:
    """age, value, low, high, n of one group of cells."""
    margin, n = _by_age(cells, newest)
    value, drawn = _cumulative(margin.sum(axis=0), n.sum(axis=0)), _cumulative(margin, n)
    half = np.full(len(value), np.nan)
    if len(drawn) > 1:
        half = stats.t.ppf(1 - ALPHA / 2, len(drawn) - 1) * np.std(drawn, axis=0, ddof=1) / np.sqrt(len(drawn))
    return pd.DataFrame({"age": np.arange(len(value)), "value": value, "low": value - half, "high": value + half, "n": n.sum(axis=0)})


def _by_age(cells: pd.DataFrame, newest: int) -> tuple[np.ndarray, np.ndarray]:
    """Margin earned at each age, and the customers who have lived through it: arrays (group of 32, age)."""
    group, names = pd.factorize(cells["group"])
    age, oldest = cells["age"].to_numpy(), newest - cells["cohort"].to_numpy()  # the age a cohort has reached
    margin, won = np.zeros((2, len(names), oldest.max() + 1))
    whole = age <= oldest
    np.add.at(margin, (group[whole], age[whole]), cells["margin"].to_numpy(dtype="float64")[whole])
    np.add.at(won, (group, oldest), cells["won"].to_numpy(dtype="float64"))
    return margin, won[:, ::-1].cumsum(axis=1)[:, ::-1].astype("int64")


def _cumulative(margin: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.cumsum(np.divide(margin, n, out=np.full(margin.shape, np.nan), where=n > 0), axis=-1)


def payback_months(curve: pd.DataFrame, costs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """The first age at which cumulative margin per acquired customer reaches the CAC: a row per group.

    curve: `ltv_curve`; costs: rows of one kind of `cac`; both by the same groups. value is nan where the margin has not reached the
    cost by the last observed age, which is an answer: reached is False and last_age says how far one can see. A group without a
    cost above 0 has no row. low and high: where the curve's upper and lower end reach it. Columns *by, value, low, high, n
    (customers observed at that age), reached, last_age, cac.

    >>> curve = pd.DataFrame({"age": [0, 1, 2], "value": [20.0, 31, 40], "low": [18.0, 28, 36],
    ...     "high": [22.0, 34, 44], "n": [90, 80, 70]})
    >>> payback_months(curve, pd.DataFrame({"value": [30.0]}))[["value", "low", "high", "reached"]]
       value  low  high  reached
    0    1.0  1.0   2.0     True
    """
    by = list(by)
    known = costs.loc[costs["value"] > 0, [*by, "value"]].rename(columns={"value": "cac"})
    if not by and known.empty:
        raise NotEnoughData("A new customer has no known cost, so there is nothing to earn back.")
    ages = curve.merge(known, **{"on": by} if by else {"how": "cross"})
    paid = {"value": "value", "low": "high", "high": "low"}  # the end of the margin that says when
    paid = {end: ages["age"].astype("float64").where(ages[margin] >= ages["cac"]) for end, margin in paid.items()}
    groups = ages.assign(**paid, last_age=ages["age"]).groupby(by or np.zeros(len(ages)))
    found = groups.agg(dict.fromkeys(paid, "min") | {"last_age": "max", "cac": "first"}).reset_index(drop=not by)
    found = found.assign(reached=found["value"].notna(), age=found["value"].fillna(found["last_age"]))
    found = found.merge(curve[[*by, "age", "n"]], on=[*by, "age"], how="left")
    return found[[*by, "value", "low", "high", "n", "reached", "last_age", "cac"]]


def by_group(values: pd.DataFrame, costs: pd.DataFrame, curve: pd.DataFrame, by: str) -> pd.DataFrame:
    """What customers won are worth beside what winning them cost, and when that was paid back: a row per group, largest first.

    values: `clv_model.per_customer`; costs: rows of one kind of `cac`; curve: `ltv_curve`; all by the same groups and in one
    unit of money. Columns by; value, low, high (`clv_to_cac`); worth, worth_low, worth_high; cost; months, months_low,
    months_high (`payback_months`); n (customers won). nan where a group has no cost, or has not paid back yet.

    >>> values = pd.DataFrame({"market": ["DE"], "value": [60.0], "low": [50.0], "high": [72.0], "n": [90]})
    >>> costs = pd.DataFrame({"market": ["DE"], "value": [30.0], "low": [30.0], "high": [30.0], "n": [90]})
    >>> curve = pd.DataFrame({"market": "DE", "age": [0, 1], "value": [20.0, 31], "low": [18.0, 28], "high": [22.0, 34], "n": 90})
    >>> by_group(values, costs, curve, "market")[["market", "worth", "cost", "value", "months", "n"]].values.tolist()
    [['DE', 60.0, 30.0, 2.0, 1.0, 90]]
    """
    worth, months = ({each: f"{name}{end}" for each, end in ENDS.items()} for name in ("worth", "months"))
    found = values.rename(columns=worth).merge(costs[[by, "value"]].rename(columns={"value": "cost"}), on=by, how="left")
    found = found.merge(clv_to_cac(values, costs, [by]).drop(columns="n"), on=by, how="left")
    back = payback_months(curve, costs, [by])[[by, *ENDS, "n"]].rename(columns=months | {"n": "months_n"})
    return found.merge(back, on=by, how="left").sort_values("n", ascending=False, kind="stable", ignore_index=True)
