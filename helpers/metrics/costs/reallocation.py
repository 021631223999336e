"""Where the next euro of retention budget brings most: response curves by market and channel, and the best split."""

from datetime import date

import numpy as np
import pandas as pd
from scipy.optimize import brentq

from helpers.estimates import ALPHA, SEED, Z_95, Estimate, NotEnoughData
from helpers.metrics.acquisition.budget import DRAWS, ELASTICITY, RECENT_MONTHS, best_spend
from helpers.metrics.costs.books import Books
from helpers.metrics.costs.cost_history import MONTHS_TO_FIT, monthly
from helpers.metrics.costs.costs import reached
from helpers.metrics.groups.regression import line
from helpers.periods import Period, month_start

LEAST_SPREAD = 0.10  # coefficient of variation of the spend, below which no curve can be seen
ASSUMED_ELASTICITY = 0.5  # declared where history cannot tell: doubling the spend brings 41 % more customers back
ASSUMED_RANGE = (0.3, 0.7)
LIMITS = (0.5, 2.0)  # of today's spend: no plan leaves the range history can speak about
PRIOR_SE = (ASSUMED_RANGE[1] - ASSUMED_RANGE[0]) / 2 / Z_95
CELL = ["market", "channel"]


def panel(books: Books, as_of: date, months: int = 24) -> pd.DataFrame:
    """Month × market × channel: spend (major units), reached (customers back through it), active_existing (market).

    Only cells whose ledger lines name a channel and a market. Raises NotEnoughData when fewer than two cells do.

    >>> from helpers.metrics.costs.books import example
    >>> panel(example(), date(2026, 10, 31))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    helpers.estimates.NotEnoughData: A budget can be split only between two or more channels with ...
    """
    costs = monthly(books, as_of, months)
    named = costs[(costs["channel"] != "") & (costs["active_existing"] > 0)]
    if len(named[CELL].drop_duplicates()) < 2:
        raise NotEnoughData("A budget can be split only between two or more channels with their own costs; fill the column channel in "
                            "retention_costs.csv for every line that pays for one (email, sms, social …).")
    by = ["month", *CELL]
    spend = named.groupby(by).agg(spend=("spend", "sum"), active_existing=("active_existing", "max")).reset_index()
    came = reached(books, Period(month_start(spend["month"].min()), as_of), by_month=True)
    return spend.merge(came, how="left", on=by).fillna({"reached": 0}).astype({"reached": "int64"})


def responses(history: pd.DataFrame) -> pd.DataFrame:
    """The response curve of each market × channel: customers back = scale × spend ^ elasticity, elasticity under 1.

    The `regression.line` through `panel` of log(reached / active) on log(spend / active), so that a growing customer base is not
    taken for a response. Needs 12 months with spend that varied by 10 %, and an elasticity whose interval leaves out 0 and that
    lies under 1; otherwise the declared assumption 0.5 (0.3 to 0.7) is used. A fitted elasticity is drawn toward that assumption by
    its own uncertainty (normal prior): the best split of noisy curves favours those that chance made steep. It is what went
    together in the past, not proof of cause: only a holdout is.

    Returns market, channel, spend and reached (means of the three newest months), elasticity, se, scale, basis
    ("fitted" or "assumed"), history (the weight of the fitted elasticity beside the assumed one, 0 to 1).

    >>> months = pd.DataFrame({"month": [f"2025-{m:02}" for m in range(1, 13)], "market": "DE", "channel": "email",
    ...     "spend": [100.0 * m for m in range(1, 13)], "active_existing": 1000})
    >>> found = responses(months.assign(reached=10 * months["spend"] ** 0.4))
    >>> found[["elasticity", "basis"]].round(3).values.tolist()
    [[0.4, 'fitted']]
    """
    newest = sorted(set(history["month"]))[-RECENT_MONTHS:]
    rows = []
    for (market, channel), cell in history.groupby(CELL):
        now = cell[cell["month"].isin(newest)]
        spend, came = now["spend"].sum() / len(newest), now["reached"].sum() / len(newest)
        if spend <= 0 or came <= 0:
            continue
        elasticity, se, history_counts = _elasticity(cell[(cell["spend"] > 0) & (cell["reached"] > 0)])
        basis = "fitted" if history_counts else "assumed"
        rows.append((market, channel, spend, came, elasticity, se, came / spend**elasticity, basis, history_counts))
    if not rows:
        raise NotEnoughData("No channel with a cost of its own brought a customer back in the last months.")
    columns = [*CELL, "spend", "reached", "elasticity", "se", "scale", "basis", "history"]
    return pd.DataFrame(rows, columns=columns)


