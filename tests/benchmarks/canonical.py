"""Canonical Parquet tables of any number of made-up customers, four orders each, written in seconds by DuckDB.

Customers buy at a gamma rate until an exponential death; spend is log-normal between and within customers. Everything
is drawn from hashes of the customer's number, so a size gives the same tables on every machine.
"""

import json
from datetime import date
from pathlib import Path

import duckdb

from helpers import schema

AS_OF = date(2026, 10, 31)
DIGITS = "abcdefghijklmnopqrstuvwxyz234567"  # of a pseudonym
FIRST_DAY = date(2024, 5, 1)
MARGIN = 0.4
CLIENT = """
name = "Made-up shop"
currency = "EUR"
time_zone = "Europe/Berlin"
history_complete = true
[margin]
rate = 0.4
[engine]
memory_limit = "{memory}"
[sources.shop]
files = "orders.csv"
"""
PEOPLE = """
    CREATE TEMP TABLE people AS
    SELECT c, {pseudonym} AS customer_id,
           ['DE', 'FR', 'GB', 'US', 'NL', 'IT'][1 + (sqrt(u_market) * 6)::INT % 6] AS market,
           ['paid_search', 'paid_social', 'email', 'organic'][1 + (u_channel * 4)::INT % 4] AS channel,
           DATE '{first}' + (u_first * {days})::INT AS first_day,
           -ln(u_rate) * -ln(u_rate2) / 95 AS rate, -ln(u_life) * 700 AS life, exp(8.3 + 0.5 * normal) AS spend
    FROM (SELECT c, {draws}, sqrt(-2 * ln({u9})) * cos(2 * pi() * {u10}) AS normal FROM range({customers}) t(c))"""
DAYS = """
    CREATE TEMP TABLE days AS
    SELECT *, first_day + (CASE WHEN k = 0 THEN 0 ELSE u_day * least(life, DATE '{last}' - first_day) END)::INT AS day
    FROM (SELECT *, {u11} AS u_day, {u12} AS u_spend, {u13} AS u_hour FROM (
        SELECT *, unnest(range(1 + least(80, floor(rate * least(life, DATE '{last}' - first_day) + u_more))::INT)) AS k
        FROM (SELECT *, {u14} AS u_more FROM people)))"""
ORDERS = """
    SELECT c || '-' || k AS order_id, 'shop' AS source, 'shopify' AS sales_channel, market, customer_id,
           'email' AS identity_scope, day::TIMESTAMPTZ + INTERVAL (u_hour * 23) HOUR AS ordered_at, day AS order_date,
           'paid' AS status, 'EUR' AS currency, amount AS gross_minor, 0 AS discount_minor, amount AS net_minor,
           amount AS net_rc, 0 AS discount_rc, 0 AS refund_undated_minor, channel AS acquisition_channel, 'tents' AS category,
           FALSE AS is_renewal, day_orders
    FROM (SELECT *, (spend * exp(0.6 * (u_spend - 0.5)))::BIGINT + 1 AS amount, count(*) OVER (PARTITION BY c, day) AS day_orders
          FROM days) ORDER BY day, c"""
LINES = """SELECT order_id, source, 'sku' AS product_id, 'tents' AS category, 1 AS quantity, net_rc FROM orders"""
CUSTOMERS = "SELECT customer_id, first_day AS first_order_date, FALSE AS truncated FROM people"
SPEND = """
    SELECT day::DATE AS date, channel, market, 250000 AS amount_minor, 250000 AS amount_rc,
           'EUR' AS currency, 'media' AS kind
    FROM range(TIMESTAMP '{first}', TIMESTAMP '{last}', INTERVAL 1 DAY) d(day),
         (SELECT unnest(['paid_search', 'paid_social']) AS channel),
         (SELECT unnest(['DE', 'FR', 'GB', 'US', 'NL', 'IT']) AS market)"""
FILES = """
    SELECT 'orders.csv' AS file, 'generic' AS format, 'shop' AS source, '0' AS sha256, 0 AS rows_read,
           0 AS rows_accepted, 0 AS rows_rejected, 0 AS rows_ignored, DATE '{last}' AS covered_through,
           'EUR' AS currency"""
EMPTY = "SELECT NULL LIMIT 0"


def write(home: Path, client: str, customers: int, memory_limit: str = "") -> Path:
    """The folder data/<client> under home, with client.toml and tables, ready for open_client as of AS_OF."""
    folder = home / "data" / client
    tables = folder / "tables"
    tables.mkdir(parents=True, exist_ok=True)
    (folder / "client.toml").write_text(CLIENT.format(memory=memory_limit))
    con = duckdb.connect()
    con.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{folder / 'spill'}'")
    draws = ("u_market", "u_channel", "u_first", "u_rate", "u_rate2", "u_life")
    words = {"first": FIRST_DAY, "last": AS_OF, "days": (AS_OF - FIRST_DAY).days, "customers": customers}
    words["pseudonym"] = " || ".join(f"'{DIGITS}'[1 + (hash(c) >> {5 * k} & 31)::INT]" for k in range(12))
    words |= {f"u{k}": _uniform("c" if k in (9, 10, 14) else "c * 100 + k", k) for k in range(9, 15)}
    words["draws"] = ", ".join(f"{_uniform('c', k)} AS {name}" for k, name in enumerate(draws))
    for statement in (PEOPLE, DAYS):
        con.execute(statement.format(**words))
    _save(con, tables, "orders", ORDERS)
    con.read_parquet(str(tables / "orders.parquet")).create_view("orders")
    for name, query in {"order_lines": LINES, "customers": CUSTOMERS, "refunds": EMPTY, "fx": EMPTY, "files": FILES,
                        "acquisition_spend": SPEND}.items():
        _save(con, tables, name, query.format(**words))
    (tables / "build.json").write_text(json.dumps({"build": f"{customers} customers"}))
    return folder


def _uniform(key: str, stream: int) -> str:
    """A number in (0, 1) that depends on the key alone."""
    return f"((hash(({key}) * 64 + {stream}) >> 11)::DOUBLE + 0.5) / 9007199254740992"


def _save(con, tables: Path, name: str, query: str) -> None:
    """A query's rows as a canonical table: columns it lacks are null, types are the schema's."""
    kinds = {"string": "VARCHAR", "int64": "BIGINT", "float64": "DOUBLE", "boolean": "BOOLEAN", "date": "DATE",
             "timestamp('UTC')": "TIMESTAMPTZ"}
    given = {column[0] for column in con.sql(query).description}
    columns = ", ".join(
        f"CAST({c.name if c.name in given else 'NULL'} AS {kinds[c.dtype]}) AS {c.name}"
        for c in schema.TABLES[name].columns
    )
    con.execute(f"COPY (SELECT {columns} FROM ({query})) TO '{tables / f'{name}.parquet'}'")
