"""Reading: layouts, encodings, a database behind a URL (a real PostgreSQL server started here), JSON lines, Parquet."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

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


def server_program(name: str) -> str | None:
    """A PostgreSQL program, on the path or where Debian puts it."""
    return shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)


@pytest.fixture
def postgres(tmp_path):
    """The URL of a PostgreSQL server of our own, stopped afterwards; it refuses to run as root, so then it is user postgres."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install -e .[postgres]")
    if not (server_program("initdb") and server_program("postgres")):
        pytest.skip("PostgreSQL is not on this machine")
    folder, who = tmp_path / "pg", {}
    folder.mkdir()
    if os.geteuid() == 0:
        who = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres")
        for parent in [folder, *folder.parents][:-1]:
            if parent.owner() != "postgres":
                parent.chmod(parent.stat().st_mode | 0o011)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    subprocess.run(
        [server_program("initdb"), "-D", str(data), "-A", "trust", "-U", "reader", "--no-sync"],
        check=True,
        capture_output=True,
        cwd="/",
        **who,
    )
    server = subprocess.Popen(
        [server_program("postgres"), "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", str(folder), "-F"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        **who,
    )
    url = f"postgres://reader@127.0.0.1:{port}/postgres"
    import psycopg

    for _attempt in range(100):
        try:
            with psycopg.connect(url) as con:
                con.execute(
                    "CREATE TABLE sales (order_id text, ordered_at timestamp, email text, market text, currency text, amount numeric(12, 2))"
                )
                for row in ROWS.itertuples(index=False):
                    con.execute("INSERT INTO sales VALUES (%s, %s, %s, %s, %s, %s)", [None if v is None or v != v else v for v in row])
            break
        except psycopg.OperationalError:
            time.sleep(0.1)
    yield url
    server.terminate()
    server.wait(timeout=20)


def sold(shop) -> list:
    """The orders of the client, as number, net and whether the buyer is known."""
    orders = shop.table("orders").sort_values("order_id")
    return list(zip(orders["order_id"], orders["net_minor"], orders["customer_id"].notna(), strict=True))


def test_a_table_of_a_postgresql_server(shop, postgres):
    shop.settle(f'[sources.erp]\nurl = "{postgres}"\ntable = "public.sales"\nsales_channel = "own site"\n')
    files = shop.build().files
    assert files[["file", "format", "rows_read"]].iloc[0].tolist() == ["erp.sales", "generic_orders", 2]
    assert sold(shop) == [("1", 1050, True), ("2", 2000, False)]
    shop.settle(f'[sources.erp]\nurl = "{postgres.replace("reader@", "reader:hush@")}x"\ntable = "public.sales"\n')
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
