"""The next unit of ad money: what it buys at the margin, and where the same budget would win more customer value."""

from datetime import date

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import statsmodels.api as sm
from ibis import _
from scipy import stats
from scipy.optimize import brentq

from helpers.estimates import ALPHA, SEED, Z_95, Estimate, NotEnoughData
from helpers.metrics.acquisition.cac import MONTH, won
from helpers.metrics.groups import markets
from helpers.periods import Period, months_of

MONTHS = 24  # of spend and customers won that a response is read from
FEWEST_MONTHS = 8
RECENT_MONTHS = 3  # what is spent today is their mean
DRAWS = 400
STEP = 0.05  # change of spend between two quarters below which no marginal cost is read off
ELASTICITY = (0.05, 0.95)  # a fitted response is kept inside: more spend wins more customers, at a falling rate


def monthly(occasions: ir.Table, spend: ir.Table, as_of: date, market: str = "") -> pd.DataFrame:
    """Media spend and customers won per channel and complete month of two years: acquisition_channel, month, spend_rc, won.

    Channels with media spend only; a month without spend or without customers is 0. market: spend booked on it only.

    >>> import ibis
    >>> bought = ibis.memtable({"customer_id": ["a"], "n": [1], "truncated": [False], "date": [date(2026, 1, 5)],
    ...     "first_acquisition_channel": ["search"]})
    >>> paid = ibis.memtable({"date": [date(2026, 1, 5)], "channel": ["search"], "amount_rc": [4000],
    ...     "kind": ["media"]})
    >>> monthly(bought, paid, date(2026, 1, 31)).tail(1).values.tolist()
    [['search', '2026-01', 4000, 1]]
    """
    every = months_of(as_of, MONTHS)
    period = Period(every[0].start, every[-1].end)
    people = won(occasions, period).group_by(acquisition_channel=_.first_acquisition_channel, month=MONTH)
    media = spend.filter(_.kind == "media", period.covers(_.date))
    media = media.filter(_.market == market) if market else media
    cost = media.group_by(acquisition_channel=_.channel, month=MONTH).agg(spend_rc=_.amount_rc.sum()).execute()
    channels, keys = sorted(cost["acquisition_channel"].dropna().unique()), ["acquisition_channel", "month"]
    cells = pd.MultiIndex.from_product([channels, [month.label for month in every]], names=keys)
    table = pd.DataFrame(index=cells).join(cost.set_index(keys)).join(people.agg(won=_.count()).execute().set_index(keys))
    return table.fillna(0).astype("int64").reset_index()


def shown(table: pd.DataFrame, minimum: int) -> dict[str, str]:
    """Channel → the channel it is shown as (`markets.shown`), by the customers won in the last three months of `monthly`.

    >>> shown(pd.DataFrame({"acquisition_channel": ["a", "b", "c"], "month": "2026-01", "won": [40, 30, 2]}), minimum=10)
    {'a': 'a', 'b': 'other', 'c': 'other'}
    """
    newest = table.groupby("acquisition_channel").tail(RECENT_MONTHS)
    return markets.shown(newest.groupby("acquisition_channel")["won"].sum().to_dict(), minimum)


