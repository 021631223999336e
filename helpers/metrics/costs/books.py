"""What retention cost is counted from, and the customers it is divided by."""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from functools import cached_property

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.groups import markets
from helpers.metrics.occasions import COUNTED_STATUSES, bucket, numbered
from helpers.periods import Period, month_end, months_between, months_of

LEDGER = ["month", "category", "component", "market", "channel", "currency", "allocation", "existing_share"]
UNALLOCATED = "unallocated"  # the market of costs that no rule can place; customers without a market are markets.UNKNOWN


@dataclass(frozen=True)
class Books:
    """Everything retention cost is counted from: lazy tables of all markets, the churn window and the client's rules.

    existing_share and allocation hold the client's default per component; the ledger's own columns come before them. data_start is the
    first day of the data: nobody can be seen active before it plus the window. The sums by calendar month are asked of the engine
    once; `begun` in them is the month of the customer's first purchase occasion, so that whoever counts says who is existing.
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
        """The lines by LEDGER: rc and minor, in minor units of the reporting currency and of the line's own."""
        sums = self.costs.group_by(LEDGER).agg(rc=_.amount_rc.sum().cast("int64"), minor=_.amount_minor.sum().cast("int64")).execute()
        lines = _labelled(sums.sort_values(LEDGER, ignore_index=True), "month")
        return lines.astype(dict.fromkeys(("market", "channel", "allocation"), "object"))

    @cached_property
    def sold(self) -> pd.DataFrame:
        """Counted orders: month, market (else the customer's), channel (of sale), identified, begun ("" for none), revenue, orders."""
        firsts = self.occasions.filter(_.n == 1).select("customer_id", first="date", home="home_market")
        counted = self.orders.filter(_.status.isin(COUNTED_STATUSES))
        counted = counted.select("order_date", "market", "sales_channel", "customer_id", "net_rc").left_join(firsts, "customer_id")
        by = {
            "month": _month(_.order_date), "market": ibis.coalesce(_.market, _.home, markets.UNKNOWN), "channel": _.sales_channel,
            "identified": _.customer_id.notnull(), "begun": _month(_["first"]),
        }  # fmt: skip
        sums = counted.group_by(**by).agg(revenue=_.net_rc.sum().cast("int64"), orders=_.count()).execute()
        sums["identified"] = sums["identified"].astype(bool)
        return _labelled(sums, "month", "begun").sort_values(list(by), ignore_index=True)

    @cached_property
    def discounts(self) -> pd.DataFrame:
        """On orders of purchase occasions: month, market (home), currency, begun, amount_rc, minor (of the order's currency)."""
        days = self.occasions.select("customer_id", "first_date", order_date="date", home="home_market")
        taken = self.orders.filter(_.status.isin(COUNTED_STATUSES), _.discount_rc != 0).join(days, ["customer_id", "order_date"])
        home = _.home.fill_null(markets.UNKNOWN)
        by = {"month": _month(_.order_date), "market": home, "currency": _.currency, "begun": _month(_.first_date)}
        sums = taken.group_by(**by).agg(amount_rc=_.discount_rc.sum().cast("int64"), minor=_.discount_minor.sum().cast("int64"))
        return _labelled(sums.execute(), "month", "begun").sort_values(list(by), ignore_index=True)

    @cached_property
    def opened(self) -> pd.DataFrame:
        """Support tickets: month, market (unallocated where none is named), weight (how many)."""
        by = {"month": _month(_.opened_date), "market": _.market.fill_null(UNALLOCATED)}
        counts = self.tickets.group_by(**by).agg(weight=_.count()).execute()
        return _labelled(counts, "month").sort_values(list(by), ignore_index=True)

    @cached_property
    def buckets(self) -> pd.DataFrame:
        """The home markets and random buckets that hold a customer, with the day of the first purchase in each."""
        by = {"market": _.home_market.fill_null(markets.UNKNOWN), "bucket": bucket(_.customer_id)}
        return self.occasions.group_by(**by).agg(begun=_.first_date.min()).execute()

    def active_existing(self, months: list[Period]) -> pd.DataFrame:
        """How many customers of `existing` each of some months has: month (YYYY-MM), market (home), active_existing.

        One pass over the occasions for all months that were not asked for before.
        """
        unknown = [month for month in months if month.label not in self._active_of]
        if unknown:
            counts = self._active(unknown).group_by("month", "market").agg(active_existing=_.count()).execute()
            self._active_of.update((month.label, counts[counts["month"] == month.label]) for month in unknown)
        found = pd.concat([self._active_of[month.label] for month in months])
        return found.sort_values(["month", "market"], ignore_index=True)

    def active_buckets(self, months: list[Period], market: str = "") -> pd.DataFrame:
        """The same, all or of one market, by random bucket for a bootstrap: month, bucket, active_existing, discount_rc.

        discount_rc: what they took in the month, minor units. Every bucket with a customer has its row each month, zeros too.
        """
        ours = replace(self, occasions=self.occasions.filter(_.home_market.fill_null(markets.UNKNOWN) == market)) if market else self
        there = ours.occasions.filter(_.date <= max(month.end for month in months))
        there = there.select(bucket=bucket(_.customer_id)).distinct().execute()
        found = ours._active(months).group_by("month", bucket=bucket(_.customer_id))
        found = found.agg(active_existing=_.count(), discount_rc=_.discount_rc.sum()).execute()
        every = pd.MultiIndex.from_product([[month.label for month in months], sorted(there["bucket"])], names=["month", "bucket"])
        return found.set_index(["month", "bucket"]).reindex(every, fill_value=0).astype("int64").reset_index()

    def _active(self, months: list[Period]) -> ir.Table:
        """The active existing customers of some months, a lazy row each: month, market, customer_id, discount_rc of the month."""
        days = pd.DataFrame({
            "month": [month.label for month in months], "opens": [_opens(month.t0, self.window) for month in months],
            "begins": [month.start for month in months], "ends": [month.end for month in months],
        })  # fmt: skip
        days = ibis.memtable(days)
        occasions = self.occasions.select("customer_id", "date", "n", "discount_rc", market=_.home_market.fill_null(markets.UNKNOWN))
        seen = occasions.join(days, [occasions.date >= days.opens, occasions.date <= days.ends])
        customers = seen.group_by("month", "market", "customer_id").agg(
            won_now=((_.n == 1) & (_.date >= _.begins)).max(),
            discount_rc=(_.date >= _.begins).ifelse(_.discount_rc, 0).sum().cast("int64"))
        return customers.filter(~_.won_now)

    def lines(self, period: Period) -> ir.Table:
        """The ledger lines of a period as a lazy table, for "How we counted"."""
        return self.costs.filter(period.covers(_.month))

    def unbooked(self, period: Period) -> list[str]:
        """The months a period touches that have no ledger line at all, oldest first; a line of 0 is a line."""
        booked = set(self.ledger["month"])
        return [month.label for month in whole_months(period) if month.label not in booked]

    def observed(self, period: Period) -> bool:
        """Whether it can be known who was active on the eve of a period: the data begin at least W days before it."""
        return self.data_start is None or self.data_start + timedelta(days=self.window) <= period.t0

    def refuse_unobserved(self, period: Period) -> None:
        """NotEnoughData, with the first possible day, when it cannot be known who was active on the eve of a period."""
        if not self.observed(period):
            first = self.data_start + timedelta(days=self.window + 1)
            raise NotEnoughData(f"Who was active before {period.start} is not known: orders begin on {self.data_start}, and a customer "
                                f"counts as active for {self.window} days. Cost per customer can be given for periods from {first} on.")


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
    recent = occasions.filter(_.date >= _opens(period.t0, window), _.date <= period.t1)
    customers = recent.group_by("customer_id", "home_market").agg(
        won_now=((_.n == 1) & (_.date >= period.start)).max(),
        before=(_.date <= period.t0).max(),
        bought=(_.date >= period.start).max(),
        after=(_.date >= _opens(period.t1, window)).max(),
        discount_rc=(_.date >= period.start).ifelse(_.discount_rc, 0).sum().cast("int64"),
    )
    return customers.filter(~_.won_now).drop("won_now")


