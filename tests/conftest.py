"""Fixtures: the reference data, a DuckDB database, and the six customers of pencil.py as tables."""

import os
import tempfile
from datetime import date
from pathlib import Path

import hypothesis
import ibis
import pandas as pd
import postgres
import pytest
import report_runs
import truth
from pencil import REFUND, TIMELINE, orders_of

from helpers import schema
from helpers.metrics import occasions as purchase_occasions

hypothesis.settings.register_profile("steady", deadline=None, derandomize=True, max_examples=50)
hypothesis.settings.load_profile("steady")

os.environ.setdefault("WORKBOOK_TODAY", "2026-12-01")  # the day the tests' exports are read on: none of their days is to come
SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Two workers share the tests by file; the files that read the demo's report go to one, which makes it once."""
    from xdist.scheduler import LoadScopeScheduling  # xdist's own groups do nothing under pytest 9

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            file = nodeid.split("::")[0]
            return "demo" if "demo_run" in (config.rootpath / file).read_text(encoding="utf-8") else file

    return ByFile(config, log)


def pytest_collection_modifyitems(items):
    """What reads the demo's report comes first: it takes longest."""
    items.sort(key=lambda item: "demo_run" not in getattr(item, "fixturenames", ()))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Under REQUIRE_ALL=1 a test that skips has failed: nothing that was to be checked may go unchecked."""
    report = (yield).get_result()
    if report.skipped and os.environ.get("REQUIRE_ALL") and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"skipped under REQUIRE_ALL: {report.longrepr}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of reference data sets and published results; absent outside the project's own machines."""
    if not (SHARED / "published.json").is_file():
        pytest.skip("the reference data (../shared) is not on this machine")
    return SHARED


@pytest.fixture
def con() -> ibis.BaseBackend:
    """An empty DuckDB database."""
    return ibis.duckdb.connect()


def as_table(con: ibis.BaseBackend, name: str, rows: list[dict]):
    """Rows as a canonical table: columns left out are null, types are the schema's."""
    table = schema.TABLES[name]
    frame = pd.DataFrame([{c: row.get(c) for c in table.names} for row in rows], columns=list(table.names))
    unused = f"{name}_{len(con.list_tables())}"
    return con.create_table(unused, frame if rows else None, schema=ibis.schema(table.dtypes))


@pytest.fixture
def table(con):
    """`table("orders", rows)`: rows as a lazy canonical table."""
    return lambda name, rows=(): as_table(con, name, list(rows))


@pytest.fixture
def occasions_of(table):
    """`occasions_of(timeline, as_of, **settings)`: purchase occasions of (customer, market, day) triples."""

    def build(timeline, as_of: date, refunds=(), margin_rate=0.4, **settings):
        return purchase_occasions.occasions(
            table("orders", orders_of(timeline)), table("order_lines"), table("refunds", refunds), table("customers"),
            as_of, margin_rate=margin_rate, **settings,
        )

    return build


@pytest.fixture
def six_customers(occasions_of):
    """Purchase occasions of the six customers drawn in pencil.py, as of 2026-06-30."""
    return occasions_of(TIMELINE, date(2026, 6, 30), refunds=[REFUND])


@pytest.fixture
def postgresql():
    """The URL of a PostgreSQL server of our own."""
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def demo_run(tmp_path_factory):
    """The demo's report of 2026-10, made once for all tests by the same command as the cron job's."""
    home = report_runs.project_in(tmp_path_factory.mktemp("demo"), "demo")
    return report_runs.workbook(home, "report", "demo", "--month", "2026-10")


@pytest.fixture(scope="session")
def demo_truth():
    """What is true about the demo, off the simulation itself."""
    from helpers.demo import write_demo

    with tempfile.TemporaryDirectory() as folder:
        return truth.facts(*write_demo(Path(folder)))
