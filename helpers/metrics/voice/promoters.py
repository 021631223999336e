"""Promoters and detractors: whether they come back, and what goes with the score they give."""

from datetime import date

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _
from statsmodels.duration.survfunc import survdiff
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from helpers.estimates import ALPHA, NotEnoughData
from helpers.metrics.churn import survival
from helpers.metrics.voice.voice import TURNED, VISIT, nps_group
from helpers.periods import Period

STANDARD_KINDS = ("csat", "nps", "ces")
DRIVER_COLUMNS = ["question", "content", "value", "low", "high", "n", "at_stake"]
LEAST_OF_A_GROUP = 10  # fewer answers than this give no curve worth drawing


def counts_to_return(surveys: ir.Table, occasions: ir.Table, as_of: date) -> pd.DataFrame:
    """How many days promoters, passives and detractors took from their first NPS answer to the next purchase occasion.

    Of customers who had bought by the day they answered: who had not, as after an order cancelled or given back in full, has
    nothing to return to. Columns group, gap_days, returned (False: not by as_of), count (customers who are known by name).

    >>> said, bought = _example()
    >>> counts_to_return(said, bought, date(2026, 3, 31)).values.tolist()
    [['detractor', 75, False, 10], ['promoter', 31, True, 5], ['promoter', 75, False, 5]]
    """
    known = surveys.filter(_.kind == "nps", _.score.notnull(), _.customer_id.notnull())
    known = known.filter(_.answered_date < ibis.literal(as_of))
    oldest = ibis.window(group_by="customer_id", order_by=[_.answered_date, _.survey_id, _.score])
    first = known.mutate(k=ibis.row_number().over(oldest)).filter(_.k == 0)
    first = first.select("customer_id", "answered_date", "score")
    bought = first.join(occasions.select("customer_id", "date"), "customer_id")
    times = bought.group_by("customer_id", "score", "answered_date").agg(
        before=(_.date <= _.answered_date).max(), next_date=_.date.min(where=_.date > _.answered_date)).filter(_.before)
    days = ibis.coalesce(times.next_date, ibis.literal(as_of)).delta(times.answered_date, unit="day")
    counts = times.group_by("score", gap_days=days, returned=_.next_date.notnull()).agg(count=_.count()).execute()
    counts["group"] = nps_group(counts["score"])
    keys = ["group", "gap_days", "returned"]
    return counts.groupby(keys)["count"].sum().reset_index().sort_values(keys, ignore_index=True)


def return_by_group(counts: pd.DataFrame) -> pd.DataFrame:
    """Share of promoters, passives and detractors who have bought again, by days since they answered (`counts_to_return`).

    `survival.life_table` by group; as_of censors. Groups with fewer than 10 customers are left out; NotEnoughData when none remains.

    >>> return_by_group(counts_to_return(*_example(), date(2026, 3, 31))).groupby("group")["value"].last().round(2).to_dict()
    {'detractor': 0.0, 'promoter': 0.5}
    """
    sizes = counts.groupby("group")["count"].transform("sum")
    if not (sizes >= LEAST_OF_A_GROUP).any():
        raise NotEnoughData(f"Fewer than {LEAST_OF_A_GROUP} known customers in every NPS group have answered: whether detractors "
                            "leave sooner cannot be seen yet. Ask more customers, and keep their e-mail with the answer.")
    return survival.life_table(counts[sizes >= LEAST_OF_A_GROUP], by=["group"])


def verdict(counts: pd.DataFrame, days: int) -> str:
    """Whether detractors leave "sooner" than promoters, the groups return "alike", or they "differ" in another way.

    By the log-rank test at 5 %, and by who is back within `days`.

    >>> verdict(counts_to_return(*_example(), date(2026, 3, 31)), 60)
    'sooner'
    """
    if _p_alike(counts) >= ALPHA:
        return "alike"
    table = return_by_group(counts)
    back = table[table["day"] <= days].groupby("group")["value"].last()
    return "sooner" if back.get("detractor", 0.0) < back.get("promoter", 0.0) else "differ"


def _p_alike(counts: pd.DataFrame) -> float:
    """p-value of the log-rank test that the groups return alike (1.0 with one group alone)."""
    if counts["group"].nunique() < 2 or not counts["returned"].any():
        return 1.0
    each = counts.loc[counts.index.repeat(counts["count"])]
    return float(survdiff(each["gap_days"], each["returned"].astype(int), each["group"])[1])


