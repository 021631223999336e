"""voice.py: known values, two roads, bad input, edges."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest
from answers import said
from ibis import _

from helpers.estimates import NotEnoughData
from helpers.metrics.voice import voice
from helpers.periods import Period

JANUARY = Period.month("2026-01")


# known values


def test_ces_index_of_all_ones_is_14_3():
    """A worked example of the definition: CES mean 1 of 1–7 is 14.3, not 0."""
    table = voice.ces(said("ces", [1, 1, 1], (1, 7))).set_index("variant")
    assert table.loc["ces_index", "value"] == pytest.approx(100 / 7)
    assert table.loc["ces_mean", "value"] == 1


def test_nps_of_a_pencil_example():
    """5 promoters, 3 passives, 2 detractors of 10: 50 % − 20 % = 30 points."""
    row = voice.nps(said("nps", [10, 10, 9, 9, 9, 8, 7, 7, 6, 0], (0, 10))).iloc[0]
    assert (row["value"], row["n"]) == (pytest.approx(30), 10)


def test_nps_interval_adds_three_answers():
    """Rocks 2016, adjusted Wald (3, T): by hand for 10 promoters and 10 detractors of 20."""
    row = voice.nps(said("nps", [10] * 10 + [0] * 10, (0, 10))).iloc[0]
    share = 10.75 / 23
    half = 100 * 1.959964 * np.sqrt(2 * share / 23)
    assert (row["low"], row["high"]) == (pytest.approx(-half), pytest.approx(half))


def test_nps_interval_covers_in_small_groups():
    """Simulation, shares 60, 25 and 15 % known, 15 answers: the interval holds the truth in 92–98 % of draws."""
    rng = np.random.default_rng(1)
    draws = rng.multinomial(15, [0.6, 0.25, 0.15], size=4_000)
    low, high = voice._adjusted_wald(draws[:, 0], draws[:, 2], 15)
    assert 0.92 < np.mean((low <= 45) & (high >= 45)) < 0.98


def test_csat_counts_fours_and_fives():
    row = voice.csat(said("csat", [5, 4, 3, 1], (1, 5))).iloc[0]
    assert (row["value"], row["n"]) == (0.5, 4)
    assert voice.csat(said("csat", [5, 4, 3, 1], (1, 5)), top_boxes=1).iloc[0]["value"] == 0.25


# two roads to one number


def test_reversed_scale_gives_the_same_satisfaction():
    high, low = said("csat", [5, 5, 4, 2, 1], (1, 5)), said("csat", [1, 1, 2, 4, 5], (1, 5), direction="lower")
    pd.testing.assert_frame_equal(voice.csat(high), voice.csat(low))


def test_scores_carry_the_scale_they_stand_on():
    assert voice.csat(said("csat", [5, 4, 1], (1, 5)))["options"].tolist() == [5]
    assert set(voice.ces(said("ces", [1, 7], (1, 7)))["options"]) == {7}


def test_market_rows_add_up_to_the_whole():
    scores = np.random.default_rng(2).integers(0, 11, 60)
    table = said("nps", scores, (0, 10)).mutate(market=ibis.ifelse(_.score > 5, "DE", "JP"))
    whole, parts = voice.nps(table).iloc[0], voice.nps(table, by=["market"])
    assert parts["n"].sum() == whole["n"]
    assert np.average(parts["value"], weights=parts["n"]) == pytest.approx(whole["value"])


def test_ces_mean_is_the_mean_of_pandas():
    scores = [7, 6, 6, 3, 1, 5]
    table = voice.ces(said("ces", scores, (1, 7))).set_index("variant")
    assert table.loc["ces_mean", "value"] == pytest.approx(np.mean(scores))
    assert table.loc["ces_index", "high"] == pytest.approx(table.loc["ces_mean", "high"] / 7 * 100)


# what a respondent is


def test_a_customer_who_answers_twice_counts_once_by_the_latest():
    twice = said("nps", [0, 10], (0, 10), customers=["0aa", "0aa"]).mutate(
        answered_date=ibis.ifelse(_.score == 10, ibis.date("2026-01-20"), ibis.date("2026-01-02")))
    row = voice.nps(twice).iloc[0]
    assert (row["value"], row["n"]) == (100, 1)


def test_anonymous_answers_count_one_each():
    assert voice.nps(said("nps", [10, 10, 0], (0, 10), customers=[None] * 3)).iloc[0]["n"] == 3


def test_answers_of_unknown_market_stay_in_the_table():
    table = said("csat", [5, 4, 1], (1, 5)).mutate(market=ibis.ifelse(_.score == 1, ibis.null("string"), _.market))
    assert voice.csat(table, by=["market"])["n"].sum() == 3


def test_period_keeps_both_ends():
    table = said("csat", [5, 1], (1, 5)).mutate(
        answered_date=ibis.ifelse(_.score == 5, ibis.date("2026-01-31"), ibis.date("2026-02-01")))
    assert voice.csat(table, JANUARY).iloc[0]["n"] == 1


def test_years_told_together_are_told_what_each_is_told_alone():
    """A customer who answered in two years counts once in each, by the latest answer of it; both ends belong to a year."""
    days = ["2024-11-01", "2025-10-31", "2025-11-01", "2026-03-09", "2026-10-31"]
    table = said("nps", [10, 0, 7, 9, 3], (0, 10), customers=["0aa", "0aa", "0aa", "1bb", "2cc"])
    table = table.mutate(answered_date=_.score.cases(*zip([10, 0, 7, 9, 3], map(ibis.date, days), strict=True)))
    ends = [date(2026, 10, 31), date(2025, 10, 31), date(2023, 1, 31)]
    together = voice.nps(voice.trailing(table, ends), by=["until"]).set_index("until")
    assert together["n"].tolist() == [1, 3]  # nobody answered in the year to January 2023
    for end in ends[:2]:
        alone = voice.nps(table, Period.trailing(end, 12)).iloc[0]
        assert together.loc[pd.Timestamp(end)].to_dict() == pytest.approx(alone.to_dict())


# response


def invitations(ids):
    frame = pd.DataFrame({"sent_id": [f"i{k}" for k in ids], "customer_id": list(ids), "sent_date": "2026-01-10"})
    return ibis.memtable(frame).cast({"sent_date": "date"})


def test_response_rate_by_earlier_purchases():
    """Four invited, two answer: the buyer of two occasions and one of the three who bought once."""
    days = ["2025-11-01", "2025-12-01", "2025-12-05", "2025-12-05", "2025-12-05"]
    bought = pd.DataFrame({"customer_id": ["a1", "a1", "b2", "c3", "d4"], "home_market": "DE", "date": days})
    bought = ibis.memtable(bought).cast({"date": "date"})
    table = said("nps", [9, 9], (0, 10), customers=["a1", "b2"])
    rates = voice.response_rate(table, invitations(["a1", "b2", "c3", "d4"]), JANUARY, bought)
    assert rates[["bought", "value", "n"]].values.tolist() == [["1", pytest.approx(1 / 3), 3], ["2–3", 1.0, 1]]


def test_several_answers_to_one_invitation_count_once():
    both = said("nps", [9], (0, 10), customers=["a1"]).union(said("csat", [4], (1, 5), customers=["a1"]))
    assert voice.response_rate(both, invitations(["a1", "b2"]), JANUARY).iloc[0]["value"] == 0.5


# comments and markets


def test_comments_are_counted_and_never_read():
    table = said("nps", [9, 3, 5], (0, 10)).mutate(has_comment=_.score == 3)
    assert voice.open_answers(table, JANUARY).value == pytest.approx(1 / 3)


def test_a_comment_counts_once_for_all_answers_to_an_invitation():
    both = said("nps", [9, 3], (0, 10)).union(said("price", [4, 2], (1, 5))).mutate(has_comment=_.score == 3)
    assert voice.open_answers(both, JANUARY)[::3] == (0.5, 2)


def test_one_market_keeps_its_own_answers():
    first = {"customer_id": ["0000"], "n": [1], "home_market": ["JP"], "first_acquisition_channel": ["x"]}
    bought = ibis.memtable(first)
    table = said("nps", [9, 3], (0, 10)).mutate(market=ibis.ifelse(_.score == 9, ibis.null("string"), _.market))
    assert voice.with_groups(table, bought, "JP").score.execute().tolist() == [9]
    assert voice.with_groups(table, bought).count().execute() == 2


# bad input and edges


def test_no_answers_is_a_sentence():
    with pytest.raises(NotEnoughData, match="no NPS answers"):
        voice.nps(said("csat", [5], (1, 5)))
    with pytest.raises(NotEnoughData, match="No survey invitations"):
        voice.response_rate(said("nps", [9], (0, 10)), invitations(["a1"]), Period.month("2025-01"))


def test_mixed_scales_are_refused():
    mixed = said("csat", [5, 4], (1, 5)).union(said("csat", [9, 10], (1, 10), customers=["ff1", "ff2"]))
    with pytest.raises(NotEnoughData, match="2 scales"):
        voice.csat(mixed)


def test_nps_on_another_scale_is_refused():
    with pytest.raises(NotEnoughData, match="0 to 10"):
        voice.nps(said("nps", [5, 4], (1, 5)))


def test_one_answer_has_no_interval_of_its_mean():
    row = voice.ces(said("ces", [4], (1, 7))).set_index("variant").loc["ces_mean"]
    assert row["value"] == 4
    assert np.isnan(row["low"])


def test_open_answers_without_score_are_no_respondents():
    table = said("csat", [5, np.nan], (1, 5))
    assert voice.csat(table.mutate(score=_.score.nullif(float("nan")))).iloc[0]["n"] == 1
