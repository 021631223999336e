"""Whether this month's data can be trusted: rows and money of each file, identity, silent days, doubles, the month's bridge."""

from datetime import date, timedelta
from itertools import pairwise

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers import schema
from helpers.estimates import NotEnoughData, with_wilson
from helpers.metrics.occasions import COUNTED_STATUSES, UNDATED_REFUND_RC
from helpers.metrics.risk.signals import COUNTED_SIGNALS
from helpers.money import to_major
from helpers.periods import Period, month_end

NOT_LATE_DAYS = 3  # an export that ends so few days early is not late: platforms report with a delay
MANY_DOUBLES = 0.001  # of the orders; fewer that stand twice are no worry
WATCHED = ("engagement", "tickets", "surveys", "surveys_sent")  # tables in which no rows would read as silent customers
OFTEN, FAR_LONGER = 30, 3  # days with a row that tell what is usual; how much longer than any other a silence must be to be a hole
STALE_DAYS = 7  # so many days without a row are forgiven, as where the signals of leaving are read


def rows_by_file(files: pd.DataFrame) -> pd.DataFrame:
    """file, format, first_date, covered_through, rows_read, rows_rejected, rows_ignored: one row a raw file.

    Ignored rows (totals, preambles) are not among those read. How far a source reaches, as client.toml declares it or its
    newest row does, is true of the source: it stands at its newest file alone.

    >>> line = dict(file="a.csv", format="f", source="s", rows_read=3, rows_rejected=1, rows_ignored=0)
    >>> twice = pd.DataFrame([line | {"currency": "EUR"}, line | {"currency": "USD"}]).assign(first_date=None, covered_through=None)
    >>> rows_by_file(twice)[["file", "rows_read", "rows_rejected"]].values.tolist()
    [['a.csv', 3, 1]]
    """
    columns = ["file", "format", "first_date", "covered_through", "rows_read", "rows_rejected", "rows_ignored"]
    once = files.drop_duplicates("file").sort_values(["first_date", "file"], na_position="first")
    newest = ~once["source"].duplicated(keep="last")
    return once.assign(covered_through=once["covered_through"].where(newest))[columns].sort_values("file", ignore_index=True)


def money_by_currency(files: pd.DataFrame) -> pd.DataFrame:
    """currency, raw, tables, difference: the files' money as read and as it stands in the tables, in major units.

    A difference is the money of rejected rows, or a fault. Raw sums are taken from the text of the files, on another road than
    the tables.

    >>> files = pd.DataFrame({"currency": ["EUR", "EUR", None], "raw_minor": [1000, 500, None], "table_minor": [1000, 400, None]})
    >>> money_by_currency(files)
      currency   raw  tables  difference
    0      EUR  15.0    14.0        -1.0
    """
    sums = files.groupby("currency")[["raw_minor", "table_minor"]].sum().set_axis(["raw", "tables"], axis="columns")
    sums["difference"] = sums["tables"] - sums["raw"]
    return sums.astype("float64").mul([to_major(1, code) for code in sums.index], axis="index").reset_index()


def identity_coverage(orders: ir.Table, by: str | None = None) -> pd.DataFrame:
    """Share of orders that can be tied to a customer: value with its Wilson interval, n orders, and sales_share, by a column.

    Orders of every status count; sales_share is the share of net sales (paid and delivered) of identified orders.

    >>> rows = [dict(customer_id="a", net_rc=300, status="paid"), dict(customer_id=None, net_rc=100, status="paid")]
    >>> identity_coverage(ibis.memtable(rows))[["value", "n", "sales_share"]].values.tolist()
    [[0.5, 2.0, 0.75]]
    """
    known, sold = _.customer_id.notnull(), _.status.isin(COUNTED_STATUSES)
    grouped = orders.group_by(by) if by else orders
    found = grouped.aggregate(known=known.sum(), n=_.count(), sales=_.net_rc.sum(where=sold), known_sales=_.net_rc.sum(where=sold & known))
    frame = (found.order_by(by) if by else found).to_pandas()
    sales = frame["sales"].astype("float64")
    frame = with_wilson(frame, "known", "n").assign(sales_share=frame["known_sales"].fillna(0).astype("float64") / sales.where(sales > 0))
    return frame.drop(columns=["known", "sales", "known_sales"])


