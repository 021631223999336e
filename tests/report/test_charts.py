"""Charts: they draw what they are given, and change nothing."""

import re
from functools import partial

import matplotlib.dates
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from matplotlib import rcParams

from helpers.estimates import NotEnoughData
from helpers.report import axes, charts, drawing, formats
from helpers.report.wording import Words

NAN = float("nan")
MONTHS = pd.DataFrame({
    "month": list(pd.date_range("2026-01-01", periods=3, freq="MS")) * 2, "market": ["DE"] * 3 + ["FR"] * 3,
    "value": [0.1, NAN, 0.3, 0.2, 0.2, 0.2], "low": [0.05, NAN, 0.2, 0.1, 0.1, 0.1],
    "high": [0.2, NAN, 0.4, 0.3, 0.3, 0.3],
})  # fmt: skip
ROWS = pd.DataFrame({"name": ["A", "B"], "value": [1.0, -2.0], "low": [0.5, -3.0], "high": [1.5, -1.0]})
DRAW = {
    "lines": lambda: charts.lines(MONTHS, "month", "value", "low", "high", by="market", mark=pd.Timestamp(2026, 2, 1)),
    "steps": lambda: charts.lines(MONTHS, "month", "value", "low", "high", by="market", stepped=True),
    "bars": lambda: charts.bars(ROWS, "name", "value", str),
    "forest": lambda: charts.forest(ROWS, "name", reference=0.5),
    "stacked": lambda: charts.stacked(MONTHS, "month", "value", "market"),
    "waterfall": lambda: charts.waterfall(ROWS, "name", "value", str),
    "scatter": lambda: charts.scatter(ROWS, "low", "high", str, "Low", "High"),
    "scatter with intervals": lambda: charts.scatter(ROWS, "low", "value", str, "Low", "High", low="low", high="high"),
}


@pytest.mark.parametrize("name", DRAW)
def test_a_chart_leaves_its_frame_the_style_and_pyplot_as_they_were(name):
    months, rows, style = MONTHS.copy(), ROWS.copy(), dict(rcParams)
    DRAW[name]()
    pd.testing.assert_frame_equal(MONTHS, months)
    pd.testing.assert_frame_equal(ROWS, rows)
    assert dict(rcParams) == style
    assert plt.get_fignums() == []


def test_lines_draw_the_values_and_leave_gaps():
    drawn = [line.get_ydata() for line in DRAW["lines"]().lines[:2]]
    np.testing.assert_array_equal(drawn, [[0.1, NAN, 0.3], [0.2, 0.2, 0.2]])


def test_a_point_has_its_interval():
    (bars,) = [each for each in DRAW["scatter with intervals"]().collections if hasattr(each, "get_segments")]
    assert [segment.tolist() for segment in bars.get_segments()] == [[[0.5, 0.5], [0.5, 1.5]], [[-3.0, -3.0], [-3.0, -1.0]]]


def test_lines_through_nothing_but_hidden_points_are_no_chart():
    with pytest.raises(NotEnoughData, match="every point in it has too few customers"):
        charts.lines(MONTHS.assign(value=NAN), "month", "value")


def test_a_line_of_very_many_points_is_thinned_not_cut():
    frame = pd.DataFrame({"day": range(1_000), "left": [1 - day / 1_000 for day in range(1_000)]})
    line = charts.lines(frame, "day", "left", stepped=True).lines[0]
    drawn = line.get_xdata()
    assert line.get_drawstyle() == "steps-post"
    assert 150 < len(drawn) <= 190
    assert drawn[0] == 0
    assert drawn[-1] > 990


