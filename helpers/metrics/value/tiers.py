"""Tiers of active customers by expected margin, how unequal the margin really is, and who moved between tiers."""

from datetime import date, timedelta

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData

TIERS = {"vip": 0.20, "medium": 0.50, "low": 1.00}  # shares of active customers, cumulated: top 20 %, next 30 %, rest
POINTS = 100  # of the concentration curve
MOST_HIDDEN = 4  # rows of movers that may not be shown, above which their reasons are left out
LEAST_BUYERS = 50  # for that curve: the best fifth of them is ten people


def tiers(valued: ir.Table, as_of: date, window_days: int, measure: str = "clv_residual") -> ir.Table:
    """Active customers with their tier (lazy): customer_id, tier, and the columns of `clv_model.customers`.

    Active: an occasion in the last `window_days`. VIP are the top 20 % by expected margin (the measure), medium the
    next 30 %, low the rest; ties are broken by customer_id, so that every run gives the same tiers.

    >>> ids = [f"{k:02d}" for k in range(10)]
    >>> valued = ibis.memtable({"customer_id": ids, "clv_residual": range(10), "last": [date(2026, 1, 30)] * 10})
    >>> tiers(valued, date(2026, 1, 31), 90).tier.value_counts().order_by("tier").execute().iloc[:, 1].tolist()
    [5, 3, 2]
    """
    active = valued.filter(_["last"] > ibis.literal(as_of - timedelta(days=window_days)))
    order = ibis.window(order_by=[ibis.desc(active[measure]), active.customer_id])
    ranked = active.mutate(rank=ibis.row_number().over(order), of=active.count().over(ibis.window()))
    share = (ranked["rank"] + 1).cast("float64") / ranked["of"].cast("float64")
    tier = ibis.cases((share <= TIERS["vip"], "vip"), (share <= TIERS["medium"], "medium"), else_="low")
    return ranked.mutate(tier=tier).drop("rank", "of")


def tier_table(tiered: ir.Table) -> pd.DataFrame:
    """A row per tier: tier, n, expected margin and margin realised to date (minor units), and the share of each.

    Columns tier, n, expected_rc, margin_rc, expected_share, margin_share.

    >>> tiered = ibis.memtable({"tier": ["vip", "low"], "clv_residual": [60, 40], "clv_historic": [70, 30],
    ...     "customer_id": ["a", "b"]})
    >>> tier_table(tiered)[["tier", "n", "expected_share", "margin_share"]]
      tier  n  expected_share  margin_share
    0  vip  1             0.6           0.7
    1  low  1             0.4           0.3
    """
    rows = tiered.group_by("tier").agg(n=_.count(), expected_rc=_.clv_residual.sum(), margin_rc=_.clv_historic.sum())
    table = rows.execute().set_index("tier").reindex(list(TIERS)).dropna(how="all").reset_index()
    if not len(table):
        raise NotEnoughData("No customer bought within the churn window, so there are no active customers to rank.")
    shares = {f"{name}_share": table[f"{name}_rc"] / table[f"{name}_rc"].sum() for name in ("expected", "margin")}
    return table.assign(n=table["n"].astype("int64"), **shares)


def concentration(brought: ir.Table) -> pd.DataFrame:
    """The margin concentration curve: the share of all margin that the top share of customers brought.

    brought: customer_id and margin_rc of the buyers of a period (occasions are summed here). Columns customers (share,
    best first), margin (share), n; about a hundred points. At 0.20 it answers 80/20. Raises NotEnoughData for fewer
    than 50 buyers.

    >>> bought = ibis.memtable({"customer_id": [f"{k:02d}" for k in range(50)], "margin_rc": [80] * 10 + [5] * 40})
    >>> curve = concentration(bought)
    >>> float(curve.loc[curve.customers == 0.2, "margin"].iloc[0])
    0.8
    """
    each = brought.group_by("customer_id").agg(margin_rc=brought.margin_rc.sum())
    order = ibis.window(order_by=[ibis.desc(each.margin_rc), each.customer_id])
    ranked = each.mutate(rank=ibis.row_number().over(order), of=each.count().over(ibis.window()))
    slot = ((ranked["rank"] * POINTS) / ranked["of"]).floor().cast("int64")
    rows = ranked.group_by(slot=slot).agg(n=_.count(), margin_rc=_.margin_rc.sum()).order_by("slot").execute()
    if not len(rows) or rows["margin_rc"].sum() <= 0:
        raise NotEnoughData("Nobody brought any margin in the period, so there is no concentration to show.")
    if rows["n"].sum() < LEAST_BUYERS:
        raise NotEnoughData(f"Fewer than {LEAST_BUYERS} customers bought in the period: too few to tell how unequal their margin is.")
    share = {name: rows[column].cumsum() / rows[column].sum() for name, column in
             (("customers", "n"), ("margin", "margin_rc"))}
    return pd.DataFrame({**share, "n": rows["n"].sum()})


