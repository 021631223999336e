"""Spark servers of our own for a test, on free ports of this machine only, gone with the test or with the process that runs it."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from helpers import spark

UNTIL_CLOSED = '"$@" </dev/null & read -r _; kill $!; wait'  # our end of its input closes however we end
STARTS_SECONDS = 90


def needed() -> Path:
    """The folder of PySpark, which brings the servers; the test skips without it or without Java."""
    pyspark = pytest.importorskip("pyspark", reason="pyspark is not installed: pip install -r requirements-spark.lock")
    if not shutil.which("java"):
        pytest.skip("Spark needs Java 17, and there is no java on this machine")
    return Path(pyspark.__file__).parent


@contextmanager
def connect() -> Iterator[str]:
    """The address of a Spark Connect server with two cores and the settings that suit small data."""
    settings = spark.LOCAL | {"spark.connect.grpc.binding.address": "127.0.0.1", "spark.connect.grpc.binding.port": "0"}
    words = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    with ExitStack() as running:
        log = _start(running, "spark-submit", "--master", "local[2]", *words,
                     "--class", "org.apache.spark.sql.connect.service.SparkConnectServer", "spark-internal")
        port = _said(log, r"Connect server started at: \S*?:(\d+)")
        yield f"sc://127.0.0.1:{port}"


@contextmanager
def cluster() -> Iterator[str]:
    """The address of a standalone cluster: a master and two workers with a core and a gigabyte each."""
    room = "org.apache.spark.deploy"
    with ExitStack() as running:
        log = _start(running, "spark-class", f"{room}.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        url = _said(log, r"Starting Spark master at (spark://\S+)")
        worker = ("spark-class", f"{room}.worker.Worker", "--host", "127.0.0.1", "--webui-port", "0", "--cores", "1", "--memory", "1g", url)
        for log in [_start(running, *worker) for _each in range(2)]:
            _said(log, r"Successfully (registered) with master")
        yield url


def _said(log: Path, pattern: str) -> str:
    """What the group of the pattern matches in a server's log, as soon as the server says it."""
    for _tenth in range(10 * STARTS_SECONDS):
        said = log.read_text(errors="replace")
        if found := re.search(pattern, said):
            return found[1]
        time.sleep(0.1)
    raise TimeoutError(f"the server did not start:\n{said}")


def _start(running: ExitStack, script: str, *words: str) -> Path:
    """Start one of PySpark's scripts, which ends with `running`; gives its log."""
    home = needed()
    folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="spark-", ignore_cleanup_errors=True)))
    log = folder / "log"
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "PYSPARK_"))} | {
        "SPARK_HOME": str(home), "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_DIRS": str(folder),
    }  # fmt: skip
    with log.open("w") as file:
        process = subprocess.Popen(["sh", "-c", UNTIL_CLOSED, "sh", home / "bin" / script, *words],
                                   stdin=subprocess.PIPE, stdout=file, stderr=file, cwd=folder, env=environment)
    running.callback(process.wait)
    running.callback(process.stdin.close)
    return log
