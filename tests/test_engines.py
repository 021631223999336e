"""Engines: chosen by one line, sharing threads and memory between jobs; the tables where they are; a warehouse."""

import shutil
from datetime import date
from pathlib import Path

import ibis
import pytest
from pencil import REFUND, TIMELINE, orders_of
from pyarrow import fs
from test_client import FILE, TOML

from helpers import client as clients
from helpers import engines, schema
from helpers.settings import Engine, SettingsError

END = date(2026, 6, 30)
OCCASIONS = ["customer_id", "date", "n", "home_market", "net_sales_rc", "margin_rc"]


@pytest.fixture
def acme(tmp_path, monkeypatch, table):
    """The six customers as a client on disk whose client.toml can get an [engine]; gives its folder."""
    monkeypatch.setenv("WORKBOOK_HOME", str(tmp_path))
    folder = tmp_path / "data" / "acme"
    (folder / "tables").mkdir(parents=True)
    (folder / "client.toml").write_text(TOML)
    rows = {"orders": orders_of(TIMELINE), "refunds": [REFUND], "files": [FILE]}
    for name in schema.ALWAYS:
        table(name, rows.get(name, ())).to_parquet(folder / "tables" / f"{name}.parquet")
    return folder


def with_engine(folder: Path, **lines: str) -> None:
    text = "".join(f'{key} = "{value}"\n' for key, value in lines.items())
    (folder / "client.toml").write_text(f"{TOML}\n[engine]\n{text}")


def occasions_of(client: str):
    found = clients.open_client(client, END).occasions.order_by("customer_id", "date").to_pandas()
    return found[OCCASIONS].values.tolist()


def test_the_environment_names_another_engine_and_forgets_the_url_of_the_first(monkeypatch):
    monkeypatch.setenv("WORKBOOK_ENGINE", "duckdb")
    assert engines.chosen(Engine(kind="spark", url="spark://head:7077")) == Engine(kind="duckdb")


def test_an_unknown_engine_names_the_known_ones(monkeypatch):
    monkeypatch.setenv("WORKBOOK_ENGINE", "polars")
    with pytest.raises(SettingsError, match="'polars'. It can be duckdb, spark, warehouse"):
        engines.chosen(Engine())


def test_a_warehouse_without_an_address_says_so():
    with pytest.raises(SettingsError, match="engine.url"):
        engines.chosen(Engine(kind="warehouse"))


@pytest.mark.parametrize(("jobs", "limit"), [("", "1.8 GiB"), ("2", "953.6 MiB")])
def test_jobs_share_the_memory_of_client_toml(acme, monkeypatch, jobs, limit):
    monkeypatch.setenv("WORKBOOK_JOBS", jobs)
    with_engine(acme, memory_limit="2GB")
    con = clients.open_client("acme", END).tables.con
    kept = con.raw_sql("SELECT current_setting('memory_limit')").fetchone()[0]
    assert engines._bytes(kept) == pytest.approx(engines._bytes(limit), rel=0.03)


def test_by_default_all_jobs_together_get_half_of_the_memory_and_all_cores(acme, monkeypatch):
    def setting(con, name):
        return con.raw_sql(f"SELECT current_setting('{name}')").fetchone()[0]

    plain = ibis.duckdb.connect()
    monkeypatch.setenv("WORKBOOK_JOBS", "2")
    con = clients.open_client("acme", END).tables.con
    whole = engines._bytes(setting(plain, "memory_limit")) / 0.8
    assert engines._bytes(setting(con, "memory_limit")) == pytest.approx(whole / 4, rel=0.05)
    assert setting(con, "threads") == max(1, setting(plain, "threads") // 2)
    assert setting(con, "temp_directory") == str(acme / "cache" / "spill")


def test_tables_may_be_elsewhere_than_under_the_client(acme, tmp_path):
    expected = occasions_of("acme")
    shutil.move(acme / "tables", tmp_path / "lake")
    for place in (str(tmp_path / "lake"), f"file://{tmp_path}/lake/"):
        with_engine(acme, tables=place)
        assert occasions_of("acme") == expected


def test_files_beside_the_tables_are_not_taken_for_tables(acme):
    (acme / "tables" / "notes.parquet").write_text("no table of ours")
    assert set(engines.parquet_files(acme / "tables")) == set(schema.ALWAYS)


def test_s3a_addresses_are_listed_as_s3_and_stay_s3a_for_spark(monkeypatch, tmp_path):
    (tmp_path / "orders.parquet").touch()
    local = (engines.fs.LocalFileSystem(), str(tmp_path))
    monkeypatch.setattr(engines, "_filesystem", lambda address: local)
    assert engines.parquet_files("s3a://bucket/acme/") == {"orders": "s3a://bucket/acme/orders.parquet"}


def test_s3a_is_listed_by_the_client_for_s3():
    system, path = engines._filesystem("s3a://bucket/acme?region=eu-central-1")
    assert (system.type_name, path) == ("s3", "bucket/acme")


def test_duckdb_reads_tables_in_a_bucket_by_the_client_that_lists_them(acme, tmp_path, monkeypatch):
    """The bucket is a folder here: a server for S3 would be a dependency of its own."""
    expected = occasions_of("acme")
    shutil.move(acme / "tables", tmp_path / "lake" / "acme")
    bucket = fs.SubTreeFileSystem(str(tmp_path / "lake"), fs.LocalFileSystem())
    asked = []
    monkeypatch.setattr(engines, "_filesystem", lambda address: (bucket, asked.append(address) or address.removeprefix("s3://bucket/")))
    with_engine(acme, tables="s3://bucket/acme")
    assert occasions_of("acme") == expected
    assert "s3://bucket/acme/orders.parquet" in asked


def test_an_address_that_cannot_be_listed_is_named_with_the_reason(acme):
    with_engine(acme, tables="ftp://host/acme")
    with pytest.raises(SettingsError, match=r"engine\.tables: ftp://host/acme cannot be listed: .*ftp"):
        occasions_of("acme")


def test_a_duckdb_file_can_be_the_warehouse(acme, tmp_path):
    expected = occasions_of("acme")
    _copy_tables(acme, ibis.duckdb.connect(tmp_path / "shop.ddb"))
    shutil.rmtree(acme / "tables")
    with_engine(acme, kind="warehouse", url=f"duckdb://{tmp_path}/shop.ddb?read_only=True")
    assert occasions_of("acme") == expected


def test_postgresql_can_be_the_warehouse(acme, postgresql):
    expected = occasions_of("acme")
    _copy_tables(acme, ibis.connect(postgresql))
    with_engine(acme, kind="warehouse", url=postgresql)
    assert occasions_of("acme") == expected


def _copy_tables(acme, con) -> None:
    for name, table in schema.TABLES.items():
        if (path := acme / "tables" / f"{name}.parquet").exists():
            rows = ibis.duckdb.connect().read_parquet(path).to_pyarrow()
            con.create_table(name, rows, schema=ibis.schema(table.dtypes))
    con.disconnect()
