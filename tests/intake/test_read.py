"""Reading: layouts, encodings, a database behind a URL (a real PostgreSQL server started here), JSON lines, Parquet."""


import pandas as pd
import pytest

from helpers.intake import build, read

ROWS = pd.DataFrame(
    {
        "order_id": ["1", "2"],
        "ordered_at": pd.to_datetime(["2026-03-01 10:00", "2026-03-02 11:00"]),
        "email": ["a@mail.test", None],
        "market": ["DE", "FR"],
        "currency": ["EUR", "EUR"],
        "amount": [10.5, 20.0],
    }
)


@pytest.fixture
def sales(postgresql):
    """The URL of a PostgreSQL server that holds the table of sales."""
    import psycopg

    columns = "order_id text, ordered_at timestamp, email text, market text, currency text, amount numeric(12, 2)"
    with psycopg.connect(postgresql.replace("postgres://", "postgresql://")) as con:
        con.execute(f"CREATE TABLE sales ({columns})")
        for row in ROWS.itertuples(index=False):
            con.execute("INSERT INTO sales VALUES (%s, %s, %s, %s, %s, %s)", [None if v is None or v != v else v for v in row])
    return postgresql


def sold(shop) -> list:
    """The orders of the client, as number, net and whether the buyer is known."""
    orders = shop.table("orders").sort_values("order_id")
    return list(zip(orders["order_id"], orders["net_minor"], orders["customer_id"].notna(), strict=True))


def test_a_table_of_a_postgresql_server(shop, sales):
    shop.settle(f'[sources.erp]\nurl = "{sales}"\ntable = "public.sales"\nsales_channel = "own site"\n')
    files = shop.build().files
    assert files[["file", "format", "rows_read"]].iloc[0].tolist() == ["erp.sales", "generic_orders", 2]
    assert sold(shop) == [("1", 1050, True), ("2", 2000, False)]
    shop.settle(f'[sources.erp]\nurl = "{sales.replace("reader@", "reader:hush@")}x"\ntable = "public.sales"\n')
    found = build.check(shop.settings)
    assert "cannot be read" in found["problems"].iloc[0] and "hush" not in found.to_string()


def test_a_table_of_a_duckdb_file_and_of_parquet(shop, tmp_path):
    import duckdb

    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as con:
        con.execute("CREATE TABLE sales AS SELECT * FROM ROWS")
    shop.settle(f'[sources.erp]\nurl = "duckdb://{path}"\ntable = "sales"\n[sources.rest]\nfiles = "rest.parquet"\n')
    ROWS.assign(order_id=["3", "4"]).to_parquet(shop.raw / "rest.parquet")
    shop.build()
    assert sold(shop) == [("1", 1050, True), ("2", 2000, False), ("3", 1050, True), ("4", 2000, False)]


def test_hidden_files_and_other_suffixes_are_not_data(tmp_path):
    for name in (".DS_Store", "notes.md", "~$open.xlsx", "a.csv"):
        (tmp_path / name).write_text("a,b\n1,2\n")
    assert [raw.file for raw in read.raw_files(tmp_path)] == ["a.csv"]
