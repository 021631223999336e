"""What happens around orders: refunds, deliveries, referrals, campaigns, surveys, tickets, signals, subscriptions."""

import numpy as np
import pandas as pd

from helpers.demo.people import LAST, fact, number, text, world


def refunds(orders: pd.DataFrame) -> pd.DataFrame:
    """refunds.csv of the returns warehouse: dated, without tax. Shopify shows the same money without a day."""
    rows = orders[orders["refund_dated"]]
    return pd.DataFrame({"order_id": rows["order_id"], "refund_date": text(rows["refund_day"]),
                         "amount": rows["refund"] / 10.0 ** rows["places"], "currency": rows["currency"],
                         "reason": np.where(rows.index % 3 == 0, "damaged", "changed mind")})


def deliveries(orders: pd.DataFrame) -> pd.DataFrame:
    """deliveries.csv of the carriers: promised and delivered day of every parcel sent to a known address."""
    rows = orders[orders["status"].isin(["delivered", "paid", "pending"]) & (orders["person"] >= -1)]
    return pd.DataFrame({"order_id": rows["order_id"], "promised_date": text(rows["promised"]),
                         "delivered_date": text(rows["delivered"]).where(rows["delivered"] <= LAST)})


def referrals(folk: pd.DataFrame, seed: int) -> pd.DataFrame:
    """referrals.csv: who was brought by which earlier customer of the same market."""
    rng, line = np.random.default_rng([seed, 8]), folk.sort_values(["market", "first"], ignore_index=True)
    place = line.groupby("market").cumcount()
    friend = line["email"].iloc[line.index - place + (rng.random(len(line)) * place).astype(int)]
    table = pd.DataFrame({"email": line["email"], "referrer_email": friend.to_numpy(), "date": text(line["first"])})
    return table[(line["channel"] == "referral") & (place > 0)]


def campaigns(orders: pd.DataFrame, folk: pd.DataFrame, arms: pd.DataFrame, seed: int) -> pd.DataFrame:
    """campaigns.csv: two experiments, of which one worked, and a spring mailing that held nobody out."""
    spring, bundle, winback = (world()[name] for name in ("spring", "bundle", "campaign"))
    known, rng = orders[orders["person"] >= 0], np.random.default_rng([seed, 15])
    day = number(bundle["day"])
    seen = known[known["day"] < day].groupby("person")["day"].agg(["size", "max"])
    new = seen[(seen["size"] == 1) & (seen["max"] >= day - bundle["new_days"])].reset_index()
    new = new.assign(holdout=rng.random(len(new)) < bundle["holdout"], segment="new_without_second")
    twice = known.loc[(known["nth"] == 2) & (known["day"] < number(winback["day"])), "person"]
    lapsed = arms.assign(segment=np.where(arms["person"].isin(twice), "lapsed", "new_without_second"))
    ago = number(spring["day"]) - known["day"]
    active = known[ago.between(0, spring["bought_days"])].drop_duplicates("person").assign(segment="active", holdout=False)
    table = pd.concat([rows[["person", "segment", "holdout"]].assign(
        campaign_id=plan["id"], sent_date=str(plan["day"]), action=plan["action"], cost=plan["cost"] * ~rows["holdout"],
        arm=np.where(rows["holdout"], "holdout", "treated" if "holdout" in plan else "none"),
    ) for plan, rows in ((bundle, new), (winback, lapsed), (spring, active))])
    table = table.assign(email=table["person"].map(folk["email"]), channel="email", currency="EUR")
    return table[["campaign_id", "email", "arm", "sent_date", "segment", "action", "cost", "channel", "currency"]]


