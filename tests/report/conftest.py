"""A small project folder: one client with built tables, two notebooks, and a market on too few customers."""

import functools
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

import ibis
import nbformat
import pandas as pd
import pytest

from helpers import schema
from helpers.report import page, render

SETTINGS = """
name = "Tiny <Shop>"
currency = "EUR"
time_zone = "Europe/Berlin"
churn_window_days = 90

[margin]
rate = 0.4

[report]
notebooks = [{notebooks}]
"""
FIRST = """\
# parameters
client = "tiny"  # folder under data/
as_of = "2026-10-31"  # last day observed
market = ""  # one market such as DE, or empty for all
"""
OPEN = """\
import pandas as pd
from helpers.client import open_client
from helpers.estimates import Estimate, MissingTable, proportion
from helpers.report import charts, page
shop = open_client(client, as_of, market)
sheet = page.start(shop, "{name}")
"""
CHECK = [
    "# Can we trust this month's data?\n\nWho reads <b>this</b>?",
    FIRST,
    OPEN,
    'sheet.answer("common.identity", share=1.0, orders=42)',
    "## How often do they buy?",
    'parts = pd.DataFrame({"market": ["DE", "FR", "<script>alert(1)</script>"], "value": [0.2, 0.2468, 0.75],\n'
    '                      "low": [0.1, 0.2, 0.1], "high": [0.3, 0.4, 0.9], "n": [400, 50, 4]})\n'
    'sheet.table(parts, {"market": "market", "value": "percent", "n": "count"})',
    'axes = charts.forest(sheet.shown(parts), "market", number=sheet.number("percent.0"))\n'
    'sheet.chart(axes, "cohorts.by_market", verdict="Germans buy less often")',
    'sheet.heat(pd.DataFrame({"n": [400, 50], 0: [1.0, 1.0], 1: [0.0, None]}, index=["2026-08", "2026-09"]))',
    'sheet.publish("repeat_purchase_rate", proportion(90, 454), unit="fraction")\n'
    'sheet.publish("repeat_purchase_rate", parts, unit="fraction")',
    'with sheet.section():\n    raise MissingTable("Surveys were not supplied. Fill surveys.csv.")',
    'print("a warning nobody should read")\nparts',
    "orders = shop.table('orders')\nsheet.counted(orders.filter(orders.status == 'paid'))",
    "sheet.provenance()",
]
CHURN = [
    "# How fast do we lose them?",
    FIRST,
    OPEN,
    'for month, lost in [("2026-08", 70), ("2026-09", 80), ("2026-10", 120)]:\n'
    '    sheet.publish("churn_rate", proportion(lost, 454), unit="fraction", period=month)',
    "sheet.answer('common.rows_read', table='orders', rows=3)\n"
    "sheet.do_next('common.rows_read', pd.DataFrame({'table': ['a'], 'rows': [5]}))",
]


def notebook(cells: list[str], name: str) -> nbformat.NotebookNode:
    """Texts as a notebook: a first '#' and a space, or '##', makes a markdown cell."""
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for place, text in enumerate(cells):
        words = text.startswith(("# ", "## ")) and "client =" not in text
        cell = (nbformat.v4.new_markdown_cell if words else nbformat.v4.new_code_cell)(text.replace("{name}", name))
        cell["id"] = f"c{place}"
        if "client =" in text:
            cell.metadata["tags"] = ["parameters"]
        book.cells.append(cell)
    return book


def put_notebook(folder: Path, name: str, cells: list[str]) -> None:
    """Write a notebook into the project's notebooks folder."""
    (folder / "notebooks").mkdir(exist_ok=True)
    nbformat.write(notebook(cells, name), folder / "notebooks" / f"{name}.ipynb")


def small_project(folder: Path) -> Path:
    """The project folder, written."""
    tables = folder / "data" / "tiny" / "tables"
    tables.mkdir(parents=True)
    names = '"00_data_check", "02_churn_rate"'
    (folder / "data" / "tiny" / "client.toml").write_text(SETTINGS.format(notebooks=names), encoding="utf-8")
    rows = {name: [] for name in schema.ALWAYS}
    rows["files"] = [
        dict(file="orders.csv", format="shopify", source="shop", sha256="ab" * 32, rows_read=42, rows_accepted=42,
             rows_rejected=0, rows_ignored=0, covered_through=date(2026, 10, 31), currency="EUR"),
    ]  # fmt: skip
    rows["fx"] = [dict(date=date(2026, 10, 30), currency="EUR", rate=1.0, source="ECB")]
    rows["orders"] = [_order(place) for place in range(42)]
    con = ibis.duckdb.connect()
    for name, each in rows.items():
        table = schema.TABLES[name]
        frame = pd.DataFrame([{c: row.get(c) for c in table.names} for row in each], columns=list(table.names))
        made = con.create_table(name, frame if each else None, schema=ibis.schema(table.dtypes))
        made.to_parquet(tables / f"{name}.parquet")
    put_notebook(folder, "00_data_check", CHECK)
    put_notebook(folder, "02_churn_rate", CHURN)
    return folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A small project of one's own, as $WORKBOOK_HOME."""
    monkeypatch.setenv("WORKBOOK_HOME", str(tmp_path))
    return small_project(tmp_path)


@pytest.fixture
def write_notebook(tmp_path):
    """`write_notebook("02_churn_rate", [cells])` into the project's notebooks folder."""
    return functools.partial(put_notebook, tmp_path)


@pytest.fixture(scope="session")
def small_report(tmp_path_factory):
    """The small project's report of 2026-10, rendered once; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        home = small_project(tmp_path_factory.mktemp("small"))
        patch.setenv("WORKBOOK_HOME", str(home))
        return render.report("tiny", date(2026, 10, 31))


@pytest.fixture
def shop():
    """A client as far as a sheet looks at it."""
    privacy = SimpleNamespace(minimum_cell=10)
    settings = SimpleNamespace(
        language="en", currency="EUR", name="Tiny <Shop>", privacy=privacy, churn_window_days=90, client="tiny"
    )
    return SimpleNamespace(settings=settings, as_of=date(2026, 10, 31), market="", window=90)


@pytest.fixture
def sheet(shop, monkeypatch):
    """A sheet whose outputs land in sheet.seen: a list of bundles by mimetype."""
    seen = []
    monkeypatch.setattr(page, "display", lambda bundle, **options: seen.append(bundle))
    made = page.start(shop, "02_churn_rate")
    made.seen = seen
    return made


def _order(place: int) -> dict:
    day = date(2026, 1, 1) + timedelta(days=7 * place)
    return dict(
        order_id=f"o{place}", source="shop", sales_channel="shopify", market="DE", customer_id=f"c{place % 7}",
        identity_scope="email", ordered_at=pd.Timestamp(day, tz="UTC"), order_date=day, status="paid", currency="EUR",
        gross_minor=1000, discount_minor=0, net_minor=1000, net_rc=1000, discount_rc=0, is_renewal=False,
    )  # fmt: skip
