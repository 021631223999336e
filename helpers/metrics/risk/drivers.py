"""What goes with leaving: odds ratios of the signals, other signals held equal. Associations, not causes."""

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from helpers.estimates import ALPHA, Z_95
from helpers.metrics.risk.risk import KINDS, Model, kind_sizes


def odds_ratios(model: Model) -> pd.DataFrame:
    """What goes with leaving, other signals held equal: a row per signal with its odds ratio and 95 % interval.

    value is the factor on the odds of leaving for a yes against a no, a doubling (signals in log2), or a market or
    channel against the largest one. An association, not a cause. Columns signal, kind and level (of a market or
    channel, else empty and the signal), value, low, high, n, p_adjusted (Benjamini–Hochberg), called (p_adjusted
    < 5 %); the called first, and the furthest from 1 first (1/2 and 2 are equally far).

    >>> from helpers.metrics.risk import risk
    >>> odds_ratios(risk.fit_signals(risk._example()))[["signal", "value", "called"]].round(2).values.tolist()
    [['late_first', 4.0, True]]
    """
    errors = np.sqrt(np.diag(model.covariance))[1:]
    weights = model.params[1:]
    z = np.abs(weights / errors)
    called, p_adjusted, *_rest = multipletests(2 * stats.norm.sf(z), alpha=ALPHA, method="fdr_bh")
    table = pd.DataFrame({"signal": model.columns[1:], "value": np.exp(weights), "n": model.n, "called": called,
                          "low": np.exp(weights - Z_95 * errors), "high": np.exp(weights + Z_95 * errors)})
    name, equals, level = (part for _k, part in table["signal"].str.partition("=").items())
    table["kind"], table["level"] = name.where(equals == "=", ""), level.where(equals == "=", name)
    order = np.lexsort([-np.abs(weights), ~called])
    return table.assign(p_adjusted=p_adjusted).iloc[order].reset_index(drop=True)


def references(rows: pd.DataFrame) -> dict[str, str]:
    """The market and the channel that others are compared with in `risk.fit_signals`: the largest of each kind.

    >>> references(pd.DataFrame({"home_market": ["JP", "DE", "DE"]}))
    {'home_market': 'DE'}
    """
    return {kind: kind_sizes(rows, kind).index[0] for kind in KINDS if kind in rows and rows[kind].notna().any()}