def drivers(surveys: ir.Table, period: Period | None = None, top_boxes: int = 2) -> pd.DataFrame:
    """Which scored questions go with the recommendation: NPS of those content with it minus NPS of the others.

    Questions are all kinds but csat, nps and ces, joined to the NPS answer of the same invitation (or else customer and day). A
    respondent is a customer, who counts once a question, by the latest such pair; pairs without a customer count one each. Content =
    in the best `top_boxes` options. Columns question, content (share), value, low, high (points, Welch), n (respondents), at_stake =
    (1 − content) × value: what the score would gain if the discontent scored like the content. An association, not an effect: happy
    customers praise everything.

    >>> said, _bought = _example()
    >>> drivers(said)[["question", "content", "value", "n", "at_stake"]].to_records(index=False).tolist()
    [('delivery', 0.5, 200.0, 20, 100.0)]
    """
    counts = _paired(surveys, period, top_boxes)
    if counts.empty:
        raise NotEnoughData("No scored question was answered together with the NPS question. Ask one to five of them "
                            "(delivery, price, service …) in the same survey, and give each its own kind.")
    counts["points"] = nps_group(counts["nps"]).map({"promoter": 100, "passive": 0, "detractor": -100}).astype(float)
    rows = [_driver(question, rows) for question, rows in counts.groupby("question")]
    table = pd.DataFrame([row for row in rows if row], columns=DRIVER_COLUMNS)
    return table.sort_values(["at_stake", "question"], ascending=[False, True]).reset_index(drop=True)


def _paired(surveys: ir.Table, period: Period | None, top_boxes: int) -> pd.DataFrame:
    given = surveys.filter(_.score.notnull())
    if period is not None:
        given = given.filter(period.covers(_.answered_date))
    given = given.mutate(visit=VISIT).filter(_.visit.notnull())
    content = _.scale_max - _.scale_min - TURNED < top_boxes  # so many steps from the best
    asked = given.filter(_.kind.notin(STANDARD_KINDS)).group_by("visit", question=_.kind).agg(content=content.max())
    score = given.filter(_.kind == "nps").group_by("visit").agg(
        nps=_.score.max(), customer_id=_.customer_id.max(), day=_.answered_date.max())
    latest = ibis.window(group_by=["question", "customer_id"], order_by=[_.day.desc(), _.visit.desc()])
    pairs = asked.join(score, "visit").mutate(back=ibis.row_number().over(latest))
    last = pairs.filter((_.back == 0) | _.customer_id.isnull())
    return last.group_by("question", "content", "nps").agg(n=_.count()).execute()


def _driver(question: str, rows: pd.DataFrame) -> dict | None:
    """The row of a question; None where too few are content, or too few are not."""
    sides = [rows[rows["content"] == content] for content in (True, False)]
    if min(side["n"].sum() for side in sides) < LEAST_OF_A_GROUP:
        return None
    liked, other = (DescrStatsW(side["points"].to_numpy(), side["n"].to_numpy()) for side in sides)
    low, high = CompareMeans(liked, other).zconfint_diff(ALPHA, usevar="unequal")
    n, difference = int(rows["n"].sum()), liked.mean - other.mean
    return {"question": question, "content": liked.sum_weights / n, "value": difference, "low": low, "high": high, "n": n,
            "at_stake": other.sum_weights / n * difference}


def _example() -> tuple[ir.Table, ir.Table]:
    """Twenty buyers of January: ten promoters content with delivery, half of whom come back, and ten detractors who do not."""
    ids = [f"{k:03x}" for k in range(20)]
    nps = pd.DataFrame({"customer_id": ids, "kind": "nps", "score": [10.0] * 10 + [2.0] * 10})
    nps = nps.assign(scale_min=0.0, scale_max=10.0)
    asked = nps.assign(kind="delivery", score=[5.0] * 10 + [2.0] * 10, scale_min=1.0, scale_max=5.0)
    said = pd.concat([nps, asked], ignore_index=True).assign(survey_id="s1", market="DE", direction="higher")
    said = said.assign(sent_id="i" + said["customer_id"], answered_date=pd.Timestamp(2026, 1, 15).as_unit("s"))
    bought = pd.DataFrame({"customer_id": ids + ids[:5], "date": pd.Series(pd.to_datetime(["2026-01-15"] * 20 + ["2026-02-15"] * 5))})
    return tuple(ibis.memtable(frame).cast({day: "date"}) for frame, day in ((said, "answered_date"), (bought, "date")))
