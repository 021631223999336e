"""The demo's whole report on Spark, through the command line: the numbers of the one on DuckDB."""

import math
import shutil

import pytest
import report_runs
import spark_servers


@pytest.fixture
def on_spark(demo_run, tmp_path):
    """The report of demo_run made again on Spark, from the same built tables and nothing else it left behind."""
    spark_servers.needed()
    assert demo_run.code == 0, demo_run.said
    left = shutil.ignore_patterns("reports", "cache", "actions")
    home = shutil.copytree(demo_run.home, tmp_path / "home", ignore=left)
    return report_runs.workbook(home, "report", "demo", "--month", "2026-10", "--engine", "spark", timeout=1_500)


def test_the_whole_report_on_spark_gives_the_metrics_of_duckdb(demo_run, on_spark):
    assert on_spark.code == 0, on_spark.said
    here, there = (run.metrics("demo", "2026-10") for run in (demo_run, on_spark))
    assert [_labels(row) for row in here] == [_labels(row) for row in there]
    assert [(a, b) for a, b in zip(here, there, strict=True) if not _same(a, b)] == []


def _labels(row: dict) -> dict:
    return {key: value for key, value in row.items() if not isinstance(value, float)}


def _same(a: dict, b: dict) -> bool:
    """Equal words and counts, floats to 1e-9 of their size."""
    return a.keys() == b.keys() and all(
        math.isclose(a[key], b[key], rel_tol=1e-9, abs_tol=1e-12) if isinstance(a[key], float) else a[key] == b[key]
        for key in a
    )
