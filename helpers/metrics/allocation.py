"""The retention ledger, split by whom and which market each line served, to the last minor unit."""

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.metrics.books import UNALLOCATED, Books, active_existing, refuse_unbooked, whole_months
from helpers.metrics.markets import UNKNOWN
from helpers.metrics.occasions import COUNTED_STATUSES
from helpers.money import exponent, split, to_major
from helpers.periods import Period

EXISTING, NEW, UNIDENTIFIED = "existing", "new", "unidentified"
DISCOUNTS = "discounts"  # the marketing component that comes from orders, not from the ledger
KEYS = ["month", "category", "component", "market", "channel", "currency", "part"]
RULES = ["amount_rc", "amount", "allocation", "existing_share", "share_from"]


def allocated(books: Books, period: Period, by_month: bool = False) -> pd.DataFrame:
    """The ledger of whole months, put where it belongs: month × component × market × channel × part, in minor units.

    Each line is shared between markets (its own market, else by revenue, orders, active customers or tickets of its
    month) and between existing and new customers (the line's share, else the client's, else the existing customers'
    share of the month's orders). What revenue or orders give to buyers without identity, and lines of a channel that
    has only such buyers, are part "unidentified"; what no rule can place is in market "unallocated". Discounts to
    existing customers are added as component "discounts". Existing means: first occasion before the period, or with
    by_month before each month.

    Raises NotEnoughData when a month has no ledger line at all: the sum would be too low. by_month leaves such months to
    the caller, who can see them.

    Returns KEYS, amount_rc (integer minor units of the reporting currency; without the discounts all parts add up to
    the ledger exactly), amount (major units of `currency`), allocation, existing_share, share_from. Months as YYYY-MM.

    >>> from helpers.metrics.books import example
    >>> ledger = allocated(example(), Period.month("2026-10"))
    >>> ledger[["component", "market", "part", "amount_rc"]].values.tolist()[1:4]
    [['support', 'DE', 'existing', 2000], ['support', 'DE', 'new', 2000], ['support', 'FR', 'existing', 1000]]
    >>> int(ledger.loc[ledger["component"] != DISCOUNTS, "amount_rc"].sum())
    10000
    """
    if not by_month:
        refuse_unbooked(books, period)
    lines = _lines(books, period)
    sold = _sold(books, period, by_month)
    weights, shares = _weights(books, period, sold, set(lines["allocation"])), _order_shares(sold)
    nameless = _nameless_channels(sold)
    pieces = [piece for line in lines.itertuples() for piece in _pieces(line, weights, shares, nameless)]
    frames = [pd.DataFrame(pieces, columns=[*KEYS, *RULES]), discounts(books, period, by_month)]
    return pd.concat([frame for frame in frames if len(frame)] or frames[:1], ignore_index=True)


def rules(ledger: pd.DataFrame, currency: str) -> pd.DataFrame:
    """The sharing rules really applied, one row per component and rule, with the money each moved (major units).

    Columns category, component, allocation, share_from, existing_share (mean of the lines), total, existing.

    >>> row = dict(category="service", component="support", allocation="tickets", part="existing", existing_share=0.7,
    ...            share_from="client.toml", amount_rc=700)
    >>> rules(pd.DataFrame([row]), "EUR")[["component", "existing_share", "total", "existing"]].values.tolist()
    [['support', 0.7, 7.0, 7.0]]
    """
    parts = ledger.assign(existing=ledger["amount_rc"].where(ledger["part"] == EXISTING, 0))
    by = ["category", "component", "allocation", "share_from"]
    found = parts.groupby(by, sort=True).agg(
        existing_share=("existing_share", "mean"), total=("amount_rc", "sum"), existing=("existing", "sum")
    ).reset_index()
    return found.assign(**{name: to_major(found[name].astype("float64"), currency) for name in ("total", "existing")})