def curves(cells: pd.DataFrame, points: int = 25) -> pd.DataFrame:
    """Each response curve from half to twice today's spend, to be drawn: market, channel, spend, reached, low, high.

    low and high: with the ends of the elasticity's interval (of an assumed one: 0.3 and 0.7), through today's point.

    >>> cells = pd.DataFrame({"market": ["DE"], "channel": ["email"], "spend": [100.0], "reached": [40.0], "se": [0.05],
    ...                       "elasticity": [0.5], "basis": ["fitted"]})
    >>> curves(cells, 3)[["spend", "reached"]].round(1).values.tolist()
    [[50.0, 28.3], [100.0, 40.0], [200.0, 56.6]]
    """
    rows, size = cells.loc[cells.index.repeat(points)], np.tile(np.geomspace(*LIMITS, points), len(cells))
    half, fitted = Z_95 * rows["se"], rows["basis"] == "fitted"
    ends = [(rows["elasticity"] + side * half).where(fitted, end) for side, end in zip((-1, 1), ASSUMED_RANGE, strict=True)]
    back, *extremes = (rows["reached"] * size**b for b in (rows["elasticity"], *ends))
    drawn = rows[CELL].assign(spend=rows["spend"] * size, reached=back, low=np.minimum(*extremes), high=np.maximum(*extremes))
    return drawn.reset_index(drop=True)


def best_split(cells: pd.DataFrame) -> pd.DataFrame:
    """Today's budget split so that most customers come back: `cells` with recommended, expected.

    The split is `budget.best_spend`, no channel getting less than 0.5 or more than 2 times today's spend. Adds
    recommended, change, expected (customers a month at the recommended spend) and expected_change.

    >>> cells = pd.DataFrame({"market": ["DE", "DE"], "channel": ["email", "sms"], "spend": [100.0, 100.0],
    ...                       "elasticity": [0.5, 0.5], "scale": [4.0, 2.0]})
    >>> best_split(cells)["recommended"].round(1).tolist()
    [150.0, 50.0]
    """
    if len(cells) < 2:
        raise NotEnoughData("There is only one channel with a cost and customers of its own: nothing to move between.")
    now, scale, b = (cells[name].to_numpy() for name in ("spend", "scale", "elasticity"))
    plan = best_spend(scale, b, LIMITS[0] * now, LIMITS[1] * now, now.sum())
    before, after = scale * now**b, scale * plan**b
    return cells.assign(recommended=plan, change=plan - now, expected=after, expected_change=after - before)


def worth(plan: pd.DataFrame) -> tuple[Estimate, Estimate]:
    """What the recommended split brings a month: customers more for the same money, money less for the same customers.

    For the saving the plan is scaled down until it brings back as many customers as today's spending does. The 95 %
    intervals draw the elasticities from their standard errors (assumed ones evenly from 0.3 to 0.7) and keep the plan, so
    they can include a loss. n is the customers of a month who come back through these channels.

    >>> cells = pd.DataFrame({"market": ["DE", "DE"], "channel": ["email", "sms"], "spend": [100.0, 100.0],
    ...     "reached": [40.0, 20.0], "elasticity": 0.5, "scale": [4.0, 2.0], "se": 0.05, "basis": "fitted"})
    >>> [(round(each.value, 1), each.low < each.value < each.high) for each in worth(best_split(cells))]
    [(3.1, True), (19.4, True)]
    """
    draws = np.random.default_rng(SEED)
    drawn = draws.normal(plan["elasticity"], plan["se"].fillna(0.0), size=(DRAWS, len(plan)))
    even = draws.uniform(*ASSUMED_RANGE, size=(DRAWS, len(plan)))
    elasticities = np.clip(np.where(plan["basis"] == "assumed", even, drawn), *ELASTICITY)
    found = []
    for measure in (_gained, _saved):
        low, high = np.quantile([measure(plan, b) for b in elasticities], [ALPHA / 2, 1 - ALPHA / 2])
        value = measure(plan, plan["elasticity"].to_numpy())
        found.append(Estimate(value, float(low), float(high), round(plan["reached"].sum())))
    return found[0], found[1]


def _gained(plan: pd.DataFrame, elasticity: np.ndarray) -> float:
    """Customers more than now at the plan's spend; curves go through today's spend and customers."""
    return float((plan["reached"] * ((plan["recommended"] / plan["spend"]) ** elasticity - 1)).sum())


def _saved(plan: pd.DataFrame, elasticity: np.ndarray) -> float:
    """Money left when the plan is scaled to today's customers."""
    now, then, came = (plan[name].to_numpy() for name in ("spend", "recommended", "reached"))
    back = came * (then / now) ** elasticity
    size = brentq(lambda size: (back * size**elasticity).sum() - came.sum(), 1e-9, 1e9)  # of the plan
    return float(then.sum() * (1 - size))


def _elasticity(cell: pd.DataFrame) -> tuple[float, float, float]:
    """The elasticity, its standard error, and how much history counts for in it."""
    assumed = (ASSUMED_ELASTICITY, float("nan"), 0.0)
    if len(cell) < MONTHS_TO_FIT or cell["spend"].std() < LEAST_SPREAD * cell["spend"].mean():
        return assumed
    x = np.log(cell["spend"] / cell["active_existing"]).to_numpy()
    y = np.log(cell["reached"] / cell["active_existing"]).to_numpy()
    if np.ptp(x) == 0:
        return assumed
    elasticity, low, high, _n = line(x, y)[1]
    if low <= 0 or not ELASTICITY[0] <= elasticity <= ELASTICITY[1]:
        return assumed
    se = (high - low) / 2 / Z_95
    weight = PRIOR_SE**2 / (PRIOR_SE**2 + se**2)
    return weight * elasticity + (1 - weight) * ASSUMED_ELASTICITY, weight**0.5 * se, weight
