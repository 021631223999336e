"""Derived tables are computed once, told apart by content and code, and never serve a wrong number."""

import os
import subprocess
import sys
import time

import ibis
import pyarrow as pa
import pytest
from ibis import _

from helpers.cache import OTHER_BUILD_SECONDS, UNUSED_SECONDS, Cache


@pytest.fixture
def numbers(con):
    return con.create_table("numbers", ibis.memtable({"a": [1, 2, 3]}).to_pyarrow())


def above(numbers, least):
    return numbers.filter(_.a > least)


def files(folder):
    return sorted(path.name for path in folder.glob("*.parquet"))


def total(table):
    return int(table.a.sum().execute())


def test_what_was_computed_is_read_and_not_computed_again(con, numbers, tmp_path):
    first = Cache(con, tmp_path, "build one").once("sums", above, numbers, 1)
    con.raw_sql("DELETE FROM numbers")
    again = Cache(con, tmp_path, "build one").once("sums", above, numbers, 1)
    assert (total(first), total(again)) == (5, 5)


@pytest.mark.parametrize(("content", "least"), [("build two", 1), ("build one", 2)])
def test_another_build_or_another_definition_is_computed_anew(con, numbers, tmp_path, content, least):
    Cache(con, tmp_path, "build one").once("sums", above, numbers, 1)
    con.raw_sql("INSERT INTO numbers VALUES (10)")
    assert total(Cache(con, tmp_path, content).once("sums", above, numbers, least)) == 15 - (least == 2) * 2


def test_whole_numbers_stay_whole(con, numbers, tmp_path):
    kept = Cache(con, tmp_path, "one").once("sums", lambda: numbers.agg(total=_.a.sum()))
    assert kept.schema()["total"].is_int64()


@pytest.mark.parametrize("names", [["", "tents", "Zelte ä"], []])
def test_texts_of_a_small_frame_come_back_as_texts(con, tmp_path, names):
    """They are written as enumerations; an empty one stands for none, and a frame may have no rows."""
    frame = pa.table({"k": pa.array(range(len(names)), pa.int64()), "name": pa.array(names, pa.string())})
    named = ibis.memtable(frame).mutate(name=_.name.nullif(""))
    kept = Cache(con, tmp_path, "one").once("named", lambda: named)
    assert kept.schema()["name"].is_string()
    assert kept.order_by("k").to_pyarrow().column("name").to_pylist() == [each or None for each in names]


def test_a_changed_setting_is_computed_anew(con, numbers, tmp_path):
    cache = Cache(con, tmp_path, "one")
    assert [total(cache.once("sums", above, numbers, least=least)) for least in (0, 2, 0)] == [6, 3, 6]


def test_what_is_derived_from_another_derived_table_is_known_by_it(con, numbers, tmp_path):
    """The same function of two tables that differ in a setting, in this process and in the next."""
    for _process in range(2):
        cache = Cache(con, tmp_path, "one")
        wide, narrow = (cache.once("sums", above, numbers, least=least) for least in (0, 2))
        assert [total(cache.once("again", above, table, 1)) for table in (wide, narrow)] == [5, 3]
    assert len(files(tmp_path)) == 4


def test_changed_code_is_computed_anew(con, numbers, tmp_path, monkeypatch):
    before = total(Cache(con, tmp_path, "one").once("sums", above, numbers, 0))
    con.raw_sql("INSERT INTO numbers VALUES (10)")
    changed = tmp_path / "changed.py"
    changed.write_text("another source")
    monkeypatch.setattr("inspect.getsourcefile", lambda function: str(changed))
    assert total(Cache(con, tmp_path, "one").once("sums", above, numbers, 0)) == before + 10


def test_a_deleted_cache_changes_no_number(con, numbers, tmp_path):
    before = total(Cache(con, tmp_path, "one").once("sums", above, numbers, 0))
    for path in tmp_path.iterdir():
        path.unlink()
    assert total(Cache(con, tmp_path, "one").once("sums", above, numbers, 0)) == before


def test_old_files_go_and_files_that_may_be_in_use_stay(con, numbers, tmp_path):
    Cache(con, tmp_path, "old").once("sums", above, numbers, 0)
    old = files(tmp_path)[0]
    Cache(con, tmp_path, "new").once("sums", above, numbers, 0)
    assert old in files(tmp_path)  # another notebook may be reading it
    half = tmp_path / "sums-x-y.123.part"
    half.touch()
    for path in (tmp_path / old, half):
        os.utime(path, (time.time() - OTHER_BUILD_SECONDS - 60,) * 2)
    Cache(con, tmp_path, "new").once("sums", above, numbers, 0)
    assert old not in files(tmp_path)
    assert not half.exists()
    assert len(files(tmp_path)) == 1


def test_a_month_nobody_asked_for_a_table_removes_it(con, numbers, tmp_path):
    Cache(con, tmp_path, "one").once("sums", above, numbers, 0)
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - UNUSED_SECONDS - 60,) * 2)
    Cache(con, tmp_path, "one").once("other", above, numbers, 0)
    assert [name.split("-")[0] for name in files(tmp_path)] == ["other"]


def test_two_processes_at_a_time_leave_one_whole_file(tmp_path):
    program = (
        "import ibis, pathlib; from helpers.cache import Cache\n"
        "con = ibis.duckdb.connect(); con.raw_sql('SET enable_progress_bar = false')\n"
        "numbers = con.sql('SELECT range AS a FROM range(2000000)')\n"
        f"print(Cache(con, pathlib.Path({str(tmp_path)!r}), 'one').once('numbers', numbers.distinct).a.sum().execute())"
    )
    both = [subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert {process.communicate()[0].strip() for process in both} == {str(sum(range(2_000_000)))}
    assert len(files(tmp_path)) == 1
    assert not list(tmp_path.glob("*.part"))


def test_a_warehouse_keeps_nothing_on_disk(con, numbers, tmp_path):
    assert total(Cache(con, tmp_path, "").once("sums", above, numbers, 0)) == 6
    assert files(tmp_path) == []
