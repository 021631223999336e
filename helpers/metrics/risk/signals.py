"""What is known about each active customer on a day: the signals that may go with leaving, one lazy row a customer."""

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import churn
from helpers.metrics.occasions import numbered

RECENT_DAYS = 365  # refunds and refusals look this far back
CONTACT_DAYS = 90  # tickets look this far back
ENGAGED_DAYS = 30  # visits, opens, clicks and usage look this far back
COUNTED_SIGNALS = ("visits", "email_open", "email_click", "usage")
LATE_DAYS = 7  # an optional table may begin or end this many days short
TREND_LIMIT = 4.0  # log2: beyond sixteen times, a trend is an accident


class Tables(NamedTuple):
    """The client's tables as they stood on the day the signals are read; optional ones may be None."""

    occasions: ir.Table
    orders: ir.Table
    refunds: ir.Table
    tickets: ir.Table | None = None
    engagement: ir.Table | None = None


def usable(table: Callable[[str], ir.Table], has: Callable[[str], bool], days: Sequence[date]) -> dict[str, str]:
    """Which optional tables can be used on all these days: table name to "", or to why it is left out.

    "absent", "late" or "short": a table that begins after the first day's look-back, or ends before the last day, would read
    as customers who fell silent; up to a week is forgiven. Of engagement the signals of behaviour count: a bot score is none.

    >>> seen = ibis.memtable({"date": ["2026-01-01", "2026-03-01"], "signal": ["visits"] * 2}).cast({"date": "date"})
    >>> usable(lambda name: seen, lambda name: name == "engagement", [date(2026, 2, 15), date(2026, 3, 31)])
    {'tickets': 'absent', 'engagement': 'short'}
    """
    found = {}
    for name, column, back in (("tickets", "opened_date", CONTACT_DAYS), ("engagement", "date", ENGAGED_DAYS)):
        if not has(name):
            found[name] = "absent"
            continue
        seen = table(name).filter(_.signal.isin(COUNTED_SIGNALS)) if name == "engagement" else table(name)
        row = seen.agg(first=_[column].min(), last=_[column].max()).execute().iloc[0]
        late = pd.Timestamp(row["first"]) > pd.Timestamp(min(days) - timedelta(days=back - LATE_DAYS))
        short = pd.Timestamp(row["last"]) < pd.Timestamp(max(days) - timedelta(days=LATE_DAYS))
        found[name] = "late" if late else "short" if short else ""
    return found


def collect(occasions: ir.Table, table: Callable[[str], ir.Table], used: dict[str, str]) -> Tables:
    """The tables of one day: its occasions, and what `table(name)` gives, with the optional ones `usable` lets in.

    >>> collect("occasions", lambda name: name, {"tickets": "absent", "engagement": ""}).engagement
    'engagement'
    """
    more = {name: table(name) for name, why in used.items() if not why}
    return Tables(occasions, table("orders"), table("refunds"), **more)


def signals(tables: Tables, t: date, window_days: int) -> ir.Table:
    """One lazy row per customer active at the end of day t, with what is known by then: no signal looks past t.

    Columns customer_id, home_market, first_acquisition_channel, times (occasions so far), age_days and span_days (from the first occasion
    to t and to the last), silent_days (since the last), usual_gap_days (own mean gap; that of the median customer after one purchase),
    last_gap_days, margin_rc (last 365 days), and the model's signals as float64 without gaps, those of absent tables left out:

    once (bought once only) · times_log2 · tenure and silence (log2 of days since the first and the last) · rhythm (log2 of silence over
    the usual gap) · gap_trend and spend_trend (log2 of the last over the mean of those before; 0 while too few) · spend (log2 of mean net
    sales over everybody's) · discount_share (of occasions) · renewal (the last occasion was one) · refund, refused (in 365 days),
    late_first, late_last (parcels), ticket (in 90 days), reply_wait (log2 of 1 + mean hours to its first reply) · visits, email_open,
    email_click, usage (log2 of 1 + sum over 30 days) · bot_score (mean).

    >>> table = signals(Tables(_example(), None, None), date(2026, 3, 31), 90).execute()
    >>> table.groupby("times")[["silent_days", "usual_gap_days", "rhythm"]].mean().round(3).reset_index().values.tolist()
    [[2.0, 75.0, 45.0, 0.724], [3.0, 30.0, 45.0, -0.569]]
    """
    seen = tables.occasions.filter(_.date <= ibis.literal(t))
    each = _rhythm(seen, t).semi_join(churn.active(seen, t, window_days), "customer_id")
    for more in (_order_signals(tables, t), _ticket_signals(tables, t), _engagement_signals(tables, t)):
        if more is not None:
            found = {c: more[c].cast("float64").fill_null(0.0) for c in more.columns if c != "customer_id"}
            each = each.left_join(more, "customer_id").select(*[each[c] for c in each.columns], **found)
    return each


