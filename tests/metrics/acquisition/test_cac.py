"""cac.py: a pencil's worth of customers and spend, spread lines that add up, and groups nobody was won in."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import Estimate, NotEnoughData
from helpers.metrics.acquisition import cac
from helpers.metrics.groups import markets
from helpers.periods import Period

JANUARY = Period.month("2026-01")
#   customer   market  channel   first order
WON = [("a", "DE", "search", 5), ("b", "DE", "organic", 9), ("c", "GB", "search", 12), ("d", "GB", None, 20)]
SPEND = [  # channel, market, amount, kind
    ("search", "DE", 60_00, "media"), ("search", "GB", 20_00, "media"), ("search", None, 8_00, "agency"),
    ("team", None, 12_00, "salary"),
]


def occasions(rows=WON, **more) -> ibis.Table:
    return ibis.memtable(pd.DataFrame([
        {"customer_id": who, "home_market": market, "first_acquisition_channel": channel, "n": 1, "truncated": False,
         "date": date(2026, 1, day)} | more for who, market, channel, day in rows]))


def spend(rows=SPEND) -> ibis.Table:
    return ibis.memtable(pd.DataFrame([
        {"channel": channel, "market": market, "amount_rc": amount, "kind": kind, "date": date(2026, 1, 15)}
        for channel, market, amount, kind in rows]))


MONTHS = [f"2026-{month:02}" for month in range(1, 7)]


def month_by_month(won=MONTHS, spent=MONTHS, zero=()):
    """A customer won on the 5th of each month, and 10.00 of media on the 15th of each month spent (nothing in zero)."""
    people = pd.concat([occasions(WON[:1]).execute().assign(customer_id=each, date=pd.Timestamp(f"{each}-05")) for each in won])
    lines = pd.concat([spend([("search", "DE", 0 if each in zero else 10_00, "media")]).execute()
                       .assign(date=pd.Timestamp(f"{each}-15")) for each in spent])
    return ibis.memtable(people), ibis.memtable(lines)


def value(table: pd.DataFrame, **keys) -> float:
    for name, wanted in keys.items():
        table = table[table[name] == wanted]
    return table["value"].iloc[0]


class TestKnownValues:
    def test_paid_blended_loaded(self):
        """80 media over 2 won through search; 88 and 100 over all 4."""
        found = cac.cac(occasions(), spend(), JANUARY)
        assert value(found, kind="paid") == 40_00
        assert value(found, kind="blended") == 22_00
        assert value(found, kind="loaded") == 25_00

    def test_by_market_shares_of_spend_without_one_follow_media(self):
        """Agency 8 and salary 12 go 3 : 1 to Germany and Britain, as media did."""
        found = cac.cac(occasions(), spend(), JANUARY, ["market"])
        assert value(found, kind="loaded", market="DE") == pytest.approx((60_00 + 6_00 + 9_00) / 2)
        assert value(found, kind="loaded", market="GB") == pytest.approx((20_00 + 2_00 + 3_00) / 2)
        assert value(found, kind="paid", market="GB") == 20_00

    def test_by_channel_a_team_is_spread_and_organic_has_no_cost_of_its_own(self):
        """Nothing is recorded for organic: that is no cost of 0, or it would be paid back at once."""
        found = cac.cac(occasions(), spend(), JANUARY, ["acquisition_channel"])
        assert value(found, kind="loaded", acquisition_channel="search") == pytest.approx(100_00 / 2)
        organic = found[found["acquisition_channel"] == "organic"]
        assert organic[["spend_rc", "value", "low", "high"]].isna().all(axis=None)
        assert organic.loc[organic["kind"] == "loaded", "n"].tolist() == [1]
        unknown = found[(found["acquisition_channel"] == "unknown") & (found["kind"] == "loaded")]
        assert unknown["n"].tolist() == [1] and unknown["value"].isna().all()  # customer d, won nobody knows how
        assert found.loc[found["kind"] == "loaded", "n"].sum() == len(WON)

    def test_customers_of_no_market_are_a_group_and_share_what_goes_by_customers(self):
        """Without media the team's 12 are shared by customers won, and the one of no market has a third of it."""
        won = [("a", "DE", "search", 5), ("b", "GB", "search", 9), ("c", None, "search", 12)]
        found = cac.cac(occasions(won), spend([("team", None, 12_00, "salary")]), JANUARY, ["market"])
        loaded = found[found["kind"] == "loaded"].set_index("market")
        assert loaded["n"].to_dict() == {"DE": 1, "GB": 1, "unknown": 1}
        assert loaded["spend_rc"].to_dict() == pytest.approx({"DE": 400, "GB": 400, "unknown": 400})

    def test_by_cohort(self):
        found = cac.cac(occasions(), spend(), Period.trailing(date(2026, 2, 28), 2), ["cohort"])
        assert found.loc[found["kind"] == "loaded", "cohort"].tolist() == ["2026-01"]

    def test_one_market_gets_its_share(self):
        whole = cac.cac(occasions(), spend(), JANUARY, ["market"])
        one = cac.cac(occasions(), spend(), JANUARY, market="GB")
        assert value(one, kind="loaded") == value(whole, kind="loaded", market="GB")

    def test_three_to_one(self):
        values = pd.DataFrame({"value": [120.0], "low": [100.0], "high": [140.0], "n": [50]})
        costs = pd.DataFrame({"value": [40.0], "low": [35.0], "high": [45.0], "n": [50]})
        found = cac.clv_to_cac(values, costs).iloc[0]
        assert found["value"] == 3.0
        assert found["low"] < 100 / 40 < 3.0 < 140 / 40 < found["high"]


