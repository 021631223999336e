"""The retention ledger, split by whom and which market each line served, to the last minor unit."""

import numpy as np
import pandas as pd

from helpers.estimates import NotEnoughData
from helpers.metrics.costs.books import UNALLOCATED, Books, whole_months
from helpers.money import exponent, split, to_major
from helpers.periods import Period, label

EXISTING, NEW, UNIDENTIFIED = "existing", "new", "unidentified"
DISCOUNTS = "discounts"  # the marketing component that comes from orders, not from the ledger
OTHER = "other"  # the component of lines that fit no other; where they name a channel, it tells more
KEYS = ["month", "category", "component", "market", "channel", "currency", "part"]
RULES = ["amount_rc", "amount", "allocation", "existing_share", "share_from"]


def allocated(books: Books, period: Period, by_month: bool = False) -> pd.DataFrame:
    """The ledger of whole months, put where it belongs: month × component × market × channel × part, in minor units.

    Each line is shared between markets (its own market, else by revenue, orders, active customers or tickets of its month) and between
    existing and new customers (the line's share, else the client's, else the existing customers' share of the month's orders). What
    revenue or orders give to buyers without identity, and lines of a channel that has only such buyers, are part "unidentified"; what
    no rule can place is in market "unallocated". Discounts to existing customers are added as component "discounts", and a line booked
    as "other" that names its channel is called by it. Existing: first occasion before the period, or with by_month before each month.

    Returns KEYS, amount_rc (integer minor units of the reporting currency; without the discounts all parts add up to the ledger
    exactly), amount (major units of `currency`), allocation, existing_share, share_from. Months as YYYY-MM. Raises NotEnoughData when
    a month has no ledger line at all (by_month leaves that to the caller).

    >>> from helpers.metrics.costs.books import example
    >>> ledger = allocated(example(), Period.month("2026-10"))
    >>> ledger[["component", "market", "part", "amount_rc"]].values.tolist()[1:4]
    [['support', 'DE', 'existing', 2000], ['support', 'DE', 'new', 2000], ['support', 'FR', 'existing', 1000]]
    >>> int(ledger.loc[ledger["component"] != DISCOUNTS, "amount_rc"].sum())
    10000
    """
    missing = [] if by_month else books.unbooked(period)
    if missing:
        raise NotEnoughData(f"No retention cost is booked for {', '.join(missing)}, so what keeping a customer cost from {period.start} to "
                            f"{period.end} is not known. Fill retention_costs.csv for every month without a line (amount 0 where "
                            "nothing was spent), or report as of an earlier month.")
    months = whole_months(period)
    if period != Period(months[0].start, months[-1].end):
        raise ValueError(f"Costs are booked by month, and {period.label} is not one of whole months.")
    lines = _lines(books, period)
    sold = _sold(books, period, by_month)
    weights, shares = _weights(books, period, sold, set(lines["allocation"])), _order_shares(sold)
    identified = sold.groupby("channel")["identified"].max().astype(bool)
    nameless = set(identified.index[~identified])  # sales channels none of whose orders carry a buyer
    pieces = [piece for line in lines.itertuples() for piece in _pieces(line, weights, shares, nameless)]
    frames = [pd.DataFrame(pieces, columns=[*KEYS, *RULES]), _discounts(books, period, by_month)]
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
    sums = {"existing_share": ("existing_share", "mean"), "total": ("amount_rc", "sum"), "existing": ("existing", "sum")}
    found = parts.groupby(by, sort=True).agg(**sums).reset_index()
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


def _discounts(books: Books, period: Period, by_month: bool) -> pd.DataFrame:
    """Discounts taken by existing customers, by home market, month and the order's currency, as rows of `allocated`."""
    rows = _inside(books.discounts, period)
    rows = rows[_existing(rows, period, by_month)]
    rows = rows.groupby(["month", "market", "currency"], as_index=False)[["amount_rc", "minor"]].sum()
    return rows.assign(amount=_major(rows), category="marketing", component=DISCOUNTS, channel="", part=EXISTING,
                       allocation="direct", existing_share=1.0, share_from="orders")[[*KEYS, *RULES]]  # fmt: skip


