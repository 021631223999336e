"""Markets side by side: which are shown, and how each stands as it is, with the same mix, and against the others."""

from datetime import date
from typing import NamedTuple

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import ALPHA, Estimate, NotEnoughData, ratio_of_sums, with_wilson
from helpers.metrics.groups import comparison, standardise
from helpers.metrics.groups.standardise import STRATA
from helpers.metrics.occasions import bucket, numbered
from helpers.periods import DAYS_PER_MONTH

OTHER = "other"  # the markets too small to be shown one by one
UNKNOWN = "unknown"  # the market, or the channel, of customers about whom none is recorded: a group like the others
AGE_BANDS = ((3, "00–03"), (6, "04–06"), (12, "07–12"), (24, "13–24"))  # months since the first occasion
OLDEST = "25+"
LEAST_DRAWN = 30  # customers; fewer give intervals that fill the chart and say nothing


class Measure(NamedTuple):
    """A measure by market: its moments, whether it is a share of customers, its unit, and which way is better (1 up).

    units, for money and ratios: a lazy row per customer (home_market, customer_id, x, y), for the bootstrap. tested is
    False for what is set, not measured (a margin rate from client.toml): it has values and no tests. bounded: no share of
    customers, and yet between 0 and 1.
    """

    table: pd.DataFrame
    share: bool
    unit: str
    better: int = 1
    units: ir.Table | None = None
    tested: bool = True
    bounded: bool = False


def shown(customers: dict[str, int], minimum: int) -> dict[str, str]:
    """Market → the market it is shown as: itself, or "other" for those with fewer customers than the minimum.

    "other" is filled up with the next smallest market until it holds the minimum, so that it tells about nobody.

    >>> shown({"DE": 900, "FR": 40, "IT": 4}, minimum=10)
    {'DE': 'DE', 'FR': 'other', 'IT': 'other'}
    """
    hidden: list[str] = []
    for market in sorted(customers, key=lambda each: (customers[each], each)):  # the smallest first
        together = sum(customers[each] for each in hidden)
        if customers[market] >= minimum and (not hidden or together >= minimum):
            break
        hidden.append(market)
    return {market: OTHER if market in hidden else market for market in customers}


def together(table: ir.Table, names: dict[str, str], column: str = "market", missing: str | None = UNKNOWN) -> ir.Table:
    """The table with the markets of a column as they are shown (`shown`): the small and the unlisted under one name.

    A missing market is "unknown", so that the markets add up to the whole; with `missing` None it stays missing: a line of a ledger
    without a market belongs to all. Without names nothing else changes.

    >>> sizes(together(example(), {"DE": "DE"}, "home_market"))
    {'DE': 2, 'other': 1}
    """
    market = table[column] if missing is None else table[column].fill_null(names.get(missing, missing))
    own = [each for each, name in names.items() if each == name] + [UNKNOWN, OTHER]
    other = market.notnull() & market.notin(own)
    return table.mutate(**{column: other.ifelse(OTHER, market) if names else market})


def sizes(occasions: ir.Table, column: str = "home_market") -> dict[str, int]:
    """Customers by home market, or by another column, the largest first; those without one as "unknown".

    >>> sizes(example())
    {'DE': 2, 'FR': 1}
    """
    counts = occasions.filter(_.n == 1).group_by(group=_[column].fill_null(UNKNOWN)).agg(n=_.count()).execute()
    return counts.sort_values(["n", "group"], ascending=[False, True]).set_index("group")["n"].to_dict()


def with_strata(occasions: ir.Table, as_of: date, names: dict[str, str] | None = None) -> ir.Table:
    """The occasions with home_market as it is shown (`shown`) and age_band, the customer's months since the first.

    >>> with_strata(example(), date(2026, 6, 30), {"DE": "DE"}).order_by("customer_id", "n").execute()[
    ...     ["home_market", "age_band"]].values.tolist()
    [['DE', '04–06'], ['DE', '04–06'], ['DE', '00–03'], ['other', '04–06']]
    """
    age = ibis.literal(as_of).delta(occasions.first_date, unit="day") / DAYS_PER_MONTH
    bands = [(age < until, name) for until, name in AGE_BANDS]
    known = {name: occasions[name].fill_null(UNKNOWN) for name in STRATA[1:]}
    stratified = occasions.mutate(age_band=ibis.cases(*bands, else_=OLDEST), **known)
    return together(stratified, names or {}, "home_market")


def compared(measures: dict[str, Measure]) -> pd.DataFrame:
    """Every measure in every market: as it is, with the mix of all, shrunk, and against the other markets.

    A row per metric and market: value, low, high (Wilson for shares, bootstrap over customers else), n, share, unit, better; even,
    even_low, even_high, coverage (directly standardised, on the finest strata that cover 80 %); shrunk (the standardised value drawn
    toward the average); even_difference, even_difference_low, even_difference_high, even_effect, even_p (standardised, against all
    others); mix: the strata that vary, a tuple of names. `corrected` adds what allows for the number of tests.

    >>> from helpers.metrics.market_measures import repurchase
    >>> found = compared(repurchase(with_strata(example(), date(2026, 6, 30)), date(2026, 6, 30)))
    >>> found[["metric", "market", "value", "n"]].values.tolist()
    [['repeat_purchase_rate', 'DE', 0.5, 2], ['repeat_purchase_rate', 'FR', 0.0, 1]]
    """
    if max((each.table["market"].nunique() for each in measures.values()), default=0) < 2:
        raise NotEnoughData("There are no two markets with enough customers, so there is nothing to compare.")
    parts = [_compared(name, measure) for name, measure in measures.items() if len(measure.table)]
    return pd.concat(parts, ignore_index=True)


