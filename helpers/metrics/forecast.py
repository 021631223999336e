"""A client's customers valued on a day: the models fitted once, when first asked for, and everything read off them."""

from datetime import date
from functools import wraps

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import ALPHA, Estimate, NotEnoughData, StepMissing
from helpers.metrics import btyd, cac, clv_learned, clv_model, group_fits, histories
from helpers.metrics.fits import Fit
from helpers.periods import Period

BY = "home_market"
AIC_CLEARLY = 2.0
REST = ""  # the part of the customers whose market has no model of its own


def _once(method):
    """A property computed on first use; a failure is kept too, and told in full only the first time."""

    @wraps(method)
    def read(self):
        if method.__name__ not in self._known:
            try:
                self._known[method.__name__] = method(self)
            except NotEnoughData:
                self._known[method.__name__] = StepMissing("This needs the forecast of each customer, which the data "
                                                           "cannot carry yet; the reason stands further up on this page.")
                raise
        found = self._known[method.__name__]
        if isinstance(found, NotEnoughData):
            raise found
        return found

    return property(read)


class Forecast:
    """Purchase and spend models by market where markets differ, and the value of every customer they give.

    Every property raises NotEnoughData where the data are too few: the whole reason the first time, a short one after.

    >>> nobody = ibis.memtable({"customer_id": ["a"], "n": [1], "net_sales_rc": [9], "margin_rc": [3],
    ...     "home_market": ["DE"], "date": [date(2026, 1, 1)]})
    >>> forecast = Forecast(nobody, date(2026, 1, 31))
    >>> for _attempt in range(2):
    ...     try:
    ...         forecast.rows
    ...     except NotEnoughData as reason:
    ...         print(str(reason)[:60])
    A customer-level forecast needs 500 customers (found: 1), 18
    This needs the forecast of each customer, which the data can
    """

    def __init__(self, occasions: ir.Table, as_of: date, horizon_months: float = 12, discount_rate: float = 0.10):
        self.occasions, self.as_of = occasions, as_of
        self.horizon_months, self.discount_rate = horizon_months, discount_rate
        self._known: dict = {}

    @_once
    def rows(self) -> pd.DataFrame:
        """The unique rows by market."""
        rows = histories.counts(self.occasions, self.as_of, by=(BY,))
        histories.require_minimum(rows)
        return rows

    @_once
    def pooled(self) -> Fit:
        """MBG/NBD fitted to all customers; BG/NBD where that does not fit."""
        rows = self.rows
        try:
            return btyd.fit(rows)
        except NotEnoughData:
            return btyd.fit(rows, "bg_nbd")

    @_once
    def by_market(self) -> dict[str, Fit]:
        """Each market's own fit, not yet drawn toward the common one; empty where there is one market."""
        return group_fits.own_fits(self.rows, BY, self.pooled) if self.rows[BY].nunique() > 1 else {}

    @_once
    def apart(self) -> float:
        """AIC gained by a model for each market: above 2 (Burnham & Anderson 2002), markets are modelled apart."""
        return group_fits.better_apart(self.rows, BY, self.pooled, self.by_market) if self.by_market else 0.0

    @_once
    def parts(self) -> dict[str, tuple[Fit, Fit]]:
        """(purchases, spending) of each market with models of its own, and of all others together under ""."""
        common = self.pooled  # first: where nobody came back, its reason is the one to tell
        spending = btyd.fit_spend_or_average(histories.spend_counts(self.occasions, self.as_of))
        parts = {REST: (common, spending)}
        for market, fitted in (group_fits.shrunk(self.by_market, self.pooled) if self.apart > AIC_CLEARLY else {}).items():
            paying = histories.spend_counts(self.occasions.filter(_[BY] == market), self.as_of)
            enough = paying["weight"].sum() >= group_fits.SMALLEST
            parts[market] = (fitted, btyd.fit_spend_or_average(paying) if enough else spending)
        return parts

    def _rest(self, column, market: str):
        return column == market if market else ~column.isin([name for name in self.parts if name]) | column.isnull()

    def _rows_of(self, market: str) -> pd.DataFrame:
        named = self.rows[BY].isin([name for name in self.parts if name])
        return self.rows[self.rows[BY] == market] if market else self.rows[~named]

    @_once
    def valued(self) -> ir.Table:
        """`clv_model.customers` of everybody, computed once; with market and acquisition_channel for grouping."""
        tables = [
            clv_model.customers(self.occasions.filter(self._rest(self.occasions[BY], market)), self.as_of, *fits,
                                horizon_months=self.horizon_months, discount_rate=self.discount_rate)
            for market, fits in self.parts.items() if len(self._rows_of(market))
        ]
        names = {"market": _[BY], "acquisition_channel": _.first_acquisition_channel}
        return ibis.union(*tables).mutate(**names).cache() if len(tables) > 1 else tables[0].mutate(**names).cache()

    @_once
    def _drawn(self) -> dict[str, tuple[float, np.ndarray]]:
        """Per part: the expected margin, and how it moves with the parameters."""
        found = {}
        for market, (purchases, spending) in self.parts.items():
            rows = self._rows_of(market)
            if len(rows):
                horizon = {"horizon_months": self.horizon_months, "discount_rate": self.discount_rate}
                value = clv_model.expected(rows, purchases, spending, **horizon)["value"].iloc[0]
                found[market] = value, clv_model.draw_ratios(rows, purchases, spending, **horizon)[:, 0]
        return found

    @_once
    def ratios(self) -> np.ndarray:
        """How the expected margin of all moves with the parameters: drawn total / fitted total."""
        return sum(value * moves for value, moves in self._drawn.values()) / sum(v for v, _ in self._drawn.values())

    def ratios_of(self, by: tuple[str, ...]) -> np.ndarray | dict:
        """The ratios for `clv_model.per_customer`: each market's own where the groups are markets.

        >>> Forecast(None, date(2026, 1, 31)).ratios_of.__name__
        'ratios_of'
        """
        if by != ("market",):
            return self.ratios
        rest = self._drawn.get(REST, (0.0, self.ratios))[1]
        return {market: self._drawn.get(market, (0.0, rest))[1] for market in self.rows[BY].dropna().unique()}

    def occasions_expected(self, months: float) -> Estimate:
        """Occasions expected of today's customers in the next months, with the interval of the parameters."""
        value, drawn = 0.0, 0.0
        for market, (purchases, _spending) in self.parts.items():
            rows = self._rows_of(market)
            if len(rows):
                part = clv_model.expected(rows, purchases, horizon_months=months)["value"].iloc[0]
                value += part
                drawn = drawn + part * clv_model.draw_ratios(rows, purchases, horizon_months=months)[:, 0]
        return Estimate(value, *np.quantile(drawn, [ALPHA / 2, 1 - ALPHA / 2]), int(self.rows["weight"].sum()))

    def margin_expected(self) -> Estimate:
        """Discounted margin expected of today's customers over the horizon, minor units."""
        value = sum(value for value, _moves in self._drawn.values())
        low, high = value * np.quantile(self.ratios, [ALPHA / 2, 1 - ALPHA / 2])
        return Estimate(value, low, high, int(self.rows["weight"].sum()))

    def won(self, period: Period, by: tuple[str, ...] = (), measure: str = "clv_total") -> pd.DataFrame:
        """`clv_model.per_customer` of the customers won in a period: what they brought so far and are expected to."""
        new = self.valued.semi_join(cac.won(self.occasions, period), "customer_id")
        return clv_model.per_customer(new, self.ratios_of(by), by, measure)

    def at(self, day: date) -> ir.Table:
        """The customers valued on an earlier day with today's parameters: what changed is then they, not the model."""
        earlier = Forecast(self.occasions, day, self.horizon_months, self.discount_rate)
        earlier._known = {"rows": histories.counts(self.occasions, day, by=(BY,)), "parts": self.parts}
        return earlier.valued

    def ranked(self, model: str, days: int, **tables) -> ir.Table:
        """Everybody's value with the column score to rank by: a learned model's where that won, else clv_residual."""
        if model not in clv_learned.LEARNED:
            return self.valued.mutate(score=_.clv_residual)
        scores = clv_learned.scored(self.occasions, self.as_of, days, model, **tables)
        return self.valued.join(scores, "customer_id")