def surveys(orders: pd.DataFrame, folk: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """surveys.csv (NPS with scored questions, CSAT, CES) and surveys_sent.csv.

    Customers who stay score higher and answer more often; what they think of delivery, service and price goes into
    the recommendation with the weights of world.toml, and a late parcel into what they think of delivery.
    """
    rng = np.random.default_rng([seed, 9])
    asked = orders[(orders["person"] >= 0) & (orders["status"] == "delivered") & (orders["day"] > 365)]
    asked = asked[rng.random(len(asked)) < 0.30].reset_index(drop=True)
    count, sent, questions = len(asked), asked["delivered"] + 3, world()["questions"]
    kind = pd.Series(rng.choice(["nps", "csat", "ces"], count, p=[0.6, 0.25, 0.15]))
    low, top = kind.map({"nps": 0, "csat": 1, "ces": 1}), kind.map({"nps": 10, "csat": 5, "ces": 7})
    loyal = 1 / (1 + np.exp(asked["person"].map(folk["leave"])))
    thought = pd.DataFrame(rng.normal(0, 1, (count, len(questions["mean"]))), columns=list(questions["mean"]))
    thought["delivery"] -= 1.2 * asked["late"]
    mood = 8.2 + 4.5 * (loyal - 0.8) - 0.2 * asked["late"] + asked["market"].map(fact("praise"))
    mood += thought @ pd.Series(questions["weight"]) + rng.normal(0, 1.2, count)
    day = sent + rng.integers(0, 6, count)
    answered = (rng.random(count) < 0.16 + 0.02 * (mood - 5).clip(0, 5)) & (day <= LAST)
    who = pd.DataFrame({"sent_id": "S" + asked.index.astype(str).str.zfill(6), "email": asked["person"].map(folk["email"])})
    score = low + (mood / 10).clip(0, 1) * (top - low)
    comment = np.where(rng.random(count) < 0.22, rng.choice(world()["comments"], count), "")
    answers = who.assign(survey_id=kind + "-" + text(sent).str[:4], kind=kind, market=asked["market"], score=score,
                         answered_date=text(day), scale_min=low, scale_max=top, direction="higher", comment=comment)
    scored = [answers[kind == "nps"].assign(kind=name, score=5 - (5 - mean - thought[name]).clip(0, 4), scale_min=1,
                                            scale_max=5, comment="") for name, mean in questions["mean"].items()]
    scored = [rows[answered[rows.index] & (rng.random(len(rows)) < 0.9)] for rows in scored]
    answers = pd.concat([answers[answered], *scored])
    answers["score"] = answers["score"].round().astype(int)
    return answers, who.assign(sent_date=text(sent), channel="email")[sent <= LAST]


def tickets(orders: pd.DataFrame, folk: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A Zendesk list: late parcels are written about often; replies are slower in the market of the price rise."""
    rng, rise = np.random.default_rng([seed, 10]), world()["price_rise"]
    rows = orders[(orders["person"] >= 0) & (rng.random(len(orders)) < 0.06 + 0.25 * orders["late"])]
    rows = rows[rows["day"] < LAST - 12].reset_index(drop=True)
    opened = rows["at"] + pd.to_timedelta(rng.integers(3_600, 9 * 86_400, len(rows)), unit="s")
    slow = (rows["market"] == rise["market"]) & (rows["day"] >= number(rise["day"]))
    minutes = rng.lognormal(4.6, 0.8, len(rows)) * np.where(slow, 2.2, 1.0)
    solved = opened + pd.to_timedelta((60 * minutes * rng.uniform(1.2, 8, len(rows))).astype(int), unit="s")
    other = rng.choice(["Return", "Product question", "Invoice"], len(rows))
    return pd.DataFrame({
        "Ticket ID": 20_000 + rows.index, "Created at": opened.dt.strftime("%Y-%m-%d %H:%M:%S"),
        "Solved at": solved.dt.strftime("%Y-%m-%d %H:%M:%S"), "Requester email": rows["person"].map(folk["email"]),
        "First reply time (min)": minutes.round().astype(int), "Ticket country": rows["market"],
        "Subject": np.where(rows["late"], "Where is my order?", other)})


def engagement(orders: pd.DataFrame, folk: pd.DataFrame, seed: int) -> pd.DataFrame:
    """engagement.csv: monthly visits, opens and clicks of the last 15 months, and visitors that look like robots.

    `orders` must hold the unobserved future too: who will come back visits more.
    """
    rng, frames = np.random.default_rng([seed, 11]), []
    last = orders.groupby("person")["day"].max().reindex(folk.index)
    for day in range(LAST - 450, LAST + 1, 30):
        near = folk[(folk["first"] < day) & (last > day - 120)]
        for signal, often, seldom in (("visits", 1.9, 1.0), ("email_open", 1.2, 0.7), ("email_click", 0.3, 0.1)):
            value = rng.poisson(np.where(last[near.index] > day, often, seldom))
            days = day - rng.integers(0, 28, len(near))
            frames.append(near.assign(date=days, signal=signal, value=value)[(value > 0) & (days >= near["first"])])
    robots = folk[folk["first"] < LAST - 400].sample(frac=0.04, random_state=rng)
    day = rng.integers(LAST - 400, LAST, len(robots))
    frames.append(robots.assign(date=day, signal="bot_score", value=rng.beta(5, 2, len(robots)).round(2)))
    table = pd.concat(frames).sort_values(["date", "signal"], kind="stable")
    return table.assign(date=text(table["date"]))[["email", "date", "signal", "value"]]


def subscriptions(orders: pd.DataFrame, folk: pd.DataFrame, seed: int) -> pd.DataFrame:
    """subscriptions.csv: monthly recurring revenue won, raised, lowered, lost and won back."""
    rng, renewals = np.random.default_rng([seed, 12]), orders[orders["renewal"]].groupby("person")
    table = renewals[["net", "places", "currency"]].first().assign(last=renewals["day"].max())
    table = table.join(folk[["first", "email"]]).assign(subscription_id="SUB-" + table.index.astype(str))
    table["mrr"] = table["net"] / 2 / 10.0 ** table["places"]  # a refill lasts two months
    changed = table[(rng.random(len(table)) < 0.2) & (table["last"] - table["first"] > 60)]
    change = changed["mrr"] * np.where(rng.random(len(changed)) < 0.65, 0.5, -0.3)
    held = table["mrr"].add(change, fill_value=0)
    ended = table[table["last"] < LAST - 65]
    again = ended[(rng.random(len(ended)) < 0.12) & (ended["last"] < LAST - 130)]
    moves = pd.concat([
        table.assign(kind="new", date=table["first"], mrr_delta=table["mrr"]),
        changed.assign(kind=np.where(change > 0, "expansion", "contraction"), date=changed["first"] + 45, mrr_delta=change),
        ended.assign(kind="churn", date=ended["last"] + 60, mrr_delta=-held[ended.index]),
        again.assign(kind="reactivation", date=again["last"] + 120, mrr_delta=again["mrr"]),
    ]).sort_values(["date", "subscription_id"])
    delta = moves["mrr_delta"].round(2).where(moves["places"] > 0, moves["mrr_delta"].round())
    return moves.assign(date=text(moves["date"]), mrr_delta=delta)[
        ["subscription_id", "email", "date", "kind", "mrr_delta", "currency"]]
