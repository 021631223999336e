"""Derived tables computed once: Parquet files in data/<client>/cache, named by everything they were computed from.

Deleting the folder changes no number; it only costs the time to compute again.
"""

import hashlib
import inspect
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import ibis
import ibis.expr.types as ir
from ibis.expr.operations import InMemoryTable

try:
    import fcntl
except ImportError:  # Windows: two notebooks may compute the same file, and the second replaces the first
    fcntl = None

OTHER_BUILD_SECONDS = 3_600  # a file of another build may still be read by a notebook that runs now
UNUSED_SECONDS = 30 * 86_400
ADDED = re.compile(r"(-[0-9a-f]{12}){2}\b")  # by `once` to a name
PARQUET = "FORMAT parquet, PARQUET_VERSION v2, COMPRESSION lz4, DICTIONARY_SIZE_LIMIT 1000"  # a quarter faster to write


@dataclass(frozen=True)
class Cache:
    """Where a connection's derived tables are: files for DuckDB, the engine's own memory for Spark and warehouses.

    `content` names the build of the tables; it is empty for a warehouse, whose tables may change any time.
    """

    con: ibis.BaseBackend
    folder: Path
    content: str
    held: dict[str, ir.Table] = field(default_factory=dict)

    def once(self, name: str, compute: Callable[..., ir.Table], *arguments, **settings) -> ir.Table:
        """The rows of compute(*arguments, **settings), computed on the first call for this content of the tables.

        A changed setting makes another file, and so does a change in the module of `compute`: the name holds a hash
        of its source. Arguments that are canonical tables are known by the content, those that `once` gave by their own
        name (hand them on as they are: a filter of one is not told from another), a day by itself.
        """
        code = Path(inspect.getsourcefile(compute)).read_text(encoding="utf-8")
        derived = [name for name, held in self.held.items() if any(held is each for each in arguments)]
        given = [*derived, *(str(each) for each in arguments if not isinstance(each, ir.Table)), repr(sorted(settings.items()))]
        key = f"{name}-{_short(self.content)}-{_short(code, *given, duckdb.__version__, ibis.__version__)}"
        if key not in self.held:
            kept_in_file = self.con.name == "duckdb" and self.content
            rows = lambda: compute(*arguments, **settings)  # noqa: E731 - building a large expression takes time itself
            self.held[key] = self._from_file(key, rows) if kept_in_file else rows().cache()
        return self.held[key]

    def _from_file(self, key: str, rows: Callable[[], ir.Table]) -> ir.Table:
        path = self.folder / f"{key}.parquet"
        self.folder.mkdir(parents=True, exist_ok=True)
        with _alone(self.folder / ".lock"):
            if not path.is_file():
                part = path.with_suffix(f".{os.getpid()}.part")
                self._write(rows(), part)
                part.replace(path)
            path.touch()
            self._prune(keep=f"-{_short(self.content)}-")
        return self.con.read_parquet(path, table_name=key)

    def _write(self, expr: ir.Table, path: Path) -> None:
        """The rows as Parquet, whole numbers as such: DuckDB sums them as 128-bit, which Parquet only has as floats."""
        whole = [name for name, kind in expr.schema().items() if kind.is_int64()]
        kept = ", ".join(f'CAST("{name}" AS BIGINT) AS "{name}"' for name in whole)
        self.con._run_pre_execute_hooks(expr)  # small frames in the expression become known to the engine,
        for frame in expr.op().find(InMemoryTable):  # their texts as enumerations: these are written in a fraction of the time
            texts = {name: "category" for name, kind in frame.schema.items() if kind.is_string()}
            self.con.con.register(frame.name, frame.data.to_frame().astype(texts))
        rows = f"SELECT * {f'REPLACE ({kept})' if whole else ''} FROM ({self.con.compile(expr)})"
        self.con.raw_sql(f"COPY ({rows}) TO '{str(path).replace(chr(39), chr(39) * 2)}' ({PARQUET})")

    def _prune(self, keep: str) -> None:
        """Remove what was left half written, what another build made, and what nobody read for a month."""
        for path in self.folder.glob("*.p*"):
            age = time.time() - path.stat().st_mtime
            if age > (UNUSED_SECONDS if keep in path.name and path.suffix == ".parquet" else OTHER_BUILD_SECONDS):
                path.unlink(missing_ok=True)


def plain(text: str) -> str:
    """A text, such as SQL, with kept tables by the name that `once` was given.

    >>> plain('FROM "occasions-0123456789ab-ba9876543210" AS t0')
    'FROM "occasions" AS t0'
    """
    return ADDED.sub("", text)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """One process at a time: notebooks that start together wait for the first one's file."""
    with lock.open("w") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _short(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]
