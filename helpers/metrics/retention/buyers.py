"""The buyers of a window: who bought twice, who came back, how many are left, and what a marketplace that names none tells."""

import math
from collections.abc import Sequence
from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import Z_95, Estimate, proportion, with_wilson
from helpers.periods import Period, add_months, month_start


def repeat_purchase_rate(occasions: ir.Table, as_of: date, by: Sequence[str] = ()) -> pd.DataFrame:
    """Customers with two or more purchase occasions in the last 12 months / customers with one or more in them.

    Purchases before the window do not count: see `returning_customer_rate`. Returns one row (or one for each value of
    `by`) with repeaters, n, value, low, high (95 % Wilson).

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "n": [1, 2, 1],
    ...                         "date": [date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]})
    >>> repeat_purchase_rate(bought, date(2026, 2, 28))[["repeaters", "n", "value"]].values.tolist()
    [[1.0, 2.0, 0.5]]
    """
    buyers = occasions.filter(Period.trailing(as_of, 12).covers(_.date)).group_by(*by, "customer_id").agg(times=_.count())
    frame = buyers.agg(by=list(by), repeaters=(_.times >= 2).sum().fill_null(0), n=_.count()).execute()
    return with_wilson(frame.sort_values(list(by), ignore_index=True) if by else frame, "repeaters", "n")


def past_repeat_purchase_rates(occasions: ir.Table, days: Sequence[date]) -> pd.DataFrame:
    """`repeat_purchase_rate` as of each of the days, in one query: a row per day with day, repeaters, n, value, low, high.

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "n": [1, 2, 1],
    ...                         "date": [date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]})
    >>> past_repeat_purchase_rates(bought, [date(2026, 2, 28), date(2026, 1, 31)])[["repeaters", "n", "value"]].values.tolist()
    [[1.0, 2.0, 0.5], [0.0, 2.0, 0.0]]
    """
    if not days:
        return pd.DataFrame(columns=["day", "repeaters", "n", "value", "low", "high"])
    spans = {f"times_{place}": Period.trailing(day, 12) for place, day in enumerate(days)}
    buyers = occasions.group_by("customer_id").agg(**{name: span.covers(_.date).sum() for name, span in spans.items()})
    least = {f"{name}_{times}": (_[name] >= times).sum().fill_null(0) for name in spans for times in (1, 2)}
    sums = buyers.agg(**least).execute().iloc[0]
    rows = [(day, sums[f"{name}_2"], sums[f"{name}_1"]) for day, name in zip(days, spans, strict=True)]
    return with_wilson(pd.DataFrame(rows, columns=["day", "repeaters", "n"]), "repeaters", "n")


def repeat_purchase_change(occasions: ir.Table, as_of: date, earlier: date) -> Estimate:
    """How far `repeat_purchase_rate` moved from an earlier day to as_of: the difference, with a paired 95 % interval.

    The two windows hold mostly the same purchases, so their Wilson intervals say little about the difference. Its standard
    error is that of the sum of what each customer adds to it, both windows at once (linearised ratios). n is the buyers of
    the window with fewer; nan where it has none.

    >>> bought = ibis.memtable({"customer_id": ["a1", "a1", "b2"], "date": [
    ...     date(2026, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]})
    >>> repeat_purchase_change(bought, date(2026, 2, 28), date(2026, 1, 31)).value
    0.5
    """
    covers = {name: Period.trailing(day, 12).covers(_.date) for name, day in (("now", as_of), ("before", earlier))}
    each = occasions.group_by("customer_id").agg(**{name: inside.sum() for name, inside in covers.items()})
    cells = each.group_by(**{name: ibis.least(_[name], 2) for name in covers}).agg(customers=_.count()).execute()
    times, customers = cells[list(covers)].to_numpy(), cells["customers"].to_numpy("float64")
    bought, again = times >= 1, times >= 2
    n = customers @ bought
    if not n.all():
        return Estimate(float("nan"))
    rates = customers @ again / n
    own = (again - rates * bought) / n  # what a customer adds to each rate, beside the average buyer
    value, half = float(rates[0] - rates[1]), Z_95 * math.sqrt(customers @ (own[:, 0] - own[:, 1]) ** 2)
    return Estimate(value, value - half, value + half, int(n.min()))