def _rhythm(seen: ir.Table, t: date) -> ir.Table:
    typical = _typical(seen)
    steps = seen.mutate(gap=_.date.delta(_.previous_date, unit="day"),
                        newest=_.n == _.n.max().over(ibis.window(group_by="customer_id")))
    net, year = _.net_sales_rc.cast("float64"), _.date > ibis.literal(t - timedelta(days=RECENT_DAYS))
    each = steps.group_by("customer_id").agg(
        home_market=_.home_market.max(), first_acquisition_channel=_.first_acquisition_channel.max(),
        times=_.count(), first=_.date.min(), last=_.date.max(), gaps=_.gap.sum().cast("float64"),
        last_gap_days=_.gap.max(where=_.newest), spent=net.sum(), last_spent=net.max(where=_.newest),
        discounted=(_.discount_rc > 0).cast("float64").sum(), renewal=(_.newest & _.is_renewal).cast("float64").max(),
        margin_rc=_.margin_rc.sum(where=year).fill_null(0))
    times, before = _.times.cast("float64"), (_.times - 1).cast("float64")
    each = each.mutate(silent_days=ibis.literal(t).delta(each["last"], unit="day"),
                       age_days=ibis.literal(t).delta(each["first"], unit="day"),
                       span_days=each["last"].delta(each["first"], unit="day"), once=(_.times == 1).cast("float64"),
                       usual_gap_days=ibis.coalesce(_.gaps / before.nullif(0.0), ibis.literal(typical["gap"])))
    earlier_gap = (_.gaps - _.last_gap_days) / (before - 1.0).nullif(0.0)
    earlier_spent = (_.spent - _.last_spent) / before.nullif(0.0)
    found = each.mutate(
        times_log2=times.log2(), tenure=(_.age_days + 1.0).log2(), silence=(_.silent_days + 1.0).log2(),
        rhythm=_log2_ratio(_.silent_days + 1.0, _.usual_gap_days + 1.0),
        gap_trend=ibis.ifelse(_.times > 2, _log2_ratio(_.last_gap_days, earlier_gap), 0.0).fill_null(0.0),
        spend_trend=ibis.ifelse(_.times > 1, _log2_ratio(_.last_spent, earlier_spent), 0.0).fill_null(0.0),
        spend=_log2_ratio(_.spent / times, ibis.literal(typical["spent"])), discount_share=_.discounted / times,
    )
    on_the_way = ("first", "last", "gaps", "spent", "last_spent", "discounted")
    return found.select([name for name in found.columns if name not in on_the_way])  # a drop's SQL names them in another order each time


def _typical(seen: ir.Table) -> dict:
    """The median customer's mean gap and everybody's mean spend: stand-ins where a customer has no rhythm yet."""
    per_customer = seen.group_by("customer_id").agg(
        k=_.count(), span=_.date.max().delta(_.date.min(), unit="day"), spent=_.net_sales_rc.mean())
    gap = _.span.cast("float64") / (_.k - 1).cast("float64").nullif(0.0)
    row = per_customer.agg(gap=gap.median(), spent=_.spent.mean()).execute().iloc[0]
    if row.isna().any():
        raise NotEnoughData("Nobody has bought twice yet, so nobody's silence can be called unusual. Wait for repeat "
                            "orders, or add older order exports.")
    return {name: float(value) for name, value in row.items()}


def _log2_ratio(top, bottom):
    return ibis.greatest(ibis.least((top / bottom.nullif(0.0)).log2(), TREND_LIMIT), -TREND_LIMIT)


def _order_signals(tables: Tables, t: date) -> ir.Table | None:
    if tables.orders is None:
        return None
    day, since = ibis.literal(t), ibis.literal(t - timedelta(days=RECENT_DAYS))
    orders = tables.orders.filter(_.customer_id.notnull(), _.order_date <= day)
    back = tables.refunds.filter(_.refund_date <= day, _.refund_date > since).select("source", "order_id").distinct()
    orders = orders.left_join(back.mutate(refunded=ibis.literal(True)), ["source", "order_id"])
    history = ibis.window(group_by="customer_id")
    late = (_.delivered_date > _.promised_date) & (_.delivered_date <= day)
    flagged = orders.mutate(
        late=late.fill_null(False), first=_.order_date == _.order_date.min().over(history),
        newest=_.order_date == _.order_date.max().over(history))
    undated = (_.refund_undated_minor.fill_null(0) > 0) & (_.order_date > since)
    marks = {"refund": _.refunded.fill_null(False) | undated,
             "refused": (_.status == "refused") & (_.order_date > since),
             "late_first": _.late & _.first, "late_last": _.late & _.newest}
    return flagged.group_by("customer_id").agg(**{name: mark.cast("float64").max() for name, mark in marks.items()})


def _ticket_signals(tables: Tables, t: date) -> ir.Table | None:
    if tables.tickets is None:
        return None
    recent = tables.tickets.filter(_.customer_id.notnull(), _.opened_date <= ibis.literal(t))
    recent = recent.filter(_.opened_date > ibis.literal(t - timedelta(days=CONTACT_DAYS)))
    hours = (_.first_reply_minutes / 60.0).mean().fill_null(0.0)
    asked = (_.count() > 0).cast("float64")
    return recent.group_by("customer_id").agg(ticket=asked, reply_wait=(1.0 + hours).log2())


def _engagement_signals(tables: Tables, t: date) -> ir.Table | None:
    if tables.engagement is None:
        return None
    seen = tables.engagement.filter(_.date <= ibis.literal(t))
    recent = _.date > ibis.literal(t - timedelta(days=ENGAGED_DAYS))
    sums = {name: (1.0 + _.value.sum(where=(_.signal == name) & recent).fill_null(0.0)).log2()
            for name in COUNTED_SIGNALS}
    bot = _.value.mean(where=_.signal == "bot_score").fill_null(0.0)
    return seen.group_by("customer_id").agg(**sums, bot_score=bot)

def _example() -> ir.Table:
    """30 customers who came on 1 December, twenty of them again on 15 January, ten of those again on 1 March."""
    ids = [f"{k:03x}" for k in range(30)]
    visits = (("2025-12-01", ids), ("2026-01-15", ids[:20]), ("2026-03-01", ids[:10]))
    frame = pd.concat([pd.DataFrame({"customer_id": who, "date": day}) for day, who in visits], ignore_index=True)
    frame = frame.assign(home_market="DE", first_acquisition_channel="email", net_sales_rc=1_000, margin_rc=400,
                         discount_rc=0, is_renewal=False)
    return numbered(ibis.memtable(frame).cast({"date": "date"}))
