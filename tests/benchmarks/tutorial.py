"""The monthly pack as a tutorial on pandas and lifetimes would write it, on the same Parquet."""

import sys
import warnings

import pandas as pd
from canonical import AS_OF, MARGIN
from lifetimes import GammaGammaFitter, ModifiedBetaGeoFitter
from lifetimes.utils import summary_data_from_transaction_data
from stopwatch import Stopwatch

from helpers.settings import client_folder

warnings.simplefilter("ignore")
COLUMNS = ["customer_id", "order_date", "status", "market", "acquisition_channel", "net_rc"]


def main(client: str) -> None:
    """Run the pack and print the steps."""
    tables, end = client_folder(client) / "tables", pd.Timestamp(AS_OF)
    watch = Stopwatch()
    with watch.step("occasions"):
        orders = pd.read_parquet(tables / "orders.parquet", columns=COLUMNS)
        orders = orders[orders["status"].isin(["paid", "delivered"]) & orders["customer_id"].notna()]
        orders["order_date"] = pd.to_datetime(orders["order_date"])
        orders["net_rc"] /= 100
    with watch.step("summary"):
        summary = summary_data_from_transaction_data(
            orders, "customer_id", "order_date", monetary_value_col="net_rc", observation_period_end=end)
    with watch.step("cohorts"):
        orders["month"] = orders["order_date"].dt.to_period("M")
        orders["cohort"] = orders.groupby("customer_id")["month"].transform("min")
        orders["home"] = orders.groupby("customer_id")["market"].transform("first")
        orders["age"] = (orders["month"].dt.year - orders["cohort"].dt.year) * 12 + (
            orders["month"].dt.month - orders["cohort"].dt.month)
        active = orders.groupby(["home", "cohort", "age"])["customer_id"].nunique().unstack()
        active.divide(active[0], axis=0)
    with watch.step("fit occasions"):
        model = ModifiedBetaGeoFitter()
        model.fit(summary["frequency"], summary["recency"], summary["T"])
    with watch.step("fit spend"):
        repeat = summary[summary["frequency"] > 0]
        spend = GammaGammaFitter()
        spend.fit(repeat["frequency"], repeat["monetary_value"])
    with watch.step("clv"):
        summary["clv"] = MARGIN * spend.customer_lifetime_value(
            model, summary["frequency"], summary["recency"], summary["T"], summary["monetary_value"],
            time=12, discount_rate=0.00797, freq="D")
    with watch.step("churn window"):
        ordered = orders.sort_values(["customer_id", "order_date"])
        gaps = ordered.groupby("customer_id")["order_date"].diff().dt.days
        window = float(gaps[gaps > 0].quantile(0.9))
    with watch.step("clv to cac"):
        first = ordered.groupby("customer_id").agg(
            date=("order_date", "first"), channel=("acquisition_channel", "first"))
        won = first[first["date"] > end - pd.DateOffset(months=12)].join(summary["clv"])
        paid = pd.read_parquet(tables / "acquisition_spend.parquet")
        paid = paid[pd.to_datetime(paid["date"]) > end - pd.DateOffset(months=12)]
        cac = paid.groupby("channel")["amount_rc"].sum() / 100 / won.groupby("channel").size()
        won.groupby("channel")["clv"].mean() / cac
    params = {**model.params_.to_dict(), **spend.params_.to_dict()}
    watch.report(params=params | {"v": params["v"] * 100}, window=window)


if __name__ == "__main__":
    main(sys.argv[1])
