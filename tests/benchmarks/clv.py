"""Seconds and peak memory of customer values, this package against plain lifetimes: python tests/benchmarks/clv.py 100000

Each road runs in a process of its own. Plain means: one row per customer in pandas, fits without weights, lifetimes'
own customer_lifetime_value in days over twelve months. Both fit MBG/NBD and Gamma–Gamma to the same occasions.
"""

import multiprocessing
import resource
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import ibis
import numpy as np
import pandas as pd

from helpers.metrics.value import btyd, clv_model, histories

AS_OF = date(2026, 10, 31)
DAYS = 1_095


def simulated(customers: int, path: Path) -> int:
    """Occasions of that many customers over three years (MBG/NBD, Gamma–Gamma) as Parquet; how many there are."""
    rng = np.random.default_rng(5)
    age = DAYS - rng.integers(0, DAYS, customers)
    count = rng.poisson(rng.gamma(0.6, 1 / 60.0, customers) * age)
    life = rng.geometric(rng.beta(0.8, 2.5, customers)) - 1
    who = np.repeat(np.arange(customers), count)
    when = rng.uniform(0, 1, len(who)) * age[who]
    who, when = who[order := np.lexsort((when, who))], when[order]
    kept = np.arange(len(who)) - np.r_[0, np.cumsum(count)[:-1]][who] < life[who]
    every = np.r_[np.arange(customers), who[kept]]
    day = np.r_[np.zeros(customers), np.ceil(when[kept])] + (DAYS - age)[every]
    spend = rng.gamma(6.0, rng.gamma(4.0, 1 / 90.0, customers)[every] ** -1) * 100
    table = pd.DataFrame({"who": every, "day": day.astype(int), "net_sales_rc": np.maximum(spend, 1).astype("int64")})
    table = table.groupby(["who", "day"], as_index=False)["net_sales_rc"].sum()
    table["customer_id"] = [f"{(k * 2_654_435_761) % 16**12:012x}" for k in table["who"]]
    table["date"] = (pd.Timestamp(AS_OF) - pd.Timedelta(days=DAYS)) + pd.to_timedelta(table["day"], unit="D")
    table = table.assign(n=table.groupby("who").cumcount() + 1, home_market="DE", margin_rc=table["net_sales_rc"] * 2 // 5)
    table.astype({"date": "datetime64[s]"}).drop(columns=["who", "day"]).to_parquet(path, index=False)
    return len(table)


def ours(path: Path) -> float:
    """Total expected margin of twelve months, minor units, by the weighted fits and the engine's expression."""
    occasions = ibis.duckdb.connect().read_parquet(path)
    occasions = occasions.mutate(date=occasions.date.cast("date"))
    buying = btyd.fit(histories.counts(histories.histories(occasions, AS_OF)))
    paying = btyd.fit_spend(histories.spend_counts(histories.histories(occasions, AS_OF)))
    return float(clv_model.customers(histories.histories(occasions, AS_OF), buying, paying).clv_residual.sum().execute())


def plain(path: Path) -> float:
    """The same total by lifetimes as its documentation shows it: net sales × 40 %, months of 30 days."""
    from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter  # noqa: PLC0415

    rows = pd.read_parquet(path)
    by = rows.groupby("customer_id")
    each = by["date"].agg(["min", "max", "count"])
    repeat = rows[rows["n"] > 1].groupby("customer_id")["net_sales_rc"].mean().reindex(each.index).fillna(0.0)
    x, t_x = each["count"] - 1, (each["max"] - each["min"]).dt.days
    age = (pd.Timestamp(AS_OF) - each["min"]).dt.days
    buying = ModifiedBetaGeoFitter().fit(x, t_x, age)
    more = x > 0
    paying = GammaGammaFitter().fit(x[more], repeat[more] / 10_000)
    value = paying.customer_lifetime_value(buying, x, t_x, age, repeat / 10_000, time=12, freq="D",
                                           discount_rate=1.1 ** (1 / 12) - 1)
    return float(value.sum() * 10_000 * 0.4)


def measured(road, path: Path, out) -> None:
    """Puts (total, seconds, processor seconds, peak MB) of a road into a queue."""
    start, busy = time.perf_counter(), time.process_time()
    total = road(path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out.put((total, time.perf_counter() - start, time.process_time() - busy, peak))


def main(customers: int) -> None:
    """Prints one line per road."""
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "occasions.parquet"
        print(f"{customers:,} customers, {simulated(customers, path):,} occasions")
        for road in (ours, plain):
            out = spawn.Queue()
            process = spawn.Process(target=measured, args=(road, path, out))
            process.start()
            total, seconds, busy, peak = out.get()
            process.join()
            print(f"{road.__name__:6} {seconds:7.1f} s ({busy:.1f} s of processor), peak {peak:,.0f} MB, "
                  f"expected margin {total / 100:,.0f}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
