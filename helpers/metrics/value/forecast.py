"""A client's customers valued on a day: the models fitted once, when first asked for, and everything read off them."""

from datetime import date
from functools import wraps

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _

from helpers.estimates import ALPHA, Estimate, NotEnoughData, StepMissing
from helpers.metrics.acquisition import cac
from helpers.metrics.groups.markets import OTHER, UNKNOWN, together
from helpers.metrics.value import btyd, clv_learned, clv_model, group_fits, histories
from helpers.metrics.value.fits import Fit
from helpers.periods import Period

BY = ("home_market", "first_acquisition_channel")  # what customers may be modelled apart by
REST = ""  # the part of the customers whose group has no model of its own


def _once(method):
    """A property computed on first use; a failure is kept too, and told in full only the first time."""

    @wraps(method)
    def read(self):
        """What the method found before, or finds now."""
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
    """Purchase and spend models by market or by first channel where either differ, and the value of every customer.

    each: the `histories` of the occasions, where they are known already; names: the markets as they are shown
    (`markets.shown`), small ones put together.

    Every property raises NotEnoughData where the data are too few: the whole reason the first time, a short one after.

    >>> nobody = ibis.memtable({"customer_id": ["a"], "n": [1], "net_sales_rc": [9], "margin_rc": [3],
    ...     "home_market": ["DE"], "first_acquisition_channel": ["email"], "date": [date(2026, 1, 1)]})
    >>> forecast = Forecast(nobody, date(2026, 1, 31))
    >>> for _attempt in range(2):
    ...     try:
    ...         forecast.rows
    ...     except NotEnoughData as reason:
    ...         print(str(reason)[:60])
    A customer-level forecast needs 500 customers (found: 1), 18
    This needs the forecast of each customer, which the data can
    """

    def __init__(self, occasions: ir.Table, as_of: date, horizon_months: float = 12, discount_rate: float = 0.10,
                 each: ir.Table | None = None, names: dict[str, str] | None = None):
        each = histories.histories(occasions, as_of) if each is None else each
        self.occasions, self.each = (together(table, names, "home_market") if names is not None else table for table in (occasions, each))
        self.as_of = as_of
        self.horizon = {"horizon_months": horizon_months, "discount_rate": discount_rate}
        self._known: dict = {}

    @_once
    def rows(self) -> pd.DataFrame:
        """The unique rows by market and first channel, "unknown" where there is none."""
        rows = histories.counts(self.each, by=BY).fillna(dict.fromkeys(BY, UNKNOWN))
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
    def own(self) -> dict[str, dict[str, Fit]]:
        """Each market's and each channel's own fit, by column; none where fewer than two can be fitted."""
        own = {by: group_fits.own_fits(self.rows[self.rows[by] != UNKNOWN], by, self.pooled) for by in BY}
        return {by: fits if len(fits) > 1 else {} for by, fits in own.items()}

    @_once
    def gains(self) -> dict[str, float]:
        """AIC gained over the common model by a model for each market, and for each channel, where there are any."""
        return {by: group_fits.better_apart(self.rows, by, self.pooled, fits) for by, fits in self.own.items() if fits}

    @_once
    def by(self) -> str:
        """What customers are modelled apart by: the larger gain, if above 2 (Burnham & Anderson 2002); else ""."""
        best = max(self.gains, key=self.gains.get, default="")
        return best if best and self.gains[best] > group_fits.AIC_CLEARLY else ""

    @_once
    def parts(self) -> dict[str, tuple[Fit, Fit]]:
        """(purchases, spending) of each group with models of its own, and of all others together under ""."""
        common = self.pooled  # first: where nobody came back, its reason is the one to tell
        spending = btyd.fit_spend_or_average(histories.spend_counts(self.each))
        parts = {REST: (common, spending)}
        for group, fitted in group_fits.shrunk(self.own.get(self.by, {}), common).items():
            paying = histories.spend_counts(self.each.filter(_[self.by] == group))
            enough = paying["weight"].sum() >= group_fits.SMALLEST
            parts[group] = (fitted, btyd.fit_spend_or_average(paying) if enough else spending)
        return parts

    @_once
    def _rows(self) -> dict[str, pd.DataFrame]:
        """The unique rows of each part that has customers."""
        return dict(list(self.rows.groupby(self._part(self.rows[self.by or BY[0]]))))

    def _part(self, group: pd.Series) -> pd.Series:
        """The part that customers of a market or channel belong to."""
        return group.where(group.isin(list(self.parts)), REST)

    def _of(self, part: str) -> ir.Table:
        """The histories of a part's customers."""
        if not self.by:
            return self.each
        group = self.each[self.by]
        others = ~group.isin([name for name in self.parts if name]) | group.isnull()
        return self.each.filter(group == part if part else others)

    @_once
    def valued(self) -> ir.Table:
        """`clv_model.customers` of everybody, computed once; with market and acquisition_channel ("unknown": none) for grouping.

        The margin rate is the one realised by the customers of the part and home market.
        """
        tables = [clv_model.customers(self._of(part), *self.parts[part], **self.horizon) for part in self._rows]
        market, channel = (_[by].fill_null(UNKNOWN) for by in BY)
        return ibis.union(*tables).mutate(market=market, acquisition_channel=channel).cache()

    @_once
    def ratios(self) -> np.ndarray:
        """How the expected margin of all moves with the parameters: drawn total / fitted total, of the common models.

        What the models of single groups err by is independent and cancels in a total, which is as sure as theirs.
        """
        return clv_model.draw_ratios(self.rows, *self.parts[REST], **self.horizon)

    @_once
    def _own_ratios(self) -> dict[str, np.ndarray]:
        """The same for each part with models of its own."""
        return {part: clv_model.draw_ratios(rows, *self.parts[part], **self.horizon) for part, rows in self._rows.items() if part}

    def ratios_of(self, by: tuple[str, ...]) -> np.ndarray | dict:
        """The ratios for `clv_model.per_customer`: each group's own where these are the groups modelled apart."""
        if [cac.DIMENSIONS.get(name) for name in by] != [self.by]:
            return self.ratios
        return {group: self._own_ratios.get(group, self.ratios) for group in self.rows.groupby(self.by).indices}

    def occasions_expected(self, months: float) -> Estimate:
        """Occasions expected of today's customers in the next months, with the interval of the common parameters."""
        value = sum(clv_model.expected(rows, self.parts[part][0], months) for part, rows in self._rows.items())
        return self._as_sure_as(value, clv_model.draw_ratios(self.rows, self.pooled, horizon_months=months))

    def margin_expected(self) -> Estimate:
        """Discounted margin expected of today's customers over the horizon, minor units: the sum of `valued`."""
        return self._as_sure_as(float(self.valued.clv_residual.sum().execute()), self.ratios)

    def _as_sure_as(self, value: float, ratios: np.ndarray) -> Estimate:
        """A total of all customers, with the interval that drawn parameters give it."""
        return Estimate(value, *(value * np.quantile(ratios, [ALPHA / 2, 1 - ALPHA / 2])), int(self.rows["weight"].sum()))

    def won(self, period: Period, by: tuple[str, ...] = (), names: dict[str, str] | None = None) -> pd.DataFrame:
        """`clv_model.per_customer` of the customers won in a period: what they brought so far and are expected to.

        names: which groups are shown as "other" (`cac.fold`).
        """
        new = self.valued.semi_join(cac.won(self.occasions, period), "customer_id")
        new, ratios = cac.fold(new, names, by[0]) if names else new, self.ratios_of(by)
        ratios = {OTHER: self.ratios} | ratios if isinstance(ratios, dict) else ratios
        return clv_model.per_customer(new, ratios, by)

    def at(self, day: date) -> ir.Table:
        """The customers valued on an earlier day with today's parameters: what changed is then they, not the model."""
        earlier = Forecast(self.occasions, day, **self.horizon)
        earlier._known = {"rows": histories.counts(earlier.each, by=BY), "by": self.by, "parts": self.parts}
        return earlier.valued

    def ranked(self, model: str, days: int, **tables) -> ir.Table:
        """Everybody's value with the column score to rank by: a learned model's where that won, else clv_residual."""
        if model not in clv_learned.LEARNED:
            return self.valued.mutate(score=_.clv_residual)
        scores = clv_learned.scored(self.occasions, self.as_of, days, model, **tables)
        return self.valued.join(scores, "customer_id")
