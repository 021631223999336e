"""promoters.py: known values, two roads, bad input, edges."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import survival
from helpers.metrics.voice import promoters

AS_OF = date(2026, 6, 30)


def answers_and_purchases(returns, scores):
    """A purchase and an NPS answer per customer on 1 January, and a purchase some days later (None: no other purchase)."""
    ids = [f"{k:04x}" for k in range(len(scores))]
    said = pd.DataFrame({"customer_id": ids, "score": np.asarray(scores, "float64"), "kind": "nps", "survey_id": "s1"})
    said = said.assign(scale_min=0.0, scale_max=10.0, direction="higher", sent_id="i" + said["customer_id"],
                       answered_date="2026-01-01", market="DE")
    first = pd.Timestamp(2026, 1, 1)
    days = [(i, first) for i in ids] + [(i, first + pd.Timedelta(days=d)) for i, d in zip(ids, returns, strict=True) if d]
    bought = pd.DataFrame(days, columns=["customer_id", "date"]).astype({"date": "datetime64[s]"})
    return ibis.memtable(said).cast({"answered_date": "date"}), ibis.memtable(bought).cast({"date": "date"})


# known values


def test_curve_of_a_pencil_example():
    """Ten promoters: two back on day 10, three on day 20, five never: 20 %, then 50 %."""
    said, bought = answers_and_purchases([10] * 2 + [20] * 3 + [None] * 5, [10] * 10)
    curve = promoters.return_by_group(promoters.counts_to_return(said, bought, AS_OF))
    assert curve["day"].tolist() == [10, 20, 180]
    assert curve["value"].tolist() == pytest.approx([0.2, 0.5, 0.5])
    assert curve["at_risk"].tolist() == [10, 8, 5]


def test_customers_censored_early_leave_the_risk_set():
    """Ten answer; as_of is day 15: returns after it are not seen, and nobody is called gone."""
    said, bought = answers_and_purchases([10] * 5 + [20] * 5, [9] * 10)
    seen = bought.filter(bought.date <= ibis.date("2026-01-16"))
    curve = promoters.return_by_group(promoters.counts_to_return(said, seen, date(2026, 1, 16)))
    assert curve["value"].tolist() == pytest.approx([0.5, 0.5])


def test_a_purchase_on_the_day_of_the_answer_is_no_return():
    said, bought = answers_and_purchases([0] * 10, [10] * 10)
    assert promoters.return_by_group(promoters.counts_to_return(said, bought, AS_OF))["value"].tolist() == [0]


def test_who_had_not_bought_by_the_day_of_the_answer_cannot_return():
    """Twelve answer, two of whom had no purchase yet: one buys for the first time later, the other never."""
    said, bought = answers_and_purchases([10] * 6 + [None] * 6, [10] * 12)
    bought = bought.filter(~(bought.customer_id.isin(["0000", "000b"]) & (bought.date <= ibis.date("2026-01-01"))))
    counts = promoters.counts_to_return(said, bought, AS_OF)
    assert (counts["count"].sum(), counts.loc[counts["returned"], "count"].sum()) == (10, 5)


def test_detractors_that_stay_away_are_told_apart():
    said, bought = answers_and_purchases([15] * 15 + [None] * 45, [10] * 30 + [2] * 30)
    counts = promoters.counts_to_return(said, bought, AS_OF)
    assert promoters._p_alike(counts) < 1e-4
    back = survival.at_day(promoters.return_by_group(counts), 60, by=["group"]).set_index("group")["value"]
    assert (back["promoter"], back["detractor"]) == (pytest.approx(0.5), 0)


def test_verdict_knows_the_direction():
    early, never = [15] * 30, [None] * 30
    cases = {"sooner": [10] * 30 + [2] * 30, "differ": [2] * 30 + [10] * 30, "alike": [10, 2] * 30}
    for expected, scores in cases.items():
        said, bought = answers_and_purchases(early + never, scores)
        assert promoters.verdict(promoters.counts_to_return(said, bought, AS_OF), 60) == expected


def test_groups_that_behave_alike_are_not_told_apart():
    """Under the null, about one in twenty log-rank tests is below 5 %: at most 4 of 25."""
    rng, called = np.random.default_rng(3), 0
    for _k in range(25):
        days = [int(d) if d < 170 else None for d in rng.exponential(90, 80).round() + 1]
        said, bought = answers_and_purchases(days, rng.choice([3, 8, 10], 80))
        called += promoters._p_alike(promoters.counts_to_return(said, bought, AS_OF)) < 0.05
    assert called <= 4


# two roads to one number


def with_question(nps_scores, question_scores):
    said, _bought = answers_and_purchases([None] * len(nps_scores), nps_scores)
    frame = said.execute()
    asked = frame.assign(kind="delivery", score=np.asarray(question_scores, "float64"), scale_min=1.0, scale_max=5.0)
    return ibis.memtable(pd.concat([frame, asked], ignore_index=True)).cast({"answered_date": "date"})


def test_driver_is_a_difference_of_mean_points():
    """Oracle: Welch's formula with the normal quantile, respondent by respondent."""
    rng = np.random.default_rng(4)
    nps, asked = rng.integers(0, 11, 200), rng.integers(1, 6, 200)
    row = promoters.drivers(with_question(nps, asked)).iloc[0]
    points = np.select([nps >= 9, nps >= 7], [100, 0], -100)
    content, other = points[asked >= 4], points[asked < 4]
    half = 1.959964 * np.sqrt(content.var(ddof=1) / len(content) + other.var(ddof=1) / len(other))
    assert row["value"] == pytest.approx(content.mean() - other.mean())
    assert (row["low"], row["high"]) == (pytest.approx(row["value"] - half), pytest.approx(row["value"] + half))
    assert row["content"] == pytest.approx(np.mean(asked >= 4))
    assert row["at_stake"] == pytest.approx((1 - row["content"]) * row["value"])


