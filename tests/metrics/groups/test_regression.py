"""The line through months: the ordinary one where months are independent, wider where they are not, right 95 times in 100."""

import numpy as np
import pytest
import statsmodels.api as sm

from helpers.metrics.groups.regression import line


def months(count, carried, rng):
    """x and y = 2 + x / 2 + noise, of which a share is carried from month to month."""
    shocks, steps = rng.normal(0, 0.1, count), rng.normal(0, 0.4, count)
    noise, x = np.zeros(count), np.zeros(count)
    for k in range(count):
        noise[k] = carried * noise[k - 1] + shocks[k]
        x[k] = 0.6 * x[k - 1] + steps[k]
    return x, 2 + x / 2 + noise


def held(count, carried, draws=600):
    rng = np.random.default_rng(7)
    slopes = [line(*months(count, carried, rng))[1] for _ in range(draws)]
    return np.mean([each.low < 0.5 < each.high for each in slopes])


@pytest.mark.parametrize("count", [12, 24, 36])
def test_the_interval_holds_the_truth_of_independent_months(count):
    assert held(count, carried=0.0) == pytest.approx(0.95, abs=0.03)


def test_it_is_not_far_off_where_months_hang_together():
    """Newey–West with its usual quantile holds 0.83 of them."""
    assert held(24, carried=0.3) > 0.89


def test_it_is_never_narrower_than_statsmodels_ordinary_line():
    rng = np.random.default_rng(3)
    for carried in (0.0, 0.8):
        x, y = months(24, carried, rng)
        oracle = sm.OLS(y, sm.add_constant(x)).fit()
        for found, value, (low, high) in zip(line(x, y), oracle.params, oracle.conf_int(), strict=True):
            assert found.value == pytest.approx(value)
            assert found.low <= low + 1e-12 and found.high >= high - 1e-12


def test_points_on_a_line_leave_no_doubt():
    x = np.arange(12.0)
    intercept, slope = line(x, 3 + 2 * x)
    assert (intercept.low, slope.high) == (pytest.approx(3), pytest.approx(2))
