"""SVG: accessible, the same bytes every time, safe beside other charts on a page."""

import re
import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from helpers.report import charts, drawing


def finished(finding="Sales <rose> & fell"):
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [3.0, 4.0, 2.0], "by": ["<i>a</i>"] * 3})
    return charts.finish(charts.lines(frame, "x", "y", by="by"), finding, "Sales by year", "Source: books").figure


def test_it_is_an_image_with_a_title_and_every_text_is_escaped():
    svg = drawing.to_svg(finished(), "c1")
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.find("title").text == "Sales <rose> & fell. Sales by year."
    assert root.get("aria-labelledby") == root.find("title").get("id")
    assert "<i>" not in svg


def test_two_runs_give_the_same_bytes():
    assert drawing.to_svg(finished(), "c1") == drawing.to_svg(finished(), "c1")


def test_ids_are_the_page_s_own_and_every_reference_finds_its_id():
    svg = drawing.to_svg(finished(), "c7")
    ids = re.findall(r' id="([^"]+)"', svg)
    wanted = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    assert all(each.startswith("c7-") for each in ids)
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in wanted} <= set(ids)


def test_it_asks_for_nothing_and_styles_nothing_but_itself():
    svg = drawing.to_svg(finished(), "c1")
    assert not re.search(r"<style|<script|https?://", svg.replace("http://www.w3.org", ""))
    assert len(svg) < 6_000


def test_all_charts_have_one_width_so_that_letters_have_one_size():
    widths = {re.search(r'viewBox="0 0 ([\d.]+)', drawing.to_svg(finished(), "c1")).group(1)}
    frame = pd.DataFrame({"name": ["A much longer label than usual"], "value": [1.0]})
    ax = charts.finish(charts.bars(frame, "name", "value"), "One bar", "A bar", "Source: books")
    assert widths == {re.search(r'viewBox="0 0 ([\d.]+)', drawing.to_svg(ax.figure, "c2")).group(1)}


def test_an_unfinished_chart_does_not_go_out():
    with pytest.raises(ValueError, match="was not finished"):
        drawing.to_svg(drawing.canvas().figure, "c1")
