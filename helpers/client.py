"""A client opened as of a date: settings, the canonical tables on the chosen engine, and the shared derived tables."""

import gc
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers import engines, periods, schema
from helpers.cache import Cache
from helpers.estimates import MissingTable
from helpers.intake import recognise
from helpers.metrics import occasions as purchase_occasions
from helpers.metrics import quality
from helpers.metrics.churn import survival
from helpers.metrics.costs import books as retention_books
from helpers.metrics.groups import markets
from helpers.metrics.value import histories
from helpers.settings import Settings, load_settings


class NotCovered(ValueError):
    """as_of is before the first order, or later than an active source's export reaches: unseen orders would read as churn."""


class NotBuilt(ValueError):
    """The client's tables have not been built yet."""


@dataclass(frozen=True)
class Client:
    """A client's settings and tables as they stood at the end of a day.

    `table(name)` is cut at as_of; `orders` and `occasions` also keep to the market, when one is chosen. Everything is a
    lazy Ibis expression on the engine that client.toml names.
    """

    settings: Settings
    as_of: date
    market: str
    tables: engines.Tables
    cache: Cache

    @property
    def name(self) -> str:
        """The client's name as the report prints it."""
        return self.settings.name

    @property
    def currency(self) -> str:
        """The reporting currency."""
        return self.settings.currency

    @property
    def minimum_cell(self) -> int:
        """How many customers a group must have to be shown."""
        return self.settings.privacy.minimum_cell

    def at(self, as_of: str | date) -> "Client":
        """The same client at the end of another day."""
        return replace(self, as_of=periods.as_date(as_of))

    def has(self, table: str) -> bool:
        """Whether an optional table was supplied and holds a row on or before as_of."""
        return table in self.tables and not self._cut(table).limit(1).to_pandas().empty

    def table(self, name: str) -> ir.Table:
        """A canonical table up to as_of. An optional table that was not supplied raises MissingTable."""
        if (supply := schema.TABLES[name].supply) and not self.has(name):
            how = supply.format(client=self.settings.client)
            raise MissingTable(f"The table {name.replace('_', ' ')} was not supplied. To see what rests on it, {how}.")
        return self._cut(name)

    @property
    def orders(self) -> ir.Table:
        """All orders up to as_of, identified or not, of the chosen market."""
        orders = self._cut("orders")
        return orders.filter(_.market == self.market) if self.market else orders

    @cached_property
    def all_occasions(self) -> ir.Table:
        """Purchase occasions of every market, computed once per content of the tables, kept in data/<client>/cache."""
        settings, lines = self.settings, self.tables["order_lines"]
        return self.cache.once(
            "occasions", purchase_occasions.occasions,
            self._cut("orders"), lines, self._cut("refunds"), self._cut("customers"), self.as_of,
            margin_rate=settings.margin.rate, margin_by_market=settings.margin.by_market,
            margin_by_category=settings.margin.by_category, refund_window_days=settings.refund_window_days,
            exclude_renewals=settings.exclude_renewals,
        )

    @cached_property
    def all_histories(self) -> ir.Table:
        """A row per customer of every market (`metrics.histories`), computed once like the occasions and kept beside them."""
        return self.cache.once("histories", histories.histories, self.all_occasions, self.as_of)

    @property
    def histories(self) -> ir.Table:
        """A row per customer whose home market is the chosen one."""
        every = self.all_histories
        return every.filter(_.home_market == self.market) if self.market else every

    @property
    def occasions(self) -> ir.Table:
        """Purchase occasions of customers whose home market is the chosen one."""
        every = self.all_occasions
        return every.filter(_.home_market == self.market) if self.market else every

    @cached_property
    def markets_shown(self) -> dict[str, str]:
        """Each home market → the market it is shown as: itself, or "other" if it is too small (`metrics.groups.markets.shown`)."""
        return markets.shown(markets.sizes(self.all_occasions), self.minimum_cell)

    @cached_property
    def books(self) -> retention_books.Books:
        """What retention cost is counted from, the small markets together; MissingTable without the table retention_costs."""
        own, tickets = self.settings.costs, self._cut("tickets") if self.has("tickets") else None
        tables = self.table("retention_costs"), self.table("orders"), self.all_occasions
        rules = tickets, own.existing_share, own.allocation, self.first_day
        every = retention_books.Books(*tables, self.window, self.currency, *rules)
        return retention_books.together(every, self.markets_shown)

    def known_at(self, cut: date) -> ir.Table:
        """Occasions as they were known on a day, and those since as known now: what a forecast of that day is tested on.

        An order refunded after the cut was still a purchase on it; the present view would tell the forecast.
        """
        return self.at(cut).occasions.union(self.occasions.filter(_.date > ibis.literal(cut)))

    @cached_property
    def window(self) -> int:
        """The churn window in days: client.toml's, or, with "auto", what the purchases of all markets speak for.

        Raises NotEnoughData when it is to be found and too few purchases are known.
        """
        given = self.settings.churn_window_days
        return survival.churn_window(survival.gaps(self.all_occasions, self.as_of)).days if given == "auto" else given

    @cached_property
    def files(self) -> pd.DataFrame:
        """The raw files the tables were built from, with rows read, accepted, rejected, ignored and money totals."""
        return self.tables["files"].order_by("file", "currency").to_pandas()

    def short_exports(self, table: str, period: periods.Period) -> pd.DataFrame:
        """The sources of a table whose exports end inside a period: source, last_day (`metrics.quality.short_exports`)."""
        return quality.short_exports(self.files, recognise.formats_of(table, self.settings.folder / "formats"), period)

    @property
    def first_day(self) -> date:
        """The first local day with an order of a known customer, and where none is known, of anybody."""
        orders = self._cut("orders")
        known = orders.order_date.min(where=orders.customer_id.notnull())
        return pd.Timestamp(ibis.coalesce(known, orders.order_date.min()).to_pandas()).date()

    def _cut(self, name: str) -> ir.Table:
        table, day = self.tables[name], schema.TABLES[name].day
        if name == "order_lines":
            return table.semi_join(self._cut("orders"), ["source", "order_id"])
        return table.filter(table[day] <= ibis.literal(self.as_of)) if day else table


