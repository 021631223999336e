"""What customers won by another customer's referral are worth, shown apart from the value of the referrer."""

import ibis.expr.types as ir
from ibis import _

from helpers.estimates import NotEnoughData


def referral_value(valued: ir.Table, orders: ir.Table) -> dict[str, float]:
    """The value of referred customers, each credited once to the customer who referred their first order.

    valued: `clv_model.customers`. Self-referrals, and referrers who are no customers themselves, are not credited.
    Keys: referred and referrers (customers), clv_total and clv_historic of the referred (minor units), per_referrer
    (clv_total / referrers), share (of all customers' clv_total). It is never added to the referrer's own CLV: the
    referred are customers too, and their value would count twice.

    >>> import ibis
    >>> valued = ibis.memtable({"customer_id": list("abc"), "clv_historic": [10, 20, 30], "clv_total": [20, 40, 60]})
    >>> orders = ibis.memtable({"customer_id": list("abcc"), "referred_by": [None, "a", "a", "b"],
    ...     "order_date": ["2026-01-01", "2026-01-02", "2026-01-03", "2026-01-09"]})
    >>> found = referral_value(valued, orders)
    >>> found["referred"], found["referrers"], found["per_referrer"]
    (2, 1, 100.0)
    """
    known = orders.filter(_.customer_id.notnull())
    firsts = known.group_by("customer_id").agg(first=_.order_date.min())
    earliest = known.join(firsts, "customer_id").filter(_.order_date == _["first"], _.referred_by.notnull())
    credited = earliest.group_by("customer_id").agg(referrer=_.referred_by.min())
    credited = credited.filter(_.referrer != _.customer_id).semi_join(valued.select(referrer=_.customer_id), "referrer")
    worth = credited.join(valued.select("customer_id", "clv_historic", "clv_total"), "customer_id")
    sums = {name: worth[name].sum() for name in ("clv_historic", "clv_total")}
    row = worth.agg(referred=_.count(), referrers=_.referrer.nunique(), **sums).execute().fillna(0).iloc[0]
    if not row["referred"]:
        raise NotEnoughData("No order names the customer who referred it. Fill referred_by in the orders to see what "
                            "referrals bring.")
    everyone = float(valued.clv_total.sum().execute())
    return {
        "referred": int(row["referred"]), "referrers": int(row["referrers"]),
        "clv_historic": float(row["clv_historic"]), "clv_total": float(row["clv_total"]),
        "per_referrer": float(row["clv_total"] / row["referrers"]),
        "share": float(row["clv_total"]) / everyone if everyone else float("nan"),
    }
