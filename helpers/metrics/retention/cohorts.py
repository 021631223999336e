"""Do customers come back: cohort tables, and the one curve that sums them up."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import Estimate, NotEnoughData, with_wilson
from helpers.metrics.occasions import numbered
from helpers.periods import label, last_complete_month, month_end, months_between

AGE_DAYS = 30
OLDER = _.truncated.sum().fill_null(0)  # customers who may have bought before the data begin


def month_number(day: ir.DateValue) -> ir.IntegerValue:
    """Months since the year 0 as a column, so that months can be subtracted.

    >>> ibis.memtable({"day": [date(2026, 1, 31), date(2026, 3, 1)]}).select(m=month_number(_.day)).execute().m.tolist()
    [24312, 24314]
    """
    return (day.year() * 12 + day.month() - 1).cast("int64")


def retention_table(occasions: ir.Table, as_of: date, by: Sequence[str] = ()) -> pd.DataFrame:
    """Who came back in each month after the first: a row per cohort and age, with value, interval and n.

    A cohort is all customers whose first purchase occasion falls in the same month. At age k, value is the share of them with an
    occasion in month cohort + k ("bounded" retention); age 0 is 1. 0 means that nobody came; a blank (nan) that the month had not
    ended on as_of. `by` names columns of the customer to split by, such as home_market.

    Returns the `by` columns, cohort ("2026-01"), age (months), active, n (customers of the cohort), value, low,
    high (95 % Wilson) and older (customers of it who may have bought before the data begin).

    >>> retention_table(_example(), date(2026, 2, 28))[["cohort", "age", "active", "n", "value"]].values.tolist()
    [['2026-01', 0, 2, 2, 1.0], ['2026-01', 1, 1, 2, 0.5]]
    """
    counts = retention_counts(occasions, as_of, by).execute()
    return _cells(_grid(_begun(counts), counts, by, as_of), by)


def retention_counts(occasions: ir.Table, as_of: date, by: Sequence[str] = ()) -> ir.Table:
    """How many customers of each cohort bought at each age, and how many of them are older than the data: one lazy query.

    >>> retention_counts(_example(), date(2026, 2, 28)).order_by("age").execute()[["age", "active"]].values.tolist()
    [[0, 2], [1, 1]]
    """
    month, before = month_number(_.date), month_number(_.previous_date)
    once = _until(occasions, as_of).filter((before != month).fill_null(True))  # a customer's first occasion in the month
    return _aged(once, by, older=OLDER)


def cumulative_repurchase(occasions: ir.Table, as_of: date, by: Sequence[str] = ()) -> pd.DataFrame:
    """The share of each cohort that had a second purchase occasion by each age: never falls along a row.

    Value at age k is customers of the cohort whose second occasion lies in month cohort + k or before, divided by
    all of them. Shape, blanks, interval and errors as in `retention_table`.

    >>> cumulative_repurchase(_example(), date(2026, 3, 31)).value.tolist()
    [0.0, 0.5, 0.5]
    """
    two, first = _until(occasions, as_of).filter(_.n <= 2), _.n == 1
    counts = _aged(two, by, active=(_.n == 2).sum(), n=first.sum(), older=(_.truncated & first).sum().fill_null(0)).execute()
    sizes = counts[counts["age"] == 0].drop(columns=["age", "active"])  # everybody's first occasion is of age 0
    grid = _grid(sizes, counts, by, as_of)
    grid["active"] = grid.groupby([*by, "cohort"], dropna=False)["active"].cumsum()
    return _cells(grid, by)


def unbounded_retention(occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """The share of each cohort seen in a month or later. Revised upward every month: two dated reports disagree.

    Value at age k is customers of the cohort with an occasion in month cohort + k or later (up to as_of), divided by all of them:
    old cells grow as customers return, and the newest are low only because little time has passed. Shape, blanks, interval and
    errors as in `retention_table`.

    >>> unbounded_retention(_example(), date(2026, 3, 31)).value.tolist()
    [1.0, 0.5, 0.0]
    """
    whole = ibis.literal(month_end(last_complete_month(as_of)))  # the month that has not ended counts as "later"
    lasts = _until(occasions, as_of).group_by("customer_id", "first_date", "truncated").agg(date=ibis.least(_.date.max(), whole))
    counts = _aged(lasts, [], older=OLDER).execute()
    sizes = counts.groupby("cohort", as_index=False)[["active", "older"]].sum().rename(columns={"active": "n"})
    grid = _grid(sizes, counts, [], as_of)
    grid["active"] = grid.iloc[::-1].groupby("cohort")["active"].cumsum()
    return _cells(grid, [])


def rolling_retention_table(occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """As `retention_table`, with ages of 30 days counted from each customer's own first day.

    Age 0 is the first day and the 29 after it. Every customer has the same time at each age, whatever the day of the month they
    came; the two tables differ and a caption must say which one it is. A cell is blank until the whole cohort has lived through
    the age. Shape, interval and errors as in `retention_table`.

    >>> rolling_retention_table(_example(), date(2026, 3, 31)).value.tolist()  # 5 January to 9 February are 35 days
    [1.0, 0.5]
    """
    age, before = (day.delta(_.first_date, unit="day") // AGE_DAYS for day in (_.date, _.previous_date))
    once = _until(occasions, as_of).filter((before != age).fill_null(True))
    counts = once.group_by(cohort=month_number(_.first_date), age=age).agg(active=_.count(), older=OLDER).execute()
    return _cells(_grid(_begun(counts), counts, [], as_of, AGE_DAYS), [])


def retention_curve(table: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """One curve from a cohort table: per age, the active of all cohorts divided by the customers of all cohorts.

    Over the cohorts for which that age is observed; `table` is any of the tables above. Neighbouring ages rest on
    different cohorts, so a step in the curve can be a change of cohorts: `cohorts` counts them.

    Returns the `by` columns, age, active, n (customers), cohorts, value, low, high (95 % Wilson).
    Raises NotEnoughData when no cell of the table is observed.

    >>> cells = pd.DataFrame({"cohort": ["2026-01", "2026-02"], "age": [1, 1], "active": [100, 5], "n": [1000, 10]})
    >>> retention_curve(cells).value.round(3).tolist()       # not the mean of 10 % and 50 %
    [0.104]
    """
    observed = table[table["active"].notna()].assign(cohorts=1)
    if observed.empty:
        raise NotEnoughData("Whether customers come back is not known yet: nobody whose first purchase is known was followed "
                            "for a whole month.")
    sums = observed.groupby([*by, "age"], dropna=False)[["active", "n", "cohorts"]].sum().reset_index()
    return with_wilson(sums.astype({"active": "int64"}), "active", "n")


def at_age(curve: pd.DataFrame, age: int, least: int = 0) -> Estimate:
    """The point of a `retention_curve` at one age; NotEnoughData when no cohort, or fewer than `least` customers, lived so long.

    >>> cells = pd.DataFrame({"cohort": ["2026-01"], "age": [1], "active": [100], "n": [1000]})
    >>> at_age(retention_curve(cells), 1).value
    0.1
    """
    point = curve[curve["age"] == age]
    if point.empty:
        raise NotEnoughData(f"What happens in month {age} after the first purchase is not known: no cohort is so old.")
    if point["n"].iloc[0] < least:
        raise NotEnoughData(f"Fewer than {least} customers were followed to month {age} after the first purchase: too few to show.")
    return Estimate.of(point.iloc[0])


def _until(occasions: ir.Table, as_of: date) -> ir.Table:
    return occasions.filter(_.date <= ibis.literal(as_of))


def _aged(rows: ir.Table, by: Sequence[str], active=_.count(), **more) -> ir.Table:
    """Rows counted by cohort and age: the month of their date less that of the customer's first occasion."""
    cohort = month_number(_.first_date)
    return rows.group_by(*by, cohort=cohort, age=month_number(_.date) - cohort).agg(active=active, **more)


