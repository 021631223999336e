"""SVG: accessible, the same bytes every time, safe beside other charts on a page."""

import re
import xml.etree.ElementTree as ET

import pandas as pd

from helpers.report import charts, drawing


def svg_of(identity="c1"):
    frame = pd.DataFrame({"x": [1, 2, 3], "y": [3.0, 4.0, 2.0], "by": ["<i>a</i>"] * 3})
    return drawing.to_svg(charts.lines(frame, "x", "y", by="by").figure, identity, "Sales <rose> & fell. Sales by year.")


def test_it_is_an_image_with_a_title_and_every_text_is_escaped():
    svg = svg_of()
    root = ET.fromstring(svg)
    assert root.get("role") == "img"
    assert root.find("title").text == "Sales <rose> & fell. Sales by year."
    assert root.get("aria-labelledby") == root.find("title").get("id")
    assert "<i>" not in svg


def test_two_runs_give_the_same_bytes():
    assert svg_of() == svg_of()


def test_ids_are_the_page_s_own_and_every_reference_finds_its_id():
    svg = svg_of("c7")
    ids = re.findall(r' id="([^"]+)"', svg)
    wanted = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', svg)
    assert all(each.startswith("c7-") for each in ids)
    assert len(ids) == len(set(ids))
    assert {a or b for a, b in wanted} <= set(ids)


def test_it_asks_for_nothing_and_styles_nothing_but_itself():
    svg = svg_of()
    assert not re.search(r"<style|<script|https?://", svg.replace("http://www.w3.org", ""))
    assert len(svg) < 6_000


def test_all_charts_have_one_width_so_that_letters_have_one_size():
    frame = pd.DataFrame({"name": ["A much longer label than usual"], "value": [1.0]})
    bar = drawing.to_svg(charts.bars(frame, "name", "value", str).figure, "c2", "A bar.")
    assert len({re.search(r'viewBox="0 0 ([\d.]+)', svg).group(1) for svg in (svg_of(), bar)}) == 1
