"""What retention cost is counted from, and the customers it is divided by."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.costs import monthly_sums
from helpers.metrics.groups import markets
from helpers.metrics.occasions import bucket, numbered
from helpers.periods import Period, add_months, month_start, months_between

UNALLOCATED = "unallocated"  # the market of costs that no rule can place; customers without a market are markets.UNKNOWN


@dataclass(frozen=True)
class Books:
    """Everything retention cost is counted from: lazy tables of all markets, the churn window and the client's rules.

    existing_share and allocation hold the client's default per component; the ledger's own columns come before them.
    data_start is the first day of the data: nobody can be seen active before it plus the window. The sums by month
    (`monthly_sums`) are asked of the engine once, however many periods are counted from them.

    >>> example().window, example().existing_share
    (90, {})
    """

    costs: ir.Table
    orders: ir.Table
    occasions: ir.Table
    window: int
    currency: str
    tickets: ir.Table | None = None
    existing_share: dict[str, float] = field(default_factory=dict)
    allocation: dict[str, str] = field(default_factory=dict)
    data_start: date | None = None
    _active_of: dict[str, pd.DataFrame] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def ledger(self) -> pd.DataFrame:
        """`monthly_sums.ledger`."""
        return monthly_sums.ledger(self.costs)

    @cached_property
    def sold(self) -> pd.DataFrame:
        """`monthly_sums.sold`."""
        return monthly_sums.sold(self.orders, self.occasions)

    @cached_property
    def discounts(self) -> pd.DataFrame:
        """`monthly_sums.discounts`."""
        return monthly_sums.discounts(self.orders, self.occasions)

    @cached_property
    def opened(self) -> pd.DataFrame:
        """`monthly_sums.tickets`."""
        return monthly_sums.tickets(self.tickets, UNALLOCATED)

    @cached_property
    def buckets(self) -> pd.DataFrame:
        """The home markets and random buckets that hold a customer, with the day of the first purchase in each."""
        by = {"market": _.home_market.fill_null(markets.UNKNOWN), "bucket": bucket(_.customer_id)}
        return self.occasions.group_by(**by).agg(begun=_.first_date.min()).execute()


def together(books: Books, names: dict[str, str]) -> Books:
    """The same books with some markets under another name: small ones put together as "other" (`markets.shown`).

    >>> sorted(together(example(), {"DE": "DE", "FR": "other"}).orders.market.execute().unique())
    ['DE', 'other']
    """
    tables = {name: getattr(books, name) for name in ("costs", "orders", "tickets")}
    changed = {name: markets.together(table, names, missing=None) for name, table in tables.items() if table is not None}
    return replace(books, **changed, occasions=markets.together(books.occasions, names, "home_market"))


def existing(occasions: ir.Table, period: Period, window: int) -> ir.Table:
    """Active existing customers of a period, one lazy row each: those the period's retention cost is divided by.

    A customer whose first occasion lies before the period, and who was active on its eve (an occasion in (t0 − W, t0])
    or came back in it. Columns: customer_id, home_market, before (active at t0), bought (an occasion in the period),
    after (active at t1), discount_rc (discounts taken in the period).

    >>> shop = ibis.memtable({"customer_id": ["a", "a", "b"], "n": [1, 2, 1], "home_market": ["DE"] * 3,
    ...     "discount_rc": [0, 5, 9], "date": [date(2026, 9, 1), date(2026, 10, 5), date(2026, 10, 6)]})
    >>> existing(shop, Period.month("2026-10"), 90).execute()[["customer_id", "before", "bought", "discount_rc"]]
      customer_id  before  bought  discount_rc
    0           a    True    True            5
    """
    opens, t0, start, after, t1 = (
        ibis.literal(day)
        for day in (_opens(period.t0, window), period.t0, period.start, _opens(period.t1, window), period.t1)
    )
    recent = occasions.filter(_.date >= opens, _.date <= t1)
    customers = recent.group_by("customer_id", "home_market").agg(
        won_now=((_.n == 1) & (_.date >= start)).max(),
        before=(_.date <= t0).max(),
        bought=(_.date >= start).max(),
        after=(_.date >= after).max(),
        discount_rc=(_.date >= start).ifelse(_.discount_rc, 0).sum().cast("int64"),
    )
    return customers.filter(~_.won_now).drop("won_now")


def active_existing(books: Books, months: list[Period]) -> pd.DataFrame:
    """How many active existing customers each of some months has: month (YYYY-MM), market (home), active_existing.

    One pass over the occasions for all months that were not asked for before; the customers of `existing`, counted.

    >>> active_existing(example(), [Period.month("2026-10")]).values.tolist()
    [['2026-10', 'DE', 1], ['2026-10', 'FR', 1]]
    """
    unknown = [month for month in months if month.label not in books._active_of]
    if unknown:
        counts = _active(books, unknown).group_by("month", "market").agg(active_existing=_.count()).execute()
        books._active_of.update((month.label, counts[counts["month"] == month.label]) for month in unknown)
    found = pd.concat([books._active_of[month.label] for month in months])
    return found.sort_values(["month", "market"], ignore_index=True)


def active_buckets(books: Books, months: list[Period], market: str = "") -> pd.DataFrame:
    """The same customers, all or of one market, by random bucket for a bootstrap: month, bucket, active_existing, discount_rc.

    discount_rc: what they took in the month, minor units. Every bucket with a customer has its row each month, zeros too.

    >>> active_buckets(example(), [Period.month("2026-10")], "DE")[["active_existing", "discount_rc"]].values.tolist()
    [[1, 200], [0, 0]]
    """
    home = _.home_market.fill_null(markets.UNKNOWN) == market if market else ibis.literal(True)
    until = ibis.literal(max(month.end for month in months))
    there = books.occasions.filter(home, _.date <= until).select(bucket=bucket(_.customer_id)).distinct().execute()
    found = _active(books, months).filter(_.market == market if market else ibis.literal(True))
    found = found.group_by("month", bucket=bucket(_.customer_id)).agg(active_existing=_.count(), discount_rc=_.discount_rc.sum())
    every = pd.MultiIndex.from_product([[month.label for month in months], sorted(there["bucket"])], names=["month", "bucket"])
    return found.execute().set_index(["month", "bucket"]).reindex(every, fill_value=0).astype("int64").reset_index()


def _active(books: Books, months: list[Period]) -> ir.Table:
    """The active existing customers of some months, a lazy row each: month, market, customer_id, discount_rc of the month."""
    days = pd.DataFrame({
        "month": [month.label for month in months], "opens": [str(_opens(m.t0, books.window)) for m in months],
        "begins": [str(month.start) for month in months], "ends": [str(month.end) for month in months],
    })  # fmt: skip
    days = ibis.memtable(days).mutate(**{name: _[name].cast("date") for name in ("opens", "begins", "ends")})
    occasions = books.occasions.select("customer_id", "date", "n", "discount_rc", market=_.home_market.fill_null(markets.UNKNOWN))
    seen = occasions.join(days, [occasions.date >= days.opens, occasions.date <= days.ends])
    customers = seen.group_by("month", "market", "customer_id").agg(
        won_now=((_.n == 1) & (_.date >= _.begins)).max(),
        discount_rc=(_.date >= _.begins).ifelse(_.discount_rc, 0).sum().cast("int64"))
    return customers.filter(~_.won_now)


def whole_months(period: Period) -> list[Period]:
    """The calendar months a period touches, oldest first.

    >>> [month.label for month in whole_months(Period(date(2026, 8, 1), date(2026, 10, 31)))]
    ['2026-08', '2026-09', '2026-10']
    """
    count = months_between(period.start, period.end) + 1
    return [Period.month(add_months(month_start(period.start), k)) for k in range(count)]


def unbooked(books: Books, period: Period) -> list[str]:
    """The months a period touches that have no ledger line at all, oldest first; a line of 0 is a line.

    >>> unbooked(example(), Period(date(2026, 9, 1), date(2026, 10, 31)))
    ['2026-09']
    """
    booked = set(books.ledger["month"])
    return [month.label for month in whole_months(period) if month.label not in booked]


def refuse_unbooked(books: Books, period: Period) -> None:
    """NotEnoughData, naming the months, when a month of a period has no ledger line: its cost is unknown, not nothing.

    >>> refuse_unbooked(example(), Period.month("2026-10"))
    """
    missing = unbooked(books, period)
    if missing:
        raise NotEnoughData(
            f"No retention cost is booked for {', '.join(missing)}, so what keeping a customer cost from {period.start} to "
            f"{period.end} is not known. Fill retention_costs.csv for every month without a line (amount 0 where nothing was "
            f"spent), or report as of an earlier month."
        )


def example() -> Books:
    """Three customers of two markets and a ledger of three lines: what the examples of the cost functions run on.

    a (DE) and b (FR) bought before October and again in it, c (DE) is won in October. Support serves all of them.

    >>> example().costs.amount_rc.sum().execute()
    10000
    """
    days = [("a", "DE", "2026-09-03"), ("a", "DE", "2026-10-05"), ("b", "FR", "2026-09-09"), ("b", "FR", "2026-10-09"),
            ("c", "DE", "2026-10-20")]  # fmt: skip
    bought = pd.DataFrame(days, columns=["customer_id", "home_market", "date"]).assign(discount_rc=200)
    orders = pd.DataFrame(days, columns=["customer_id", "market", "order_date"]).assign(
        status="paid", sales_channel="shopify", acquisition_channel="email", net_rc=5000, discount_rc=200,
        discount_minor=200, currency="EUR",
    )  # fmt: skip
    lines = [("marketing", "email", "DE", "email", 3000, 1.0, ""), ("service", "support", "", "", 6000, 0.5, "orders"),
             ("technology", "crm", "", "", 1000, 1.0, "direct")]  # fmt: skip
    costs = pd.DataFrame(lines, columns=["category", "component", "market", "channel", "rc", "existing_share", "rule"])
    costs = ibis.memtable(costs.assign(month="2026-10-31")).mutate(
        month=_.month.cast("date"), market=_.market.nullif(""), channel=_.channel.nullif(""),
        allocation=_.rule.nullif(""), amount_rc=_.rc, amount_minor=_.rc, currency=ibis.literal("EUR"),
    )  # fmt: skip
    return Books(
        costs, ibis.memtable(orders).mutate(order_date=_.order_date.cast("date")),
        numbered(ibis.memtable(bought).mutate(date=_.date.cast("date"))), window=90, currency="EUR",
    )  # fmt: skip


def _opens(day: date, window: int) -> date:
    """The first day of the window that ends on a day: (day − W, day]."""
    return day - timedelta(days=window - 1)
