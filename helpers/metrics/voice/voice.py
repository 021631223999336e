"""What customers say: CSAT, NPS and CES with intervals, who answers, and whether it shows in what they do."""

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from statsmodels.stats.weightstats import DescrStatsW

from helpers.estimates import ALPHA, Z_95, Estimate, NotEnoughData, proportion, with_wilson
from helpers.metrics.groups.markets import UNKNOWN
from helpers.periods import Period

GROUPS = ("detractor", "passive", "promoter")
SCALE = ("scale_min", "scale_max", "direction")
TURNED = ibis.ifelse(_.direction == "higher", _.score - _.scale_min, _.scale_max - _.score)  # 0 is the worst answer
VISIT = ibis.coalesce(_.sent_id, _.customer_id + "|" + _.answered_date.cast("string"))  # the questionnaire of an answer


def answers(surveys: ir.Table, kind: str, period: Period | None = None, by: Sequence[str] = ()) -> pd.DataFrame:
    """How many respondents gave each score: columns of `by`, score, good, options, n.

    A respondent is a customer, who counts once in a cell, by the latest answer; anonymous answers count one each. `good` is the score
    turned so that the highest is best, counted from 1; `options` is their number; a market or channel nobody knows is "unknown".
    Raises NotEnoughData for a kind asked on two scales.

    >>> answers(_example(), "nps")[["score", "good", "options", "n"]].to_records(index=False).tolist()
    [(3.0, 4.0, 11, 1), (9.0, 10.0, 11, 1), (10.0, 11.0, 11, 1)]
    """
    given = surveys.filter(_.kind == kind, _.score.notnull())
    given = given.mutate(**{name: given[name].fill_null(UNKNOWN) for name in by if given[name].type().is_string()})
    if period is not None:
        given = given.filter(period.covers(_.answered_date))
    latest = ibis.window(group_by=[*by, "customer_id"],
                         order_by=[_.answered_date.desc(), _.survey_id.desc(), _.score])
    last = given.mutate(back=ibis.row_number().over(latest)).filter((_.back == 0) | _.customer_id.isnull())
    counts = last.group_by(*by, *SCALE, "score", good=TURNED + 1).agg(n=_.count()).execute()
    scales = counts[list(SCALE)].drop_duplicates()
    if scales.empty:
        raise NotEnoughData(f"There are no {kind.upper()} answers in this period. Supply a survey file whose kind is "
                            f"{kind}, with customer, date, score, and the lowest and highest score of its scale.")
    if len(scales) > 1:
        found = ", ".join(f"{r.scale_min:g} to {r.scale_max:g} ({r.direction} is better)" for r in scales.itertuples())
        raise NotEnoughData(f"{kind.upper()} was asked on {len(scales)} scales: {found}. Averages of different scales "
                            "mean nothing: give each scale its own kind in client.toml.")
    counts["options"] = (counts["scale_max"] - counts["scale_min"] + 1).astype("int64")
    return counts.sort_values([*by, "score"], ignore_index=True)[[*by, "score", "good", "options", "n"]]


def csat(surveys: ir.Table, period: Period | None = None, by: Sequence[str] = (), top_boxes: int = 2) -> pd.DataFrame:
    """Respondents in the top boxes, the best `top_boxes` options (4 and 5 of 5 by default) / respondents.

    One row per combination of `by`: value (fraction), low, high (95 % Wilson), n (respondents), options (of the scale).

    >>> csat(_example())[["value", "n"]].round(3).to_records(index=False).tolist()
    [(0.667, 3)]
    """
    return _top_box(answers(surveys, "csat", period, by), by, top_boxes)


def _top_box(counts: pd.DataFrame, by: Sequence[str], top_boxes: int) -> pd.DataFrame:
    if (counts["options"] <= top_boxes).any():
        raise ValueError(f"{top_boxes} top boxes of a scale with {counts['options'].min()} options leave nobody below.")
    counts = counts.assign(top=counts["n"].where(counts["good"] > counts["options"] - top_boxes, 0))
    shares = with_wilson(_sums(counts, by, ["top", "n"]), "top", "n").drop(columns="top")
    return shares.assign(options=counts["options"].iloc[0])


def _sums(counts: pd.DataFrame, by: Sequence[str], columns: list[str]) -> pd.DataFrame:
    if not by:
        return counts[columns].sum().to_frame().T
    return counts.groupby(list(by), dropna=False)[columns].sum().reset_index()