def whole_months(period: Period) -> list[Period]:
    """The calendar months a period touches, oldest first.

    >>> [month.label for month in whole_months(Period(date(2026, 8, 1), date(2026, 10, 31)))]
    ['2026-08', '2026-09', '2026-10']
    """
    return months_of(month_end(period.end), months_between(period.start, period.end) + 1)


def example() -> Books:
    """What the examples of the cost functions run on: three customers of two markets and a ledger of three lines.

    a (DE) and b (FR) bought before October and again in it, c (DE) is won in October. Support serves all of them.

    >>> example().window
    90
    """
    visits = "a DE 2026-09-03", "a DE 2026-10-05", "b FR 2026-09-09", "b FR 2026-10-09", "c DE 2026-10-20"
    bought = pd.DataFrame([visit.split() for visit in visits], columns=["customer_id", "home_market", "date"]).assign(discount_rc=200)
    orders = bought.rename(columns={"home_market": "market", "date": "order_date"}).assign(
        status="paid", sales_channel="shopify", acquisition_channel="email", net_rc=5000, discount_minor=200, currency="EUR")
    lines = [("marketing", "email", "DE", "email", 3000, 1.0, None), ("service", "support", None, None, 6000, 0.5, "orders"),
             ("technology", "crm", None, None, 1000, 1.0, "direct")]  # fmt: skip
    named = ["category", "component", "market", "channel", "amount_rc", "existing_share", "allocation"]
    costs = pd.DataFrame(lines, columns=named).assign(month="2026-10-31", currency="EUR", amount_minor=lambda rows: rows["amount_rc"])
    dated = {"month": costs, "order_date": orders, "date": bought}
    costs, orders, bought = (ibis.memtable(frame).cast({day: "date"}) for day, frame in dated.items())
    return Books(costs, orders, numbered(bought), window=90, currency="EUR")


def _opens(day: date, window: int) -> date:
    """The first day of the window that ends on a day: (day − W, day]."""
    return day - timedelta(days=window - 1)


def _month(day):
    return day.truncate("M").cast("date")


def _labelled(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return frame.assign(**{name: pd.to_datetime(frame[name]).dt.strftime("%Y-%m").fillna("") for name in columns})