def _begun(counts: pd.DataFrame) -> pd.DataFrame:
    """The customers of each cohort: all of them bought at age 0, by their first occasion."""
    return counts[counts["age"] == 0].rename(columns={"active": "n"}).drop(columns="age")


def _start(cohort: int) -> date:
    return date(cohort // 12, cohort % 12 + 1, 1)


def _grid(sizes: pd.DataFrame, counts: pd.DataFrame, by: Sequence[str], as_of: date, days: int = 0) -> pd.DataFrame:
    """Every cohort at every age (months, or spans of days), 0 where nobody came; `observed`: all had the time."""
    begun, last = {cohort: _start(int(cohort)) for cohort in sizes["cohort"].unique()}, month_end(last_complete_month(as_of))
    if days:
        newest_age = {cohort: ((as_of - month_end(start)).days + 1) // days - 1 for cohort, start in begun.items()}
    else:
        newest_age = {cohort: months_between(start, last) for cohort, start in begun.items()}
    ages = pd.DataFrame({"age": range(max([0, *newest_age.values()]) + 1)})
    grid = sizes.merge(ages, how="cross").merge(counts[[*by, "cohort", "age", "active"]], on=[*by, "cohort", "age"], how="left")
    grid = grid.sort_values([*by, "cohort", "age"], ignore_index=True)
    grid["active"] = grid["active"].fillna(0).astype("int64")
    return grid.assign(observed=grid["age"] <= grid["cohort"].map(newest_age))


def _cells(grid: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """The grid as it is handed out: cohort as a label, blanks where unobserved, intervals."""
    names = {cohort: label(_start(int(cohort))) for cohort in grid["cohort"].unique()}
    cells = grid.assign(cohort=grid["cohort"].map(names), active=grid["active"].astype("Int64").where(grid["observed"]))
    columns = [*by, "cohort", "age", "active", "n", "value", "low", "high", "older"]
    return with_wilson(cells, "active", "n")[columns]


def _example() -> ir.Table:
    """Customer a bought on 5 January and 9 February, b on 20 January."""
    days = {"customer_id": ["a", "a", "b"], "date": [date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]}
    return numbered(ibis.memtable(days)).mutate(truncated=False)
