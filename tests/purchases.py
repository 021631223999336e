"""Occasions made straight from (customer, day) pairs, for tests of what is counted from them."""

import ibis
import pandas as pd
from hypothesis import strategies as st

DEFAULTS = dict(
    home_market="DE", first_sales_channel="shopify", first_acquisition_channel="email", first_product_category="tents",
    first_discounted=False, net_sales_rc=10_000, margin_rc=4_000, discount_rc=0, is_renewal=False, truncated=False,
)
FIRST_DAY = pd.Timestamp("2024-01-01")

# (customer, days after FIRST_DAY): few customers and many days, so that every kind of history turns up
histories = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 500)), min_size=1, max_size=40, unique=True)


def purchases(rows: pd.DataFrame) -> ibis.Table:
    """A lazy occasions table from a frame with customer_id, date and any other column of occasions."""
    frame = rows.assign(date=pd.to_datetime(rows["date"])).sort_values(["customer_id", "date"], ignore_index=True)
    frame = frame.assign(**{name: value for name, value in DEFAULTS.items() if name not in frame})
    by = frame.groupby("customer_id")
    frame = frame.assign(n=by.cumcount() + 1, previous_date=by["date"].shift(), first_date=by["date"].transform("min"))
    return ibis.memtable(frame).cast({"date": "date", "n": "int64", "previous_date": "date", "first_date": "date"})


def drawn(history: list[tuple[int, int]]) -> pd.DataFrame:
    """The frame of an example that hypothesis drew from `histories`."""
    frame = pd.DataFrame(history, columns=["customer", "day"])
    return pd.DataFrame({
        "customer_id": [f"{each:03x}" for each in frame["customer"]],
        "date": FIRST_DAY + pd.to_timedelta(frame["day"], unit="D"),
        "home_market": ["DE" if each % 2 else "GB" for each in frame["customer"]],
    })