def silent_days(orders: ir.Table, as_of: date) -> pd.DataFrame:
    """By source: first_day, last_day, days between them to as_of, silent (days without an order), longest run, ends (last day of it).

    >>> rows = ibis.memtable({"source": ["s"] * 2, "order_date": pd.to_datetime(["2026-01-01", "2026-01-05"])})
    >>> silent_days(rows, date(2026, 1, 6)).drop(columns=["first_day", "last_day"])
      source  days  silent  longest        ends
    0      s     6       4        3  2026-01-04
    """
    sold = orders.select("source", "order_date").distinct().to_pandas()
    rows = []
    for source, days in sold.groupby("source"):
        seen = [*sorted(pd.to_datetime(days["order_date"]).dt.date), as_of + timedelta(days=1)]
        runs = {until: (until - day).days - 1 for day, until in pairwise(seen)}
        longest = max(runs, key=runs.get)
        ends = longest - timedelta(days=1) if runs[longest] else None
        rows.append((source, seen[0], seen[-2], (seen[-1] - seen[0]).days, sum(runs.values()), runs[longest], ends))
    return pd.DataFrame(rows, columns=["source", "first_day", "last_day", "days", "silent", "longest", "ends"])


def holes(rows: ir.Table) -> pd.DataFrame:
    """Days missing inside a source, by its columns source and order_date: source, since, until, days; a row a source that has one.

    A hole: over a week without a row, three times as long as any other silence between two rows, in a source with rows on 30
    days or more. It is more often an export left out than a shop that sold nothing. What ends early is `late_data`.

    >>> days = [f"2026-{month:02}-{day:02}" for month in (1, 2) for day in range(1, 29) if (month, day) < (2, 10) or day > 20]
    >>> holes(ibis.memtable({"source": ["s"] * len(days), "order_date": pd.to_datetime(days)})).values.tolist()
    [['s', datetime.date(2026, 2, 10), datetime.date(2026, 2, 20), 11]]
    """
    found, one = [], timedelta(days=1)
    for source, days in rows.select("source", "order_date").distinct().to_pandas().groupby("source"):
        seen = sorted(pd.to_datetime(days["order_date"]).dt.date)
        runs = sorted(((b - a).days - 1, a + one, b - one) for a, b in pairwise(seen))
        if len(seen) >= OFTEN and runs[-1][0] > STALE_DAYS and runs[-1][0] >= FAR_LONGER * runs[-2][0]:
            found.append((source, *runs[-1][1:], runs[-1][0]))
    return pd.DataFrame(found, columns=["source", "since", "until", "days"])


def late_data(silent: pd.DataFrame, as_of: date) -> pd.DataFrame:
    """Sources whose last order is further back than their longest earlier silence would explain: source, last_day, days_since.

    >>> frame = pd.DataFrame({"source": ["s"], "last_day": [date(2026, 1, 1)], "longest": [9], "ends": [date(2026, 1, 10)]})
    >>> late_data(frame, date(2026, 1, 10))
      source    last_day  days_since
    0      s  2026-01-01           9
    """
    since = pd.Series([(as_of - day).days for day in silent["last_day"]], index=silent.index, dtype="int64")
    late = (since > NOT_LATE_DAYS) & (since >= silent["longest"])
    return silent.loc[late, ["source", "last_day"]].assign(days_since=since[late]).reset_index(drop=True)


def going_on(orders: ir.Table, as_of: date) -> list[str]:
    """The sources with orders after as_of, orders being all that the files hold: where these stop before it, a part is missing.

    >>> rows = ibis.memtable({"source": ["s", "t"], "order_date": [date(2026, 1, 1), date(2026, 2, 1)]})
    >>> going_on(rows, date(2026, 1, 31))
    ['t']
    """
    later = orders.filter(_.order_date > ibis.literal(as_of)).select("source").distinct()
    return sorted(later.to_pandas()["source"])


def stale(tables: dict[str, ir.Table], as_of: date) -> pd.DataFrame:
    """Which of the `WATCHED` tables end early: source, last_day, days_since, table; a row a signal for engagement.

    Early: over a week before as_of, and further back than the longest earlier silence of that source. Rows after it are
    missing, which must not pass for customers who visit, write or answer no more. Bot scores are no behaviour, and count not.

    >>> said = ibis.memtable({"answered_date": ["2026-01-01", "2026-01-09"]}).cast({"answered_date": "date"})
    >>> stale({"surveys": said}, date(2026, 2, 1)).drop(columns="last_day").values.tolist()
    [['surveys', 23, 'surveys']]
    """
    found = [pd.DataFrame(columns=["source", "last_day", "days_since", "table"])]
    for name, table in tables.items():
        table = table.filter(_.signal.isin(COUNTED_SIGNALS)) if name == "engagement" else table
        source = table.signal if name == "engagement" else ibis.literal(name)
        days = silent_days(table.select(source=source, order_date=schema.TABLES[name].day), as_of)
        late = late_data(days, as_of)
        found.append(late[late["days_since"] > STALE_DAYS].assign(table=name))
    return pd.concat([each for each in found if len(each)] or found, ignore_index=True)