def together(table: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """The rows of `monthly` with the channels added up that are shown as one.

    >>> rows = pd.DataFrame({"acquisition_channel": ["b", "c"], "month": "2026-01", "spend_rc": [900, 100], "won": [30, 2]})
    >>> together(rows, {"b": "other", "c": "other"}).values.tolist()
    [['other', '2026-01', 1000, 32]]
    """
    named = table.assign(acquisition_channel=table["acquisition_channel"].map(names))
    return named.groupby(["acquisition_channel", "month"], as_index=False).sum()


def marginal_cac(table: pd.DataFrame) -> pd.DataFrame:
    """The cost of the last customers: change of spend / change of customers won, last quarter against the one before.

    table: `monthly`. Columns acquisition_channel, average, value, low, high, n: average is spend / customers won of the last quarter;
    value (the marginal CAC) is nan where spend moved by less than 5 %, or moved one way and customers the other; low and high take
    the numbers won as Poisson, and are nan where the change may be nothing. The season moves both: read it beside `responses`.

    >>> table = pd.DataFrame({"acquisition_channel": "search", "month": list("abcdef"), "won": [10] * 3 + [12] * 3,
    ...     "spend_rc": [100] * 3 + [150] * 3})
    >>> marginal_cac(table)[["average", "value"]].round(1).values.tolist()
    [[12.5, 25.0]]
    """
    by, sums = "acquisition_channel", ["spend_rc", "won"]
    now, both = (table.groupby(by).tail(months).groupby(by)[sums].sum() for months in (RECENT_MONTHS, 2 * RECENT_MONTHS))
    before = both - now
    step, more = now["spend_rc"] - before["spend_rc"], now["won"] - before["won"]
    moved = (before["spend_rc"] > 0) & (step.abs() >= STEP * before["spend_rc"]) & (step * more > 0)
    spread = Z_95 * np.sqrt(both["won"])
    ends = pd.concat([step / (more - spread), step / (more + spread)], axis=1).where(moved & (more.abs() > spread))
    found = {"average": now["spend_rc"] / now["won"].where(now["won"] > 0), "value": (step / more).where(moved)}
    return pd.DataFrame(found | {"low": ends.min(axis=1), "high": ends.max(axis=1), "n": now["won"]}).reset_index()


def responses(table: pd.DataFrame) -> pd.DataFrame:
    """How customers won answer to spend, by channel: won = scale × spend^elasticity, Poisson with its overdispersion.

    table: `monthly`. A channel needs 8 months with spend that differ. The elasticity is kept between 0.05 and 0.95; its interval
    takes Student's t, for the overdispersion is estimated from as few months. marginal is average CAC / elasticity at the mean
    monthly spend; its interval joins those of the elasticity and of the number won (on a log scale). An association, not an
    experiment. Columns acquisition_channel, elasticity, low, high, scale, spend_rc (mean of the last three months), least, most,
    average, marginal, marginal_low, marginal_high, n.

    >>> spend = np.array([100, 200, 300, 400, 500, 600, 700, 800])
    >>> table = pd.DataFrame({"acquisition_channel": "search", "spend_rc": spend, "won": (4 * spend ** 0.5).round()})
    >>> responses(table)[["elasticity", "least", "most"]].round(2).values.tolist()
    [[0.5, 100.0, 800.0]]
    """
    rows, newest = [], table.groupby("acquisition_channel").tail(RECENT_MONTHS)
    recent = newest.groupby("acquisition_channel")["spend_rc"].mean()
    for channel, group in table[table["spend_rc"] > 0].groupby("acquisition_channel"):
        spend, people = group["spend_rc"].to_numpy(dtype="float64"), group["won"].to_numpy(dtype="float64")
        if len(group) < FEWEST_MONTHS or np.ptp(spend) < STEP * spend.mean() or not people.sum():
            continue
        model = sm.GLM(people, sm.add_constant(np.log(spend)), family=sm.families.Poisson()).fit(scale="X2")
        fitted, half = float(model.params[1]), stats.t.ppf(1 - ALPHA / 2, model.df_resid) * float(model.bse[1])
        elasticity = float(np.clip(fitted, *ELASTICITY))
        scale = people.sum() / (spend ** elasticity).sum()
        average = spend.sum() / people.sum()
        shares = np.log(np.clip([fitted + half, fitted - half], *ELASTICITY) / elasticity)
        counted = stats.t.ppf(1 - ALPHA / 2, model.df_resid) * np.sqrt(model.scale / people.sum())
        low, high = average / elasticity * np.exp(np.array([-1, 1]) * np.hypot(shares, counted))
        rows.append((channel, elasticity, fitted - half, fitted + half, scale, recent[channel], spend.min(), spend.max(),
                     average, average / elasticity, low, high, int(people.sum())))
    if not rows:
        raise NotEnoughData(f"No channel has {FEWEST_MONTHS} months of different media spend, so what more or less "
                            "spend would do cannot be read from the past.")
    columns = ["acquisition_channel", "elasticity", "low", "high", "scale", "spend_rc", "least", "most", "average",
               "marginal", "marginal_low", "marginal_high", "n"]
    return pd.DataFrame(rows, columns=columns)


def best_budget(responses: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """The split of today's monthly media budget that wins the most customer value, inside the spend each channel has seen.

    Maximises Σ value × scale × spend^elasticity by `best_spend`, between the least and most monthly spend observed. values:
    acquisition_channel, value per customer won (same money unit). Assumes that the responses hold, that channels do not help each
    other, and that customers won at the margin are worth the average. Channels without spend in the last three months stay out.
    Added to the columns of `responses` (the ends of the elasticity as elasticity_low, elasticity_high): value, best_rc, change_rc,
    won, best_won.

    >>> curves = pd.DataFrame({"acquisition_channel": ["a", "b"], "elasticity": [0.5, 0.5], "scale": [2.0, 1.0],
    ...     "spend_rc": [100.0, 100.0], "least": [10.0, 10.0], "most": [300.0, 300.0], "n": [50, 50]})
    >>> worth = pd.DataFrame({"acquisition_channel": ["a", "b"], "value": [10.0, 10.0]})
    >>> best_budget(curves, worth).best_rc.round().tolist()
    [160.0, 40.0]
    """
    table = responses.merge(values[["acquisition_channel", "value"]], on="acquisition_channel")
    table = table[(table["value"] > 0) & (table["spend_rc"] > 0)]
    if len(table) < 2:
        raise NotEnoughData("Fewer than two channels have a readable response and a customer value: nothing to move.")
    now, least, most, e = (table[name].to_numpy() for name in ("spend_rc", "least", "most", "elasticity"))
    least, most = np.minimum(least, now), np.maximum(most, now)
    best = best_spend((table["value"] * table["scale"]).to_numpy(), e, least, most, now.sum())
    table = table.rename(columns={"low": "elasticity_low", "high": "elasticity_high"})
    return table.assign(best_rc=best, change_rc=best - now, won=table["scale"] * now ** e, best_won=table["scale"] * best ** e)


def won_more(plan: pd.DataFrame, worth: pd.Series | float = 1.0) -> Estimate:
    """Customers a month that the split of `best_budget` wins beyond today's, with a 95 % interval; n: customers of its curves.

    The interval draws the elasticities from their errors, inside the limits of a fitted one, and keeps the plan and what
    today's spend wins: it can hold a loss. With what a customer of each channel is worth (the plan's value) it is the gain in money.

    >>> plan = pd.DataFrame({"spend_rc": [100.0, 100.0], "best_rc": [160.0, 40.0], "won": [20.0, 10.0], "value": [10.0, 10.0],
    ...     "n": [50, 50], "elasticity": 0.5, "elasticity_low": 0.4, "elasticity_high": 0.6})
    >>> found = won_more(plan)
    >>> round(found.value, 2), found.low < found.value < found.high
    (1.62, True)
    """
    error = (plan["elasticity_high"] - plan["elasticity_low"]) / 2 / Z_95
    middle = (plan["elasticity_high"] + plan["elasticity_low"]) / 2  # as fitted, before it was kept inside the limits
    drawn = np.random.default_rng(SEED).normal(middle, error, size=(DRAWS, len(plan)))
    elasticities = np.vstack([plan["elasticity"], np.clip(drawn, *ELASTICITY)])
    today, size = (worth * plan["won"]).to_numpy(), (plan["best_rc"] / plan["spend_rc"]).to_numpy()
    gains = (today * (size ** elasticities - 1)).sum(axis=1)
    low, high = np.quantile(gains[1:], [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(float(gains[0]), float(low), float(high), int(plan["n"].sum()))


def best_spend(scale: np.ndarray, elasticity: np.ndarray, least: np.ndarray, most: np.ndarray, budget: float) -> np.ndarray:
    """The split of a budget that makes Σ scale × spend^elasticity greatest, each spend between its least and its most.

    Concave curves have one best split: the next unit of money brings the same everywhere, except at the limits.

    >>> best_spend(np.array([2.0, 1.0]), np.array([0.5, 0.5]), np.array([1.0, 1.0]), np.array([200.0, 200.0]), 200.0)
    array([160.,  40.])
    """
    gain = scale * elasticity

    def at(log_price: float) -> np.ndarray:
        """What each channel is given when one more unit of money must bring exp(log_price)."""
        return np.clip((gain / np.exp(log_price)) ** (1 / (1 - elasticity)), least, most)

    slopes = np.log(gain * np.array([least, most]) ** (elasticity - 1))
    return at(brentq(lambda price: at(price).sum() - budget, slopes.min() - 1, slopes.max() + 1, xtol=1e-12))
