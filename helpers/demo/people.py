"""Who buys, when, and who leaves: purchases with dropout after each of them, as in the MBG/NBD model.

Days are whole numbers from FIRST. The simulation runs a year past the last observed day, so that the truth about
returns can be read off the uncensored future; exports show the observed part alone.
"""

import tomllib
from datetime import date
from functools import cache
from importlib import resources

import numpy as np
import pandas as pd

FIRST = date(2023, 11, 1)
LAST = 1095  # 2026-10-31
END = LAST + 366
DOMAINS = ["mail.example.com", "post.example.org", "home.example.net"]  # under names reserved for examples
LETTERS = str.maketrans({"ø": "o", "ß": "ss", "ı": "i", "'": ""})
USUAL = {"nth": 0, "late": False, "cod": False, "refused": False, "renewal": False, "extra": False}  # of any order


@cache
def world() -> dict:
    """Everything assumed about the invented seller: the tables of `world.toml`."""
    return tomllib.loads(resources.files("helpers.demo").joinpath("world.toml").read_text("utf-8"))


def fact(key: str) -> dict:
    """One assumption, by market."""
    return world()["markets"][key]


def number(day: date) -> int:
    """Days from FIRST to a date."""
    return (day - FIRST).days


def moments(days) -> pd.DatetimeIndex:
    """Midnights of an array of day numbers."""
    return pd.DatetimeIndex(np.datetime64(FIRST, "s") + np.asarray(days, "timedelta64[D]"))


def text(days: pd.Series) -> pd.Series:
    """Day numbers or moments written as dates.

    >>> text(pd.Series([0, 120])).tolist()
    ['2023-11-01', '2024-02-29']
    """
    when = days if days.dtype.kind == "M" else pd.Series(moments(days), days.index)
    return pd.Series(np.datetime_as_string(when.to_numpy(), unit="D"), days.index)


def people(customers: int, seed: int) -> pd.DataFrame:
    """One row per customer: market, channel, first day, first category, rates and address.

    `rate` is purchases per day while alive, `leave` the log-odds of leaving after a purchase; both are the truth that
    no shop ever sees.
    """
    rng, share = np.random.default_rng([seed, 1]), fact("share")
    table = pd.DataFrame({"market": np.sort(rng.choice(list(share), customers, p=list(share.values())))})
    table["first"], days = 0, np.arange(LAST + 1)
    for code, day in fact("opened").items():
        here, opened = table["market"] == code, number(day)
        weight = np.where(days >= opened, _season(code)[days] * (0.6 + 0.8 * (days - opened) / LAST), 0)
        table.loc[here, "first"] = rng.choice(days, here.sum(), p=weight / weight.sum())
    shape, gap, leave, certainty = (table["market"].map(fact(key)) for key in ("shape", "gap", "leave", "certainty"))
    table["rate"] = rng.gamma(shape, 1 / (shape * gap))
    share = rng.beta(leave * certainty, (1 - leave) * certainty)
    table["leave"] = np.log(share / (1 - share))
    for name, key in (("channel", "channels"), ("category", "categories")):
        shares = world()[key]["share"]
        table[name] = rng.choice(list(shares), customers, p=list(shares.values()))
        table["leave"] += table[name].map(world()[key]["shift"])
    table["welcome"] = rng.random(customers) < world()["welcome_share"]
    table["leave"] += world()["welcome_shift"] * table["welcome"]
    table["guest"] = rng.random(customers) < world()["guest_share"]
    refills = (table["category"] == "Coffee & refills").to_numpy()
    table["subscriber"] = refills & (rng.random(customers) < world()["subscriber_share"])
    table["taste"] = rng.lognormal(-0.1, 0.45, customers)  # how full this customer's baskets are
    table["promo"] = rng.beta(1.2, 4, customers)  # how often a coupon is used
    return _named(table, rng)


def _season(market: str) -> np.ndarray:
    """Purchase intensity of every simulated day, about 1.0 on average over a year."""
    weights = np.array(fact("season")[market])
    return weights[moments(np.arange(END + 1)).month - 1] / weights.mean()