def short_exports(files: pd.DataFrame, formats: set[str], period: Period) -> pd.DataFrame:
    """Sources read by some formats whose exports end inside a period, over three days before its last: source, last_day.

    For sums that are too low, and look well, when one platform of several was exported too early. One that ended before the
    period began is over. A last line dated the first of a month speaks for the month, as monthly books are kept.

    >>> files = pd.DataFrame({"source": ["meta", "old", "books"], "format": "ads",
    ...                       "covered_through": [date(2026, 9, 20), date(2025, 3, 1), date(2026, 10, 1)]})
    >>> short_exports(files, {"ads"}, Period.trailing(date(2026, 10, 31), 12)).values.tolist()
    [['meta', datetime.date(2026, 9, 20)]]
    """
    known = files[files["format"].isin(formats) & files["covered_through"].notna()]
    last = known.groupby("source")["covered_through"].max().map(lambda day: pd.Timestamp(day).date())
    reach = last.map(lambda day: month_end(day) if day.day == 1 else day)
    late = [period.start <= day < period.end - timedelta(days=NOT_LATE_DAYS) for day in reach]
    return last[late].rename("last_day").reset_index()


def likely_doubles(orders: ir.Table) -> int:
    """Orders that repeat another of the same customer, source, moment and amount under a different number.

    >>> row = dict(customer_id="a", source="s", ordered_at=pd.Timestamp("2026-01-01"), net_minor=500)
    >>> likely_doubles(ibis.memtable([row | {"order_id": "1"}, row | {"order_id": "2"}]))
    1
    """
    same = orders.filter(_.customer_id.notnull(), _.net_minor > 0).group_by("customer_id", "source", "ordered_at", "net_minor")
    return int(same.aggregate(more=_.count() - 1).more.sum().fill_null(0).to_pandas())


def currencies(orders: ir.Table, fx: ir.Table) -> pd.DataFrame:
    """By currency of the orders: orders, share of net sales in the reporting currency, rate_source, last_rate (its newest day).

    >>> orders = ibis.memtable([dict(currency="EUR", net_rc=100, status="paid")])
    >>> fx = ibis.memtable([dict(currency="EUR", source="same currency", rate_date=date(2026, 1, 1))])
    >>> currencies(orders, fx)[["currency", "orders", "share", "rate_source"]].values.tolist()
    [['EUR', 1, 1.0, 'same currency']]
    """
    net = _.net_rc.sum(where=_.status.isin(COUNTED_STATUSES)).fill_null(0)
    sold = orders.group_by("currency").aggregate(orders=_.count(), net=net).to_pandas()
    rates = fx.group_by("currency").aggregate(rate_source=_.source.max(), last_rate=_.rate_date.max()).to_pandas()
    net = sold["net"].astype("float64")
    frame = sold.assign(share=net / net.sum() if net.sum() else float("nan")).merge(rates, on="currency", how="left")
    return frame.drop(columns="net").sort_values(["share", "currency"], ascending=[False, True], ignore_index=True)


def bridge(orders: ir.Table, refunds: ir.Table, month: str, currency: str) -> pd.DataFrame:
    """From gross to net sales of one month: step, amount in major units of the reporting currency; the steps add up.

    gross: goods before discount of all orders placed in the month; less discounts; less orders cancelled, refused or not yet paid; less
    refunds the platform gives without a day (counted at the order); less refunds dated in the month, of its own orders and of earlier
    ones. Later refunds fall into the bridge of their own month. Raises NotEnoughData when the month has no order.

    >>> row = dict(source="s", order_id="1", status="paid", net_rc=900, net_minor=900, discount_rc=100, refund_undated_minor=0)
    >>> orders = ibis.memtable([row | {"order_date": pd.Timestamp("2026-03-02")}])
    >>> refund = dict(source="s", order_id="1", refund_date=pd.Timestamp("2026-03-09"), amount_rc=200)
    >>> bridge(orders, ibis.memtable([refund]), "2026-03", "EUR").set_index("step")["amount"].loc[["gross", "discounts", "net"]].tolist()
    [10.0, -1.0, 7.0]
    """
    period = Period.month(month)
    inside = orders.filter(period.covers(_.order_date))
    kept = _.status.isin(COUNTED_STATUSES)
    steps = inside.aggregate(
        gross=(_.net_rc + _.discount_rc).sum(), discounts=-_.discount_rc.sum(), not_kept=-_.net_rc.sum(where=~kept),
        refunds_undated=-UNDATED_REFUND_RC.sum(where=kept),
    ).to_pandas().iloc[0]  # fmt: skip
    if pd.isna(steps["gross"]):
        raise NotEnoughData(f"No orders were placed in {month}.")
    given = refunds.filter(period.covers(_.refund_date))
    mine = given.semi_join(inside.filter(kept), ["source", "order_id"])
    own, every = (int(each.amount_rc.sum().fill_null(0).to_pandas()) for each in (mine, given))
    steps["refunds_own"], steps["refunds_earlier"] = -own, own - every
    amounts = to_major(steps.fillna(0).astype("float64") + 0.0, currency)  # + 0.0: no minus before a zero
    amounts["net"] = amounts.sum()
    return amounts.rename_axis("step").rename("amount").reset_index()
