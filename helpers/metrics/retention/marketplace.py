"""Buyers who come back on a marketplace that names none: its own counts by product and period."""

import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import with_wilson


def repeat_share(aggregates: ir.Table) -> pd.DataFrame:
    """Share of a marketplace's buyers who bought again in a period, as it counts them: repeat buyers / buyers, over its products.

    aggregates: the table repeat_aggregates (Amazon's Brand Analytics counts buyers by product, so one who bought two products is
    counted with each; nobody can be followed from one period to the next). Of reports by week, month and quarter side by side,
    those of the most frequent length count, the longer of two as frequent. Columns marketplace, period_end, value (fraction),
    low, high (Wilson), n (buyers); by marketplace and time.

    >>> import ibis, datetime
    >>> month = {"marketplace": "Amazon.de", "period_start": datetime.date(2026, 1, 1), "period_end": datetime.date(2026, 1, 31)}
    >>> rows = [month | {"unique_customers": 80, "repeat_customers_share": 0.25},
    ...         month | {"unique_customers": 20, "repeat_customers_share": 0.0}]
    >>> repeat_share(ibis.memtable(rows))[["marketplace", "value", "n"]].values.tolist()
    [['Amazon.de', 0.2, 100]]
    """
    days = (_.period_end.delta(_.period_start, unit="day") + 1).cast("int64")
    again = (_.unique_customers * _.repeat_customers_share).sum()
    sums = aggregates.mutate(days=days).group_by("marketplace", "period_end", "days").agg(
        n=_.unique_customers.sum(), again=again).execute()
    length = (sums["days"] / 7).round() if (sums["days"] <= 7).any() else (sums["days"] / 30).round()
    usual = length.value_counts().pipe(lambda counts: counts[counts == counts.max()]).index.max() if len(sums) else None
    sums = sums[length == usual].sort_values(["marketplace", "period_end"], ignore_index=True)
    found = with_wilson(sums.assign(again=sums["again"].clip(upper=sums["n"])), "again", "n")
    return found.astype({"n": "int64"})[["marketplace", "period_end", "value", "low", "high", "n"]]


def names_no_buyer(orders: ir.Table) -> bool:
    """Whether a whole sales channel tells nothing of its buyers (identity_scope "none" throughout, as Amazon's reports are).

    A shop where some buyers stay unnamed is none.

    >>> import ibis
    >>> sold = ibis.memtable({"sales_channel": ["shop", "shop", "amazon"], "identity_scope": ["email", "none", "none"]})
    >>> names_no_buyer(sold), names_no_buyer(sold.filter(sold.sales_channel == "shop"))
    (True, False)
    """
    named = orders.group_by("sales_channel").agg(named=(_.identity_scope != "none").any()).execute()["named"]
    return not named.all()
