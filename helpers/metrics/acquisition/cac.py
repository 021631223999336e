"""What a new customer costs (paid, blended, loaded), and how that compares with what they are worth."""

from collections.abc import Sequence

import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats

from helpers.estimates import ALPHA, Estimate, NotEnoughData
from helpers.metrics.groups.markets import OTHER, UNKNOWN
from helpers.periods import Period, add_months, label, month_start

KINDS = {"paid": ("media",), "blended": ("media", "agency"), "loaded": ("media", "agency", "salary", "tool")}
DIMENSIONS = {"market": "home_market", "acquisition_channel": "first_acquisition_channel"}
MONTH = _.date.year().cast("string") + "-" + _.date.month().cast("string").lpad(2, "0")  # YYYY-MM


def won(occasions: ir.Table, period: Period) -> ir.Table:
    """The first occasions of customers won in the period (lazy); truncated histories left out.

    >>> import ibis, datetime
    >>> bought = ibis.memtable({"customer_id": ["a", "b"], "n": [1, 2], "truncated": [False, False],
    ...     "date": [datetime.date(2026, 1, 5)] * 2})
    >>> won(bought, Period.month("2026-01")).customer_id.execute().tolist()
    ['a']
    """
    return occasions.filter(_.n == 1, ~_.truncated, _.date >= period.start, _.date <= period.end)