def reconciled(ledger: pd.DataFrame, currency: str) -> dict[str, float]:
    """The ledger and where it went, in major units: ledger = existing + new + unidentified; discounts beside it.

    >>> rows = pd.DataFrame({"component": ["crm", "crm", "discounts"], "part": ["existing", "new", "existing"],
    ...                      "amount_rc": [700, 300, 50]})
    >>> reconciled(rows, "EUR")
    {'ledger': 10.0, 'existing': 7.0, 'new': 3.0, 'unidentified': 0.0, 'discounts': 0.5}
    """
    booked = ledger[ledger["component"] != DISCOUNTS]
    sums = booked.groupby("part")["amount_rc"].sum()
    minor = {"ledger": booked["amount_rc"].sum()} | {part: sums.get(part, 0) for part in (EXISTING, NEW, UNIDENTIFIED)}
    minor["discounts"] = ledger["amount_rc"].sum() - minor["ledger"]
    return {name: float(to_major(int(amount), currency)) for name, amount in minor.items()}


def discounts(books: Books, period: Period, by_month: bool = False) -> pd.DataFrame:
    """Discounts taken by existing customers, shaped as rows of `allocated` (category marketing, component "discounts").

    Orders on days that are purchase occasions, by the customer's home market, month and the order's currency.

    >>> from helpers.metrics.books import example
    >>> discounts(example(), Period.month("2026-10"))[["market", "amount_rc"]].values.tolist()
    [['DE', 200], ['FR', 200]]
    """
    taken = existing_orders(books, period, by_month).filter(_.discount_rc != 0)
    sums = taken.group_by("month", "market", "currency").agg(
        amount_rc=_.discount_rc.sum().cast("int64"), minor=_.discount_minor.sum().cast("int64")
    )
    rows = _labelled(sums.execute())
    rows = rows.assign(amount=_major(rows), category="marketing", component=DISCOUNTS, channel="", part=EXISTING,
                       allocation="direct", existing_share=1.0, share_from="orders")  # fmt: skip
    return rows.sort_values(["month", "market", "currency"], ignore_index=True)[[*KEYS, *RULES]]


def existing_orders(books: Books, period: Period, by_month: bool = False) -> ir.Table:
    """The orders of existing customers on days that are purchase occasions (lazy), with month and home market as market.

    Existing: first occasion before the period, by_month before the month.

    >>> from helpers.metrics.books import example
    >>> existing_orders(example(), Period.month("2026-10")).market.execute().sort_values().tolist()
    ['DE', 'FR']
    """
    days = books.occasions.select("customer_id", "first_date", order_date="date", home="home_market")
    theirs = _counted(books.orders, period).join(days, ["customer_id", "order_date"])
    theirs = theirs.filter(_.first_date < _since(period, by_month))
    return theirs.mutate(month=_month(_.order_date), market=_.home.fill_null(UNKNOWN))


def _month(day):
    return day.truncate("M").cast("date")


def _since(period: Period, by_month: bool):
    return _month(_.order_date) if by_month else ibis.literal(period.start)