def _inside(sums: pd.DataFrame, period: Period) -> pd.DataFrame:
    """The rows of sums by month that lie in the months of a period."""
    return sums[sums["month"].isin([month.label for month in whole_months(period)])]


def _existing(rows: pd.DataFrame, period: Period, by_month: bool) -> pd.Series:
    """Whether the customers of a row had begun to buy before the period, or before the row's month."""
    return (rows["begun"] != "") & (rows["begun"] < (rows["month"] if by_month else label(period.start)))


def _major(frame: pd.DataFrame) -> list[float]:
    """The column minor in major units of each row's own currency."""
    return [minor / 10 ** exponent(code) for minor, code in zip(frame["minor"], frame["currency"], strict=True)]


def _lines(books: Books, period: Period) -> pd.DataFrame:
    """Ledger lines of the period with the rule each will follow."""
    lines = _inside(books.ledger, period)
    own = lines["existing_share"].astype("float64")
    client = lines["component"].map(books.existing_share).astype("float64")
    rule = lines["allocation"].fillna(lines["component"].map(books.allocation).astype("object")).fillna("direct")
    by_channel = (lines["component"] == OTHER) & (lines["channel"].fillna("") != "")
    return lines.assign(
        allocation=rule.where(lines["market"].isna(), "direct"), market=lines["market"].fillna(""),
        component=lines["component"].where(~by_channel, lines["channel"]),
        channel=lines["channel"].fillna(""), existing_share=own.fillna(client), amount=_major(lines),
        share_from=np.where(own.notna(), "ledger", np.where(client.notna(), "client.toml", "orders")),
    )  # fmt: skip


def _sold(books: Books, period: Period, by_month: bool) -> pd.DataFrame:
    """Orders and net sales by month, market, sales channel, identified or not, existing customer or not."""
    rows = _inside(books.sold, period)
    by = ["month", "market", "channel", "identified", "existing"]
    return rows.assign(existing=_existing(rows, period, by_month)).groupby(by, as_index=False, dropna=False)[["revenue", "orders"]].sum()


def _weights(books: Books, period: Period, sold: pd.DataFrame, asked: set[str]) -> dict:
    """(rule, month) → {(market, identified): weight} for the rules asked for; a negative weight counts as none."""
    by_market = sold.groupby(["month", "market", "identified"])[["revenue", "orders"]].sum().reset_index()
    frames = [by_market.assign(rule=rule, weight=by_market[rule]) for rule in ("revenue", "orders")]
    if "active_customers" in asked:
        counts = books.active_existing(whole_months(period)).rename(columns={"active_existing": "weight"})
        frames.append(counts.assign(rule="active_customers", identified=True))
    if "tickets" in asked and books.tickets is not None:
        frames.append(_inside(books.opened, period).assign(rule="tickets", identified=True))
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


def _pieces(line, weights: dict, shares: dict, nameless: set[str]):
    """A ledger line as rows of KEYS and RULES."""
    nowhere = {(UNALLOCATED, True): 1.0}
    placed = {(line.market, True): 1.0} if line.market else weights.get((line.allocation, line.month), nowhere)
    if line.channel in nameless:
        placed = {(market, False): sum(each for (named, _known), each in placed.items() if named == market) for market, _ in placed}
    share = line.existing_share
    if pd.isna(share):  # no rule given: as the orders of the line's market, or of all
        share = shares.get((line.month, line.market), shares.get((line.month, ""), 1.0))
    parts = {True: {EXISTING: share, NEW: 1 - share}, False: {UNIDENTIFIED: 1.0}}
    cells = {(market, part): weight * of for (market, known), weight in placed.items() for part, of in parts[known].items()}
    cells = {cell: weight for cell, weight in cells.items() if weight > 0}
    rate = line.amount / line.rc if line.rc else 0.0
    for (market, part), rc in zip(cells, split(line.rc, list(cells.values())), strict=True):
        yield (line.month, line.category, line.component, market, line.channel, line.currency, part,
               rc, rc * rate, line.allocation, share, line.share_from)  # fmt: skip
