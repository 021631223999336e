"""What keeping a customer costs: per active existing, retained and repurchasing customer, by market and channel."""

import math
from datetime import date

import pandas as pd
from ibis import _

from helpers.estimates import Estimate, NotEnoughData, ratio_of_sums
from helpers.metrics.costs.allocation import EXISTING, allocated
from helpers.metrics.costs.books import UNALLOCATED, Books, example, existing
from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.occasions import COUNTED_STATUSES, bucket
from helpers.money import to_major
from helpers.periods import Period, add_months, last_complete_month, month_end

BASES = ["active_existing", "retained", "repurchasing"]
QUARTERS_PER_YEAR = 4


def quarter(as_of: date, back: int = 0) -> Period:
    """The three complete months that end on or before as_of, or `back` months earlier: the headline's period.

    >>> quarter(date(2026, 10, 31)).label, quarter(date(2026, 10, 30), back=12).label
    ('2026-08-01..2026-10-31', '2025-07-01..2025-09-30')
    """
    return Period.trailing(add_months(month_end(last_complete_month(as_of)), -back), 3)


def customers(books: Books, period: Period) -> pd.DataFrame:
    """The customers a period's cost is divided by, counted by home market and random bucket of customers.

    Columns market, bucket, active_existing, retained (active on the eve and on the last day), repurchasing (an occasion in the
    period), discount_rc (minor units). Every bucket with a customer has its row, zeros too. Raises NotEnoughData when the churn
    window reaches back before the data begins.

    >>> customers(example(), Period.month("2026-10"))[["market", "active_existing", "retained"]].values.tolist()
    [['DE', 1, 1], ['DE', 0, 0], ['FR', 1, 1]]
    """
    books.refuse_unobserved(period)
    by = {"market": _.home_market.fill_null(UNKNOWN), "bucket": bucket(_.customer_id)}
    there = books.buckets[pd.to_datetime(books.buckets["begun"]) <= pd.Timestamp(period.end)]
    counted = existing(books.occasions, period, books.window).group_by(**by).agg(
        active_existing=_.count(), retained=(_.before & _.after).sum(), repurchasing=_.bought.sum(),
        discount_rc=_.discount_rc.sum(),
    )  # fmt: skip
    every = pd.MultiIndex.from_frame(there[["market", "bucket"]]).sort_values()
    return counted.execute().set_index(["market", "bucket"]).reindex(every, fill_value=0).astype("int64").reset_index()


def retention_cost_per_customer(
    ledger: pd.DataFrame, base: pd.DataFrame, currency: str, of: str = "active_existing", market: str = ""
) -> Estimate:
    """(marketing + service + technology) serving existing customers / active existing customers, in major units.

    Over the period that ledger (`allocation.allocated`) and base (`customers`) were made for: a quarter for the headline. `of` names
    another denominator of BASES. What could not be given to a market counts in the total and in no market. The interval is a
    bootstrap over customers with the invoices held fixed: how many are active varies, and their discounts with them.

    >>> ledger = pd.DataFrame({"part": ["existing"], "market": ["DE"], "component": ["crm"], "amount_rc": [5_000_000]})
    >>> base = pd.DataFrame({"market": ["DE"], "bucket": ["0a1"], "active_existing": [5000], "discount_rc": [0]})
    >>> retention_cost_per_customer(ledger, base, "EUR").value
    10.0
    """
    if market:
        ledger, base = ledger[ledger["market"] == market], base[base["market"] == market]
    spent = ledger.loc[ledger["part"] == EXISTING, "amount_rc"].sum()
    buckets = base.groupby("bucket")[[of, "discount_rc"]].sum()
    if not buckets[of].sum():
        return Estimate(float("nan"))
    invoices = spent - buckets["discount_rc"].sum()
    cost = ratio_of_sums(buckets["discount_rc"] + invoices / len(buckets), buckets[of], n=int(buckets[of].sum()))
    return Estimate(*(to_major(each, currency) for each in cost[:3]), cost.n)