def test_a_driver_counts_customers_once_by_the_latest_pair():
    """Thirty customers, each content and a promoter; thirty others answered so in January and the contrary in February.

    Counted by customer the topic explains everything, −100 against 100; by questionnaire it would be 60 and 30 alike.
    """
    first = with_question([10] * 60, [5] * 60).execute()
    second = with_question([1] * 60, [1] * 60).execute().assign(answered_date="2026-02-01", survey_id="s2")
    second = second[second["customer_id"] < "001e"].assign(sent_id=lambda rows: "j" + rows["customer_id"])
    both = pd.concat([first, second]).assign(answered_date=lambda rows: pd.to_datetime(rows["answered_date"]).dt.strftime("%Y-%m-%d"))
    row = promoters.drivers(ibis.memtable(both).cast({"answered_date": "date"})).iloc[0]
    assert (row["n"], row["content"], row["value"]) == (60, 0.5, 200.0)


def test_pairs_without_a_customer_count_one_each():
    said = with_question([10] * 20 + [1] * 20, [5] * 20 + [1] * 20).mutate(customer_id=ibis.null("string"))
    assert promoters.drivers(said)["n"].tolist() == [40]


# bad input and edges


def test_too_few_answers_is_a_sentence():
    said, bought = answers_and_purchases([1, 2, 3], [10, 9, 1])
    with pytest.raises(NotEnoughData, match="Fewer than 10"):
        promoters.return_by_group(promoters.counts_to_return(said, bought, AS_OF))


def test_one_group_alone_has_nothing_to_differ_from():
    said, bought = answers_and_purchases([5] * 12, [10] * 12)
    assert promoters._p_alike(promoters.counts_to_return(said, bought, AS_OF)) == 1.0


def test_no_scored_question_is_a_sentence():
    said, _bought = answers_and_purchases([None] * 3, [1, 2, 3])
    with pytest.raises(NotEnoughData, match="scored question"):
        promoters.drivers(said)


def test_a_question_everybody_likes_explains_nothing():
    assert promoters.drivers(with_question([10] * 15 + [1] * 15, [5] * 30)).empty
