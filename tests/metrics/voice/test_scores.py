"""scores.py: what may be shown, and what is said instead."""

import numpy as np
import pandas as pd
import pytest
from answers import said

from helpers.estimates import NotEnoughData
from helpers.metrics.voice import scores, voice
from helpers.periods import Period

JANUARY = Period.month("2026-01")


def test_a_score_on_few_answers_is_a_sentence():
    table = voice.nps(said("nps", [9] * 9, (0, 10)))
    assert scores.headline(table, least=9).n == 9
    with pytest.raises(NotEnoughData, match="Fewer than 10"):
        scores.headline(table, least=10)


def test_one_group_is_nothing_to_compare():
    groups = pd.DataFrame({"market": ["DE", "JP", "AE"], "value": [10.0, np.nan, 30.0]})
    assert scores.comparable(groups)["market"].tolist() == ["AE", "DE"]
    with pytest.raises(NotEnoughData, match="no two groups"):
        scores.comparable(groups[:2])
