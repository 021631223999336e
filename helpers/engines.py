"""Where the tables are computed: DuckDB in this process, Spark, or a warehouse, each opened as an Ibis connection."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ibis
import ibis.expr.types as ir
from pyarrow import fs

from helpers import schema
from helpers.settings import Engine, SettingsError

KINDS = ("duckdb", "spark", "warehouse")
SHARE_OF_MEMORY = 0.5  # of the machine, for all jobs together: kernels and the operating system need the rest
LOCAL_SPARK = {
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    # what one machine holds is small data: compiling every query costs more than it saves
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false",
}  # fmt: skip
UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "MB": 10**6, "GB": 10**9}


def chosen(engine: Engine) -> Engine:
    """The engine of client.toml, or the kind that $WORKBOOK_ENGINE names for this run.

    >>> chosen(Engine(kind="spark", url="spark://head:7077")).url
    'spark://head:7077'
    """
    kind = os.environ.get("WORKBOOK_ENGINE") or engine.kind
    if kind not in KINDS:
        raise SettingsError(f"There is no engine '{kind}'. It can be {', '.join(KINDS)}.")
    if kind != engine.kind:
        engine = engine.model_copy(update={"kind": kind, "url": ""})  # the url is of the other kind
    if kind == "warehouse" and not engine.url:
        raise SettingsError("engine.url: a warehouse needs one, such as postgres://reader@host/database.")
    return engine


def jobs() -> int:
    """How many notebooks share the machine: $WORKBOOK_JOBS, which the report command sets; else one."""
    return max(1, int(os.environ.get("WORKBOOK_JOBS") or 1))


def parquet_files(folder: str | Path) -> dict[str, str]:
    """Table name to address of every canonical table that a folder holds: a local path, file://, s3://, gs://, hdfs://.

    Addresses keep the scheme they were given with, so Spark's s3a:// stays s3a://.
    """
    address = str(folder).rstrip("/")
    system, path = _filesystem(address)
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    names = {info.base_name.removesuffix(".parquet") for info in found if info.base_name.endswith(".parquet")}
    return {name: f"{address}/{name}.parquet" for name in schema.TABLES if name in names}


def content(folder: str | Path) -> str:
    """What the tables of a folder hold, in a word: the build that made them, their sizes and times.

    The build's own hash is in build.json; sizes and times tell a file that was exchanged by hand.
    """
    system, path = _filesystem(str(folder).rstrip("/"))
    found = system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    states = sorted(f"{info.base_name} {info.size} {info.mtime_ns}" for info in found)
    build = next((info.path for info in found if info.base_name == "build.json"), None)
    if build:
        with system.open_input_stream(build) as stream:
            states.append(stream.read().decode())
    return "\n".join(states)


def connect(engine: Engine, scratch: Path) -> ibis.BaseBackend:
    """An Ibis connection to the engine.

    `scratch` is where the engine may spill and log. Threads and memory are shared with the other jobs of a report.
    """
    if engine.kind == "warehouse":
        return ibis.connect(engine.url)
    return _spark(engine, scratch) if engine.kind == "spark" else _duckdb(engine, scratch)


class Tables:
    """The canonical tables of a connection by name, each read when it is first asked for and then known.

    `addresses` are Parquet files by table name; a warehouse, which has none, holds its own tables.

    >>> con = ibis.duckdb.connect()
    >>> made = con.create_table("refunds", {"order_id": ["1"]})
    >>> "refunds" in Tables(con, {}), "tickets" in Tables(con, {}), Tables(con, {})["refunds"].columns
    (True, False, ('order_id',))
    """

    def __init__(self, con: ibis.BaseBackend, addresses: dict[str, str]):
        self.con, self.addresses = con, addresses
        self.known = {}

    def __contains__(self, name: str) -> bool:
        return name in (self.addresses or self.con.list_tables())

    def __getitem__(self, name: str) -> ir.Table:
        if name not in self.known:
            address = self.addresses.get(name)
            self.known[name] = self.con.read_parquet(address, table_name=name) if address else self.con.table(name)
        return self.known[name]


def _filesystem(address: str) -> tuple[fs.FileSystem, str]:
    if "://" not in address:
        return fs.LocalFileSystem(), address
    return fs.FileSystem.from_uri(re.sub(r"^s3[an]://", "s3://", address))


def _duckdb(engine: Engine, scratch: Path) -> ibis.BaseBackend:
    con = ibis.duckdb.connect()
    threads, memory = con.raw_sql("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    limit = _bytes(engine.memory_limit) or _bytes(memory) / 0.8 * SHARE_OF_MEMORY  # DuckDB's own default is 80 %
    con.raw_sql(f"SET threads = {max(1, threads // jobs())}")
    con.raw_sql(f"SET memory_limit = '{int(limit / jobs() / 2**20)}MiB'")
    con.raw_sql(f"SET temp_directory = '{str(scratch / 'spill').replace(chr(39), chr(39) * 2)}'")
    con.raw_sql("SET preserve_insertion_order = false")  # nothing relies on it, and it costs memory
    return con


def _spark(engine: Engine, scratch: Path) -> ibis.BaseBackend:
    from ibis.backends import pyspark  # an extra: only clients that name Spark need it
    from pyspark.sql import SparkSession

    class Backend(pyspark.Backend):
        """Ibis on PySpark, which registers the frames of a query before it is cached, too."""

        def _create_cached_table(self, name, expr):
            self._run_pre_execute_hooks(expr)  # Ibis 12 forgets the frames in a query that is cached before it is run
            return super()._create_cached_table(name, expr)

    Backend().register_options()
    url = engine.url or "local[2]"
    if url.startswith("sc://"):
        return Backend().connect(SparkSession.builder.remote(url).config(map=engine.options).getOrCreate())
    builder = SparkSession.builder.master(url).appName("retention workbook")
    options = {"spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
               "spark.sql.execution.arrow.pyspark.enabled": "true"}
    if url.startswith("local"):
        limit = _bytes(engine.memory_limit) / jobs()
        options |= LOCAL_SPARK
        options |= {"spark.driver.memory": f"{int(limit / 2**20)}m"} if limit else {}
    with _stderr_into(scratch / "spark.log"):
        _join_spark()
        session = builder.config(map=options | engine.options).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    gateway = session.sparkContext._gateway.gateway_parameters
    os.environ |= {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.auth_token}
    return Backend().connect(session.newSession())  # its own table names: two clients may be open at a time


def _join_spark() -> None:
    """The Spark that the report command started serves its notebooks too: starting and warming up Java costs minutes.

    The environment names it, as it does under spark-submit, where no context is there yet and one is made as usual.
    """
    from pyspark import SparkContext, java_gateway

    if "PYSPARK_GATEWAY_PORT" not in os.environ or SparkContext._active_spark_context:
        return
    gateway = java_gateway.launch_gateway()
    spark = gateway.jvm.org.apache.spark
    if spark.sql.SparkSession.getDefaultSession().isDefined():
        java = gateway.jvm.org.apache.spark.api.java.JavaSparkContext
        SparkContext(gateway=gateway, jsc=java.fromSparkContext(spark.SparkContext.getOrCreate()))


@contextmanager
def _stderr_into(log: Path) -> Iterator[None]:
    """What the Java process says goes to a file: in a notebook it would become part of the page."""
    log.parent.mkdir(parents=True, exist_ok=True)
    kept = os.dup(2)
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _bytes(size: str) -> float:
    """2GB or 18.8 GiB in bytes; 0 for an empty string.

    >>> _bytes("2GB"), _bytes("1.5 GiB"), _bytes("")
    (2000000000.0, 1610612736.0, 0.0)
    """
    if not size:
        return 0.0
    number, unit = re.fullmatch(r"([\d.]+)\s*(\w+)", size).groups()
    return float(number) * UNITS[unit]
