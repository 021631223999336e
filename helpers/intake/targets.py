"""What a format file may fill: the columns of each table, the kind each is read as, and those no row may leave empty."""

from helpers import schema

KINDS = {"string": "text", "int64": "integer", "float64": "number", "boolean": "flag", "date": "date", "timestamp('UTC')": "moment"}
DTYPES = {kind: dtype for dtype, kind in KINDS.items()} | {"country": "string", "currency": "string", "money": "int64"}
BUYER = {"email": "text", "account": "text", "customer_id": "text"}
DERIVED = {
    "customer_id", "identity_scope", "source", "order_date", "opened_date", "referred_by", "truncated", "first_order_date", "has_comment",
    "net_minor", "rate_date",
}
ADDED = dict.fromkeys(("customers", "surveys_sent", "engagement", "subscriptions"), BUYER) | {
    "orders": {**BUYER, "goods_tax": "money", "tax_included": "flag", "tax_rate": "number"},
    "order_lines": {"amount": "number", "unit_cost": "number"},
    "refunds": {**BUYER, "product_id": "text", "refunded_at": "moment"},
    "retention_costs": {"source": "text"},
    "tickets": {**BUYER, "cost": "money", "currency": "currency"},
    "surveys": {**BUYER, "comment": "text"},
    "campaigns": {**BUYER, "cost": "money", "currency": "currency"},
}
HELPING = {  # tables that complete others and are not kept
    "deliveries": {"order_id": "text", "delivered_date": "date", "promised_date": "date", "status": "text"},
    "referrals": {**BUYER, "order_id": "text", "referrer_email": "text"},
    "products": {"product_id": "text", "category": "text", "unit_cost": "money", "currency": "currency"},
    "rates": {"date": "date", "currency": "currency", "rate": "number"},
    "returns": {"order_id": "text", "product_id": "text", "return_date": "date", "quantity": "integer", "reason": "text"},
}
NEEDED = {  # where it is not what the schema requires
    "orders": ("order_id", "ordered_at", "currency"),
    "refunds": ("amount",),
    "deliveries": ("order_id",),
    "referrals": ("referrer_email",),
    "products": ("product_id",),
    "rates": ("date", "currency", "rate"),
    "returns": ("order_id", "return_date", "quantity"),
    "surveys": ("survey_id", "kind", "answered_date", "scale_min", "scale_max"),
    "acquisition_spend": ("date", "channel", "amount"),
    "campaigns": ("campaign_id", "sent_date"),
}


def kinds(target: str) -> dict[str, str]:
    """The columns a format file may fill for a table, each with the kind of value it is read as.

    >>> kinds("retention_costs")["amount"], kinds("orders")["ordered_at"], kinds("orders")["market"]
    ('money', 'moment', 'country')
    """
    if target in HELPING:
        return HELPING[target]
    found = {}
    for column in schema.TABLES[target].columns:
        if column.name.endswith("_minor") and column.name not in DERIVED:
            found[column.name.removesuffix("_minor")] = "money"
        elif column.name not in DERIVED and not column.name.endswith("_rc"):
            found[column.name] = {"market": "country", "currency": "currency"}.get(column.name, KINDS[column.dtype])
    return found | ADDED.get(target, {})


def stored(target: str) -> dict[str, str]:
    """The columns as they are staged, money as whole minor units, with their Ibis types."""
    return {f"{name}_minor" if kind == "money" else name: DTYPES[kind] for name, kind in kinds(target).items()}


def needed(target: str) -> tuple[str, ...]:
    """The columns that no row of a target may leave empty."""
    if target in NEEDED:
        return NEEDED[target]
    columns = (c.name.removesuffix("_minor") for c in schema.TABLES[target].columns if c.required)
    return tuple(name for name in columns if name in kinds(target) and name not in BUYER)


def allowed(target: str, column: str) -> tuple[str, ...]:
    """The only words a column may hold, or none given."""
    if target not in schema.TABLES:
        return ()
    return next((c.values for c in schema.TABLES[target].columns if c.name == column), ())
