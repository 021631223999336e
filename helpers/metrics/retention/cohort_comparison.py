"""Which customers come back more: new cohorts against old ones, and groups of customers against each other."""

from datetime import date

import ibis.expr.types as ir
import pandas as pd
from ibis import _
from statsmodels.stats.proportion import confint_proportions_2indep, proportions_chisquare

from helpers.estimates import ALPHA, NotEnoughData
from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.retention.cohorts import cumulative_repurchase, retention_curve

RECENT = 6  # cohorts
MOST_GROUPS = 12  # more rows than this are no longer read
NAMES = {
    "home_market": "market", "first_sales_channel": "sales channel",
    "first_acquisition_channel": "the channel that won them",
    "first_product_category": "what they bought first", "first_discounted": "the discount on their first order",
}


def recent_against_earlier(table: pd.DataFrame) -> pd.DataFrame:
    """The six newest cohorts against those that began in the same calendar months a year before, age by age.

    So season does not pass for progress; at each age only pairs where both cohorts are observed count. `table` is a
    `retention_table` without `by`, of customers whose first purchase is known (not truncated).

    Returns age, pairs (of cohorts), active_recent, n_recent, active_earlier, n_earlier, value (recent − earlier share),
    low, high (95 % Newcombe interval of a difference of proportions), n. Raises NotEnoughData without a single pair.

    >>> months = ["2025-01", "2025-01", "2026-01", "2026-01"]
    >>> cells = pd.DataFrame({"cohort": months, "age": [0, 1, 0, 1], "active": [100, 20, 100, 30], "n": [100] * 4})
    >>> recent_against_earlier(cells)[["age", "value"]].round(2).values.tolist()
    [[1.0, 0.1]]
    """
    seen = table[table["active"].notna() & (table["age"] > 0)]
    if seen.empty:
        raise NotEnoughData("Recent and earlier cohorts cannot be compared yet: none was followed for a month.")
    year_before = seen.assign(cohort=[f"{int(c[:4]) + 1}{c[4:]}" for c in seen["cohort"]])
    pairs = seen.merge(year_before, on=["cohort", "age"], suffixes=("_recent", "_earlier"))
    if pairs.empty:
        raise NotEnoughData("Recent and earlier cohorts cannot be compared yet: no two cohorts lie a year apart.")
    newest = sorted(pairs["cohort"].unique())[-RECENT:]
    chosen = pairs[pairs["cohort"].isin(newest)].assign(pairs=1)
    counts = ["active_recent", "n_recent", "active_earlier", "n_earlier"]
    ages = chosen.groupby("age")[[*counts, "pairs"]].sum().astype("int64").reset_index()
    recent, n_recent, earlier, n_earlier = ages[counts].to_numpy().T
    low, high = confint_proportions_2indep(recent, n_recent, earlier, n_earlier, method="newcomb", alpha=ALPHA)
    return ages.assign(value=recent / n_recent - earlier / n_earlier, low=low, high=high, n=n_recent + n_earlier)


def repurchase_by(occasions: ir.Table, as_of: date, column: str, age: int = 6) -> pd.DataFrame:
    """The share with a second purchase by an age, for each group of customers: a row per value of `column`, best first.

    `cumulative_repurchase` of the group's cohorts, pooled as in `retention_curve`, over the cohorts observed at that age. Customers
    whose first purchase is not known (truncated) are left out; those whose group is not recorded are the group "unknown"; the 12
    largest groups are kept. Returns column, age, active, n, cohorts, value, low, high (95 % Wilson). Raises NotEnoughData with
    fewer than two groups.

    >>> import ibis
    >>> from helpers.metrics.occasions import numbered
    >>> bought = numbered(ibis.memtable({"customer_id": ["a", "a", "b"], "truncated": [False] * 3,
    ...     "date": [date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)], "home_market": ["DE", "DE", "FR"]}))
    >>> repurchase_by(bought, date(2026, 3, 31), "home_market", age=1)[["home_market", "value"]].values.tolist()
    [['DE', 1.0], ['FR', 0.0]]
    """
    first_known = occasions.filter(~_.truncated)
    curve = retention_curve(cumulative_repurchase(first_known, as_of, by=[column]), by=[column]).fillna({column: UNKNOWN})
    groups = curve[curve["age"] == age].nlargest(MOST_GROUPS, "n")
    if len(groups) < 2:
        known = curve[column].nunique()
        alike = "it is the same, or unknown, for all of them, or too few differ"
        why = f"no two groups were followed for {age} months yet" if known > 1 else alike
        raise NotEnoughData(f"Customers cannot be compared by {NAMES.get(column, column)}: {why}.")
    return groups.sort_values(["value", "n"], ascending=False, ignore_index=True)


def differ(groups: pd.DataFrame) -> bool:
    """Whether the shares of some groups (active / n) differ by more than chance: a chi-square test of all at once, at 5 %.

    Two groups picked because they lie furthest apart nearly always seem to differ; all of them together do not.

    >>> groups = pd.DataFrame({"active": [10, 4, 30], "n": [21, 15, 80]})
    >>> differ(groups), differ(groups * 20)
    (False, True)
    """
    told = groups[groups["n"] > 0]
    mixed = len(told) > 1 and 0 < told["active"].sum() < told["n"].sum()
    return bool(mixed and proportions_chisquare(told["active"], told["n"])[1] < ALPHA)
