"""The shops' own exports: Shopify orders and customers of two stores, Amazon All Orders of one account."""

import tomllib
from importlib import resources

import numpy as np
import pandas as pd

from helpers.demo.baskets import IMPORTED, TILL, WHOLESALE, catalogue
from helpers.demo.people import LAST, fact, moments, world

STORES = {"eu": "Europe/Berlin", "world": "America/New_York"}
ADDRESSES = {WHOLESALE: "einkauf.huettenwerk@shop.example.org", TILL: "", IMPORTED: "noreply@marketplace.example.com"}
ON_CONTINUATION = ("Name", "Email", "Created at", "Vendor")  # beside the Lineitem columns


def headers(platform: str) -> list[str]:
    """The columns of a platform's export, in its order."""
    written = tomllib.loads(resources.files("helpers.demo").joinpath("columns.toml").read_text("utf-8"))
    return written[platform].replace("\n", "").split(",")


def _amounts(minor: pd.Series, places: pd.Series) -> pd.Series:
    """Minor units as the platforms print them: 19.90 and, without places, 1990."""
    whole, rest = (minor // 10**places).astype(str), (minor % 10**places).astype(str).str.zfill(2)
    return whole + ("." + rest).where(places > 0, "")


def _typed(orders: pd.DataFrame, folk: pd.DataFrame) -> pd.Series:
    """The e-mail of each order as somebody typed it: plain, with capitals, or with stray spaces."""
    plain = orders["person"].map(folk["email"]).fillna(orders["person"].map(ADDRESSES))
    spaced = (" " + plain + " ").where(plain != "", "")
    return plain.where(orders["typing"] == 0, plain.str.title().where(orders["typing"] == 1, spaced))


def shopify_orders(orders: pd.DataFrame, lines: pd.DataFrame, folk: pd.DataFrame) -> pd.DataFrame:
    """The 79 columns of a Shopify order export, newest order first, one row per line.

    The first row of an order carries it whole; continuation rows repeat Name, Email, Created at and the line alone.
    """
    body = lines.join(orders[["places", "status"]], on="order").join(catalogue().drop(columns="price"), on="item")
    sent = body["status"].map({"delivered": "fulfilled"}).fillna("pending")
    rows = pd.DataFrame({
        "Lineitem quantity": body["quantity"], "Lineitem name": body["product"], "Lineitem sku": body["sku"],
        "Lineitem price": _amounts(body["price"], body["places"]), "Vendor": body["category"],
        "Lineitem discount": _amounts(0 * body["price"], body["places"]), "Lineitem requires shipping": "true",
        "Lineitem taxable": "true", "Lineitem fulfillment status": sent,
    })
    head = _heads(orders, folk).join(_delivery(orders, folk))
    table = head.loc[body["order"]].set_axis(body.index).join(rows)
    later = body["order"].duplicated()
    table.loc[later, [name for name in head if name not in ON_CONTINUATION]] = None
    newest_first = body["order"].sort_values(ascending=False, kind="stable").index
    return table.loc[newest_first].reindex(columns=headers("shopify"))


def _heads(orders: pd.DataFrame, folk: pd.DataFrame) -> pd.DataFrame:
    status, person, places, shown = orders["status"], orders["person"], orders["places"], orders["refund_shown"]
    stamp = pd.concat([rows["at"].dt.tz_convert(STORES[store]).dt.strftime("%Y-%m-%d %H:%M:%S %z")
                       for store, rows in orders.groupby("store")]).sort_index()
    void, due = status.isin(["cancelled", "refused"]), status == "pending"
    paid = np.select([void, due, shown >= orders["total"], shown > 0], ["voided", "pending", "refunded", "partially_refunded"], "paid")
    method = np.select([person == TILL, orders["cod"], orders.index % 4 == 0],
                       ["Cash", "Cash on Delivery (COD)", "PayPal Express Checkout"], "Shopify Payments")
    money = {"Subtotal": "subtotal", "Shipping": "shipping", "Taxes": "tax", "Total": "total", "Tax 1 Value": "tax",
             "Refunded Amount": "refund_shown", "Discount Amount": "shelf_discount"}
    return pd.DataFrame({
        "Name": orders["order_id"], "Email": _typed(orders, folk), "Financial Status": paid, "Created at": stamp,
        "Paid at": stamp.where(~void & ~due), "Fulfilled at": stamp.where(status == "delivered"),
        "Fulfillment Status": np.where(status == "delivered", "fulfilled", "unfulfilled"), "Currency": orders["currency"],
        "Accepts Marketing": np.where(person % 3 > 0, "yes", "no"), "Cancelled at": stamp.where(void),
        **{name: _amounts(orders[column], places) for name, column in money.items()},
        "Outstanding Balance": _amounts(orders["total"].where(due, 0), places), "Discount Code": orders["code"],
        "Shipping Method": "Standard", "Payment Method": method, "Id": (5_400_000_000_000 + orders.index).astype(str),
        "Tags": _tags(orders), "Risk Level": "Low", "Location": np.where(person == TILL, "Berlin Mitte", ""),
        "Source": np.select([orders["renewal"], person == TILL, person == IMPORTED], ["subscription_contract", "pos", "2329312"], "web"),
        "Tax 1 Name": orders["market"] + " " + (100 * orders["rate"]).round(1).astype(str) + "%",
    })


def _tags(orders: pd.DataFrame) -> pd.Series:
    """Channel and campaign of the visit."""
    tags = ("channel:" + orders["visit"] + ", campaign:NL | " + orders["visit"] + " | " + orders["market"]).fillna("")
    return tags.where(orders["status"] != "refused", tags + ", cod-refused").str.removeprefix(", ")


def _delivery(orders: pd.DataFrame, folk: pd.DataFrame) -> pd.DataFrame:
    """Invented names, streets and telephone numbers reserved for fiction, the same for billing and shipping."""
    places = {key: orders["market"].map(world()["names"][key]) for key in ("street", "city", "zip", "phone")}
    buyer = orders["person"].map(folk["first_name"] + " " + folk["last_name"]).fillna("Northlight Kunde")
    street = places["street"] + " " + (orders.index % 190 + 1).astype(str)
    phone = places["phone"] + (orders.index % 100 + 100).astype(str)
    parts = {"Name": buyer, "Street": street, "Address1": street, "City": places["city"], "Country": orders["market"],
             "Zip": "'" + (places["zip"] + orders.index % 90).astype(str), "Phone": phone.where(places["phone"] != "")}
    return pd.DataFrame({f"{side} {name}": part for side in ("Billing", "Shipping") for name, part in parts.items()})


def shopify_customers(folk: pd.DataFrame, orders: pd.DataFrame, store: str) -> pd.DataFrame:
    """Shopify's customer export of a store: consent to e-mail and texts of everybody who ordered there."""
    mine = orders[(orders["store"] == store) & (orders["person"] >= 0)].groupby("person")
    here = folk.join(mine.agg(spent=("total", "sum"), orders=("total", "size")), how="inner")
    return pd.DataFrame({
        "Customer ID": 7_000_000_000_000 + here.index, "First Name": here["first_name"], "Last Name": here["last_name"],
        "Email": here["email"], "Accepts Email Marketing": np.where(here.index % 3 > 0, "yes", "no"),
        "Default Address Country Code": here["market"],
        "Accepts SMS Marketing": np.where(here.index % 5 == 0, "yes", "no"),
        "Total Spent": (here["spent"] / 100).round(2), "Total Orders": here["orders"], "Note": "", "Tax Exempt": "no",
        "Tags": "",
    })


def amazon_orders(orders: pd.DataFrame, lines: pd.DataFrame, customers: int, seed: int) -> pd.DataFrame:
    """Amazon's All Orders file: own sales without any identity, and Shopify orders sent from Amazon's warehouse.

    The latter are `Non-Amazon` and stand in Shopify's file already; Pending and Cancelled rows have no price.
    """
    rng, count = np.random.default_rng([seed, 5]), int(customers * 0.45)
    day, german = rng.integers(0, LAST + 1, count), rng.random(count) < 0.6
    status = np.select([rng.random(count) < 0.05, day > LAST - 2], ["Cancelled", "Pending"], "Shipped")
    own = pd.DataFrame({"at": moments(day) + pd.to_timedelta(rng.integers(7200, 79200, count), unit="s"),
                        "item": rng.integers(0, len(catalogue()), count), "quantity": 1 + (rng.random(count) < 0.08),
                        "market": np.where(german, "DE", "GB"), "order-status": status,
                        "sales-channel": np.where(german, "Amazon.de", "Amazon.co.uk"),
                        "amazon-order-id": [f"302-{k:07d}-{k * 7919 % 10_000_000:07d}" for k in range(count)]})
    sent = orders[(orders["store"] == "eu") & (orders.index % 60 == 0) & (orders["status"] == "delivered")]
    sent = sent[["at", "order_id", "market"]].rename(columns={"order_id": "merchant-order-id"})
    copied = lines.join(sent, on="order", how="inner")
    copied = copied.assign(at=copied["at"].dt.tz_localize(None), **{
        "order-status": "Shipped", "sales-channel": "Non-Amazon",
        "amazon-order-id": "S02-" + copied["order"].astype(str).str.zfill(7) + "-0000001"})
    table = pd.concat([own, copied.drop(columns=["order", "price"])]).join(catalogue(), on="item")
    return _amazon_columns(table.sort_values(["at", "amazon-order-id"], ignore_index=True))


def _amazon_columns(table: pd.DataFrame) -> pd.DataFrame:
    priced = (table["order-status"] == "Shipped") & (table["sales-channel"] != "Non-Amazon")
    rate = table["market"].map(fact("tax"))
    price = np.round(table["price"] * 100 * table["market"].map(fact("price")), -1) * table["quantity"]
    when = np.datetime_as_string(table["at"].to_numpy(), unit="s") + np.array("+00:00")
    return table.assign(**{
        "purchase-date": when, "last-updated-date": when, "fulfillment-channel": "Amazon",
        "ship-service-level": "Standard", "ship-country": table["market"],
        "product-name": table["product"], "asin": "B0NL" + table["sku"].str[3:] + "XYZ", "is-business-order": "false",
        "item-status": table["order-status"].replace("Pending", "Unshipped"),
        "currency": table["market"].map(fact("currency")).where(priced),
        "item-price": (price / 100).map("{:.2f}".format).where(priced),
        "item-tax": (np.round(price * rate / (1 + rate)) / 100).map("{:.2f}".format).where(priced),
        "ship-city": table["market"].map({"DE": "München", "GB": "Bristol"}),
    }).reindex(columns=headers("amazon"))