def _labelled(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(month=pd.to_datetime(frame["month"]).dt.strftime("%Y-%m"))


def _major(frame: pd.DataFrame) -> list[float]:
    """The column minor in major units of each row's own currency."""
    return [minor / 10 ** exponent(code) for minor, code in zip(frame["minor"], frame["currency"], strict=True)]


def _counted(orders: ir.Table, period: Period) -> ir.Table:
    return orders.filter(_.status.isin(COUNTED_STATUSES), period.covers(_.order_date))


def _lines(books: Books, period: Period) -> pd.DataFrame:
    """Ledger lines of the period with the rule each will follow."""
    by = ["month", "category", "component", "market", "channel", "currency", "allocation", "existing_share"]
    sums = books.costs.filter(period.covers(_.month)).group_by(by).agg(
        rc=_.amount_rc.sum().cast("int64"), minor=_.amount_minor.sum().cast("int64"))
    lines = _labelled(sums.execute().sort_values(by, ignore_index=True))
    lines = lines.astype(dict.fromkeys(("market", "channel", "allocation"), "object"))
    own = lines["existing_share"].astype("float64")
    client = lines["component"].map(books.existing_share).astype("float64")
    rule = lines["allocation"].fillna(lines["component"].map(books.allocation).astype("object")).fillna("direct")
    return lines.assign(
        allocation=rule.where(lines["market"].isna(), "direct"), market=lines["market"].fillna(""),
        channel=lines["channel"].fillna(""), existing_share=own.fillna(client), amount=_major(lines),
        share_from=np.where(own.notna(), "ledger", np.where(client.notna(), "client.toml", "orders")),
    )  # fmt: skip


def _sold(books: Books, period: Period, by_month: bool) -> pd.DataFrame:
    """Orders and net sales by month, market, sales channel, identified or not, existing customer or not.

    An order without a market counts in its customer's home market.
    """
    firsts = books.occasions.filter(_.n == 1).select("customer_id", first="date", home="home_market")
    orders = _counted(books.orders, period).select("order_date", "market", "sales_channel", "customer_id", "net_rc")
    by = {
        "month": _month(_.order_date), "market": ibis.coalesce(_.market, _.home, UNKNOWN), "channel": _.sales_channel,
        "identified": _.customer_id.notnull(), "existing": (_["first"] < _since(period, by_month)).fill_null(False),
    }  # fmt: skip
    sold = orders.left_join(firsts, "customer_id").group_by(**by).agg(revenue=_.net_rc.sum().cast("int64"), orders=_.count()).execute()
    return _labelled(sold).sort_values(list(by), ignore_index=True)


def _weights(books: Books, period: Period, sold: pd.DataFrame, asked: set[str]) -> dict:
    """(rule, month) → {(market, identified): weight} for the rules asked for; a negative weight counts as none."""
    by_market = sold.groupby(["month", "market", "identified"])[["revenue", "orders"]].sum().reset_index()
    frames = [by_market.assign(rule=rule, weight=by_market[rule]) for rule in ("revenue", "orders")]
    if "active_customers" in asked:
        counts = active_existing(books, whole_months(period)).rename(columns={"active_existing": "weight"})
        frames.append(counts.assign(rule="active_customers", identified=True))
    if "tickets" in asked and books.tickets is not None:
        by = {"month": _month(_.opened_date), "market": _.market.fill_null(UNALLOCATED)}
        counts = books.tickets.filter(period.covers(_.opened_date)).group_by(**by).agg(weight=_.count()).execute()
        frames.append(_labelled(counts).assign(rule="tickets", identified=True))
    found = pd.concat(frames).query("weight > 0").sort_values(["rule", "month", "market"])
    return {key: {(row.market, bool(row.identified)): float(row.weight) for row in part.itertuples()}
            for key, part in found.groupby(["rule", "month"])}  # fmt: skip


def _order_shares(sold: pd.DataFrame) -> dict:
    """(month, market) → share of identified orders placed by existing customers; market "" for all of them."""
    known = sold[sold["identified"].astype(bool)]
    known = pd.concat([known, known.assign(market="")])
    known = known.assign(theirs=known["orders"].where(known["existing"].astype(bool), 0))
    sums = known.groupby(["month", "market"])[["theirs", "orders"]].sum()
    return (sums["theirs"] / sums["orders"]).to_dict()


def _nameless_channels(sold: pd.DataFrame) -> set[str]:
    """Sales channels none of whose orders carry a buyer."""
    identified = sold.groupby("channel")["identified"].max().astype(bool)
    return set(identified.index[~identified])


def _pieces(line, weights: dict, shares: dict, nameless: set[str]):
    """A ledger line as rows of KEYS and RULES."""
    nowhere = {(UNALLOCATED, True): 1.0}
    placed = {(line.market, True): 1.0} if line.market else weights.get((line.allocation, line.month), nowhere)
    if line.channel in nameless:
        placed = {(market, False): weight for (market, _known), weight in placed.items()}
    share = line.existing_share
    if pd.isna(share):  # no rule given: as the orders of the line's market, or of all
        share = shares.get((line.month, line.market), shares.get((line.month, ""), 1.0))
    cells = {}
    for (market, known), weight in placed.items():
        for part, of in ((EXISTING, share), (NEW, 1 - share)) if known else ((UNIDENTIFIED, 1.0),):
            cells[market, part] = weight * of
    cells = {cell: weight for cell, weight in cells.items() if weight > 0}
    rate = line.amount / line.rc if line.rc else 0.0
    for (market, part), rc in zip(cells, split(line.rc, list(cells.values())), strict=True):
        yield (line.month, line.category, line.component, market, line.channel, line.currency, part,
               rc, rc * rate, line.allocation, share, line.share_from)  # fmt: skip
