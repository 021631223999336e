"""The demo client: a seeded simulation of an invented seller, written as the exports its platforms would give."""

from pathlib import Path

import pandas as pd

from helpers.demo import baskets, ledger, people, shops, voices

CUSTOMERS, SEED = 12_000, 20261031


def write_demo(folder: Path, customers: int = CUSTOMERS, seed: int = SEED) -> tuple[pd.DataFrame, ...]:
    """Write the raw exports of the demo client into a folder.

    Files: Shopify orders by store and year, Shopify customers, Amazon All Orders by year (2024 in cp1252), ad reports
    of Google, Meta and TikTok, a Zendesk list, and plain CSV files whose headers are the canonical names with an e-mail
    in place of customer_id. The same seed gives the same bytes. Needs customers ≥ 200 to fill every file.

    Returns what they were written from: all orders (the unobserved future too), media spend, the ledger of retention
    costs, survey answers, and the dirham's rates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folk = people.people(customers, seed)
    every, lines, arms = baskets.all_orders(folk, seed)
    orders = every[every["day"] <= people.LAST]
    _write_shops(folder, orders, lines[lines["order"] < len(orders)], folk, seed)
    spend, costs = ledger.ad_spend(orders, seed), ledger.retention_costs(orders, seed)
    ledger.write_ads(spend, folder)
    answers, sent = voices.surveys(orders, folk, seed)
    fx = ledger.dirham_rates()
    plain = {
        "retention_costs": costs, "acquisition_spend": ledger.other_spend(spend), "fx": fx, "surveys": answers,
        "surveys_sent": sent, "refunds": voices.refunds(orders), "deliveries": voices.deliveries(orders),
        "referrals": voices.referrals(folk, seed), "campaigns": voices.campaigns(orders, folk, arms, seed),
        "zendesk_tickets": voices.tickets(orders, folk, seed), "engagement": voices.engagement(every, folk, seed),
        "subscriptions": voices.subscriptions(orders, folk, seed),
    }
    for name, frame in plain.items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return every, spend, costs, answers, fx


def _write_shops(folder: Path, orders: pd.DataFrame, lines: pd.DataFrame, folk: pd.DataFrame, seed: int) -> None:
    table = shops.shopify_orders(orders, lines, folk)
    store = table["Name"].str[:3].map({"#EU": "eu", "#NW": "world"})
    for (name, year), rows in table.groupby([store, table["Created at"].str[:4]]):
        rows.to_csv(folder / f"orders_export_{name}_{year}.csv", index=False)
    for name in shops.STORES:
        shops.shopify_customers(folk, orders, name).to_csv(folder / f"customers_export_{name}.csv", index=False)
    amazon = shops.amazon_orders(orders, lines, len(folk), seed)
    for year, rows in amazon.groupby(amazon["purchase-date"].str[:4]):
        encoding = "cp1252" if year == "2024" else "utf-8"  # older flat files of this account came in the Windows code page
        rows.to_csv(folder / f"amazon_all_orders_{year}.txt", sep="\t", index=False, encoding=encoding)
