"""Churn by calendar month: a season must come back every year."""

from datetime import date

import pandas as pd
import pytest

from helpers.estimates import NotEnoughData
from helpers.metrics.churn import churn, seasons
from helpers.periods import month_end


def flows(rates: dict[str, float]) -> pd.DataFrame:
    """Flows of months with a thousand customers each, from their churn rates."""
    months = pd.DataFrame({"t1": [month_end(month) for month in rates], "start": 1_000})
    return months.assign(lost=[round(1_000 * rate) for rate in rates.values()])


def year(first: int, january: float, june: float) -> dict[str, float]:
    return {f"{first}-{m:02d}": january if m == 1 else june if m == 6 else 0.05 for m in range(1, 13)}


def test_a_month_that_is_high_every_year_is_a_season():
    table = seasons.seasonality(flows(year(2024, 0.02, 0.10) | year(2025, 0.03, 0.12)))
    june = table.set_index("calendar_month").loc[6]
    assert (june["value"], june["n"], june["years"], june["every_year"]) == (0.11, 2_000, 2, True)
    assert seasons.season(table, 175) == (6, 1, 12, True)  # 15 June less 175 days is 22 December


def test_one_event_is_no_season():
    table = seasons.seasonality(flows(year(2024, 0.02, 0.04) | year(2025, 0.03, 0.30)))
    assert not table.set_index("calendar_month").loc[6, "every_year"]
    assert not seasons.season(table, 175).clear


def test_half_a_year_seen_twice_names_no_highest_month():
    """The months not seen twice may be the highest."""
    summers = {month: rate for month, rate in (year(2024, 0.02, 0.10) | year(2025, 0.03, 0.12)).items() if "06" <= month[5:] <= "11"}
    with pytest.raises(NotEnoughData, match="6 of the 12 calendar months"):
        seasons.seasonality(flows(summers))


def test_two_years_of_a_month_are_needed(six_customers):
    with pytest.raises(NotEnoughData, match="in two years"):
        seasons.seasonality(flows(year(2025, 0.03, 0.12)))
    with pytest.raises(NotEnoughData, match="More history helps"):
        seasons.seasonality(churn.flows(six_customers, date(2026, 6, 30), 300, date(2025, 11, 5)))
    with pytest.raises(NotEnoughData, match="in two years"):
        seasons.seasonality(churn.flows(six_customers, date(2026, 6, 30), 60, date(2025, 11, 5)))
