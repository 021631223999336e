"""A number with its 95 % interval and its n, and the answer "not enough data"."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

ALPHA = 0.05
Z_95 = float(stats.norm.ppf(1 - ALPHA / 2))
RESAMPLES = 1_000
SEED = 20_240_229


class NotEnoughData(ValueError):
    """A number cannot be given; the message is a sentence for the reader saying why and what would help."""


class MissingTable(NotEnoughData):
    """An optional table was not supplied; the message says how to supply it."""


class StepMissing(NotEnoughData):
    """A number rests on another that could not be given; why stands there, so this is not said again on the front page."""


def needed(found):
    """What an earlier step found, or StepMissing where it found nothing: for everything built upon it.

    >>> needed(1)
    1
    """
    if found is None:
        raise StepMissing("This rests on a number that could not be computed; the reason stands further up on this page.")
    return found


class Estimate(NamedTuple):
    """A value with the low and high end of its 95 % interval (nan where none applies) and the n it rests on."""

    value: float
    low: float = float("nan")
    high: float = float("nan")
    n: int = 0

    @classmethod
    def of(cls, row, name: str = "value") -> "Estimate":
        """The number in a row of a table, from its columns value, low, high and n; or <name>, <name>_low, <name>_high and n.

        >>> Estimate.of(pd.Series({"kept": 0.9, "kept_low": 0.8, "kept_high": 0.95, "n": 40.0}), "kept")
        Estimate(value=0.9, low=0.8, high=0.95, n=40)
        """
        ends = ("low", "high") if name == "value" else (f"{name}_low", f"{name}_high")
        numbers = [getattr(row, column) for column in (name, *ends)]
        return cls(*(float("nan") if pd.isna(each) else float(each) for each in numbers), 0 if pd.isna(row.n) else int(row.n))

    def times(self, factor: float) -> "Estimate":
        """The number so many times over, as sure as it is and on the same n; a factor below 0 turns it round.

        >>> Estimate(9.0, 8.0, 10.0, 40).times(-4)
        Estimate(value=-36.0, low=-40.0, high=-32.0, n=40)
        """
        low, high = sorted([self.low * factor, self.high * factor])
        return Estimate(self.value * factor, low, high, self.n)


def proportion(successes: int, n: int) -> Estimate:
    """The share successes / n with its 95 % Wilson interval; all nan for n = 0.

    >>> lost = proportion(10, 200)
    >>> f"{lost.value:.3f} {lost.low:.3f} {lost.high:.3f} {lost.n}"
    '0.050 0.027 0.090 200'
    """
    return Estimate.of(with_wilson(pd.DataFrame({"k": [successes], "of": [n]}), "k", "of").iloc[0])


def with_wilson(frame: pd.DataFrame, successes: str, n: str) -> pd.DataFrame:
    """The frame with columns value, low, high (95 % Wilson) and n added; rows with n = 0 or a missing n are nan.

    Wilson's interval stays inside 0..1 and is honest near its ends (Brown, Cai & DasGupta 2001).

    >>> with_wilson(pd.DataFrame({"stayed": [0, 9], "of": [10, 10]}), "stayed", "of")[["value", "low", "high"]].round(3)
       value    low   high
    0    0.0  0.000  0.278
    1    0.9  0.596  0.982
    """
    k, of = frame[successes].astype("float64"), frame[n].astype("float64")
    if (k > of).any() or (k < 0).any():
        raise ValueError(f"'{successes}' must lie between 0 and '{n}' in every row.")
    of_positive = of.where(of > 0)
    low, high = proportion_confint(k.to_numpy(), of_positive.to_numpy(), alpha=ALPHA, method="wilson")
    return frame.assign(value=k / of_positive, low=np.maximum(low, 0.0), high=np.minimum(high, 1.0), n=frame[n])


@lru_cache(maxsize=4)  # a page has a hundred intervals, many of them of equally many buckets
def bootstrap_weights(rows: int, resamples: int = RESAMPLES) -> np.ndarray:
    """How often each of `rows` units is drawn in each resample: an array (resamples, rows), always the same.

    >>> bootstrap_weights(3, resamples=2).sum(axis=1)
    array([3., 3.])
    """
    drawn = np.random.default_rng(SEED).integers(rows, size=(resamples, rows))
    drawn += rows * np.arange(resamples)[:, None]
    weights = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype("float64")  # as multinomial(), six times faster
    weights.flags.writeable = False
    return weights


def ratio_of_sums(numerator, denominator, n: int | None = None) -> Estimate:
    """Σ numerator / Σ denominator with a percentile bootstrap interval over the rows.

    A row is a customer, or a random bucket of customers summed in the engine (the interval is the same in the limit
    and a million customers cost what four thousand do). n is the number of customers; by default the rows. Fewer
    than two rows or a zero denominator give nan.

    >>> spend = ratio_of_sums([10, 20, 30, 40], [1, 1, 1, 1])
    >>> spend.value, spend.n, spend.low < 25 < spend.high
    (25.0, 4, True)
    """
    top, bottom = np.asarray(numerator, dtype="float64"), np.asarray(denominator, dtype="float64")
    n = len(top) if n is None else int(n)
    if not len(top) or bottom.sum() == 0:
        return Estimate(float("nan"), n=n)
    value = float(top.sum() / bottom.sum())
    if len(top) < 2:
        return Estimate(value, n=n)
    draws = bootstrap_weights(len(top))
    sums = draws @ bottom
    ratios = (draws @ top)[sums != 0] / sums[sums != 0]
    low, high = np.quantile(ratios, [ALPHA / 2, 1 - ALPHA / 2])
    return Estimate(value, float(low), float(high), n)
