"""Spark as an Ibis connection: in this process, on a cluster of its own, or behind a Spark Connect server."""

import atexit
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import ibis

from helpers.settings import Engine, SettingsError

LOCAL = {
    "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1", "spark.ui.enabled": "false",
    # what one machine holds is small data: compiling every query costs more than it saves
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false",
}  # fmt: skip
SERVER_ANSWERS_SECONDS = 20  # PySpark itself would try for ten minutes


def connect(engine: Engine, scratch: Path, memory: float) -> ibis.BaseBackend:
    """An Ibis connection to the Spark that engine.url names; `memory` is what a Spark on this machine may take, in bytes, 0 its default."""
    url = engine.url or "local[2]"
    session = _behind_server(url, engine) if url.startswith("sc://") else _as_driver(url, engine, scratch / "spark.log", memory)
    con = _backend().connect(session)
    if url.startswith("sc://"):
        weakref.finalize(session, str)  # whatever weakref is to clean up at exit then comes after what is registered here
        atexit.register(_leave, con, session)
    return con


def _backend() -> ibis.BaseBackend:
    from ibis.backends import pyspark  # an extra: only clients that name Spark need it
    from ibis.backends.pyspark.datatypes import PySparkSchema

    class Backend(pyspark.Backend):
        """Ibis on PySpark, which gets small frames as Arrow and caches by name.

        Ibis 12 hands frames on as pandas, which Spark Connect cannot take where a column of words is in two pieces; it forgets
        the frames of a cached query; and it caches the query, not its view, in which Spark Connect does not know a union again.
        """

        def _register_in_memory_table(self, op):
            frame = self._session.createDataFrame(op.data.to_pyarrow(op.schema), schema=PySparkSchema.from_ibis(op.schema))
            frame.createOrReplaceTempView(op.name)

        def _create_cached_table(self, name, expr):
            self._run_pre_execute_hooks(expr)
            self._session.sql(self.compile(expr)).createTempView(name)
            self._session.catalog.cacheTable(name)
            return self.table(name)

        def _drop_cached_table(self, name):
            self._session.catalog.dropTempView(name)  # and what is cached of it

    Backend().register_options()
    return Backend()


def _behind_server(url: str, engine: Engine):
    """A session of our own on a Spark Connect server; SettingsError where none answers."""
    import grpc
    from pyspark.errors import PySparkException
    from pyspark.sql.connect.client import DefaultChannelBuilder
    from pyspark.sql.connect.session import SparkSession  # the one of pyspark.sql would refuse a Spark of this process beside it

    address = url.partition("/;")[0]  # what follows may be a token
    try:
        with DefaultChannelBuilder(url).toChannel() as channel:
            grpc.channel_ready_future(channel).result(timeout=SERVER_ANSWERS_SECONDS)
    except grpc.FutureTimeoutError:
        raise SettingsError(f"engine.url: no Spark Connect server answered at {address} within {SERVER_ANSWERS_SECONDS} seconds. "
                            "Is it running, and can this machine reach its port?") from None
    except (ValueError, PySparkException) as error:
        raise SettingsError(f"engine.url: {address} is no address of Spark Connect, such as sc://host:15002: {error}") from None
    return SparkSession.builder.remote(url).config(map=engine.options).create()


def _leave(con: ibis.BaseBackend, session) -> None:
    """The server, which outlives us, gets back what this session holds there: a cached table belongs to no session."""
    import grpc
    from pyspark.errors import PySparkException

    session.client.disable_reattachable_execute()  # it needs threads, which Python no longer starts at exit
    session.client.set_retry_policies([])  # a server that has gone is not waited for
    for name in list(con._cache_name_to_entry):
        with suppress(PySparkException, grpc.RpcError):
            con._finalize_cached_table(name)
    session.stop()


def _as_driver(url: str, engine: Engine, log: Path, memory: float):
    """A session of a Spark whose driver is this process, or the process of the report command."""
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.master(url).appName("retention workbook")
    options = {"spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
               "spark.sql.execution.arrow.pyspark.enabled": "true"}
    if url.startswith("local"):
        options |= LOCAL
        options |= {"spark.driver.memory": f"{int(memory / 2**20)}m"} if memory else {}
    with _stderr_into(log):
        _join()
        session = builder.config(map=options | engine.options).getOrCreate()
    session.sparkContext.setLogLevel("ERROR")
    gateway = session.sparkContext._gateway.gateway_parameters
    os.environ |= {"PYSPARK_GATEWAY_PORT": str(gateway.port), "PYSPARK_GATEWAY_SECRET": gateway.auth_token}
    return session.newSession()  # its own table names: two clients may be open at a time


def _join() -> None:
    """The Spark that the report command started, named by the environment, serves its notebooks too: warming up Java costs minutes."""
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
