"""The title of groups set against each other: who stands at the ends, only where a test says so. Oracle: the pencil."""

import pandas as pd
import pytest

from helpers.estimates import NotEnoughData, with_wilson
from helpers.metrics.groups.markets import UNKNOWN
from helpers.report import groups
from helpers.report.suppress import hidden
from helpers.report.wording import Words

CHANNELS = pd.DataFrame({"channel": [UNKNOWN, "email", "direct", "sms"], "active": [95, 80, 50, 1], "n": [100, 100, 100, 4]})


class Sheet:
    """What a sheet is asked for, kept: the verdict of the chart, the rows of the table."""

    text, number, name = Words().say, lambda self, spec: "{:.2f}".format, lambda self, kind: Words().label

    def shown(self, frame):
        return frame.assign(value=frame["value"].mask(hidden(frame, 10)))

    def chart(self, ax, key, verdict):
        self.verdict = verdict

    def table(self, frame, kinds, title):
        self.rows, self.kinds = frame, kinds


def told(frame):
    sheet = Sheet()
    groups.tell(sheet, with_wilson(frame, "active", "n"), "channel", "label", "cohorts.by_channel", 0.7)
    return sheet


def test_the_title_names_the_ends_that_are_known_and_large_enough():
    sheet = told(CHANNELS)
    assert sheet.verdict == "E-mail: 80% come back; Direct: 50%"
    assert sheet.kinds == {"channel": "label", "value": "percent", "n": "count"}
    assert len(sheet.rows) == 4


def test_groups_that_may_be_alike_have_no_ends():
    assert told(CHANNELS.assign(active=[50, 52, 48, 1])).verdict == "Second purchases do not clearly differ between channels"


def test_one_known_group_beside_the_unknown_has_no_other_end():
    assert told(CHANNELS[:2].assign(active=[95, 40])).verdict == "Second purchases do not clearly differ between channels"


def test_groups_all_too_small_are_left_out():
    with pytest.raises(NotEnoughData):
        told(CHANNELS.assign(n=[4] * 4, active=[1] * 4))
