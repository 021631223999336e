"""The retention channels: how hard each was worked, month by month, and which orders came by it."""

import numpy as np
import pandas as pd

from helpers.demo.people import FIRST, fact, text, world

UNPAID = {"organic": 0.45, "paid_search": 0.42}  # of the later orders no retention channel brings; the rest: nobody knows


def pushes(seed: int) -> pd.Series:
    """Spend beside the usual of its channel, by month, market and channel: flights of a campaign, about 1 on average.

    >>> pushes(1).index.names
    FrozenList(['month', 'market', 'channel'])
    """
    rng, unsteady = np.random.default_rng([seed, 153]), world()["flights"]
    months = text(pd.Series(pd.date_range(FIRST, periods=36, freq="MS"))).str[:7]
    cells = pd.MultiIndex.from_product([months, fact("share"), world()["reach"]], names=["month", "market", "channel"])
    return pd.Series(rng.lognormal(-(unsteady**2) / 2, unsteady, len(cells)), cells)


def visits(orders: pd.DataFrame, seed: int) -> pd.Series:
    """The channel that brought each order, were it a later one; blank where nobody can tell.

    A channel brings its market's share of the later orders × (spend / usual) ^ elasticity: the response that the page
    on retention cost looks for.

    >>> visits(pd.DataFrame({"day": [10] * 500, "market": "US"}), 1).value_counts().idxmax()
    'email'
    """
    rng, push = np.random.default_rng([seed, 154]), pushes(seed).unstack("channel")
    month = text(orders["day"]).str[:7]
    push = push.reindex(pd.MultiIndex.from_arrays([month, orders["market"]])).fillna(1.0).set_axis(orders.index)
    share = pd.DataFrame(fact("reach")).reindex(orders["market"]).set_axis(orders.index)
    chance = share * push ** pd.Series(world()["reach"])
    rest = (1 - chance.sum(axis=1)).clip(lower=0.05)
    chance = chance.assign(**{name: rest * part for name, part in UNPAID.items()})
    place = (rng.random(len(orders))[:, None] > chance.cumsum(axis=1).to_numpy()).sum(axis=1)
    return pd.Series(np.array([*chance, None], object)[place], orders.index)
