"""The customer part of the pack by PyMC-Marketing: `rfm_summary` and maximum a posteriori fits, with its default priors.

Run by an interpreter of its own, which need not know this project: bayes.py FOLDER_OF_TABLES AS_OF.
"""

import logging
import sys
import warnings

import pandas as pd
from pymc_marketing import clv
from stopwatch import Stopwatch

warnings.simplefilter("ignore")
logging.disable(logging.CRITICAL)
COLUMNS = ["customer_id", "order_date", "status", "net_rc"]


def main(tables: str, as_of: str) -> None:
    """Run the steps and print them."""
    watch = Stopwatch()
    with watch.step("occasions"):
        orders = pd.read_parquet(f"{tables}/orders.parquet", columns=COLUMNS)
        orders = orders[orders["status"].isin(["paid", "delivered"]) & orders["customer_id"].notna()]
        orders = orders.assign(order_date=pd.to_datetime(orders["order_date"]), net_rc=orders["net_rc"] / 100)
    with watch.step("summary"):
        summary = clv.utils.rfm_summary(
            orders, "customer_id", "order_date", "net_rc", observation_period_end=as_of, time_unit="D")
    with watch.step("fit occasions"):
        model = clv.ModifiedBetaGeoModel(data=summary)
        model.fit(method="map", progressbar=False)
    with watch.step("fit spend"):
        spend = clv.GammaGammaModel(data=summary[summary["frequency"] > 0])
        spend.fit(method="map", progressbar=False)
    with watch.step("clv"):
        spend.expected_customer_lifetime_value(
            transaction_model=model, data=summary, future_t=12, discount_rate=0.00797, time_unit="D")
    found = {name: float(fit.fit_result[name].mean()) for fit, names in ((model, "r alpha a b"), (spend, "p q v"))
             for name in names.split()}
    watch.report(params=found | {"v": found["v"] * 100})


if __name__ == "__main__":
    main(*sys.argv[1:])
