"""What this month's data lack: orders without a buyer, refunds without an order, rows left out, columns that tell nothing."""

import ibis.expr.types as ir
import pandas as pd
from ibis import _

NAMED = 0.01  # a smaller share of what is missing need not be named
TELLING = ("first_acquisition_channel", "first_product_category", "first_discounted")  # what 01 compares customers by
USES = {  # notebook → optional tables it reads; without them its sections say what is missing
    "01_cohort_retention": (),
    "02_churn_rate": ("subscriptions",),
    "03_retention_cost": ("retention_costs", "acquisition_spend", "surveys"),
    "04_clv_to_cac": ("acquisition_spend", "subscriptions"),
    "05_market_comparison": ("retention_costs", "acquisition_spend", "surveys"),
    "06_customers_at_risk": ("engagement", "tickets"),
    "07_campaign_effect": ("campaigns",),
    "08_customer_voice": ("surveys", "surveys_sent", "retention_costs"),
}


def gaps(orders: ir.Table, refunds: ir.Table, files: pd.DataFrame) -> pd.DataFrame:
    """The shares of what is missing from numbers about customers, those of 1 % and more, the largest first.

    no_buyer: orders that cannot be tied to a customer / orders; loose_refunds: refunds that name no order of these exports /
    refunds; ignored: rows of the files left out by a rule / rows read and left out. Returns gap, n, of, share.

    >>> import ibis
    >>> orders = ibis.memtable({"source": ["s"] * 2, "order_id": ["1", "2"], "customer_id": ["a", None]})
    >>> refunds = ibis.memtable({"source": ["s"] * 4, "order_id": ["1", "1", "2", "9"]})
    >>> files = pd.DataFrame({"file": ["f"], "rows_read": [1000], "rows_ignored": [2]})
    >>> gaps(orders, refunds, files).values.tolist()
    [['no_buyer', 1, 2, 0.5], ['loose_refunds', 1, 4, 0.25]]
    """
    known, every = orders.aggregate(known=_.customer_id.count(), every=_.count()).to_pandas().iloc[0]
    loose, refunded = (each.count().to_pandas() for each in (refunds.anti_join(orders, ["source", "order_id"]), refunds))
    read, ignored = files.drop_duplicates("file")[["rows_read", "rows_ignored"]].sum()
    rows = [("no_buyer", every - known, every), ("loose_refunds", loose, refunded), ("ignored", ignored, read + ignored)]
    found = pd.DataFrame(rows, columns=["gap", "n", "of"]).query("of > 0").assign(share=lambda each: each["n"] / each["of"])
    return found[found["share"] >= NAMED].sort_values("share", ascending=False, ignore_index=True)


def ignored(files: pd.DataFrame) -> pd.DataFrame:
    """The sources of whose rows a rule left out some, 0.1 % and more: source, format, n, share of its rows.

    >>> counted = {"rows_read": [90, 9999], "rows_ignored": [10, 1]}
    >>> files = pd.DataFrame({"file": ["a", "b"], "source": ["s", "t"], "format": ["f", "g"]} | counted)
    >>> ignored(files).values.tolist()
    [['s', 'f', 10, 0.1]]
    """
    sums = files.drop_duplicates("file").groupby(["source", "format"], as_index=False)[["rows_read", "rows_ignored"]].sum()
    of = sums[["rows_read", "rows_ignored"]].sum(axis=1)
    found = sums.assign(n=sums["rows_ignored"], share=sums["rows_ignored"] / of.where(of > 0))
    return found[found["share"] >= NAMED / 10][["source", "format", "n", "share"]].reset_index(drop=True)


def alike(occasions: ir.Table) -> list[str]:
    """Of what 01 compares customers by, the columns in which all are alike or unknown.

    >>> import ibis
    >>> firsts = {"n": [1, 1, 2], "first_acquisition_channel": ["email", None, "sms"], "first_product_category": ["tents"] * 3,
    ...           "first_discounted": [False, True, True]}
    >>> alike(ibis.memtable(firsts))
    ['first_product_category']
    """
    firsts = occasions.filter(_.n == 1)
    kinds = firsts.aggregate(**{name: firsts[name].cast("string").fill_null("").nunique() for name in TELLING}).to_pandas().iloc[0]
    return [name for name in TELLING if kinds[name] < 2]


def readiness(supplied: set[str], alike: list[str]) -> pd.DataFrame:
    """What each later notebook can use: notebook, missing (optional tables not supplied, columns all alike), whole.

    >>> readiness({"campaigns"}, []).query("notebook == '07_campaign_effect'")[["missing", "whole"]].values.tolist()
    [[[], True]]
    """
    rows = [{"notebook": notebook, "missing": [t for t in tables if t not in supplied]} for notebook, tables in USES.items()]
    rows[0]["missing"] += alike
    return pd.DataFrame(rows).assign(whole=lambda frame: frame["missing"].map(len) == 0)