class TestTwoRoads:
    @pytest.mark.parametrize("by", [["market"], ["acquisition_channel"], ["cohort"], ["market", "acquisition_channel"]])
    def test_spread_spend_adds_up_to_all_of_it(self, by):
        found = cac.cac(occasions(), spend(), JANUARY, by)
        assert found.loc[found["kind"] == "loaded", "spend_rc"].sum() == pytest.approx(100_00)

    def test_rows_in_another_order_change_nothing(self):
        shuffled = cac.cac(occasions(WON[::-1]), spend(SPEND[::-1]), JANUARY, ["market"])
        pd.testing.assert_frame_equal(shuffled, cac.cac(occasions(), spend(), JANUARY, ["market"]))

    def test_the_interval_is_that_of_a_poisson_count(self):
        """4 won: exact 95 % limits 1.09 and 10.24 (Garwood 1936)."""
        loaded = cac.cac(occasions(), spend(), JANUARY).query("kind == 'loaded'").iloc[0]
        assert (loaded["low"], loaded["high"]) == (pytest.approx(100_00 / 10.2416, rel=1e-4),
                                                   pytest.approx(100_00 / 1.0899, rel=1e-4))


class TestEdges:
    def test_truncated_histories_were_not_won(self):
        assert cac.won(occasions(truncated=True), JANUARY).count().execute() == 0

    def test_nobody_won_has_no_cost(self):
        found = cac.cac(occasions().filter(ibis._.n > 1), spend(), JANUARY)
        assert found["value"].isna().all()
        assert (found["n"] == 0).all()

    def test_no_spend_is_a_sentence(self):
        with pytest.raises(NotEnoughData, match="No acquisition spend"):
            cac.cac(occasions(), spend(), Period.month("2025-01"))

    def test_a_market_without_spend_has_no_cost(self):
        """All lines are Germany's, so Britain's two customers cost an unknown amount, by every kind."""
        german = [line for line in SPEND if line[1] == "DE"]
        found = cac.cac(occasions(), spend(german), JANUARY, ["market"]).set_index(["kind", "market"])
        assert found.loc[(slice(None), "GB"), ["spend_rc", "value"]].isna().all(axis=None)
        assert found.loc[("blended", "DE"), "value"] == 30_00
        with pytest.raises(NotEnoughData, match="recorded for GB from"):
            cac.cac(occasions(), spend(german), JANUARY, market="GB")

    def test_a_kind_without_a_line_has_no_cost_and_a_line_of_nothing_has_one(self):
        salary = ("team", "DE", 12_00, "salary")
        assert pd.isna(value(cac.cac(occasions(), spend([salary]), JANUARY), kind="blended"))
        free = cac.cac(occasions(), spend([salary, ("search", "DE", 0, "media")]), JANUARY)
        assert (value(free, kind="blended"), value(free, kind="loaded")) == (0, 3_00)

    def test_lines_of_nothing_alone_are_no_cost(self):
        with pytest.raises(NotEnoughData, match="No acquisition spend"):
            cac.cac(occasions(), spend([("search", "DE", 0, "media")]), JANUARY)

    def test_media_in_no_market_is_spread_by_customers(self):
        found = cac.cac(occasions(), spend([("search", None, 40_00, "media")]), JANUARY, ["market"])
        assert value(found, kind="blended", market="DE") == value(found, kind="blended", market="GB") == 10_00

    def test_a_ratio_without_cost_is_not_one(self):
        costs = pd.DataFrame({"value": [0.0], "low": [0.0], "high": [0.0], "n": [50]})
        values = pd.DataFrame({"value": [1.0], "low": [1.0], "high": [1.0], "n": [50]})
        assert cac.clv_to_cac(values, costs)["value"].isna().all()
        with pytest.raises(NotEnoughData):
            cac.rated(cac.clv_to_cac(values, costs))


