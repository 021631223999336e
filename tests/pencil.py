"""Six customers whose numbers one can check with a pencil.

            2025-11   2025-12   2026-01   2026-02   2026-03   2026-04   2026-05   2026-06
    anna      5  o      5 o      5 o       5 o       5 o       5 o       5 o       5 o      every month, DE
    ben       10 o ──────────────10 o                                                       stops after two, DE
    carla     20 o                                                                20 o      silent for half a year, GB
    dora                15 o                                                                once, GB
    emil                                   1 o ─ 1 o                                        joins late, US
    fatima                                           28 o (refunded in full on day 40)      never an occasion if the
                                                                                            refund counts, US
Every order is 100.00 EUR net; the margin rate is 40 %.
"""

from datetime import date

import pandas as pd

TIMELINE = [
    *[("anna", "DE", f"{day}-05") for day in pd.period_range("2025-11", "2026-06", freq="M")],
    ("ben", "DE", "2025-11-10"), ("ben", "DE", "2026-01-10"),
    ("carla", "GB", "2025-11-20"), ("carla", "GB", "2026-05-20"),
    ("dora", "GB", "2025-12-15"),
    ("emil", "US", "2026-02-01"), ("emil", "US", "2026-03-01"),
    ("fatima", "US", "2026-03-28"),
]
ORDER = dict(
    source="shop", sales_channel="shopify", identity_scope="email", status="paid", currency="EUR", gross_minor=10_000,
    discount_minor=0, net_minor=10_000, net_rc=10_000, discount_rc=0, is_renewal=False, acquisition_channel="email",
)
REFUND = dict(order_id="fatima-2026-03-28", source="shop", refund_date=date(2026, 5, 7), amount_minor=10_000,
              amount_rc=10_000, currency="EUR")


def orders_of(timeline) -> list[dict]:
    """Order rows for (customer, market, day) triples; further keys come from ORDER."""
    return [
        dict(ORDER, order_id=f"{who}-{day}", customer_id=who, market=market, order_date=date.fromisoformat(day),
             ordered_at=pd.Timestamp(day, tz="UTC"))
        for who, market, day in timeline
    ]