def cac(occasions: ir.Table, spend: ir.Table, period: Period, by: Sequence[str] = (), market: str = "") -> pd.DataFrame:
    """Acquisition cost per customer won in the period: a row per kind and group, money in minor units.

    paid: media / customers won through channels with media spend. blended: media and agencies / all new customers.
    loaded: salaries and tools too / all new customers. Retention spend is in none. by: any of market (home market),
    acquisition_channel (of the first order) and cohort (month won). Spend without a market, or of a channel that wins nobody by
    name (a team's salaries), is spread in proportion to media spend, or to customers won where there is none. market: that one
    only, with its share of such spend (occasions of all markets are needed to know it).

    Columns kind, *by, spend_rc, value, low, high (of the number won, exact Poisson), n (customers won); value is nan where nobody
    was won, and with spend_rc where a group has no line of the kind: what is not recorded is not free. Raises NotEnoughData when
    nothing was spent in the period, or in the market asked for; and, but by cohort, when no line reaches back to the month of the
    first customer won, or on to the period's last.

    >>> import ibis, datetime
    >>> day = datetime.date(2026, 1, 5)
    >>> bought = ibis.memtable({"customer_id": ["a", "b"], "n": [1, 1], "truncated": [False] * 2, "date": [day] * 2,
    ...     "home_market": ["DE"] * 2, "first_acquisition_channel": ["search", "organic"]})
    >>> paid = ibis.memtable({"date": [day, day], "channel": ["search", "team"], "market": ["DE", "DE"],
    ...     "amount_rc": [4000, 2000], "kind": ["media", "salary"]})
    >>> cac(bought, paid, Period.month("2026-01"))[["kind", "value", "n"]]
          kind   value  n
    0     paid  4000.0  1
    1  blended  2000.0  2
    2   loaded  3000.0  2
    """
    by = list(by)
    people = _people(occasions, period)
    recorded = _lines(spend, period)
    lines = recorded.dropna(subset="amount_rc")
    if len(lines) and "cohort" not in by:
        _refuse_too_short(recorded["cohort"], people["cohort"].min() if len(people) else label(period.start), period)
    paid_channels = set(lines.loc[lines["kind"] == "media", "acquisition_channel"].dropna())
    lines = _spread(lines, people, [*by, "market"] if market else by)
    if market:
        lines, people = lines[lines["market"] == market], people[people["market"] == market]
    if not lines["amount_rc"].sum() > 0:
        where = f" for {market}" if market else ""
        raise NotEnoughData(f"No acquisition spend is recorded{where} from {period.start} to {period.end}, "
                            "so a new customer has no known cost.")
    found = []
    for kind, parts in KINDS.items():
        who = people[people["acquisition_channel"].isin(paid_channels)] if kind == "paid" else people
        cost = lines[lines["kind"].isin(parts)]
        sums = pd.DataFrame({"spend_rc": _sum(cost, by, "amount_rc"), "n": _sum(who, by, "n")}).fillna({"n": 0})
        found.append(sums.rename_axis(by or ["all"]).reset_index().assign(kind=kind))
    table = pd.concat(found, ignore_index=True)
    n, cost = table["n"].to_numpy(dtype="float64"), table["spend_rc"].to_numpy(dtype="float64")
    fewest, most = stats.gamma.ppf(ALPHA / 2, n), stats.gamma.ppf(1 - ALPHA / 2, n + 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value, low, high = (np.where(n > 0, cost / each, np.nan) for each in (n, most, fewest))
    return table.assign(value=value, low=low, high=high, n=n.astype("int64"))[["kind", *by, "spend_rc", "value", "low", "high", "n"]]


def _people(occasions: ir.Table, period: Period) -> pd.DataFrame:
    """market, acquisition_channel, cohort, n: customers won; "unknown" where no market or channel is recorded."""
    new = won(occasions, period)
    keys = {name: new[column] for name, column in DIMENSIONS.items()} | {"cohort": new.date.truncate("M")}
    people = new.group_by(**keys).agg(n=_.count()).order_by(list(keys)).execute()
    named = {name: people[name].fillna(UNKNOWN) for name in DIMENSIONS}
    return people.assign(cohort=[label(month) for month in people["cohort"]], **named)


def _refuse_too_short(months: pd.Series, first_won: str, period: Period) -> None:
    """NotEnoughData, naming the months, when all spend begins after the first customer's month or ends before the last one."""
    gaps, first, last = [], months.min(), months.max()
    if first > first_won:
        gaps.append((first_won, label(add_months(month_start(first), -1))))
    if last < label(period.end):
        gaps.append((label(add_months(month_start(last), 1)), label(period.end)))
    if gaps:
        missing = " and ".join(start if start == end else f"{start} to {end}" for start, end in gaps)
        earlier = ", or report as of an earlier month" if last < label(period.end) else ""
        raise NotEnoughData(
            f"Acquisition spend is recorded from {first} to {last}, and nothing for {missing}: what a new customer cost from "
            f"{period.start} to {period.end} is not known. Add the exports of those months (amount 0 in acquisition_spend.csv "
            f"where nothing was spent){earlier}."
        )


def _lines(spend: ir.Table, period: Period) -> pd.DataFrame:
    """market, acquisition_channel, cohort (the month), kind, amount_rc: of the period, and missing in all other months."""
    grouped = spend.group_by(market=_.market, acquisition_channel=_.channel, cohort=MONTH, kind=_.kind)
    keys = ["market", "acquisition_channel", "cohort", "kind"]
    lines = grouped.agg(amount_rc=_.amount_rc.sum(where=period.covers(_.date))).order_by(keys).execute()
    return lines.assign(amount_rc=lines["amount_rc"].astype("float64"))


def _spread(lines: pd.DataFrame, people: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    if "market" in by:
        lines = _fill(lines, people, "market", lines["market"].isna(), ["acquisition_channel", "cohort"])
    if "acquisition_channel" in by:
        named = lines["acquisition_channel"].isin(set(people["acquisition_channel"].dropna()))
        named |= lines["acquisition_channel"].isin(set(lines.loc[lines["kind"] == "media", "acquisition_channel"]))
        within = ["market", "cohort"] if "market" in by else ["cohort"]
        lines = _fill(lines, people, "acquisition_channel", ~named, within)
    return lines


def _fill(lines: pd.DataFrame, people: pd.DataFrame, name: str, blank: pd.Series, within: list[str]) -> pd.DataFrame:
    """Blank values of a column replaced by shares: of media spend alike in `within`, of all media, of customers won."""
    if not blank.any():
        return lines
    known, left = lines[~blank], lines[blank].drop(columns=name)
    left = left.reset_index(drop=True).rename_axis("line").reset_index()
    media = known[known["kind"] == "media"].rename(columns={"amount_rc": "share"})
    heads = people.rename(columns={"n": "share"})
    done = [known]
    for basis, keys in ((media, within), (media, []), (heads, [])):
        shares = basis.dropna(subset=[name]).groupby([*keys, name], as_index=False)["share"].sum()
        shares = shares[shares["share"] > 0]
        matched = left.merge(shares, on=keys) if keys else left.merge(shares, how="cross")
        matched["amount_rc"] *= matched["share"] / matched.groupby("line")["share"].transform("sum")
        done.append(matched.drop(columns=["line", "share"]))
        left = left[~left["line"].isin(matched["line"])]
    return pd.concat(done, ignore_index=True)


def _sum(frame: pd.DataFrame, by: list[str], column: str) -> pd.Series:
    if not by:
        return pd.Series({"": frame[column].sum(min_count=1)})
    return frame.dropna(subset=by).groupby(by)[column].sum()


def clv_to_cac(values: pd.DataFrame, costs: pd.DataFrame, by: Sequence[str] = ()) -> pd.DataFrame:
    """Margin CLV of customers won / what winning them cost, of the same period, group and currency.

    values: `clv_model.per_customer` of the customers won; costs: rows of one kind of `cac`. Both intervals are carried into the
    ratio (independent, on a log scale). Columns *by, value, low, high, n.

    >>> values = pd.DataFrame({"value": [120.0], "low": [110.0], "high": [131.0], "n": [400]})
    >>> costs = pd.DataFrame({"value": [40.0], "low": [36.0], "high": [44.0], "n": [400]})
    >>> clv_to_cac(values, costs).round(2)
       value   low  high    n
    0    3.0  2.63  3.43  400
    """
    by = list(by)
    how = {"on": by} if by else {"how": "cross"}
    both = values.merge(costs.drop(columns="n"), suffixes=("", "_cost"), **how)
    ratio = both["value"] / both["value_cost"].where(both["value_cost"] > 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        widths = [np.log(both[f"high{end}"] / both[f"low{end}"]) / 2 for end in ("", "_cost")]
    spread = np.exp(np.hypot(*widths))
    return both[by].assign(value=ratio, low=ratio / spread, high=ratio * spread, n=both["n"])


def fold(table: ir.Table, names: dict[str, str], column: str, missing: str | None = UNKNOWN) -> ir.Table:
    """The table with the channels of a column that are shown as "other" under that name; channels not listed stay.

    missing: what a missing channel is; None leaves it (a line of spend without a channel belongs to all).

    >>> import ibis
    >>> fold(ibis.memtable({"channel": ["sms", "team"]}), {"sms": "other"}, "channel").channel.execute().tolist()
    ['other', 'team']
    """
    channel = table[column] if missing is None else table[column].fill_null(missing)
    small = [name for name, as_shown in names.items() if as_shown == OTHER]
    return table.mutate(**{column: channel.isin(small).ifelse(OTHER, channel) if small else channel})


def verdict(ratio: Estimate, healthy: float) -> str:
    """What may be said of a CLV to CAC ratio by its interval.

    loss: all of it lies below 1; even: it holds 1; thin: above 1 and below the healthy mark; healthy: it reaches that mark.

    >>> verdict(Estimate(1.8, 1.7, 1.9, 900), healthy=3.0), verdict(Estimate(1.1, 0.9, 1.3, 90), healthy=3.0)
    ('thin', 'even')
    """
    if ratio.low <= 1:
        return "loss" if ratio.high < 1 else "even"
    return "thin" if ratio.high < healthy else "healthy"


def losing(*ratios: pd.DataFrame) -> pd.DataFrame:
    """The groups of all frames whose whole interval lies below 1, the worst first, at most two: they cost more than they bring.

    >>> losing(pd.DataFrame({"market": ["AE", "GB", "JP"], "value": [0.8, 0.9, 2.0], "high": [0.9, 1.1, 2.2]}))["market"].tolist()
    ['AE']
    """
    found = [each[each["high"] < 1] for each in ratios]
    return pd.concat(found or [pd.DataFrame({"value": []})]).sort_values("value", kind="stable").head(2)


def rated(ratios: pd.DataFrame) -> pd.DataFrame:
    """The groups that have a ratio: those where customers were won and money was spent to win them.

    >>> rated(pd.DataFrame({"acquisition_channel": ["organic", "search"], "value": [float("nan"), 2.5]})).value.tolist()
    [2.5]
    """
    found = ratios[ratios["value"].notna()]
    if not len(found):
        raise NotEnoughData("No group has both customers won and spend to win them, so no ratio can be given.")
    return found