def top_share(curve: pd.DataFrame) -> float:
    """The share of margin of the top 20 % of customers, read off a concentration curve.

    >>> top_share(pd.DataFrame({"customers": [0.1, 0.3, 1.0], "margin": [0.5, 0.7, 1.0]}))
    0.6
    """
    return float(np.interp(TIERS["vip"], [0.0, *curve["customers"]], [0.0, *curve["margin"]]))


def movers(before: ir.Table, now: ir.Table, occasions: ir.Table, since: date) -> pd.DataFrame:
    """Who changed tier between two dates, and why: a row per from, to and reason, with customers.

    before, now: `tiers` at both dates; since: the earlier date. A customer in neither tier set is "none". Reasons:
    first_order (won since), came_back (lapsed before, ordered since), ordered (ordered since, and rose), ordered_less
    (ordered since, and fell all the same), lapsed (left the churn window) and silence (no order since: time passed, or
    others overtook them). Columns tier_before, tier, reason, n.

    >>> before = ibis.memtable({"customer_id": ["a", "b"], "tier": ["vip", "low"]})
    >>> now = ibis.memtable({"customer_id": ["a", "c"], "tier": ["medium", "vip"]})
    >>> bought = ibis.memtable({"customer_id": ["c"], "n": [1], "date": [date(2026, 1, 9)]})
    >>> movers(before, now, bought, date(2025, 12, 31)).values.tolist()
    [['low', 'none', 'lapsed', 1], ['none', 'vip', 'first_order', 1], ['vip', 'medium', 'silence', 1]]
    """
    later = occasions.filter(_.date > ibis.literal(since))
    ordered = later.group_by("customer_id").agg(first_n=later.n.min())
    pair = before.select("customer_id", tier_before="tier").outer_join(
        now.select("customer_id", "tier"), "customer_id", rname="{name}_after")
    pair = pair.mutate(customer_id=ibis.coalesce(_.customer_id, _.customer_id_after))
    pair = pair.left_join(ordered, "customer_id")
    reason = ibis.cases(
        (_.tier.isnull(), "lapsed"), (_.first_n == 1, "first_order"), (_.first_n.isnull(), "silence"),
        (_.tier_before.isnull(), "came_back"), (_place(_.tier) > _place(_.tier_before), "ordered_less"), else_="ordered")
    moved = pair.mutate(reason=reason, tier_before=_.tier_before.fill_null("none"), tier=_.tier.fill_null("none"))
    moved = moved.filter(_.tier_before != _.tier).group_by("tier_before", "tier", "reason").agg(n=_.count())
    return moved.order_by(["tier_before", "tier", "reason"]).execute()


def places(moved: pd.DataFrame) -> tuple[list, list]:
    """Where the customers of each row of `movers` came from and went to, as places of which the totals are published.

    A tier by its name; outside the tiers by the reason, where the rows tell it: the lost, the new and those who came back of
    a month are each counted on the page on churn.

    >>> places(pd.DataFrame({"tier_before": ["none", "vip"], "tier": ["low", "none"], "reason": ["first_order", "lapsed"]}))
    (['first_order', 'vip'], ['low', 'lapsed'])
    """
    why = moved.get("reason")
    came = moved["tier_before"].mask(moved["tier_before"] == "none", "won" if why is None else why)
    went = moved["tier"].mask(moved["tier"] == "none", "lost" if why is None else why)
    return came.tolist(), went.tolist()


def _place(tier):
    return ibis.cases(*((tier == name, k) for k, name in enumerate(TIERS)), else_=len(TIERS))