def headline(books: Books, period: Period, market: str = "") -> Estimate:
    """`retention_cost_per_customer` of a period straight from the books, for a comparison with an earlier one.

    >>> headline(example(), Period.month("2026-10")).value
    37.0
    """
    base = customers(books, period)
    return retention_cost_per_customer(allocated(books, period), base, books.currency, market=market)


def components(ledger: pd.DataFrame, base: pd.DataFrame, currency: str, market: str = "") -> pd.DataFrame:
    """What each component cost for existing customers: category, component, spend, share, value (per active one), n.

    Spend and value in major units, the dearest first; n is the active existing customers. The spend adds up. Raises
    NotEnoughData where no line serves them.

    >>> components(*_example(), "EUR")[["component", "spend", "value"]].values.tolist()[:2]
    [['email', 30.0, 15.0], ['support', 30.0, 15.0]]
    """
    rows = ledger[(ledger["part"] == EXISTING) & ((ledger["market"] == market) | (market == ""))]
    if rows.empty:
        raise NotEnoughData("No line of the cost table serves existing customers here, so there is nothing to split.")
    n = int(base.loc[(base["market"] == market) | (market == ""), "active_existing"].sum())
    spend = to_major(rows.groupby(["category", "component"])["amount_rc"].sum().astype("float64"), currency)
    found = spend.rename("spend").reset_index().sort_values(["spend", "component"], ascending=[False, True])
    each = found["spend"] / n if n else float("nan")
    return found.assign(share=found["spend"] / found["spend"].sum(), value=each, n=n)


def top_discounts(books: Books, period: Period, market: str = "", top: float = 0.01) -> Estimate:
    """The share of existing customers' discounts that the hundredth with the largest ones took; n: customers in it.

    One wholesale account can be half of a component: a cost per customer then says little about the others.

    >>> top_discounts(example(), Period.month("2026-10"), top=0.5)
    Estimate(value=0.5, low=nan, high=nan, n=1)
    """
    theirs = existing(books.occasions, period, books.window)
    theirs = theirs.filter(_.home_market == market) if market else theirs
    sums = theirs.agg(n=_.count(), total=_.discount_rc.sum()).execute().iloc[0]
    count = max(1, math.ceil(top * int(sums["n"])))
    largest = theirs.order_by(_.discount_rc.desc(), "customer_id").limit(count).agg(sum=_.discount_rc.sum()).execute()
    if not sums["n"] or not sums["total"]:
        raise NotEnoughData("Existing customers took no discounts in these months.")
    return Estimate(float(largest["sum"].iloc[0] / sums["total"]), n=count)


def by_base(ledger: pd.DataFrame, base: pd.DataFrame, currency: str, market: str = "") -> pd.DataFrame:
    """The same cost over each denominator of BASES, one row each: base, value, low, high, n.

    >>> ledger, base = _example()
    >>> by_base(ledger, base, "EUR")[["base", "value"]].values.tolist()
    [['active_existing', 37.0], ['retained', 37.0], ['repurchasing', 37.0]]
    """
    rows = [(of, *retention_cost_per_customer(ledger, base, currency, of, market)) for of in BASES]
    return pd.DataFrame(rows, columns=["base", "value", "low", "high", "n"])


def by_market(ledger: pd.DataFrame, base: pd.DataFrame, currency: str) -> pd.DataFrame:
    """Retention cost per customer of each market: market, spend (major units), value, low, high, n.

    A last row, market "unallocated", holds what no rule could place: spend without customers. The spend adds up.

    >>> by_market(*_example(), "EUR")[["market", "spend", "value"]].values.tolist()
    [['DE', 52.0, 52.0], ['FR', 12.0, 12.0], ['unallocated', 10.0, nan]]
    """
    spent = ledger[ledger["part"] == EXISTING].groupby("market")["amount_rc"].sum()
    markets = sorted({*spent.index, *base["market"]} - {UNALLOCATED}) + [UNALLOCATED] * (UNALLOCATED in spent.index)
    rows = [(each, to_major(int(spent.get(each, 0)), currency),
             *retention_cost_per_customer(ledger, base, currency, market=each)) for each in markets]  # fmt: skip
    return pd.DataFrame(rows, columns=["market", "spend", "value", "low", "high", "n"])