def test_bars_are_as_long_as_their_values_first_on_top():
    ax = DRAW["bars"]()
    assert [bar.get_width() for bar in ax.patches] == [1.0, -2.0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["A", "B"]
    assert ax.yaxis_inverted()


def test_a_hidden_row_of_a_forest_stands_last_with_its_mark_and_none_shown_is_no_chart():
    hidden = ROWS.assign(value=[NAN, -2.0], low=[NAN, -3.0], high=[NAN, -1.0])
    ax = charts.forest(hidden, "name")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["B", "A"]
    assert [(text.get_text(), text.xy[1]) for text in ax.texts] == [("·", 1)]
    with pytest.raises(NotEnoughData, match="too few customers"):
        charts.forest(hidden.head(1), "name")


def test_stacked_columns_sum_to_the_total_and_negatives_hang_below():
    frame = pd.DataFrame({"x": ["a"] * 3, "by": ["p", "q", "r"], "y": [2.0, 3.0, -1.0]})
    spans = [(bar.get_y(), bar.get_y() + bar.get_height()) for bar in charts.stacked(frame, "x", "y", "by").patches]
    assert spans == [(0, 2), (2, 5), (0, -1)]


def test_a_waterfall_ends_where_its_steps_lead():
    frame = pd.DataFrame({"step": ["start", "up", "down", "end"], "value": [10.0, 4.0, -3.0, 11.0]})
    ax = charts.waterfall(frame, "step", "value", "{:.0f}".format)
    bars = ax.patches
    assert [text.get_text() for text in ax.texts][:4] == ["10", "+4", "-3", "11"]
    assert bars[2].get_x() + bars[2].get_width() == bars[3].get_width() == 11.0


def test_a_waterfall_of_small_steps_cuts_its_totals_and_marks_them():
    frame = pd.DataFrame({"step": ["start", "up", "end"], "value": [100.0, 4.0, 104.0]})
    ax = charts.waterfall(frame, "step", "value", str)
    assert 90 < ax.get_xlim()[0] < 100
    assert [text.get_text() for text in ax.texts].count("//") == 2
    frame.loc[1:, "value"] = [90.0, 190.0]
    assert charts.waterfall(frame, "step", "value", str).get_xlim()[0] <= 0


def test_a_step_written_as_zero_has_no_sign():
    frame = pd.DataFrame({"step": ["start", "up", "end"], "value": [1.0, 0.002, 1.002]})
    assert [text.get_text() for text in charts.waterfall(frame, "step", "value", "{:.0%}".format).texts][:3] == ["100%", "0%", "100%"]


def test_numbers_and_names_are_written_by_the_functions_given():
    ax = charts.bars(ROWS, "name", "value", number=lambda each: f"{each:.0f} pieces")
    assert [text.get_text() for text in ax.texts] == ["1 pieces", "-2 pieces"]
    ax = charts.lines(MONTHS, "month", "value", by="market", names={"DE": "Germany", "FR": "France"}.get)
    assert [text.get_text() for text in ax.figure.legends[0].get_texts()] == ["Germany", "France"]


def test_an_empty_frame_is_drawn_without_an_error():
    charts.bars(ROWS.head(0), "name", "value", str)
    charts.lines(MONTHS.head(0), "month", "value", "low", "high", by="market")


@pytest.mark.parametrize("spec", ["percent.0", "percent", "number.1", "ratio", "money", "money.0", "+points"])
@pytest.mark.parametrize(("low", "high"), [(0.2146, 0.2861), (0.581, 0.618), (1.93, 2.61), (-0.4, 11.3), (812.0, 13_420.0)])
def test_a_tick_says_where_it_stands(spec, low, high):
    """What is written, read back, lies on its place: nothing was rounded away."""
    words = Words()
    number = partial(words.format_field, spec=spec)
    number.finer = partial(words.format_field, spec=formats.finer(spec))
    frame = pd.DataFrame({"market": ["DE", "FR"], "value": [low, high], "low": [low, high], "high": [low, high]})
    ax = charts.forest(frame, "market", number=number)
    ax.figure.canvas.draw()
    places, texts = ax.get_xticks(), [text.get_text() for text in ax.get_xticklabels()]
    read = [float(re.sub(r"[^\d.−]", "", text).replace("−", "-")) for text in texts]
    assert read == pytest.approx(places * (100 if spec.lstrip("+").startswith(("percent", "points")) else 1), abs=1e-6)


def test_a_month_end_stands_at_its_month():
    ends = pd.DataFrame({"month": pd.date_range("2025-10-31", periods=12, freq="ME"), "rate": range(12)})
    ax = charts.lines(ends, "month", "rate")
    ax.figure.canvas.draw()
    marks = {text.get_text(): place for place, text in zip(ax.get_xticks(), ax.get_xticklabels(), strict=True)}
    assert marks["2026-01"] == matplotlib.dates.date2num(ax.lines[0].get_xdata()[3])


def test_months_under_an_axis_are_written_by_the_function_given():
    ax = drawing.canvas()
    ax.set_xticks([0], ["2026-10"])
    axes.rewrite_ticks(ax.figure, lambda text: text.replace("2026-10", "Oct 2026"))
    assert ax.get_xticklabels()[0].get_text() == "Oct 2026"


def test_all_ticks_get_a_decimal_where_one_would_lose_its_place():
    number = partial("{:.0f}".format)
    number.finer = "{:.1f}".format
    assert axes.Ticks(number).format_ticks([2, 2.5, 3]) == ["2.0", "2.5", "3.0"]
    assert axes.Ticks(number).format_ticks([2, 3, 4]) == ["2", "3", "4"]
