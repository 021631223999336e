"""Where the tables are computed: DuckDB in this process, Spark, or a warehouse, each opened as an Ibis connection."""

import os
import re
from pathlib import Path

import ibis
import ibis.expr.types as ir
from pyarrow import dataset, fs
from pydantic import ByteSize, TypeAdapter

from helpers import schema, spark
from helpers.settings import Engine, SettingsError

KINDS = ("duckdb", "spark", "warehouse")
SHARE_OF_MEMORY = 0.5  # of the machine, for all jobs together: kernels and the operating system need the rest
_bytes = TypeAdapter(ByteSize).validate_python  # 2GB or 18.8 GiB as a number


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

    Addresses keep the scheme they were given with, so Spark's s3a:// stays s3a://. Raises SettingsError where the folder
    cannot be listed; one that is not there holds no tables.
    """
    address = str(folder).rstrip("/")
    _system, found = _listed(address)
    files = {info.base_name for info in found}
    return {name: f"{address}/{name}.parquet" for name in schema.TABLES if f"{name}.parquet" in files}


def content(folder: str | Path) -> str:
    """What tells the tables of a folder from others: the build's hash in build.json, and of a file exchanged by hand size and time."""
    system, found = _listed(str(folder).rstrip("/"))
    states = sorted(f"{info.base_name} {info.size} {info.mtime_ns}" for info in found)
    build = next((info.path for info in found if info.base_name == "build.json"), None)
    if build:
        with system.open_input_stream(build) as stream:
            states.append(stream.read().decode())
    return "\n".join(states)


def connect(engine: Engine, scratch: Path) -> ibis.BaseBackend:
    """An Ibis connection to the engine, which shares the machine with the other jobs of a report, and spills and logs in `scratch`."""
    if engine.kind == "warehouse":
        return ibis.connect(engine.url)
    memory = _bytes(engine.memory_limit or 0) / jobs()
    return spark.connect(engine, scratch, memory) if engine.kind == "spark" else _duckdb(scratch, memory)


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
            self.known[name] = self._read(address, name) if address else self.con.table(name)
        return self.known[name]

    def _read(self, address: str, name: str) -> ir.Table:
        if self.con.name == "duckdb" and "://" in address:  # by the client that listed it: no extension to fetch, the same credentials
            system, path = _filesystem(address)
            self.con.con.register(name, dataset.dataset(path, filesystem=system))
            return self.con.table(name)
        return self.con.read_parquet(address, table_name=name)


def _listed(address: str) -> tuple[fs.FileSystem, list[fs.FileInfo]]:
    try:
        system, path = _filesystem(address)
        return system, system.get_file_info(fs.FileSelector(path, allow_not_found=True))
    except (OSError, ValueError) as error:  # no such kind of address; or no way to it, no leave to read it
        raise SettingsError(f"engine.tables: {address} cannot be listed: {error}") from None


def _filesystem(address: str) -> tuple[fs.FileSystem, str]:
    if "://" not in address:
        return fs.LocalFileSystem(), address
    return fs.FileSystem.from_uri(re.sub(r"^s3[an]://", "s3://", address))


def _duckdb(scratch: Path, share: float) -> ibis.BaseBackend:
    con = ibis.duckdb.connect()
    threads, memory = con.raw_sql("SELECT current_setting('threads'), current_setting('memory_limit')").fetchone()
    limit = share or _bytes(memory) / 0.8 * SHARE_OF_MEMORY / jobs()  # DuckDB's own default is 80 %
    con.raw_sql(f"SET threads = {max(1, threads // jobs())}")
    con.raw_sql(f"SET memory_limit = '{int(limit / 2**20)}MiB'")
    con.raw_sql(f"SET temp_directory = '{str(scratch / 'spill').replace(chr(39), chr(39) * 2)}'")
    con.raw_sql("SET preserve_insertion_order = false")  # nothing relies on it, and it costs memory
    return con
