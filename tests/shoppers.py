"""Simulated customers whose true parameters are known: rows (x, t_x, T) as the models of btyd.py assume them."""

from datetime import date
from importlib.resources import files

import ibis
import numpy as np
import pandas as pd

from helpers.metrics.occasions import DIGITS
from helpers.metrics.value import backtest


def pseudonym(number: int) -> str:
    """What a customer id looks like: 12 digits in base 32, spread over all buckets."""
    mixed = int(number) * 0x9E3779B97F4A7C15
    return "".join(DIGITS[mixed >> shift & 31] for shift in range(59, -1, -5))


def purchase_days(model: str, params: dict, ages: np.ndarray, seed: int = 1) -> list[np.ndarray]:
    """Per customer the times of his repeat purchases (days, unrounded) until he drops out or his age is reached."""
    rng = np.random.default_rng(seed)
    n = len(ages)
    rates = rng.gamma(params["r"], 1 / params["alpha"], n)
    if model == "pareto_nbd":
        ends = rng.exponential(1 / rng.gamma(params["s"], 1 / params["beta"], n))
        return [_arrivals(rng, rate, min(end, age)) for rate, end, age in zip(rates, ends, ages, strict=True)]
    chances = rng.beta(params["a"], params["b"], n)
    # occasions until the coin falls
    lives = rng.geometric(np.clip(chances, 1e-12, 1)) - (1 if model == "mbg_nbd" else 0)
    return [_arrivals(rng, rate, age)[:life] for rate, age, life in zip(rates, ages, lives, strict=True)]


def _arrivals(rng, rate: float, end: float) -> np.ndarray:
    return np.sort(rng.uniform(0, end, rng.poisson(rate * end)))


def rows(model: str, params: dict, customers: int = 20_000, days: int = 730, seed: int = 1) -> pd.DataFrame:
    """Unique rows of customers who came evenly over the last `days` days, in days without rounding."""
    ages = np.random.default_rng(seed + 1).integers(30, days + 1, customers).astype(float)
    bought = purchase_days(model, params, ages, seed)
    x = np.array([len(each) for each in bought])
    t_x = np.array([each[-1] if len(each) else 0.0 for each in bought])
    return pd.DataFrame({"x": x, "t_x": t_x, "T": ages, "weight": 1})


def spend_rows(params: dict, x: np.ndarray, seed: int = 1) -> pd.DataFrame:
    """(x, m, weight) of repeat customers whose mean spend follows the Gamma–Gamma model."""
    rng = np.random.default_rng(seed)
    x = x[x > 0]
    scale = rng.gamma(params["q"], 1 / params["v"], len(x))
    return pd.DataFrame({"x": x, "m": rng.gamma(params["p"] * x, 1 / scale) / x, "weight": 1})


def cdnow_rows(lines: pd.DataFrame, end: str = "1997-09-30") -> pd.DataFrame:
    """Unique rows in days of transaction lines (id, date as YYYYMMDD), purchases of a day merged, up to `end`."""
    days = lines.assign(date=pd.to_datetime(lines["date"].astype(str)))[["id", "date"]].drop_duplicates()
    each = days[days["date"] <= end].groupby("id")["date"].agg(["min", "max", "count"])
    table = pd.DataFrame({
        "x": each["count"] - 1, "t_x": (each["max"] - each["min"]).dt.days,
        "T": (pd.Timestamp(end) - each["min"]).dt.days,
    })
    return table.groupby(["x", "t_x", "T"]).size().rename("weight").reset_index()


def cdnow_lines() -> pd.DataFrame:
    """The CDNOW sample's transaction lines, from the copy that ships with lifetimes."""
    path = files("lifetimes").joinpath("datasets/CDNOW_sample.txt")
    return pd.read_csv(path, sep=r"\s+", header=None, names=["master", "id", "date", "cds", "dollars"])


def cdnow_sample() -> pd.DataFrame:
    """Unique rows of the 2,357 published customers, in days."""
    return cdnow_rows(cdnow_lines())


