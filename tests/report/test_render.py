"""A report as files: what is in its folder, that a rerun gives the same numbers, and what a failure leaves."""

import json
import os
import re
import subprocess
import sys
from datetime import date

from bs4 import BeautifulSoup

from helpers.report import render

OCTOBER = date(2026, 10, 31)
LIGHT = ["# Is it so?", 'client = "tiny"\nas_of = "2026-10-31"\nmarket = ""', "1 + 1"]


def page(folder, name: str) -> BeautifulSoup:
    return BeautifulSoup((folder / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_the_folder_holds_the_pages_and_the_two_files_and_nothing_else(small_report):
    assert not small_report.failures
    assert small_report.folder.name == "2026-10"
    assert sorted(path.name for path in small_report.folder.iterdir()) == [
        "00_data_check.html", "02_churn_rate.html", "index.html", "metrics.json", "run.json"
    ]  # fmt: skip
    assert [path.name for path in small_report.folder.parent.iterdir()] == ["2026-10"]


def test_metrics_json_is_flat_sorted_and_hides_small_cells(small_report):
    text = (small_report.folder / "metrics.json").read_text(encoding="utf-8")
    rows = json.loads(text)
    assert [row["metric"] for row in rows] == ["churn_rate"] * 3 + ["repeat_purchase_rate"] * 4
    assert [row.get("period") for row in rows[:3]] == ["2026-08", "2026-09", "2026-10"]
    hidden = [row for row in rows if row.get("suppressed")]
    assert [row["market"] for row in hidden] == ["<script>alert(1)</script>", "FR"]
    assert not any({"value", "low", "high", "n"} & set(row) for row in hidden)
    for page_file in small_report.folder.glob("*.html"):  # France and its neighbour, in no table, chart or sentence
        assert not {"24.7%", "75.0%"} & set(re.findall(r"[\d.]+%", page_file.read_text(encoding="utf-8")))
    assert "NaN" not in text


def test_run_json_says_what_went_in(small_report):
    facts = json.loads((small_report.folder / "run.json").read_text(encoding="utf-8"))
    assert facts["parameters"] == {"client": "tiny", "as_of": "2026-10-31", "market": ""}
    assert facts["inputs"][0]["sha256"] == "ab" * 32
    assert facts["fx"] == {"source": "ECB", "last_rate": "2026-10-30"}
    assert set(facts["seconds"]) == {"00_data_check", "02_churn_rate"}
    assert facts["seconds_total"] >= max(facts["seconds"].values())
    assert {"duckdb", "pandas", "retention-workbook"} <= set(facts["versions"])


def test_a_page_shows_what_the_sheet_showed_and_no_code_or_stray_output(small_report):
    soup = page(small_report.folder, "00_data_check")
    text = soup.get_text(" ", strip=True)
    assert soup.html["lang"] == "en"
    assert soup.title.text == "Can we trust this month's data? · Tiny <Shop> · October 2026"
    assert "Surveys were not supplied" in text
    for stray in ("a warning nobody should read", "open_client", "0.75", "vnd.workbook"):
        assert stray not in str(soup)


def test_data_are_escaped_and_no_page_has_a_script_or_asks_for_anything(small_report):
    for name in ("index", "00_data_check", "02_churn_rate"):
        soup = page(small_report.folder, name)
        assert not soup.find_all(["script", "iframe", "object", "link"], href=lambda href: href != "data:,")
        for tag in soup.find_all(True):
            for attribute in ("src", "href", "xlink:href"):
                assert "//" not in tag.get(attribute, ""), tag
    assert "&lt;script&gt;alert(1)" in (small_report.folder / "00_data_check.html").read_text(encoding="utf-8")


def test_every_picture_has_a_text_alternative(small_report):
    for name in ("index", "00_data_check"):
        pictures = page(small_report.folder, name).select("svg")
        assert pictures
        assert all(picture.find("title").text for picture in pictures)


def test_the_front_page_has_cards_answers_next_steps_and_what_is_missing(small_report):
    soup = page(small_report.folder, "index")
    cards = {card.h2.text: card.get_text(" ", strip=True) for card in soup.select(".card")}
    assert list(cards) == ["Repeat purchase rate, 12 months", "Churn in the month"]
    assert "26.4% 22.6% to 30.7%" in cards["Churn in the month"]
    assert "up 8.8 points from 17.6% in September 2026" in cards["Churn in the month"]
    assert soup.select(".card .spark")
    text = soup.get_text(" ", strip=True)
    assert "100.0% of 42 orders can be tied to a customer" in text
    assert "a: 5 rows read" in text
    assert "Surveys were not supplied" in text


def test_a_rerun_gives_the_same_metrics_byte_for_byte(small_report, project):
    (project / "notebooks" / "02_churn_rate.ipynb").unlink()
    settings = project / "data" / "tiny" / "client.toml"
    settings.write_text(settings.read_text().replace(', "02_churn_rate"', ""), encoding="utf-8")
    again = render.report("tiny", OCTOBER)
    lines = (small_report.folder / "metrics.json").read_text(encoding="utf-8").splitlines()
    mine = [line for line in lines if "00_data_check" in line]
    assert [line.rstrip(",") for line in (again.folder / "metrics.json").read_text().splitlines()[1:-1]] == [
        line.rstrip(",") for line in mine
    ]


def test_a_failing_notebook_is_named_the_others_run_and_the_last_good_report_stays(project, write_notebook):
    good = project / "reports" / "tiny" / "2026-10"
    good.mkdir(parents=True)
    (good / "index.html").write_text("the last good one", encoding="utf-8")
    write_notebook("00_data_check", [*LIGHT, "## Where it breaks", 'raise ValueError("no <such> thing")'])
    write_notebook("02_churn_rate", LIGHT)
    made = render.report("tiny", OCTOBER)
    assert made.failures == {"00_data_check": "Cell 5, under “Where it breaks”. ValueError: no <such> thing"}
    assert (good / "index.html").read_text(encoding="utf-8") == "the last good one"
    assert made.folder.name == "2026-10.failed"
    assert (made.folder / "00_data_check.ipynb").exists()
    broken, front = page(made.folder, "00_data_check"), page(made.folder, "index")
    assert "no <such> thing" in broken.select_one(".failed").text
    assert "Traceback" not in broken.text
    assert "papermill" not in broken.text
    assert "One notebook did not finish" in front.select_one(".failed").text
    assert json.loads((made.folder / "metrics.json").read_text()) == []


def test_a_run_that_is_killed_leaves_the_last_good_report(project, write_notebook):
    write_notebook("00_data_check", [*LIGHT, "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)"])
    good = project / "reports" / "tiny" / "2026-10"
    good.mkdir(parents=True)
    (good / "index.html").write_text("the last good one", encoding="utf-8")
    code = "from datetime import date; from helpers.report import render; render.report('tiny', date(2026, 10, 31))"
    done = subprocess.run([sys.executable, "-c", code], env=dict(os.environ), timeout=120, check=False)
    assert done.returncode != 0
    assert (good / "index.html").read_text(encoding="utf-8") == "the last good one"
    assert not list((project / "reports" / "tiny").glob("*.failed"))


def test_what_a_killed_run_left_is_cleared_and_what_it_set_aside_put_back(tmp_path):
    (tmp_path / ".2026-10.999999999").mkdir()
    (tmp_path / ".2026-10.old").mkdir()
    (tmp_path / ".2026-10.old" / "index.html").write_text("good", encoding="utf-8")
    building = render._fresh_folder(tmp_path, "2026-10")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([building.name, "2026-10"])
    assert (tmp_path / "2026-10" / "index.html").read_text(encoding="utf-8") == "good"


def test_a_day_and_a_market_have_folders_of_their_own():
    assert render.folder_label(date(2026, 10, 30)) == "2026-10-30"
    assert render.folder_label(OCTOBER, "DE") == "2026-10-DE"