def returning_customer_rate(occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """Buyers of the last 12 months whose first occasion lies before those months / buyers of the last 12 months.

    This is the number that Shopify calls by this name; it differs from `repeat_purchase_rate` on the same data. Returns
    one row with returning, n, value, low, high (95 % Wilson).

    >>> bought = ibis.memtable({"customer_id": ["a", "a", "b"], "n": [1, 2, 1],
    ...                         "date": [date(2024, 1, 5), date(2026, 2, 9), date(2026, 1, 20)]})
    >>> returning_customer_rate(bought, date(2026, 2, 28))[["returning", "n", "value"]].values.tolist()
    [[1.0, 2.0, 0.5]]
    """
    buyers = occasions.filter(Period.trailing(as_of, 12).covers(_.date)).group_by("customer_id").agg(earliest=_.n.min())
    counts = buyers.agg(returning=(_.earliest > 1).sum().fill_null(0), n=_.count())
    return with_wilson(counts.execute(), "returning", "n")


def first_seen_known_before(occasions: ir.Table, customers: ir.Table, begin: date, as_of: date) -> Estimate:
    """Of customers who would seem new had the data begun a year later, the share who had bought before: how new "new" is.

    An export that begins in the middle of a history marks only the customers of its first month, and earlier signups, as perhaps
    older (truncated). Here the data are cut to begin a year after the month of `begin`, their first day; n are the customers
    first seen in the twelve months after the cut and not marked by that rule, counted the share of them with a purchase before it
    (95 % Wilson). The true share at the data's own beginning is unknown, and falls with time. nan with n = 0 while the data hold
    less than 24 months.

    >>> from helpers.metrics.occasions import numbered
    >>> bought = numbered(ibis.memtable({"customer_id": ["a", "a", "b"], "date": [
    ...     date(2024, 1, 5), date(2025, 3, 9), date(2025, 4, 2)]}))
    >>> people = ibis.memtable({"customer_id": ["a", "b"]}).mutate(signup_date=ibis.null("date"))
    >>> first_seen_known_before(bought, people, date(2024, 1, 5), date(2025, 12, 31))[::3]
    (0.5, 2)
    """
    cut = add_months(month_start(begin), 12)
    end = add_months(cut, 12) - timedelta(days=1)
    if end > as_of:
        return Estimate(float("nan"))
    new = occasions.filter(_.date.between(add_months(cut, 1), end), (_.previous_date < ibis.literal(cut)).fill_null(True))
    unmarked = new.anti_join(customers.filter(_.signup_date < ibis.literal(cut)), "customer_id")
    found = unmarked.agg(before=_.previous_date.count(), n=_.count()).execute().iloc[0]
    return proportion(int(found["before"]), int(found["n"]))


def customer_retention_rate(flows: pd.DataFrame) -> pd.DataFrame:
    """(E − N) / S for each period, with what the formula hides in a column of its own.

    E customers active at the end, N acquired in the period, S (n) active at its start; `flows` is that of `churn.flows`. The rate
    nets the reactivated, who are in E and not in N, against the lost: retained_share (_low, _high: 95 % Wilson) is the share of S
    that really stayed, and reactivated_share the residual, value − retained_share. The formula is no proportion of customers and
    can exceed 1: low and high are nan.

    >>> customer_retention_rate(pd.DataFrame({"start": [100], "end": [115], "new": [30], "lost": [20]}))[
    ...     ["value", "retained_share", "reactivated_share"]].round(2).values.tolist()
    [[0.85, 0.8, 0.05]]
    """
    start, end, new, lost = (flows[name].astype("float64") for name in ("start", "end", "new", "lost"))
    start = start.where(start > 0)
    crr, stayed = (end - new) / start, with_wilson(flows.assign(kept=flows["start"] - lost), "kept", "start")
    return flows.assign(
        value=crr, low=float("nan"), high=float("nan"), n=flows["start"], retained_share=stayed["value"],
        retained_share_low=stayed["low"], retained_share_high=stayed["high"], reactivated_share=crr - stayed["value"],
    )  # fmt: skip


def marketplace_repeat_share(aggregates: ir.Table) -> pd.DataFrame:
    """Share of a marketplace's buyers who bought again in a period, as it counts them: repeat buyers / buyers, over its products.

    aggregates: the table repeat_aggregates (Amazon's Brand Analytics: one who bought two products is counted with each, and nobody
    can be followed to the next period). Of reports by week, month and quarter side by side, those of the most frequent length
    count, the longer of two as frequent. Columns marketplace, period_end, value (fraction), low, high (Wilson), n (buyers).

    >>> month = {"marketplace": "Amazon.de", "period_start": date(2026, 1, 1), "period_end": date(2026, 1, 31)}
    >>> rows = [month | {"unique_customers": 80, "repeat_customers_share": 0.25},
    ...         month | {"unique_customers": 20, "repeat_customers_share": 0.0}]
    >>> marketplace_repeat_share(ibis.memtable(rows))[["marketplace", "value", "n"]].values.tolist()
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

    >>> sold = ibis.memtable({"sales_channel": ["shop", "shop", "amazon"], "identity_scope": ["email", "none", "none"]})
    >>> names_no_buyer(sold), names_no_buyer(sold.filter(sold.sales_channel == "shop"))
    (True, False)
    """
    named = orders.group_by("sales_channel").agg(named=(_.identity_scope != "none").any()).execute()["named"]
    return not named.all()
