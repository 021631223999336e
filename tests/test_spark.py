"""Spark Connect and a cluster of two workers: servers of our own, what DuckDB gives, and what a shared server needs of us."""

import os
import subprocess
import sys
import time
from pathlib import Path

import ibis
import pandas as pd
import pytest
import spark_servers
from ibis import _

from helpers import engines, spark
from helpers.settings import Engine, SettingsError

ROOT = Path(__file__).resolve().parents[1]
ON_CONNECT = (  # small frames, unions, windows, caches of caches, ratios, days: each at least once, in a minute
    "books.discounts", "buyers.repeat_purchase_rate", "churn.flows", "clv_model.customers", "cohorts.retention_table",
    "cac.cac", "effect.arm_sums", "histories.spend_counts", "market_mix.constant_currency", "markets.bootstrapped",
    "occasions.occasions", "payback.ltv_curve", "playbook.choose", "promoters.drivers", "quality.bridge",
    "revenue_retention.revenue_retention", "risk.with_probability", "segments.summary", "subscriptions.revenue_churn", "survival.gaps",
    "tiers.movers", "tracking.published_check", "voice.nps", "voice.response_rate",
)  # fmt: skip
ON_CLUSTER = ("churn.flows", "cohorts.retention_table", "clv_model.customers", "occasions.occasions", "quality.bridge", "voice.nps")


@pytest.fixture(scope="module")
def server():
    with spark_servers.connect() as url:
        yield url


@pytest.fixture
def connect(server, tmp_path):
    """`connect()`: another connection to the server; all are left at the end."""
    opened = []

    def another():
        opened.append(engines.connect(Engine(kind="spark", url=server), tmp_path))
        return opened[-1]

    yield another
    for con in opened:
        spark._leave(con, con._session)


@pytest.fixture
def numbers(tmp_path):
    """A Parquet file with the numbers 0 to 9."""
    pd.DataFrame({"x": range(10)}).to_parquet(tmp_path / "numbers.parquet")
    return str(tmp_path / "numbers.parquet")


def parity(engine: str, cases: tuple[str, ...]) -> None:
    """Run cases of the comparison with DuckDB in a process of its own: PySpark has one driver a process."""
    names = [f"tests/test_engine_parity.py::test_spark_gives_what_duckdb_gives[{case}]" for case in cases]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", *names], cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("PYSPARK_")} | {"PARITY_ENGINE": engine},
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(cases)} passed" in done.stdout
    assert "Traceback" not in done.stderr, "it did not end in peace"


def test_spark_connect_gives_what_duckdb_gives(server):
    parity(f'[engine]\nkind = "spark"\nurl = "{server}"\n', ON_CONNECT)


def test_a_cluster_of_two_workers_gives_what_duckdb_gives():
    settings = spark.LOCAL | {"spark.executor.extraJavaOptions": spark.LOCAL["spark.driver.extraJavaOptions"]}
    options = ", ".join(f'"{key}" = "{value}"' for key, value in settings.items())
    with spark_servers.cluster() as url:
        parity(f'[engine]\nkind = "spark"\nurl = "{url}"\noptions = {{ {options} }}\n', ON_CLUSTER)


def test_a_union_of_parts_of_one_table_is_cached(connect, numbers):
    con = connect()
    table = con.read_parquet(numbers).group_by("x").agg(n=_.count())
    held = ibis.union(table.filter(_.x < 3), table.filter(_.x > 5)).cache()
    assert held.x.sum().to_pandas() == 33
    assert con._session.table(held.get_name()).is_cached


def test_a_frame_of_words_in_two_pieces_arrives_with_its_nulls(connect):
    words = pd.concat([pd.DataFrame({"word": ["a", None]}), pd.DataFrame({"word": ["b"]})], ignore_index=True)
    frame = ibis.memtable(words, schema={"word": "string"})
    counted = frame.aggregate(rows=_.count(), words=_.word.count(), last=_.word.max())
    assert connect().to_pandas(counted).values.tolist() == [[3, 2, "b"]]


def test_two_clients_on_one_server_keep_their_names_apart(connect, numbers, tmp_path):
    pd.DataFrame({"x": [1]}).to_parquet(tmp_path / "one.parquet")
    ten, one = (connect().read_parquet(file, table_name="orders") for file in (numbers, str(tmp_path / "one.parquet")))
    assert (ten.count().to_pandas(), one.count().to_pandas()) == (10, 1)


def test_whoever_leaves_takes_along_what_the_server_cached_for_them(connect, numbers):
    first, second = connect(), connect()
    query = f"SELECT * FROM parquet.`{numbers}` WHERE x > 4"
    held = first.sql(query, dialect="pyspark").cache()
    assert held.count().to_pandas() == 5
    assert second._session.sql(query).is_cached
    spark._leave(first, first._session)
    assert not second._session.sql(query).is_cached


def test_leaving_a_server_that_has_gone_takes_no_time(tmp_path, numbers):
    with spark_servers.connect() as url:
        con = engines.connect(Engine(kind="spark", url=url), tmp_path)
        held = con.read_parquet(numbers).cache()
        assert held.count().to_pandas() == 10
    began = time.monotonic()
    spark._leave(con, con._session)
    assert time.monotonic() - began < 10


def test_a_server_that_does_not_answer_is_named_without_its_token(monkeypatch, tmp_path):
    spark_servers.needed()
    monkeypatch.setattr(spark, "SERVER_ANSWERS_SECONDS", 0.3)
    with pytest.raises(SettingsError, match=r"no Spark Connect server answered at sc://127\.0\.0\.1:9 within") as raised:
        engines.connect(Engine(kind="spark", url="sc://127.0.0.1:9/;token=secret"), tmp_path)
    assert "secret" not in str(raised.value)


def test_an_address_that_is_none_says_how_one_looks(tmp_path):
    spark_servers.needed()
    with pytest.raises(SettingsError, match=r"sc://host:port is no address of Spark Connect, such as sc://host:15002"):
        engines.connect(Engine(kind="spark", url="sc://host:port"), tmp_path)