def nps(surveys: ir.Table, period: Period | None = None, by: Sequence[str] = ()) -> pd.DataFrame:
    """Net promoter score: share of respondents at 9–10 minus share at 0–6, in points from −100 to 100.

    The interval is adjusted Wald: ¾ of a promoter, 1½ passives and ¾ of a detractor are added before the variance is taken,
    which keeps its coverage in small groups (Rocks 2016, The American Statistician 70, 365–372). One row per combination of
    `by`: value, low, high (points), n (respondents).

    >>> nps(_example())[["value", "n"]].round(1).to_records(index=False).tolist()
    [(33.3, 3)]
    """
    counts = answers(surveys, "nps", period, by)
    if (counts["options"] != 11).any():
        raise NotEnoughData("The net promoter score is defined on 0 to 10 only; these answers stand on another scale.")
    group = nps_group(counts["good"] - 1)
    counts = counts.assign(**{name: counts["n"].where(group == name, 0) for name in GROUPS})
    table = _sums(counts, by, [*GROUPS, "n"])
    low, high = _adjusted_wald(table["promoter"], table["detractor"], table["n"])
    value = 100 * (table["promoter"] - table["detractor"]) / table["n"]
    return table.assign(value=value, low=low, high=high)[[*by, "value", "low", "high", "n"]]


def nps_group(score: pd.Series) -> pd.Series:
    """Promoter (9–10), passive (7–8) or detractor (0–6) for scores on 0 to 10.

    >>> nps_group(pd.Series([6, 7, 9])).tolist()
    ['detractor', 'passive', 'promoter']
    """
    return pd.Series(np.select([score >= 9, score >= 7], ["promoter", "passive"], "detractor"), index=score.index)


def _adjusted_wald(promoters, detractors, n):
    p, d = (promoters + 0.75) / (n + 3), (detractors + 0.75) / (n + 3)
    half = Z_95 * np.sqrt((p + d - (p - d) ** 2) / (n + 3))
    return 100 * np.maximum(p - d - half, -1), 100 * np.minimum(p - d + half, 1)


def ces(surveys: ir.Table, period: Period | None = None, by: Sequence[str] = (), top_boxes: int = 2) -> pd.DataFrame:
    """Customer effort in three forms, told apart by column `variant`, turned so that more is always easier.

    ces_index: mean score / number of options × 100, the articles' formula; on 1–7 it cannot go below 14.3. ces_mean: the mean score on a
    scale from 1 to `options`. ces_top_box: share of respondents in the easiest `top_boxes` options, with Wilson interval. Means carry
    Student's t interval. Columns of `by`, variant, value, low, high, n, options.

    >>> ces(_example())[["variant", "value", "n"]].round(2).to_records(index=False).tolist()
    [('ces_mean', 5.0, 3), ('ces_index', 71.43, 3), ('ces_top_box', 0.33, 3)]
    """
    counts = answers(surveys, "ces", period, by)
    groups = counts.groupby(list(by), dropna=False) if by else [((), counts)]
    means = pd.DataFrame([dict(zip(by, key, strict=True)) | _mean(rows) for key, rows in groups])
    index = means.assign(**{c: 100 * means[c] / means["options"] for c in ("value", "low", "high")})
    frames = {"ces_mean": means, "ces_index": index, "ces_top_box": _top_box(counts, by, top_boxes)}
    table = pd.concat([frame.assign(variant=name) for name, frame in frames.items()], ignore_index=True)
    return table[[*by, "variant", "value", "low", "high", "n", "options"]]


def _mean(counts: pd.DataFrame) -> dict:
    scores, n, options = DescrStatsW(counts["good"].to_numpy(), counts["n"].to_numpy()), counts["n"].sum(), counts["options"].iloc[0]
    low, high = np.clip(scores.tconfint_mean(ALPHA), 1, options) if n > 1 else (np.nan, np.nan)
    return {"value": scores.mean, "low": low, "high": high, "n": n, "options": options}


def with_groups(surveys: ir.Table, occasions: ir.Table, market: str = "") -> ir.Table:
    """The answers with columns `month` (its first day) and `channel`, and the home market where an answer names none.

    `channel` is the one that won the customer, null where nobody knows whom. With `market`, only the answers from there.

    >>> bought = ibis.memtable({"customer_id": ["aa1"], "n": [1], "home_market": ["FR"],
    ...                         "first_acquisition_channel": ["email"]})
    >>> grouped = with_groups(_example(), bought).filter(_.kind == "nps", _.channel.notnull())
    >>> grouped.select("market", "channel").execute().values.tolist()
    [['DE', 'email']]
    """
    home = occasions.filter(_.n == 1).select("customer_id", "home_market", channel=_.first_acquisition_channel)
    joined = surveys.left_join(home, "customer_id")
    said = joined.select(*[surveys[c] for c in surveys.columns if c != "market"], home.channel,
                         market=ibis.coalesce(surveys.market, home.home_market),
                         month=surveys.answered_date.truncate("M"))
    return said.filter(_.market == market) if market else said