def by_channel(books: Books, ledger: pd.DataFrame, base: pd.DataFrame, period: Period) -> pd.DataFrame:
    """Market × channel: what each retention channel cost and how many existing customers came back through it.

    Columns market, channel, spend (major units), share (of the spend that names a channel), reached (`reached`; one may come
    by several), active_existing (of the market), per_active (spend / active existing), value (spend / reached; nan when
    nobody came), n (reached). Raises NotEnoughData when no ledger line names a channel, or none that does serves a market.

    >>> october = Period.month("2026-10")
    >>> by_channel(example(), *_example(), october)[["market", "channel", "spend", "reached", "value"]].values.tolist()
    [['DE', 'email', 30.0, 1, 30.0]]
    """
    named = ledger[(ledger["part"] == EXISTING) & (ledger["channel"] != "")]
    if named.empty:
        raise NotEnoughData("No retention cost line names its channel. Fill the column channel (email, sms, social …) in "
                            "retention_costs.csv to see cost by market and channel.")
    if (named["market"] == UNALLOCATED).all():
        raise NotEnoughData("No retention cost line that names its channel serves a market, so nobody can be said to have come back "
                            "through it. Fill the column market in retention_costs.csv, or allocation, which shares a line out.")
    spend = named.groupby(["market", "channel"])["amount_rc"].sum().rename("spend").reset_index()
    frame = spend.merge(reached(books, period), how="left", on=["market", "channel"])
    frame["active_existing"] = frame["market"].map(base.groupby("market")["active_existing"].sum())
    frame = frame.fillna({"reached": 0, "active_existing": 0}).astype({"reached": "int64", "active_existing": "int64"})
    spend = to_major(frame["spend"].astype("float64"), books.currency)
    return frame.assign(
        spend=spend, share=spend / spend.sum(), per_active=spend / frame["active_existing"].where(lambda n: n > 0),
        value=spend / frame["reached"].where(lambda n: n > 0), n=frame["reached"],
    )  # fmt: skip


def reached(books: Books, period: Period, by_month: bool = False) -> pd.DataFrame:
    """Existing customers who bought through each channel: month if by_month, market (home), channel, reached.

    Orders on days that are purchase occasions. Existing: first occasion before the period, by_month before the month.

    >>> reached(example(), Period.month("2026-10")).values.tolist()
    [['DE', 'email', 1], ['FR', 'email', 1]]
    """
    by = ["month"] * by_month + ["market", "channel"]
    days = books.occasions.select("customer_id", "first_date", order_date="date", market=_.home_market.fill_null(UNKNOWN))
    counted = books.orders.filter(_.status.isin(COUNTED_STATUSES), period.covers(_.order_date), _.acquisition_channel.notnull())
    counted = counted.select("customer_id", "order_date", channel="acquisition_channel", month=_.order_date.truncate("M").cast("date"))
    theirs = counted.join(days, ["customer_id", "order_date"]).filter(_.first_date < (_.month if by_month else period.start))
    counts = theirs.group_by(by).agg(reached=_.customer_id.nunique()).execute()
    if by_month:
        counts["month"] = pd.to_datetime(counts["month"]).dt.strftime("%Y-%m")
    return counts.sort_values(by, ignore_index=True)


def _example() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ledger and customers of the example books in October 2026: what the examples above run on."""
    october = Period.month("2026-10")
    return allocated(example(), october), customers(example(), october)
