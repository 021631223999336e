"""The canonical tables: every column's type, unit and meaning. The codebook in data/README.md says the same, and a test keeps it so."""

from functools import partial
from typing import NamedTuple

IDENTITY_SCOPES = ("email", "channel_account", "none")
ORDER_STATUSES = ("paid", "delivered", "cancelled", "refused", "pending")
COST_CATEGORIES = ("marketing", "service", "technology")
COST_COMPONENTS = ("email", "coupons", "loyalty", "support", "returns", "multilingual", "crm", "automation", "other")
ALLOCATIONS = ("direct", "revenue", "orders", "active_customers", "tickets")
SPEND_KINDS = ("media", "agency", "salary", "tool")
SUBSCRIPTION_KINDS = ("new", "expansion", "contraction", "churn", "reactivation")
ARMS = ("treated", "holdout", "none")
SIGNALS = ("visits", "email_open", "email_click", "bot_score", "usage")
DIRECTIONS = ("higher", "lower")


class Column(NamedTuple):
    """One column: its Ibis type, meaning, whether it must be filled, and the only values it may hold."""

    name: str
    meaning: str
    required: bool = False
    values: tuple[str, ...] = ()
    dtype: str = "string"


class Table(NamedTuple):
    """One canonical table: what a row is, the columns that make it unique, the day that as_of cuts, and its columns."""

    row: str
    key: tuple[str, ...]
    day: str | None
    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The column names, in their written order."""
        return tuple(column.name for column in self.columns)

    @property
    def dtypes(self) -> dict[str, str]:
        """Column name to Ibis type."""
        return {column.name: column.dtype for column in self.columns}


_text, _day, _count, _real, _flag, _moment = (
    partial(Column, dtype=dtype) for dtype in ("string", "date", "int64", "float64", "boolean", "timestamp('UTC')")
)


def _money(stem, meaning, required=False):
    """An amount in its own currency, and beside it in the reporting currency."""
    return (_count(f"{stem}_minor", f"{meaning}, minor units of `currency`", required),
            _count(f"{stem}_rc", f"{meaning}, minor units of the reporting currency at the rate of the day", required))


CURRENCY = _text("currency", "ISO 4217 code of the `*_minor` columns", True)
MARKET = _text("market", "ISO 3166 alpha-2 of the ship-to country; null if unknown")
CUSTOMER = _text("customer_id", "keyed-hash pseudonym; null when the source carries no buyer")

TABLES: dict[str, Table] = {
    "orders": Table("order", ("source", "order_id"), "order_date", (
        _text("order_id", "the platform's order number", True),
        _text("source", "the store or account, as named in client.toml", True),
        _text("sales_channel", "shopify, amazon, woocommerce …", True),
        MARKET,
        CUSTOMER,
        _text("identity_scope", "how far the customer_id reaches", True, IDENTITY_SCOPES),
        _moment("ordered_at", "moment of the order, UTC", True),
        _day("order_date", "local day of the order in the reporting time zone", True),
        _text("status", "state of the order", True, ORDER_STATUSES),
        CURRENCY,
        _count("gross_minor", "goods before discount, excluding tax", True),
        _count("discount_minor", "discounts on the goods, positive", True),
        _count("tax_minor", "tax on the order"),
        _count("shipping_minor", "shipping charged"),
        *_money("net", "goods less discount, excluding tax, before refunds", True),
        _count("discount_rc", "discounts, minor units of the reporting currency", True),
        _count("refund_undated_minor", "refunds the platform gives as a total without a date"),
        _text("payment_method", "as the platform names it"),
        _flag("is_cod", "cash on delivery"),
        _text("acquisition_channel", "channel that brought the order; null if unknown"),
        _text("acquisition_campaign", "campaign that brought the order"),
        _text("discount_code", "code used"),
        _text("category", "category of the order line with the highest net sales; of equals the last by name"),
        _flag("is_renewal", "a subscription renewal, not a fresh decision", True),
        _count("day_orders", "orders of this customer on this local day, whatever became of them"),
        _text("referred_by", "customer_id of the referrer"),
        _day("delivered_date", "local day of delivery"),
        _day("promised_date", "local day promised"),
    )),
    "order_lines": Table("order line", (), None, (
        _text("order_id", "order the line belongs to", True),
        _text("source", "the store or account, as named in client.toml", True),
        _text("product_id", "SKU or ASIN"),
        _text("product", "name"),
        _text("category", "the client's product category"),
        _count("quantity", "units", True),
        _count("net_rc", "line net of discount and tax, minor units of the reporting currency", True),
        _count("unit_cost_rc", "cost of one unit; null: the margin rate of client.toml applies"),
    )),
    "refunds": Table("refund", (), "refund_date", (
        _text("order_id", "order refunded", True),
        _text("source", "the store or account, as named in client.toml", True),
        _day("refund_date", "local day of the refund", True),
        *_money("amount", "money given back, excluding tax", True),
        CURRENCY,
        _text("reason", "as given"),
    )),
    "customers": Table("customer", ("customer_id",), "first_order_date", (
        _text("customer_id", "keyed-hash pseudonym", True),
        _day("first_order_date", "first order in the data", True),
        _flag("truncated", "history may begin before the data does", True),
        _flag("consent_email", "may be written to by e-mail"),
        _flag("consent_sms", "may be texted"),
        _text("preferred_channel", "email, sms, push …"),
        _day("signup_date", "registered on"),
    )),
    "retention_costs": Table("ledger line", (), "month", (
        _day("month", "last day of the month the cost belongs to", True),
        _text("category", "block of the retention cost", True, COST_CATEGORIES),
        _text("component", "part of the block", True, COST_COMPONENTS),
        _text("market", "market served, or null to allocate"),
        _text("channel", "channel used: email, sms, social …"),
        *_money("amount", "cost", True),
        CURRENCY,
        _real("existing_share", "share that serves existing customers, 0–1; null: client.toml says"),
        _text("allocation", "how a line without market is spread", False, ALLOCATIONS),
        _text("source", "invoice, export or estimate it came from"),
    )),
    "acquisition_spend": Table("day × campaign × market", (), "date", (
        _day("date", "local day of the spend", True),
        _text("channel", "paid_search, paid_social, influencer …", True),
        _text("campaign", "campaign name"),
        _text("market", "market targeted, or null"),
        *_money("amount", "spend", True),
        CURRENCY,
        _text("kind", "what was bought", True, SPEND_KINDS),
    )),
    "tickets": Table("support ticket", ("ticket_id",), "opened_date", (
        _text("ticket_id", "the help desk's number", True),
        CUSTOMER,
        MARKET,
        _moment("opened_at", "moment the ticket was opened, UTC", True),
        _day("opened_date", "local day the ticket was opened", True),
        _real("first_reply_minutes", "minutes to the first reply"),
        _moment("solved_at", "moment the ticket was solved, UTC"),
        _text("reason", "as classified"),
        _count("cost_rc", "cost of the ticket, minor units of the reporting currency, where the help desk gives one"),
    )),
    "surveys": Table("answer", (), "answered_date", (
        _text("survey_id", "the survey wave", True),
        _text("kind", "csat, nps, ces or the key of a scored question", True),
        CUSTOMER,
        MARKET,
        _day("answered_date", "local day of the answer", True),
        _real("score", "the answer; null for an open answer"),
        _real("scale_min", "lowest possible score", True),
        _real("scale_max", "highest possible score", True),
        _text("direction", "which end of the scale is good", True, DIRECTIONS),
        _text("sent_id", "invitation answered"),
        _flag("has_comment", "an open answer was given (its text is not kept)"),
    )),
    "surveys_sent": Table("invitation", ("sent_id",), "sent_date", (
        _text("sent_id", "the invitation's number", True),
        CUSTOMER,
        _day("sent_date", "local day it was sent", True),
        _text("channel", "email, sms, in-app …"),
    )),
    "campaigns": Table("customer × campaign", ("campaign_id", "customer_id"), "sent_date", (
        _text("campaign_id", "the campaign", True),
        _text("customer_id", "keyed-hash pseudonym", True),
        _text("arm", "treated, held out at random, or sent without an experiment", True, ARMS),
        _day("sent_date", "local day of the contact, or the day it would have been", True),
        _text("channel", "email, sms, retargeting …"),
        _text("action", "the playbook's action"),
        _text("segment", "the segment the customer was chosen for, as the playbook names it: actions learn by segment"),
        _count("cost_rc", "cost of the contact, minor units of the reporting currency"),
    )),
    "engagement": Table("customer × day × signal", (), "date", (
        _text("customer_id", "keyed-hash pseudonym", True),
        _day("date", "local day", True),
        _text("signal", "what was observed", True, SIGNALS),
        _real("value", "count, or score for bot_score", True),
    )),
    "subscriptions": Table("MRR movement", (), "date", (
        _text("subscription_id", "the subscription", True),
        CUSTOMER,
        _day("date", "local day of the movement", True),
        _text("kind", "what moved", True, SUBSCRIPTION_KINDS),
        *_money("mrr_delta", "change of monthly recurring revenue, negative for contraction and churn", True),
        CURRENCY,
    )),
    "repeat_aggregates": Table("marketplace × product × period", (), "period_end", (
        _text("marketplace", "Amazon.de …", True),
        _text("product_id", "ASIN", True),
        _day("period_start", "first day", True),
        _day("period_end", "last day", True),
        _count("orders", "orders", True),
        _count("unique_customers", "buyers, counted by the marketplace", True),
        _real("repeat_customers_share", "share of buyers who bought again, 0–1", True),
        _count("repeat_revenue_minor", "revenue from repeat buyers, minor units of `currency`"),
        _text("currency", "ISO 4217 code"),
    )),
    "fx": Table("day × currency", ("date", "currency"), "date", (
        _day("date", "day the rate is used for", True),
        _text("currency", "ISO 4217 code", True),
        _real("rate", "reporting currency for one unit", True),
        _day("rate_date", "day the rate is from", True),
        _text("source", "ECB, or the client's fx.csv", True),
    )),
    "files": Table("raw file × currency", (), None, (
        _text("file", "name of the raw file", True),
        _text("format", "format file it was read by", True),
        _text("source", "source in client.toml", True),
        _text("sha256", "hash of its bytes", True),
        _count("rows_read", "rows in the file", True),
        _count("rows_accepted", "rows that went into the tables", True),
        _count("rows_rejected", "rows in data/<client>/rejected", True),
        _count("rows_ignored", "totals, preambles and rows a rule leaves out", True),
        _day("first_date", "first day in the file"),
        _day("covered_through", "last day the export covers"),
        _text("currency", "ISO 4217 code of the totals"),
        _count("raw_minor", "money in the file, minor units, as read, without what another file's newer version stands for"),
        _count("table_minor", "the same money as it stands in the tables"),
    )),
}

ALWAYS = ("orders", "order_lines", "refunds", "customers", "fx", "files")
OPTIONAL = tuple(name for name in TABLES if name not in ALWAYS)
