"""Why the cost per customer moved: an exact split of its change into components and effects (LMDI-I)."""

import numpy as np
import pandas as pd

from helpers.estimates import NotEnoughData
from helpers.metrics.costs.books import UNALLOCATED

EFFECTS = ["spend", "active_base", "market_mix", "exchange_rate"]
CELL = ["category", "component", "market", "currency"]


def change(months: pd.DataFrame, before: str, after: str, market: str = "") -> pd.DataFrame:
    """What moved the cost per active existing customer from one month to another, in major units per customer.

    `months` is `cost_history.monthly`. The cost per customer is the sum over component × market × currency of

        spend in own currency × exchange rate × 1 / active customers of the market × the market's share of customers

    and the change of each product is shared between its four factors by additive log-mean Divisia (LMDI-I, Ang 2005, Energy Policy 33,
    867–871), zeros by their limit (Ang & Liu 2007): a cost that begins or ends, or turns to a credit, is all spend effect. The terms
    add up to the change, whatever their order. Cost outside any market, or of a market without active customers in one of the months,
    is divided by all customers. With `market`, of that market alone. Returns CELL and EFFECTS, in major units per customer.

    >>> rows = dict(category="technology", component="crm", market="DE", currency="EUR", active_existing_all=100)
    >>> months = pd.DataFrame([dict(rows, month="2026-09", spend=1000.0, amount=1000.0, active_existing=100),
    ...                        dict(rows, month="2026-10", spend=1500.0, amount=1500.0, active_existing=100)])
    >>> change(months, "2026-09", "2026-10")[EFFECTS].round(2).values.tolist()
    [[5.0, 0.0, 0.0, 0.0]]
    """
    if market:
        months = months[months["market"] == market]
        months = months.assign(active_existing_all=months["active_existing"])
    cells = _cells(months, before, after)
    factors = {
        "spend": (cells["amount_0"], cells["amount_1"]),
        "active_base": (1 / cells["base_0"], 1 / cells["base_1"]),
        "market_mix": (cells["base_0"] / cells["all_0"], cells["base_1"] / cells["all_1"]),
        "exchange_rate": (cells["rate_0"], cells["rate_1"]),
    }
    unit_0, unit_1 = (cells[f"spend_{k}"] / cells[f"all_{k}"] for k in (0, 1))
    both = (unit_0 * unit_1) > 0
    weight = np.sign(unit_1) * _log_mean(unit_1.abs(), unit_0.abs())
    result = cells[CELL].copy()
    for effect, (old, new) in factors.items():
        result[effect] = weight * np.log((new / old).where(both, 1.0).abs())
    result["spend"] += (unit_1 - unit_0).where(~both, 0.0)
    return result


def by_component(terms: pd.DataFrame) -> pd.DataFrame:
    """The terms of `change` summed to component × effect, with the total of each, the largest move first.

    >>> terms = pd.DataFrame({"category": ["service"] * 2, "component": ["support"] * 2, "spend": [1.0, 0.5],
    ...                       "active_base": [-0.25] * 2, "market_mix": [0.0] * 2, "exchange_rate": [0.0] * 2})
    >>> by_component(terms)[["component", "spend", "active_base", "total"]].values.tolist()
    [['support', 1.5, -0.5, 1.0]]
    """
    sums = terms.groupby(["category", "component"])[EFFECTS].sum().reset_index()
    sums["total"] = sums[EFFECTS].sum(axis=1)
    return sums.sort_values("total", key=np.abs, ascending=False, kind="stable", ignore_index=True)


def steps(terms: pd.DataFrame, start: float, end: float, least: float = 0.02) -> pd.DataFrame:
    """The rows of a waterfall from start to end: component, effect, value; start and the steps add up to the end.

    Terms of the same component and effect are summed; those under `least` of the gross movement are put together as
    component "small". Values are those of `by_component`, unrounded, so that chart and table print the same.

    >>> terms = pd.DataFrame({"component": ["crm"], "spend": [1.006], "active_base": [-0.503], "market_mix": [0.0],
    ...                       "exchange_rate": [0.0]})
    >>> steps(terms, 10.0, 10.503).values.tolist()
    [['start', '', 10.0], ['crm', 'spend', 1.006], ['crm', 'active_base', -0.503], ['end', '', 10.503]]
    """
    tall = terms.melt(id_vars="component", value_vars=EFFECTS, var_name="effect", value_name="value")
    sums = tall.groupby(["component", "effect"], sort=False)["value"].sum().reset_index()
    sums = sums[sums["value"].abs() > 0]
    small = sums["value"].abs() < least * sums["value"].abs().sum()
    rest = float(sums.loc[small, "value"].sum())
    kept = sums[~small].sort_values("value", key=np.abs, ascending=False, kind="stable")
    rows = [*kept.itertuples(index=False, name=None)] + ([("small", "", rest)] if small.any() else [])
    return pd.DataFrame([("start", "", start), *rows, ("end", "", end)], columns=["component", "effect", "value"])


def _log_mean(a: pd.Series, b: pd.Series) -> pd.Series:
    """Logarithmic mean (a − b) / (ln a − ln b) of positive numbers; a where both are equal, 0 where one of them is 0."""
    positive = (a > 0) & (b > 0)
    apart = positive & ~np.isclose(a, b, rtol=1e-9, atol=0)
    return ((a - b) / np.log((a / b).where(apart))).fillna(a.where(positive, 0.0))


def _cells(months: pd.DataFrame, before: str, after: str) -> pd.DataFrame:
    """Both months side by side per cell: spend, own amount, rate, active customers of the market and of all."""
    missing = [month for month in (before, after) if month not in set(months["month"])]
    if missing:
        raise NotEnoughData(f"There is no retention cost for {missing[0]} to compare with, or who was active then is not known.")
    pair = [months[months["month"] == month] for month in (before, after)]
    sides = [rows.groupby(CELL)[["spend", "amount"]].sum().add_suffix(f"_{k}") for k, rows in enumerate(pair)]
    cells = sides[0].join(sides[1], how="outer").fillna(0.0).reset_index()
    for k, rows in enumerate(pair):
        in_market = cells["market"].map(rows.groupby("market")["active_existing"].max())
        cells[f"all_{k}"] = float(rows["active_existing_all"].max())
        cells[f"base_{k}"] = in_market.fillna(0).astype("float64")
        cells[f"rate_{k}"] = cells[f"spend_{k}"] / cells[f"amount_{k}"].where(cells[f"amount_{k}"] != 0)
    outside = (cells["market"] == UNALLOCATED) | (cells["base_0"] == 0) | (cells["base_1"] == 0)
    for k in (0, 1):
        cells[f"base_{k}"] = cells[f"base_{k}"].where(~outside, cells[f"all_{k}"])
    return cells
