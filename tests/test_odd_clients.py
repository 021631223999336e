"""Clients unlike the demo: a marketplace that names nobody, a shop that keeps hardly anybody, one that has just begun."""

import json
import re

import pytest
from report_runs import project_in, workbook

from helpers.demo import write_demo

UNSAID = re.compile(r"\b(nan|NaT|inf)\b")
CLIENTS = {  # customers, seed, whose orders are exported, what is asked of the report
    "marketplace": (900, 24, "amazon", []),
    "leaving": (200, 43, "_eu", ["--month", "2025-03"]),
    "beginning": (450, 9, "_world", ["--month", "2024-02"]),
}


@pytest.fixture(scope="module", params=CLIENTS)
def report(request, tmp_path_factory):
    """The report's folder of one of CLIENTS, made by `workbook new` and `workbook report` as a consultant would."""
    customers, seed, shop, asked = CLIENTS[request.param]
    home, raw = project_in(tmp_path_factory.mktemp(request.param)), tmp_path_factory.mktemp("exports")
    write_demo(raw, customers, seed)
    for path in raw.glob("*"):
        if path.name.startswith(("orders_", "amazon_", "customers_")) and shop not in path.name:
            path.unlink()
    for command in (["new", "odd", "--raw", str(raw)], ["report", "odd", *asked]):
        done = workbook(home, *command)
        assert done.code == 0, done.said
    return next((home / "reports" / "odd").glob("2*"))


def test_every_page_stands_and_shows_no_number_that_is_none(report):
    facts = json.loads((report / "run.json").read_text(encoding="utf-8"))
    assert len(facts["seconds"]) == 9 and not facts["failures"]
    for page in report.glob("*.html"):
        seen = re.sub(r"(?s)<(style|script|pre|svg)\b.*?</\1>|<[^>]+>", " ", page.read_text(encoding="utf-8"))
        assert not UNSAID.search(seen), page.name
