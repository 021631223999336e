"""Simulated tables with a known cause of leaving: a late first parcel multiplies the odds by `late_odds`."""

from datetime import date

import ibis
import numpy as np
import pandas as pd
from scipy import special
from shoppers import pseudonym

from helpers.metrics.occasions import numbered
from helpers.metrics.risk.signals import Tables

START, DAYS = np.datetime64("2024-01-01"), 900
WINDOW = 90
AS_OF = date(2026, 6, 18)


def tables(customers: int = 3_000, late_odds: float = 4.0, seed: int = 1) -> Tables:
    """Occasions and orders: rates gamma, dropout after each purchase, tickets unrelated to anything."""
    rng = np.random.default_rng(seed)
    late = rng.random(customers) < 0.4
    rate, base = rng.gamma(2.5, 1 / (2.5 * 45), customers), rng.beta(1.2, 4.8, customers)
    odds = base / (1 - base) * np.where(late, late_odds, 1.0)
    leave, first = odds / (1 + odds), rng.integers(0, DAYS, customers)
    rows = []
    for k in range(customers):
        day, n = float(first[k]), 1
        while day < DAYS:
            rows.append((k, int(day), n))
            if rng.random() < leave[k]:
                break
            day, n = day + max(1.0, rng.exponential(1 / rate[k])), n + 1
    frame = pd.DataFrame(rows, columns=["k", "day", "n"])
    frame["customer_id"] = frame["k"].map(pseudonym)
    frame["market"] = np.array(["DE", "JP"])[frame["k"] % 2]
    frame["channel"] = np.array(["email", "paid"])[frame["k"] // 2 % 2]
    frame["net"] = (3_000 * rng.lognormal(0, 0.4, len(frame))).astype(int)
    frame["late"] = late[frame["k"]] & (frame["n"] == 1)
    return Tables(_occasions(frame), _orders(frame), _refunds(), _tickets(frame, rng))


def _dates(days, extra=0):
    return START + pd.to_timedelta(np.asarray(days) + extra, unit="D").to_numpy().astype("timedelta64[s]")


def _occasions(frame):
    rows = pd.DataFrame({"customer_id": frame["customer_id"], "date": _dates(frame["day"]),
                         "home_market": frame["market"], "first_acquisition_channel": frame["channel"],
                         "first_sales_channel": "shopify", "net_sales_rc": frame["net"], "discount_rc": 0,
                         "margin_rc": frame["net"] // 2, "is_renewal": False})
    return numbered(ibis.memtable(rows).cast({"date": "date"}))


def _orders(frame):
    rows = pd.DataFrame({"customer_id": frame["customer_id"], "order_date": _dates(frame["day"]), "status": "delivered",
                         "source": "s", "order_id": [str(k) for k in range(len(frame))], "refund_undated_minor": 0,
                         "promised_date": _dates(frame["day"], 4),
                         "delivered_date": _dates(frame["day"], np.where(frame["late"], 6, 3))})
    return ibis.memtable(rows).cast(dict.fromkeys(("order_date", "promised_date", "delivered_date"), "date"))


def _refunds():
    empty = pd.DataFrame({"source": ["s"], "order_id": ["none"], "refund_date": [START]})
    return ibis.memtable(empty).cast({"refund_date": "date"})


def _tickets(frame, rng):
    chosen = frame[rng.random(len(frame)) < 0.3]
    rows = pd.DataFrame({"customer_id": chosen["customer_id"], "opened_date": _dates(chosen["day"], 1),
                         "first_reply_minutes": rng.lognormal(4, 1, len(chosen))})
    return ibis.memtable(rows).cast({"opened_date": "date"})


def plain(n=2_000, seed=1, **weights):
    """Rows whose leaving follows a Logit with the given weights on signals drawn at random."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({name: rng.integers(0, 2, n).astype(float) for name in weights})
    frame["home_market"] = rng.choice(["DE", "JP", "AE"], n, p=[0.6, 0.39, 0.01])
    frame["alive_log_odds"] = rng.normal(0, 1, n)
    score = 0.3 * frame["alive_log_odds"] + sum(weight * frame[name] for name, weight in weights.items())
    return frame.assign(left=(rng.random(n) < special.expit(score)).astype(int))
