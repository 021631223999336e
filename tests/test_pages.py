"""The demo's report as a reader's browser shows it, wide and on a telephone, with the network off."""

import html
import re

import pytest
from browser import Browser, installed
from bs4 import BeautifulSoup

from helpers.settings import NOTEBOOKS

PAGES = ("index", *NOTEBOOKS)
WIDTHS = (1280, 390)
SMALLEST_LETTERS = 11.0  # pixels, in a chart on a telephone
BOXES = """[...document.querySelectorAll('%s')].filter(e => !e.closest('details:not([open])')).map(e => {
  const box = e.getBoundingClientRect();
  return {width: box.width, height: box.height, left: box.left, right: box.right,
          shown: e.checkVisibility({checkOpacity: true, checkVisibilityCSS: true})};
})"""
LETTERS = """[...document.querySelectorAll('.chart-svg')].flatMap(svg => {
  const scale = svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  return [...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize) * scale);
})"""
OUTSIDE = """[...document.querySelectorAll('.chart-svg')].flatMap(svg => {
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.width && (box.left < frame.left - 3 || box.right > frame.right + 3);
  }).map(text => text.textContent);
})"""


@pytest.fixture(scope="module")
def folder(demo_run):
    """The folder of the demo's report."""
    assert demo_run.code == 0, demo_run.said
    return demo_run.home / "reports" / "demo" / "2026-10"


@pytest.fixture(scope="module")
def browser():
    """A headless browser without a network."""
    if not installed():
        pytest.skip("Chromium is not installed (apt-get install chromium)")
    with Browser() as opened:
        yield opened


def test_the_browser_would_hear_a_request_and_an_error(browser, tmp_path):
    """The instrument itself: a page that asks for a picture and throws."""
    loud = tmp_path / "loud.html"
    loud.write_text("<img src='http://192.0.2.1/a.png'><script>console.error('no')</script>", encoding="utf-8")
    asked, said = browser.open(loud, 1280)
    assert asked == ["http://192.0.2.1/a.png"]
    assert any('"no"' in each for each in said)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", PAGES)
class TestPage:
    def test_it_asks_for_nothing_and_says_nothing_to_the_console(self, browser, folder, name, width):
        asked, said = browser.open(folder / f"{name}.html", width)
        assert asked == []
        assert said == []

    def test_everything_fits_and_every_table_and_chart_can_be_seen(self, browser, folder, name, width):
        browser.open(folder / f"{name}.html", width)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width
        for what in ("figure.chart", ".chart-svg", "figure.table", "table", ".card", ".answer"):
            for box in browser.evaluate(BOXES % what):
                assert box["shown"], what
                assert box["width"] > 40, what
                assert box["height"] > 10, what
                assert what in ("table", ".chart-svg") or box["right"] <= width + 1, what  # these two scroll by themselves

    def test_the_letters_of_charts_can_be_read_and_stay_inside(self, browser, folder, name, width):
        browser.open(folder / f"{name}.html", width)
        assert all(size >= SMALLEST_LETTERS for size in browser.evaluate(LETTERS))
        assert browser.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(folder, name):
    soup = BeautifulSoup((folder / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    for link in soup.select("a[href]"):
        file, _, anchor = link["href"].partition("#")
        target = folder / file if file else folder / f"{name}.html"
        assert target.is_file(), link
        if anchor:
            there = BeautifulSoup(target.read_text(encoding="utf-8"), "html.parser")
            assert there.find(id=anchor), link


@pytest.mark.parametrize("name", PAGES)
def test_in_the_dark_ink_and_paper_change_places(browser, folder, name):
    browser.open(folder / f"{name}.html", 1280, dark=True)
    color = "getComputedStyle(document.body)"
    shades = [browser.evaluate(f"{color}.{part}") for part in ("backgroundColor", "color")]
    paper, ink = (sum(int(each) for each in shade[4:-1].split(",")) for shade in shades)
    assert paper < 200 < 600 < ink


@pytest.mark.parametrize("name", PAGES)
def test_a_charts_title_is_a_finding_in_ten_words(folder, name):
    page = (folder / f"{name}.html").read_text(encoding="utf-8")
    for finding in re.findall(r"<figcaption><strong>(.*?)</strong>", page):
        words = [word for word in html.unescape(finding).split() if any(letter.isalnum() for letter in word)]
        assert 0 < len(words) <= 10, finding


@pytest.mark.parametrize("name", PAGES)
def test_headings_have_an_order_and_pictures_a_text(folder, name):
    soup = BeautifulSoup((folder / f"{name}.html").read_text(encoding="utf-8"), "html.parser")
    assert len(soup.select("main h1")) == 1
    assert soup.html["lang"] == "en"
    assert all(svg.find("title") and svg.find("title").text.strip() for svg in soup.select("svg"))
    assert all(cell.get("scope") for cell in soup.select("th"))