def _named(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    names = world()["names"]
    for part in ("first", "last"):
        draws = zip(table["market"], rng.integers(0, 1 << 30, len(table)), strict=True)
        table[f"{part}_name"] = [names[part][m][d % len(names[part][m])] for m, d in draws]
    plain = (table["first_name"] + "." + table["last_name"]).str.lower().str.translate(LETTERS).str.normalize("NFKD")
    plain = plain.str.encode("ascii", "ignore").str.decode("ascii") + table.index.astype(str)
    return table.assign(email=plain + "@" + rng.choice(DOMAINS, len(table)))


def purchases(folk: pd.DataFrame, seed: int) -> pd.DataFrame:
    """One row per order of a customer, past the observed end too: person, nth, day, late, cod, refused, renewal, extra.

    Gaps are exponential in the market's seasonal time at the customer's own rate. After each order the customer leaves
    for good with a chance that late parcels, refusals and the price rise move. `nth` is 0 for renewals.
    """
    rng, rise = np.random.default_rng([seed, 2]), world()["price_rise"]
    clocks = {code: np.concatenate([[0], np.cumsum(_season(code))]) for code in fact("season")}
    rise_day, market = number(rise["day"]), folk["market"].to_numpy()
    late_share, cod_share = (folk["market"].map(fact(key)).to_numpy() for key in ("late", "cod"))
    rate, leave = folk["rate"].to_numpy(), folk["leave"].to_numpy()
    who, day, rounds, nth = np.arange(len(folk)), folk["first"].to_numpy(float), [], 1
    while len(who):
        late, cod = rng.random(len(who)) < late_share[who], rng.random(len(who)) < cod_share[who]
        refused = cod & (rng.random(len(who)) < world()["refused_share"])
        rounds.append(pd.DataFrame(USUAL | {"person": who, "nth": nth, "day": np.floor(day).astype(int), "late": late,
                                            "cod": cod, "refused": refused}))
        hit = market[who] == rise["market"]
        odds = leave[who] + world()["late_shift"] * late + world()["refused_shift"] * refused
        stays = rng.random(len(who)) >= 1 / (1 + np.exp(-odds - rise["shift"] * (hit & (day >= rise_day))))
        gap, following = rng.exponential(1 / rate[who]), np.empty(len(who))
        for code, clock in clocks.items():
            here, ticks = market[who] == code, np.arange(len(clock))
            moment = np.interp(day[here], ticks, clock) + gap[here]
            following[here] = np.interp(moment, clock, ticks, right=np.inf)
        crossing = hit & (day < rise_day) & (following >= rise_day)
        stays &= (following < END) & ~(crossing & (rng.random(len(who)) < rise["leave_at_once"]))
        who, day, nth = who[stays], following[stays], nth + 1
    return pd.concat([*rounds, _renewals(folk, rng)], ignore_index=True)


def _renewals(folk: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """A refill every 60 days until the subscription is cancelled."""
    starts = folk.loc[folk["subscriber"], "first"].rename_axis("person")
    first = starts.repeat(rng.geometric(0.16, len(starts)))
    day = first + 60 * (first.groupby(level=0).cumcount() + 1)
    return day[day < END].reset_index(name="day").assign(**USUAL | {"renewal": True})


def campaign(orders: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The win-back campaign: who was drawn into which arm, and the extra orders it caused.

    Everybody whose last order lies `lapsed_days` before the day is drawn. A treated customer who would not have come
    back within `within_days` does so with the chance that adds exactly `lift` to the expected share.
    """
    plan, rng = world()["campaign"], np.random.default_rng([seed, 3])
    day, kept = number(plan["day"]), orders[~orders["refused"]]
    quiet = day - kept[kept["day"] < day].groupby("person")["day"].max()
    arms = pd.DataFrame({"person": quiet.index[quiet.between(*plan["lapsed_days"])]})
    arms["holdout"] = rng.random(len(arms)) < plan["holdout"]
    back = arms["person"].isin(kept.loc[kept["day"].between(day, day + plan["within_days"] - 1), "person"])
    caused = ~arms["holdout"] & ~back & (rng.random(len(arms)) < plan["lift"] / (1 - back.mean()))
    extra = arms[["person"]][caused].assign(day=day + rng.integers(1, plan["within_days"] - 5, caused.sum()))
    return arms, extra.assign(**USUAL | {"extra": True})