def open_client(client: str, as_of: str | date, market: str = "") -> Client:
    """A client (a folder under data/) as of the last day observed, in its reporting time zone; market: an ISO code, or empty for all.

    Raises SettingsError for a wrong client.toml, NotBuilt when `workbook report` or `check` has not built tables yet,
    NotCovered when as_of is later than an active source's export reaches.
    """
    if not gc.get_freeze_count():
        gc.freeze()  # what imports left is never garbage: the collector need not walk a quarter of a million objects again and again
    settings = load_settings(client)
    engine = engines.chosen(settings.engine)
    folder = engine.tables or settings.folder / "tables"
    addresses = {} if engine.kind == "warehouse" else engines.parquet_files(folder)
    if engine.kind != "warehouse" and "orders" not in addresses:
        raise NotBuilt(f"There are no tables in {engine.tables or f'data/{client}/tables'}. Build them with: workbook check {client}")
    store = settings.folder / "cache"
    con = engines.connect(engine, store)
    settings = settings.model_copy(update={"engine": engine})
    cache = Cache(con, store, engines.content(folder) if addresses else "")
    opened = Client(settings, periods.as_date(as_of), market.upper(), engines.Tables(con, addresses), cache)
    _refuse_outdated(opened)
    _refuse_uncovered(opened)
    _refuse_unknown_market(opened)
    return opened


def _refuse_outdated(client: Client) -> None:
    if missing := set(schema.TABLES["orders"].names) - set(client.tables["orders"].columns):
        raise NotBuilt(
            f"The table orders has no column {', '.join(sorted(missing))}. Tables that an earlier version built are built anew by: "
            f"workbook check {client.settings.client}. A warehouse must hold every column of data/README.md; those that may "
            "be null can be empty."
        )


def _refuse_uncovered(client: Client) -> None:
    """Raise NotCovered for a day before the first order, or after the last that the exports of orders cover."""
    orders, files = client.tables["orders"], client.tables["files"].filter(_.covered_through.notnull())
    sold = orders.group_by("source").agg(first=_.order_date.min(), last=_.order_date.max()).to_pandas()
    covered = files.group_by("source").agg(through=_.covered_through.max()).to_pandas()
    covered = covered[covered["source"].isin(sold["source"])]  # a quiet help desk is no missing order
    if sold.empty:
        return
    ends = covered["through"] if len(covered) else sold["last"]
    first, last = (pd.Timestamp(day).date() for day in (sold["first"].min(), ends.max()))
    span = f"The report is asked for as of {client.as_of}, but the orders run from {first} to {last}"
    if client.as_of < first:
        raise NotCovered(f"{span}: there is nothing to report on yet. Choose a later month.")
    active = {name: source.active for name, source in client.settings.sources.items() if not source.skip}
    named = covered[covered["source"].map(active).eq(True)]
    short = named[pd.to_datetime(named["through"]) < pd.Timestamp(client.as_of)]
    if client.as_of <= last and short.empty or (active and not any(active.values())):
        return  # of shops that are all closed nothing more is to come
    ends = ", ".join(f"{row.source} ends on {row.through:%Y-%m-%d}" for row in short.itertuples())
    raise NotCovered(
        f"{span}{f'; {ends}' if ends else ''}. Orders not seen would read as churn. Export again, or set covered_through under "
        f"[sources.…] in data/{client.settings.client}/client.toml if nothing was sold since."
    )


def _refuse_unknown_market(client: Client) -> None:
    if client.market and client.orders.limit(1).to_pandas().empty:
        known = client._cut("orders").select("market").distinct().order_by("market").to_pandas()["market"].dropna()
        raise ValueError(f"No order was shipped to '{client.market}'. Markets with orders: {', '.join(known)}.")
