"""A PostgreSQL server of our own for a test, on a socket in a folder of its own, gone afterwards."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def server() -> Iterator[str]:
    """The server's URL, without a password; the test skips where PostgreSQL or its driver is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'ibis-framework[postgres]'")
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    initdb = shutil.which("initdb") or (found[-1] if found else None)
    if initdb is None:
        pytest.skip("there is no PostgreSQL on this machine")
    control = Path(initdb).with_name("pg_ctl")
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, user = Path(name), []
        if os.geteuid() == 0:  # the server refuses to run as root
            user = ["runuser", "-u", "postgres", "--"]
            shutil.chown(folder, "postgres")
        data = folder / "data"

        def run(*words) -> None:
            subprocess.run([*user, *words], check=True, capture_output=True, cwd="/")

        run(initdb, "-D", data, "-A", "trust", "-U", "reader", "-E", "UTF8", "--locale=C", "--no-sync")
        run(control, "-D", data, "-o", f"-F -k {folder} -c listen_addresses=''", "-l", folder / "log", "-w", "start")
        try:
            yield f"postgres://reader@/postgres?host={folder}"
        finally:
            run(control, "-D", data, "-m", "immediate", "stop")
