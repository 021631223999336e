"""What each order holds and what becomes of it: lines, prices, discounts, tax, delivery and refund."""

import numpy as np
import pandas as pd

from helpers.demo.ledger import visits
from helpers.demo.people import LAST, USUAL, campaign, fact, moments, number, purchases, world
from helpers.money import exponent

COUPONS = {0.10: "VIP10", 0.15: "SEASON15"}
WHOLESALE, TILL, IMPORTED = -1, -2, -3  # "persons" that are no simulated customer
PER_CUSTOMER = {WHOLESALE: 0.01, TILL: 0.07, IMPORTED: 0.035}  # orders of theirs for each simulated customer
NEVER = 1 << 20


def catalogue() -> pd.DataFrame:
    """One row per product: sku, product, category, price in euro with tax."""
    rows = [(f"NL-{c}{k:02d}", name, category, price) for c, (category, goods) in enumerate(world()["products"].items(), 1)
            for k, (name, price) in enumerate(goods.items(), 1)]
    return pd.DataFrame(rows, columns=["sku", "product", "category", "price"])


def all_orders(folk: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Orders in the order of time (the unobserved future too), their lines, and the arms of the campaign.

    Money is in minor units of `currency`; goods, discount, net and refund are without tax for either store, the other
    amounts as the shop shows them. `status` is the truth on the last observed day.
    """
    bought = purchases(folk, seed)
    arms, extra = campaign(bought, seed)
    rng = np.random.default_rng([seed, 4])
    strays = [pd.DataFrame(USUAL | {"person": who, "day": rng.integers(0, LAST + 1, int(len(folk) * share)),
                                    "home": "GB" if who == IMPORTED else "DE"}) for who, share in PER_CUSTOMER.items()]
    orders = pd.concat([bought, extra, *strays], ignore_index=True)
    orders = orders.join(folk[["market", "channel", "category", "welcome", "guest", "taste", "promo"]], on="person")
    orders["market"] = orders["market"].fillna(orders.pop("home"))
    orders = _timed(orders, rng)
    lines = _lines(orders, rng)
    orders = _aftermath(_money(orders, lines, rng), lines, rng)
    kept = orders["status"].isin(["delivered", "paid"]) & (orders["refund"] < orders["net"])
    won = orders["first_order"] | (kept & ~orders["person"].where(kept).duplicated())  # by what it took to win them
    orders["visit"] = orders["channel"].where(won, visits(orders, seed)).where(orders["person"] >= 0)
    return orders, lines, arms


def _timed(orders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The moment in UTC (evenings of the market, on the day's date in Berlin), store, currency and order number."""
    hours = (rng.normal(19, 3.5, len(orders)) - orders["market"].map(fact("zone_hours"))) % 24
    local = moments(orders["day"]) + pd.to_timedelta((3600 * hours).to_numpy(int), unit="s")
    local = local.tz_localize("Europe/Berlin", ambiguous=np.zeros(len(local), bool), nonexistent="shift_forward")
    orders = orders.assign(at=local.tz_convert("UTC"), store=orders["market"].map(fact("store")),
                           currency=orders["market"].map(fact("currency")), first_order=orders["nth"] == 1)
    orders = orders.sort_values(["at", "person"], kind="stable", ignore_index=True)
    count = (orders.groupby("store").cumcount() + 1001).astype(str)
    places = orders["currency"].map(exponent)
    return orders.assign(order_id=orders["store"].map({"eu": "#EU", "world": "#NW"}) + count, places=places,
                         unit=orders["market"].map(fact("price")) * 10.0**places)


def _lines(orders: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    goods, categories, rise = catalogue(), world()["categories"]["share"], world()["price_rise"]
    more = rng.poisson(orders["market"].map(fact("lines")) * orders["taste"].fillna(1))
    size = np.select([orders["renewal"], orders["person"] == WHOLESALE], [1, 3], 1 + np.minimum(more, 5))
    at = np.repeat(np.arange(len(orders)), size)
    head = orders.iloc[at]
    category = pd.Series(rng.choice(list(categories), len(at), p=list(categories.values())), head.index)
    faithful = head["first_order"] | (rng.random(len(at)) < 0.25)
    category = head["category"].where(faithful).fillna(category).to_numpy()
    item = np.zeros(len(at), int)
    for name in categories:
        among = goods.index[goods["category"] == name]
        odds = goods.loc[among, "price"] ** -0.5
        item[category == name] = rng.choice(among, (category == name).sum(), p=odds / odds.sum())
    item[head["renewal"]] = goods.index[goods["product"].str.contains("coffee refill")][0]
    many, second = rng.integers(3, 10, len(at)), ~head["renewal"] & (rng.random(len(at)) < 0.10)
    price = np.round(goods["price"].to_numpy()[item] * head["unit"], -1).astype(int)
    dearer = (head["market"] == rise["market"]) & (head["day"] >= number(rise["day"]))
    price = price.where(~dearer, np.round(price * rise["factor"], -1)).astype(int)
    quantity = np.where(head["person"] == WHOLESALE, many, 1 + second)
    return pd.DataFrame({"order": at, "item": item, "quantity": quantity, "price": price.to_numpy()})


def _money(orders: pd.DataFrame, lines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    wholesale, count = orders["person"] == WHOLESALE, len(orders)
    tempted = (orders["nth"] > 1) & (rng.random(count) < orders["promo"].fillna(0))
    coupon = np.where(tempted, rng.choice(list(COUPONS), count), 0)
    welcome = orders["first_order"] & orders["welcome"].eq(True)
    share = np.select([wholesale, welcome], [0.15, 0.10], coupon)
    orders["code"] = np.select([wholesale, welcome], ["B2B15", "WELCOME10"], pd.Series(coupon).map(COUPONS).fillna(""))
    orders["shelf"] = (lines["quantity"] * lines["price"]).groupby(lines["order"]).sum()
    orders["shelf_discount"] = np.round(orders["shelf"] * share).astype(int)
    orders["subtotal"] = orders["shelf"] - orders["shelf_discount"]
    free = (orders["subtotal"] >= 60 * orders["unit"]) | (orders["person"] == TILL)
    orders["shipping"] = np.where(free, 0, np.round(4.9 * orders["unit"], -1)).astype(int)
    untaxed = (orders["market"] == "US") & (rng.random(count) < 0.35)  # states without sales tax
    rate = orders["rate"] = orders["market"].map(fact("tax")).where(~untaxed, 0.0)
    included, due = orders["store"] == "eu", orders["subtotal"] + orders["shipping"]
    orders["tax"] = np.round(np.where(included, due * rate / (1 + rate), orders["subtotal"] * rate)).astype(int)
    orders["total"] = due + orders["tax"].where(~included, 0)
    goods_tax = np.round(orders["tax"] * orders["subtotal"] / due).where(included, 0).astype(int)
    orders["net"] = orders["subtotal"] - goods_tax
    return orders.assign(discount=np.round(orders["shelf"] * orders["net"] / orders["subtotal"]).astype(int) - orders["net"])


def _aftermath(orders: pd.DataFrame, lines: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Cancelled, refused, delivered, refunded; and how the address was typed (0 plain, 1 capitals, 2 spaces)."""
    count = len(orders)
    orders["promised"] = orders["day"] + orders["market"].map(fact("lead"))
    orders["delivered"] = orders["promised"] - rng.integers(0, 2, count) + orders["late"] * rng.integers(2, 9, count)
    cancelled = (orders["nth"] != 1) & ~orders["refused"] & ~orders["extra"] & (rng.random(count) < 0.012)
    orders["status"] = np.select([cancelled, orders["refused"], orders["delivered"] <= LAST, orders["cod"]],
                                 ["cancelled", "refused", "delivered", "pending"], "paid")
    orders.loc[cancelled | orders["refused"], "delivered"] = NEVER
    orders["refund_day"] = orders["day"] + 4 + np.round(rng.gamma(2.0, 9.0, count)).astype(int)
    back = (rng.random(count) < orders["market"].map(fact("refund"))) & (orders["refund_day"] <= LAST)
    back &= orders["status"].isin(["delivered", "paid"]) & (orders["person"] >= 0)
    first_line = (lines["quantity"] * lines["price"]).groupby(lines["order"]).first() / orders["shelf"]
    share = first_line.where(rng.random(count) < 0.5, 1.0)
    orders["refund"] = np.round(orders["net"] * share * back).astype(int)
    part = orders["subtotal"] * share * (1 + orders["rate"]).where(orders["store"] == "world", 1)
    orders["refund_shown"] = (orders["total"].where(share == 1, np.round(part)) * back).astype(int)
    orders["refund_dated"] = back & ((orders["store"] == "world") | (rng.random(count) < 0.3))
    orders["typing"] = rng.choice(3, count, p=[0.92, 0.05, 0.03])
    orders.loc[orders["first_order"] & orders["guest"].eq(True), "typing"] = 1
    return orders
