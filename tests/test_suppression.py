"""Somebody who wants a hidden number: can it be worked out from the totals and the other numbers of one report?"""

import html
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.report.rows import merged
from helpers.report.suppress import STANDS_ALONE

MINIMUM = 10
ABOUT = {"metric", "value", "low", "high", "n", "unit", "as_of", "notebook", "suppressed"}


def labels(row: dict) -> dict:
    return {name: value for name, value in row.items() if name not in ABOUT}


def key(row: dict, without: str = "") -> tuple:
    return (row["metric"], *sorted((name, str(value)) for name, value in labels(row).items() if name != without))


def equations(rows: list[dict]):
    """Every total with its parts along one label: (total row, part rows), wherever in the report they stand."""
    totals = {key(row): row for row in rows}
    for dimension in sorted({name for row in rows for name in labels(row)} - STANDS_ALONE):
        families: dict[tuple, list[dict]] = {}
        for row in rows:
            if dimension in labels(row):
                families.setdefault(key(row, dimension), []).append(row)
        for family, parts in families.items():
            if family in totals:
                yield totals[family], parts


def worked_out(rows: list[dict]) -> list[tuple]:
    """The hidden rows whose n follows from the published ones: unknowns that a linear system pins to one value."""
    unknown = {key(row): k for k, row in enumerate(row for row in rows if row.get("suppressed"))}
    lines = []
    for total, parts in equations(rows):
        line = np.zeros(len(unknown))
        for row, sign in [(total, -1.0), *((part, 1.0) for part in parts)]:
            if row.get("suppressed"):
                line[unknown[key(row)]] += sign
            elif "n" not in row:
                break
        else:
            lines.append(line)
    if not lines or not unknown:
        return []
    _u, size, directions = np.linalg.svd(np.array(lines))
    free = directions[(size > 1e-9).sum() :]  # ways the unknowns can move with every published number unchanged
    return [name for name, k in unknown.items() if np.abs(free[:, k]).max(initial=0.0) < 1e-9]


def report_of(counts: np.ndarray, markets, channels) -> list[dict]:
    """Two notebooks publishing customers by market × channel, by market, by channel, and in all."""
    rows = [dict(metric="share", notebook="01", n=int(counts.sum()), value=0.5)]
    for i, market in enumerate(markets):
        rows.append(dict(metric="share", notebook="02", market=market, n=int(counts[i].sum()), value=0.5))
        for j, channel in enumerate(channels):
            rows.append(
                dict(metric="share", notebook="05", market=market, channel=channel, n=int(counts[i, j]), value=0.5)
            )
    rows += [
        dict(metric="share", notebook="05", channel=channel, n=int(counts[:, j].sum()), value=0.5)
        for j, channel in enumerate(channels)
    ]
    return rows


# the attack works where nothing is hidden well


def test_a_lone_hidden_cell_is_worked_out():
    rows = report_of(np.array([[50, 4], [60, 70]]), ["DE", "FR"], ["email", "paid"])
    naive = [row | {"suppressed": True} if row["n"] < MINIMUM else row for row in rows]
    assert worked_out([{k: v for k, v in row.items() if k != "n" or not row.get("suppressed")} for row in naive])


# and fails against a report


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.integers(0, 60), min_size=3, max_size=3), min_size=2, max_size=4))
def test_no_hidden_number_follows_from_the_published_ones(counts):
    counts = np.array(counts)
    rows = merged(report_of(counts, ["DE", "FR", "GB", "US"][: len(counts)], ["email", "paid", "organic"]), MINIMUM)
    assert worked_out(rows) == []
    assert all(row["n"] >= MINIMUM for row in rows if "n" in row)


def test_no_hidden_number_of_the_demo_follows_from_the_published_ones(demo_run):
    rows = demo_run.metrics("demo", "2026-10")
    assert worked_out(rows) == []
    assert all(row["n"] >= MINIMUM for row in rows if "n" in row)
    assert not [row for row in rows if row.get("suppressed") and {"value", "low", "high", "n"} & set(row)]


def test_what_one_page_hides_stands_on_no_other(demo_run):
    """A hidden row of metrics.json is published by no notebook, under any name of page."""
    rows = demo_run.metrics("demo", "2026-10")
    hidden = {key(row) for row in rows if row.get("suppressed")}
    assert not [row for row in rows if key(row) in hidden and not row.get("suppressed")]


def page_counts(text: str) -> pd.DataFrame:
    """Every table's column n of a page: table, row, n as written."""
    found = []
    for k, table in enumerate(re.findall(r"<table.*?</table>", text, re.DOTALL)):
        rows = [
            [
                html.unescape(re.sub(r"<.*?>", "", cell)).strip()
                for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)
            ]
            for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL)
        ]
        if rows and "n" in rows[0]:
            found += [
                (k, number, row[rows[0].index("n")]) for number, row in enumerate(rows[1:]) if len(row) == len(rows[0])
            ]
    return pd.DataFrame(found, columns=["table", "row", "n"])


def test_no_page_of_the_demo_counts_a_few_customers(demo_run):
    pages = sorted((demo_run.home / "reports" / "demo" / "2026-10").glob("0*.html"))
    if not pages:
        pytest.fail("the demo's report has no pages")
    for page in pages:
        counts = page_counts(page.read_text(encoding="utf-8"))
        written = pd.to_numeric(counts["n"].str.replace(",", ""), errors="coerce").dropna()
        assert (written >= MINIMUM).all(), page.name
