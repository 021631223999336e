"""The monthly pack by this workbook: from an empty cache, or, with --again, with what an earlier run has kept."""

import shutil
import sys

import ibis
import numpy as np
from canonical import AS_OF
from lifetimes import ModifiedBetaGeoFitter
from stopwatch import Stopwatch

from helpers.client import open_client
from helpers.metrics.acquisition import cac
from helpers.metrics.churn import survival
from helpers.metrics.retention import cohorts
from helpers.metrics.value import btyd, clv_model, expectations, histories
from helpers.periods import Period
from helpers.settings import client_folder

CLV = ("customer_id", "first_acquisition_channel", "clv_historic", "clv_residual", "clv_total")


def main(client: str, again: bool = False) -> None:
    """Run the pack and print the steps."""
    if not again:
        shutil.rmtree(client_folder(client) / "cache", ignore_errors=True)
    ibis.duckdb.connect().disconnect()  # an import like the others
    watch = Stopwatch()
    with watch.step("occasions"):
        shop = open_client(client, AS_OF)
        bought = shop.occasions
    bought.count().execute()  # the scan is warm too
    with watch.step("summary"):
        each = shop.histories
    with watch.step("cohorts"):
        cohorts.retention_table(bought, AS_OF, by=("home_market",))
    with watch.step("fit occasions"):
        purchases = btyd.fit(histories.counts(each), "mbg_nbd")
    with watch.step("fit spend"):
        spending = btyd.fit_spend(histories.spend_counts(each))
    with watch.step("clv"):
        valued = kept(shop.tables.con, "valued", clv_model.customers(each, purchases, spending).select(*CLV))
    with watch.step("churn window"):
        window = survival.churn_window(survival.gaps(bought, AS_OF))
    with watch.step("clv to cac"):
        year = Period.trailing(AS_OF, 12)
        costs = cac.cac(bought, shop.table("acquisition_spend"), year, by=["acquisition_channel"])
        won = valued.semi_join(cac.won(bought, year), "customer_id")
        values = clv_model.per_customer(won.rename(acquisition_channel="first_acquisition_channel"),
                                        by=("acquisition_channel",))
        cac.clv_to_cac(values, costs[costs["kind"] == "paid"], by=["acquisition_channel"])
    watch.report(
        params=purchases.params | spending.params, errors=purchases.errors | spending.errors, window=window.days,
        weekly=bool(purchases.weekly), rows=purchases.rows, occasions_differ=occasions_differ(purchases),
    )


def kept(con, name: str, expr) -> ibis.Table:
    """A row per customer, computed and held in the engine: what a list or a table would be written from."""
    return con.create_table(name, expr, temp=True)


def occasions_differ(fitted) -> float:
    """The largest relative difference of 12-month expectations to lifetimes' own, on a grid of histories."""
    x, t_x, age = (each.ravel().astype(float) for each in np.meshgrid([0, 1, 2, 5, 20], [0, 30, 200], [210, 400, 800]))
    x, t_x, age = (each[(x == 0) == (t_x == 0)] for each in (x, t_x, age))
    theirs = ModifiedBetaGeoFitter()
    theirs.params_ = fitted.params
    theirs.predict = None
    other = theirs.conditional_expected_number_of_purchases_up_to_time(365.25, x, t_x, age)
    return float(np.max(np.abs(expectations.occasions(fitted, x, t_x, age, 365.25) / np.asarray(other) - 1)))


if __name__ == "__main__":
    main(sys.argv[1], again="--again" in sys.argv)