def cdnow_spend(end: int = 19970930) -> pd.DataFrame:
    """(x, m, weight) of the sample's 946 repeat buyers: dollars per repeat day, in the order of their ids."""
    days = cdnow_lines().query("date <= @end").groupby(["id", "date"], as_index=False)["dollars"].sum()
    repeat = days[days.groupby("id").cumcount() > 0].groupby("id")["dollars"].agg(["count", "mean"])
    return pd.DataFrame({"x": repeat["count"], "m": repeat["mean"], "weight": 1}).reset_index(drop=True)


def occasions(model: str, params: dict, customers: int, as_of, days: int = 730, seed: int = 1) -> pd.DataFrame:
    """A table of purchase occasions, days rounded up and merged, of customers who came evenly over `days` days."""
    rng = np.random.default_rng(seed + 2)
    ages = rng.integers(0, days + 1, customers).astype(float)
    bought = purchase_days(model, params, ages, seed)
    lengths = np.array([len(each) + 1 for each in bought])
    who = np.repeat(np.arange(customers), lengths)
    later = np.concatenate([[0.0, *np.ceil(each)] for each in bought])
    spend = rng.gamma(6.0, rng.gamma(4.0, 9_000.0 ** -1, customers)[who] ** -1)
    table = pd.DataFrame({
        "customer_id": [pseudonym(k) for k in who],
        "date": (pd.Timestamp(as_of) + pd.to_timedelta(later - ages[who], unit="D")).date,
        "net_sales_rc": np.maximum(spend, 1).round().astype("int64"), "who": who,
    })
    table = table.groupby(["customer_id", "who", "date"], as_index=False)["net_sales_rc"].sum()
    german = table["who"] % 2 == 0
    return table.assign(
        n=table.groupby("customer_id").cumcount() + 1, home_market=np.where(german, "DE", "GB"),
        first_sales_channel="shopify",
        first_acquisition_channel=np.where(table["who"] % 3 == 0, "organic", "paid_search"),
        margin_rc=(table["net_sales_rc"] * np.where(german, 0.4, 0.5)).round().astype("int64"),
        discount_rc=0, truncated=False,
    ).drop(columns="who")


def online_retail_occasions(shared, overlap: bool = False) -> pd.DataFrame:
    """Purchase days of UCI Online Retail II: identified, not cancelled, quantity and price above 0.

    The days that stand in both sheets count once; overlap=True counts them twice, as published.json does.
    """
    lines = pd.read_parquet(shared / "data/online_retail_ii/online_retail_ii.parquet")
    newer = lines["sheet"] == "Year 2010-2011"
    lines = lines if overlap else lines[newer | (lines["InvoiceDate"] < lines.loc[newer, "InvoiceDate"].min())]
    number, invoice = lines["Customer ID"], lines["Invoice"].astype(str)
    kept = lines[number.notna() & ~invoice.str.startswith("C") & (lines["Quantity"] > 0) & (lines["Price"] > 0)]
    days = pd.DataFrame({
        "customer_id": [pseudonym(int(k)) for k in kept["Customer ID"]],
        "date": pd.to_datetime(kept["InvoiceDate"]).dt.date, "home_market": "GB",
        "net_sales_rc": (kept["Quantity"] * kept["Price"] * 100).round().astype("int64"),
    }).groupby(["customer_id", "date", "home_market"], as_index=False)["net_sales_rc"].sum()
    margin = (days["net_sales_rc"] * 0.3).round().astype("int64")
    return days.assign(n=days.groupby("customer_id").cumcount() + 1, margin_rc=margin, discount_rc=0, truncated=False,
                       first_sales_channel="web", first_acquisition_channel="unknown")


def online_retail_holdout(shared, models=("mbg_nbd", "bg_nbd")):
    """The holdout of 2010-12-01 to 2011-11-30, and what models and plain rules predict from the year before."""
    occasions = ibis.memtable(online_retail_occasions(shared))
    held = backtest.holdout(occasions, date(2011, 11, 30), days=365)
    return held, backtest.predictions(occasions, held, models)