def corrected(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of `compared` with even_adjusted, the p-values corrected by Benjamini–Hochberg over these rows, and verdict.

    Over the rows that are shown: a test nobody sees must not decide what is said of the others. verdict, by the standardised difference
    and the direction that is good: "better", "worse", "no clear difference", or "not compared".

    >>> rows = pd.DataFrame({"even_difference": 0.1, "even_p": [0.01, 0.01, 0.2, None], "better": [1, -1, 1, 1]})
    >>> corrected(rows)["verdict"].tolist()
    ['better', 'worse', 'no clear difference', 'not compared']
    """
    p, good = comparison.adjusted(found["even_p"]), found["even_difference"] * found["better"] > 0
    said = np.select([p.isna(), p >= ALPHA, good], ["not compared", "no clear difference", "better"], "worse")
    return found.assign(even_adjusted=p, verdict=said)


def card(found: pd.DataFrame, market: str) -> pd.DataFrame:
    """One market on one page: a row per metric of `corrected` with its rank among the markets (1 best).

    >>> rows = pd.DataFrame({"metric": "rpr", "market": ["DE", "FR"], "even": [0.5, 0.4], "better": 1,
    ...                      "verdict": ["better", "worse"]})
    >>> card(rows, "FR")[["metric", "rank", "verdict"]].values.tolist()
    [['rpr', 2, 'worse']]
    """
    rank = (found["even"] * found["better"]).groupby(found["metric"]).rank(ascending=False, method="min").astype("Int64")
    mine = found.assign(rank=rank)[found["market"] == market]
    if mine.empty:
        raise NotEnoughData("This market has too few customers to be shown alone; it is part of the other markets.")
    return mine.reset_index(drop=True)


def wide(tall: pd.DataFrame, sizes_shown: dict[str, int]) -> pd.DataFrame:
    """A row per market, the largest first: market, n (its customers), and <metric>, <metric>_low, _high and _n of each metric.

    >>> tall = pd.DataFrame({"metric": ["rpr"], "market": ["DE"], "value": [0.5], "low": [0.4], "high": [0.6], "n": 90})
    >>> wide(tall, {"DE": 900, "FR": 100}).values.tolist()
    [['DE', 900, 0.5, 0.4, 0.6, 90.0], ['FR', 100, nan, nan, nan, nan]]
    """
    n = pd.Series(sizes_shown, name="n").sort_values(ascending=False, kind="stable")
    parts = [rows.set_index("market")[["value", "low", "high", "n"]].set_axis(
                 [name, *(f"{name}_{each}" for each in ("low", "high", "n"))], axis="columns")
             for name, rows in tall.groupby("metric", sort=False)]  # fmt: skip
    return n.to_frame().join(parts).rename_axis("market").reset_index()


def _compared(name: str, measure: Measure) -> pd.DataFrame:
    table, strata = measure.table, standardise.strata_for(measure.table)
    sums = table.groupby("market", as_index=False)[["x", "n"]].sum()
    raw = with_wilson(sums, "x", "n").drop(columns="x") if measure.units is None else bootstrapped(measure.units)
    even = comparison.shrunk(standardise.direct(table, measure.share or measure.bounded, strata)).drop(columns=["n", "se"])
    even = even.rename(columns={"value": "even", "low": "even_low", "high": "even_high"})
    rest = comparison.against_rest(table, measure.share, strata).drop(columns="n").set_index("market").add_prefix("even_")
    found = raw.merge(even, on="market").merge(rest, on="market")
    about = {"metric": name, "unit": measure.unit, "share": measure.share, "better": measure.better}
    mix = tuple(each for each in strata if table[each].nunique() > 1)
    found = found.assign(**about, mix=[mix] * len(found))
    return found if measure.tested else found.assign(even_p=float("nan"))


def bootstrapped(units: ir.Table, by: tuple[str, ...] = ("market",)) -> pd.DataFrame:
    """Σx / Σy by group with the bootstrap interval over customers: columns of by, value, low, high, n.

    units: a lazy row per customer with the columns of by, customer_id, x, y.

    >>> units = ibis.memtable({"customer_id": ["a1", "b1"], "market": ["DE"] * 2, "x": [1.0, 3.0], "y": [1.0, 1.0]})
    >>> bootstrapped(units)[["market", "value", "n"]].values.tolist()
    [['DE', 2.0, 2]]
    """
    sums = units.group_by(*by, bucket=bucket(_.customer_id)).agg(x=_.x.sum(), y=_.y.sum(), n=_.count()).execute()
    parts = sums.sort_values([*by, "bucket"]).groupby(list(by))
    rows = [(*key, *ratio_of_sums(part["x"], part["y"], n=part["n"].sum())) for key, part in parts]
    return pd.DataFrame(rows, columns=[*by, *Estimate._fields])


def example() -> ir.Table:
    """Three customers: a1 (DE) came back after a month, b1 (DE) is new, c1 (FR) never came back.

    >>> sizes(example())
    {'DE': 2, 'FR': 1}
    """
    days = [("a1", "DE", "2026-01-05"), ("a1", "DE", "2026-02-09"), ("b1", "DE", "2026-05-20"), ("c1", "FR", "2026-01-20")]
    frame = pd.DataFrame(days, columns=["customer_id", "home_market", "date"]).assign(
        first_acquisition_channel="email", first_product_category="tea", truncated=False,
        net_sales_rc=[5000, 6000, 7000, 4000], margin_rc=[2000, 2500, 3000, 1500], discount_rc=0,
    )  # fmt: skip
    return numbered(ibis.memtable(frame).mutate(date=_.date.cast("date")))
