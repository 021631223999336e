"""What a format file may fill: the columns of each table, the kind each is read as, and those no row may leave empty."""

import tomllib
from pathlib import Path

from helpers import schema

KINDS = {"string": "text", "int64": "integer", "float64": "number", "boolean": "flag", "date": "date", "timestamp('UTC')": "moment"}
DTYPES = {kind: dtype for dtype, kind in KINDS.items()} | {"country": "string", "currency": "string", "money": "int64"}
BUYER = {"email": "text", "account": "text", "customer_id": "text"}
DERIVED = {
    "customer_id", "identity_scope", "source", "order_date", "opened_date", "referred_by", "truncated", "first_order_date", "has_comment",
    "net_minor", "rate_date",
}
ADDED = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def kinds(target: str) -> dict[str, str]:
    """The columns a format file may fill for a table, each with the kind of value it is read as.

    >>> kinds("retention_costs")["amount"], kinds("orders")["ordered_at"], kinds("orders")["market"]
    ('money', 'moment', 'country')
    """
    found, added = {}, ADDED.get(target, {})
    for column in schema.TABLES[target].columns if target in schema.TABLES else ():
        if column.name.endswith("_minor") and column.name not in DERIVED:
            found[column.name.removesuffix("_minor")] = "money"
        elif column.name not in DERIVED and not column.name.endswith("_rc"):
            found[column.name] = {"market": "country", "currency": "currency"}.get(column.name, KINDS[column.dtype])
    named = "buyer" in added or (target in schema.TABLES and "customer_id" in schema.TABLES[target].names)
    return found | (BUYER if named else {}) | added.get("columns", {})


def stored(target: str) -> dict[str, str]:
    """The columns as they are staged, money as whole minor units, with their Ibis types."""
    return {f"{name}_minor" if kind == "money" else name: DTYPES[kind] for name, kind in kinds(target).items()}


def needed(target: str) -> tuple[str, ...]:
    """The columns that no row of a target may leave empty."""
    if "needed" in ADDED.get(target, {}):
        return tuple(ADDED[target]["needed"])
    columns = (c.name.removesuffix("_minor") for c in schema.TABLES[target].columns if c.required)
    return tuple(name for name in columns if name in kinds(target) and name not in BUYER)


def allowed(target: str, column: str) -> tuple[str, ...]:
    """The only words a column may hold, or none given."""
    return next((c.values for c in schema.TABLES[target].columns if c.name == column), ()) if target in schema.TABLES else ()
