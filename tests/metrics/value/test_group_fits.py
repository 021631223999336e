"""group_fits.py: different markets keep their models, equal ones are drawn together, small ones take the common one."""

import numpy as np
import pandas as pd
import pytest
import shoppers
from lifetimes import ModifiedBetaGeoFitter

from helpers.metrics.value import btyd, group_fits

SLOW = {"r": 0.6, "alpha": 90.0, "a": 1.2, "b": 2.0}
FAST = {"r": 0.9, "alpha": 40.0, "a": 0.5, "b": 3.0}


def rows(**markets) -> pd.DataFrame:
    """x, t_x, T, weight, home_market of simulated customers: name=(parameters, customers)."""
    parts = [shoppers.rows("mbg_nbd", params, n, days=600, seed=k).assign(home_market=name)
             for k, (name, (params, n)) in enumerate(markets.items())]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def different():
    data = rows(DE=(FAST, 2_000), GB=(SLOW, 2_000), AE=(SLOW, 100))
    pooled = btyd.fit(data)
    return data, pooled, group_fits.own_fits(data, "home_market", pooled)


def test_different_markets_are_better_apart(different):
    data, pooled, own = different
    assert set(own) == {"DE", "GB"}
    assert group_fits.better_apart(data, "home_market", pooled, own) > 50


def test_a_well_known_market_keeps_its_own_parameters(different):
    data, pooled, own = different
    shrunk = group_fits.shrunk(own, pooled)
    assert shrunk["DE"].params["alpha"] == pytest.approx(own["DE"].params["alpha"], rel=0.05)
    table = group_fits.group_table(data, "home_market", pooled, shrunk).set_index("home_market")
    assert table.loc["DE", "value"] > table.loc["GB", "value"] * 2
    assert table["own"].to_dict() == {"AE": False, "DE": True, "GB": True}
    assert table.loc["AE", "value"] == table.loc["AE", "pooled"]


def test_the_year_of_a_new_customer_is_what_lifetimes_expects(different):
    data, pooled, own = different
    table = group_fits.group_table(data, "home_market", pooled, own).set_index("home_market")
    for found, fitted in ((table.loc["AE", "pooled"], pooled), (table.loc["DE", "value"], own["DE"])):
        theirs = ModifiedBetaGeoFitter()
        theirs.params_ = pd.Series(fitted.params)
        assert found == pytest.approx(theirs.expected_number_of_purchases_up_to_time(365.25), rel=1e-6)


def test_equal_markets_are_drawn_together():
    data = rows(DE=(FAST, 600), GB=(FAST, 600), US=(FAST, 600))
    pooled = btyd.fit(data)
    own = group_fits.own_fits(data, "home_market", pooled)
    before = np.std([np.log(fitted.params["r"]) for fitted in own.values()])
    after = np.std([np.log(fitted.params["r"]) for fitted in group_fits.shrunk(own, pooled).values()])
    assert after < before
    assert group_fits.better_apart(data, "home_market", pooled, own) < 2


def test_one_market_alone_is_the_common_model(different):
    data, pooled, own = different
    assert group_fits.shrunk({"DE": own["DE"]}, pooled)["DE"].params == pytest.approx(pooled.params)


def test_one_large_market_is_not_fitted_by_itself(different):
    data, pooled, _own = different
    assert group_fits.own_fits(data[data["home_market"].isin(["DE", "AE"])], "home_market", pooled) == {}


def test_customers_without_a_model_of_their_own_cost_parameters_by_their_share(different):
    data, pooled, own = different
    whole = group_fits.better_apart(data[data["home_market"] != "AE"], "home_market", pooled, own)
    assert group_fits.better_apart(data, "home_market", pooled, own) == pytest.approx(whole - 8 * 100 / 4_100)


def test_an_account_that_was_set_aside_sets_no_markets_apart():
    heavy = pd.DataFrame({"x": [800], "t_x": [590.0], "T": [600.0], "weight": [1], "home_market": ["GB"]})
    data = pd.concat([rows(DE=(FAST, 1_000), GB=(FAST, 1_000)), heavy], ignore_index=True)
    pooled = btyd.fit(data)
    assert pooled.set_aside == 1
    assert group_fits.better_apart(data, "home_market", pooled, group_fits.own_fits(data, "home_market", pooled)) < 2


def test_chance_gains_what_its_parameters_cost():
    """Alike markets at random, a third of customers in two of them, the others without: −2 × (2 − 1/3) ⋅ 4 + (2 − 1/3) ⋅ 4."""
    data, gains = rows(DE=(FAST, 400), GB=(FAST, 400), US=(FAST, 1_600)), []
    pooled = btyd.fit(data)
    for seed in range(12):
        names = data["home_market"].sample(frac=1, random_state=seed).to_numpy()
        drawn = data.assign(home_market=np.where(names == "US", None, names))
        gains.append(group_fits.better_apart(drawn, "home_market", pooled,
                                             group_fits.own_fits(drawn, "home_market", pooled)))
    assert np.mean(gains) == pytest.approx(-4 * (2 - 1 / 3), abs=2)  # their standard error is 1.1
