"""marketplace.py: known values, edges."""

from datetime import date

import ibis
import pandas as pd
import pytest

from helpers.estimates import proportion
from helpers.metrics.retention import marketplace


def told(*rows):
    columns = ["marketplace", "period_start", "period_end", "unique_customers", "orders", "repeat_customers_share"]
    frame = pd.DataFrame(rows, columns=columns)
    return ibis.memtable(frame).cast({"period_start": "date", "period_end": "date"})


JANUARY, FEBRUARY = (date(2026, 1, 1), date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 2, 28))


def test_products_weigh_by_their_buyers():
    """By hand: 40 buyers of whom a tenth, and 10 of whom half, came back: 9 of 50, with Wilson's interval."""
    found = marketplace.repeat_share(told(("Amazon.de", *JANUARY, 40, 44, 0.1), ("Amazon.de", *JANUARY, 10, 16, 0.5))).iloc[0]
    by_hand = proportion(9, 50)
    assert found["n"] == 50
    assert tuple(found[["value", "low", "high"]]) == pytest.approx(by_hand[:3])


def test_reports_by_week_do_not_count_again_what_those_by_month_hold():
    weeks = [("Amazon.de", date(2026, 1, 4), date(2026, 1, 10), 9, 9, 0.0)]
    months = [("Amazon.de", *span, 40, 44, 0.1) for span in (JANUARY, FEBRUARY)]
    found = marketplace.repeat_share(told(*weeks, *months))
    assert found["n"].tolist() == [40, 40]


def test_months_of_28_and_31_days_are_of_one_kind_and_marketplaces_stand_apart():
    rows = [(name, *span, 40, 44, 0.1) for name in ("Amazon.de", "Amazon.fr") for span in (JANUARY, FEBRUARY)]
    assert len(marketplace.repeat_share(told(*rows))) == 4


def test_no_report_is_no_row():
    empty = told(("Amazon.de", *JANUARY, 40, 44, 0.1)).filter(ibis._.orders > 99)
    assert marketplace.repeat_share(empty).empty
