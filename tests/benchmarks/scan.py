"""The floor: one bare GROUP BY over the orders, by DuckDB alone, warm."""

import json
import resource
import statistics
import sys
import time

import duckdb

from helpers.settings import client_folder

SCAN = """
    CREATE OR REPLACE TEMP TABLE scanned AS
    SELECT customer_id, min(order_date) AS first, max(order_date) AS last, count(*) AS orders, sum(net_rc) AS net
    FROM '{orders}' GROUP BY customer_id"""


def main(client: str) -> None:
    """Run the scan a few times and print the median."""
    orders = client_folder(client) / "tables" / "orders.parquet"
    con, seconds = duckdb.connect(), []
    con.execute("SET preserve_insertion_order = false")
    for _ in range(4):
        begin = time.perf_counter()
        con.execute(SCAN.format(orders=orders))
        seconds.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    number = con.sql("SELECT sum(orders) FROM scanned").fetchone()[0]
    print(json.dumps({"seconds": statistics.median(seconds[1:]), "gigabytes": round(peak, 3), "orders": int(number)}))


if __name__ == "__main__":
    main(sys.argv[1])