class TestExportsThatAreTooShort:
    HALF = Period.trailing(date(2026, 6, 30), 6)

    @pytest.mark.parametrize("spent, missing, advice", [
        (MONTHS[:3], "2026-04 to 2026-06:", "or report as of an earlier month"),
        (MONTHS[:5], "2026-06:", "or report as of an earlier month"),
        (MONTHS[4:], "2026-01 to 2026-04:", r"nothing was spent\)\.$"),
        (MONTHS[2:5], "2026-01 to 2026-02 and 2026-06:", "earlier month"),
    ])
    def test_spend_that_does_not_reach_an_end_of_the_period_is_refused(self, spent, missing, advice):
        """Half the spend over all the customers would be half the cost."""
        for by in ([], ["market"], ["acquisition_channel"]):
            with pytest.raises(NotEnoughData, match=f"nothing for {missing} .*{advice}"):
                cac.cac(*month_by_month(spent=spent), self.HALF, by)

    def test_months_without_ads_between_months_with_ads_are_cheap_months(self):
        found = cac.cac(*month_by_month(spent=[MONTHS[0], MONTHS[5]]), self.HALF)
        assert value(found, kind="loaded") == pytest.approx(20_00 / 6)

    def test_a_month_of_nothing_spent_is_a_month_and_lines_outside_the_period_tell_that_it_was_seen(self):
        found = cac.cac(*month_by_month(zero=MONTHS[3:]), self.HALF)
        assert value(found, kind="loaded") == pytest.approx(30_00 / 6)
        inside = cac.cac(*month_by_month(spent=["2026-01", "2026-03", "2026-06"]), Period.trailing(date(2026, 4, 30), 3))
        assert value(inside, kind="loaded") == pytest.approx(10_00 / 3)

    def test_before_a_shops_first_customer_no_spend_is_missing(self):
        found = cac.cac(*month_by_month(won=MONTHS[3:], spent=MONTHS[3:]), self.HALF)
        assert value(found, kind="loaded") == 10_00

    def test_by_cohort_those_without_a_line_have_no_cost(self):
        """Spend begins in March: January and February cost an unknown amount, not nothing."""
        found = cac.cac(*month_by_month(spent=MONTHS[2:]), self.HALF, ["cohort"]).query("kind == 'loaded'").set_index("cohort")
        assert found.loc[found["value"].isna()].index.tolist() == MONTHS[:2]
        assert found["value"].dropna().tolist() == [10_00] * 4


class TestGroupsShown:
    RATIOS = pd.DataFrame({"market": ["JP", "GB", "AE", "FR"], "value": [2.8, 0.95, 0.8, 0.7], "low": [2.5, 0.8, 0.7, 0.6],
                           "high": [3.0, 1.1, 0.9, 0.8]})

    def test_small_channels_and_the_unknown_are_one_everywhere(self):
        """One was won through search, organic and no channel each: the smallest two are needed to make two."""
        names = markets.shown(markets.sizes(cac.won(occasions(), JANUARY), "first_acquisition_channel"), 2)
        assert names == {"organic": "other", "search": "search", "unknown": "other"}
        people = cac.fold(occasions(), names, "first_acquisition_channel")
        assert people.first_acquisition_channel.execute().tolist() == ["search", "other", "search", "other"]
        lines = cac.fold(spend(), names, "channel", missing=None)
        assert lines.channel.execute().tolist() == ["search", "search", "search", "team"]

    def test_folded_channels_keep_the_money_and_the_customers(self):
        names = {"organic": "other", "unknown": "other"}
        people, paid = cac.fold(occasions(), names, "first_acquisition_channel"), spend([*SPEND, ("organic", "DE", 5_00, "media")])
        apart = cac.cac(occasions(), paid, JANUARY, ["acquisition_channel"])
        folded = cac.cac(people, cac.fold(paid, names, "channel", missing=None), JANUARY, ["acquisition_channel"])
        for kind in ("blended", "loaded"):
            sums = [table.loc[table["kind"] == kind, ["spend_rc", "n"]].sum().tolist() for table in (apart, folded)]
            assert sums[0] == pytest.approx(sums[1])

    def test_only_a_whole_interval_below_one_is_a_loss_and_the_worst_comes_first(self):
        assert cac.losing(self.RATIOS)["market"].tolist() == ["FR", "AE"]
        assert not len(cac.losing(self.RATIOS.head(2))) and not len(cac.losing())

    @pytest.mark.parametrize(("low", "high", "told"), [
        (0.7, 0.9, "loss"), (0.9, 1.0, "even"), (1.0, 1.2, "even"), (0.9, 1.2, "even"),
        (1.1, 2.9, "thin"), (1.1, 3.0, "healthy"), (3.1, 4.0, "healthy"),
    ])  # fmt: skip
    def test_a_verdict_claims_no_more_than_the_interval(self, low, high, told):
        assert cac.verdict(Estimate((low + high) / 2, low, high, 90), healthy=3.0) == told

    def test_two_frames_are_one_list(self):
        channels = pd.DataFrame({"channel": ["display"], "value": [0.75], "low": [0.7], "high": [0.8]})
        assert cac.losing(self.RATIOS, channels)["value"].tolist() == [0.7, 0.75]

    def test_a_hidden_group_loses_nothing(self):
        hidden = self.RATIOS.assign(**dict.fromkeys(("value", "low", "high"), float("nan")))
        assert not len(cac.losing(hidden))