def trailing(surveys: ir.Table, days: Sequence[date], months: int = 12) -> ir.Table:
    """The answers of the months up to each of the days, told apart by column `until`, which `by` may name (lazy).

    >>> told = trailing(_example(), [date(2026, 1, 31), date(2026, 2, 28), date(2027, 1, 31)])
    >>> nps(told, by=["until"])["n"].tolist()
    [3, 3]
    """
    spans = [Period.trailing(day, months) for day in days]
    spans = ibis.memtable({"since": [each.start for each in spans], "until": [each.end for each in spans]})
    inside = [surveys.answered_date >= spans.since, surveys.answered_date <= spans.until]
    return surveys.join(spans, inside).drop("since")


def response_rate(surveys: ir.Table, surveys_sent: ir.Table, period: Period, occasions: ir.Table | None = None) -> pd.DataFrame:
    """Share of invitations that were answered: invitations sent in the period with an answer / invitations sent in it.

    With `occasions`, by `bought`: purchase occasions up to the invitation ("0", "1", "2–3", "4+"), which shows who answers
    and who stays silent. Columns value, low, high (Wilson), n (invitations).

    >>> sent = ibis.memtable({"sent_id": ["i1", "i9"], "customer_id": ["aa1", "dd4"], "sent_date": ["2026-01-10"] * 2})
    >>> sent = sent.cast({"sent_date": "date"})
    >>> response_rate(_example(), sent, Period.month("2026-01"))[["value", "n"]].to_records(index=False).tolist()
    [(0.5, 2)]
    """
    sent = surveys_sent.filter(period.covers(_.sent_date))
    done = surveys.filter(_.sent_id.notnull()).select("sent_id").distinct().mutate(answered=ibis.literal(1))
    invited, by = sent.left_join(done, "sent_id").drop("sent_id_right"), []
    if occasions is not None:
        before = invited.join(occasions.select("customer_id", "date"), "customer_id").filter(_.date <= _.sent_date)
        history, times = before.group_by("sent_id").agg(times=_.count()), _.times.fill_null(0)
        bought = ibis.cases((times >= 4, "4+"), (times >= 2, "2–3"), (times == 1, "1"), else_="0")
        invited, by = invited.left_join(history, "sent_id").drop("sent_id_right").mutate(bought=bought), ["bought"]
    counts = invited.agg(by=by, answered=_.answered.sum().fill_null(0), n=_.count()).execute()
    if counts["n"].sum() == 0:
        raise NotEnoughData("No survey invitations were sent in this period, or the file of invitations is missing. "
                            "Supply surveys_sent (sent_id, customer, date) to see how many answer, and who.")
    table = with_wilson(counts, "answered", "n").drop(columns="answered")
    return table.sort_values(by, ignore_index=True) if by else table


def open_answers(surveys: ir.Table, period: Period) -> Estimate:
    """The share of questionnaires with an open comment: those with one / all that came back in the period (Wilson).

    A questionnaire is the answers to one invitation, or else of one customer and day; an anonymous answer is one alone.
    Comments themselves are never read into the tables, since they name people.

    >>> open_answers(_example(), Period.month("2026-01"))[:1]
    (0.0,)
    """
    visit = ibis.coalesce(VISIT, ibis.row_number().cast("string"))
    visits = surveys.filter(period.covers(_.answered_date)).mutate(visit=visit).group_by("visit")
    row = visits.agg(with_one=_.has_comment.fill_null(False).any()).agg(k=_.with_one.sum().fill_null(0), n=_.count()).execute().iloc[0]
    return proportion(int(row["k"]), int(row["n"]))


def _example() -> ir.Table:
    """Three customers who answered three questions each: the table the examples above run on."""
    frame = pd.DataFrame({"kind": np.repeat(["nps", "csat", "ces"], 3), "customer_id": ["aa1", "bb2", "cc3"] * 3,
                          "score": [3.0, 9, 10, 2, 4, 5, 3, 5, 7], "scale_min": [0.0] * 3 + [1.0] * 6,
                          "scale_max": np.repeat([10.0, 5.0, 7.0], 3), "sent_id": ["i1", "i2", "i3"] * 3})
    day = pd.Timestamp(2026, 1, 15).as_unit("s")
    frame = frame.assign(survey_id="s1", market="DE", answered_date=day, direction="higher", has_comment=False)
    return ibis.memtable(frame).cast({"answered_date": "date"})
