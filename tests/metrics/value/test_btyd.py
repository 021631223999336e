"""btyd.py: published fits, two roads to one likelihood, and data on which a model must say no."""

import gzip
import json
import warnings
from datetime import date
from importlib.resources import files

import ibis
import numpy as np
import pandas as pd
import pytest
import shoppers
from published_values import (
    CDNOW_BG_NBD,
    CDNOW_BG_NBD_ERRORS,
    CDNOW_BG_NBD_LOG_LIKELIHOOD,
    CDNOW_GAMMA_GAMMA,
    CDNOW_GAMMA_GAMMA_LOG_LIKELIHOOD,
    CDNOW_MBG_NBD,
    CDNOW_MBG_NBD_LOG_LIKELIHOOD,
)
from scipy import stats

from helpers.estimates import NotEnoughData
from helpers.metrics.value import btyd, histories

TRUTH = {
    "mbg_nbd": {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 2.5},
    "bg_nbd": {"r": 0.4, "alpha": 30.0, "a": 0.7, "b": 2.0},
}


@pytest.fixture(scope="module")
def cdnow() -> pd.DataFrame:
    """The published sample, in weeks, from the days: lifetimes' own summary is rounded to two decimals."""
    return shoppers.cdnow_sample().assign(t_x=lambda d: d.t_x / 7, T=lambda d: d["T"] / 7)


class TestKnownValues:
    @pytest.mark.parametrize(("model", "published", "log_likelihood"), [
        ("bg_nbd", CDNOW_BG_NBD, CDNOW_BG_NBD_LOG_LIKELIHOOD),
        ("mbg_nbd", CDNOW_MBG_NBD, CDNOW_MBG_NBD_LOG_LIKELIHOOD),
    ])
    def test_cdnow(self, cdnow, model, published, log_likelihood):
        """Fader, Hardie & Lee 2005; BTYDplus for MBG/NBD."""
        fitted = btyd.fit(cdnow, model)
        assert fitted.params == pytest.approx(published, abs=6e-4)
        assert fitted.log_likelihood == pytest.approx(log_likelihood, abs=0.04)
        assert (fitted.customers, fitted.penalty, fitted.set_aside) == (2357, 0, 0)

    def test_cdnow_standard_errors(self, cdnow):
        """lifetimes' Quickstart."""
        assert btyd.fit(cdnow, "bg_nbd").errors == pytest.approx(CDNOW_BG_NBD_ERRORS, rel=1e-3)

    def test_cdnow_gamma_gamma(self):
        """Fader & Hardie, note 025; CLVTools for the log-likelihood."""
        fitted = btyd.fit_spend(shoppers.cdnow_spend())
        assert fitted.params == pytest.approx(CDNOW_GAMMA_GAMMA, rel=2e-3)
        assert fitted.log_likelihood == pytest.approx(CDNOW_GAMMA_GAMMA_LOG_LIKELIHOOD, abs=0.01)

    @pytest.mark.parametrize("model", ["mbg_nbd", "bg_nbd"])
    def test_parameters_are_recovered_within_two_standard_errors(self, model):
        fitted = btyd.fit(shoppers.rows(model, TRUTH[model]), model)
        for name, truth in TRUTH[model].items():
            assert abs(fitted.params[name] - truth) < 2 * fitted.errors[name], name

    def test_spend_is_recovered_within_two_standard_errors(self):
        truth = {"p": 6.0, "q": 4.0, "v": 9_000.0}
        fitted = btyd.fit_spend(shoppers.spend_rows(truth, np.random.default_rng(3).geometric(0.4, 20_000)))
        for name, value in truth.items():
            assert abs(fitted.params[name] - value) < 2 * fitted.errors[name], name


class TestTwoRoads:
    def test_counts_equal_customers(self, cdnow):
        each = cdnow.loc[cdnow.index.repeat(cdnow.weight)].assign(weight=1)
        a, b = btyd.fit(cdnow), btyd.fit(each)
        assert a.params == pytest.approx(b.params)
        assert a.log_likelihood == pytest.approx(b.log_likelihood)

    @pytest.mark.parametrize("model", btyd.NAMES)
    def test_days_make_times_seven_times_longer_and_nothing_else(self, cdnow, model):
        weeks = btyd.fit(cdnow, model)
        days = btyd.fit(cdnow.assign(t_x=cdnow.t_x * 7, T=cdnow["T"] * 7), model)
        assert days.params == pytest.approx(weeks.params | {"alpha": 7 * weeks.params["alpha"]}, rel=2e-4)

    @pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd"])
    def test_the_likelihood_is_the_integral_over_customers(self, model):
        """One customer (x = 2, t_x = 20, T = 30): his own likelihood averaged over quantiles of λ and p."""
        r, alpha, a, b = TRUTH[model].values()
        middles = (np.arange(2_000) + 0.5) / 2_000
        rate = stats.gamma.ppf(middles, r, scale=1 / alpha)[:, None]
        p = stats.beta.ppf(middles, a, b)
        own = rate**2 * (np.exp(-rate * 30) * (1 - p) ** 2 + np.exp(-rate * 20) * p * (1 - p))
        integral = (own * (1 - p if model == "mbg_nbd" else 1)).mean()
        one = pd.DataFrame({"x": [2], "t_x": [20.0], "T": [30.0], "weight": [1]})
        assert btyd.log_likelihood(one, model, TRUTH[model]) == pytest.approx(np.log(integral), abs=1e-3)

    def test_the_order_of_rows_does_not_matter(self, cdnow):
        shuffled = cdnow.sample(frac=1, random_state=3)
        assert btyd.fit(shuffled).params == btyd.fit(cdnow).params

    def test_spend_in_minor_units_scales_v_and_nothing_else(self):
        rows = shoppers.cdnow_spend()
        major, minor = btyd.fit_spend(rows).params, btyd.fit_spend(rows.assign(m=rows.m * 100)).params
        assert minor == pytest.approx(major | {"v": major["v"] * 100}, rel=1e-4)

    def test_draws_scatter_as_the_standard_errors_say(self, cdnow):
        fitted = btyd.fit(cdnow)
        drawn = np.log([each.params["r"] for each in fitted.draws(2_000)])
        assert drawn.std() == pytest.approx(fitted.errors["r"] / fitted.params["r"], rel=0.05)


class TestHeavyAccounts:
    @pytest.mark.parametrize("orders", [700, 5_000])
    @pytest.mark.parametrize("model", ["mbg_nbd", "bg_nbd"])
    def test_one_reseller_is_set_aside_and_the_fit_is_that_without_him(self, model, orders):
        base = shoppers.rows("mbg_nbd", TRUTH["mbg_nbd"], 2_000)
        reseller = pd.DataFrame({"x": [orders], "t_x": [729.0], "T": [730.0], "weight": [1]})
        fitted = btyd.fit(pd.concat([base, reseller]), model)
        assert (fitted.set_aside, fitted.heaviest) == (1, orders)
        assert fitted.params == pytest.approx(btyd.fit(base, model).params)

    def test_rows_to_judge_by_are_a_26th_of_the_longest_history_apart(self):
        rows = pd.DataFrame({"x": [1, 1], "t_x": [1, 2], "T": [259, 260], "weight": [1, 1]})
        assert btyd._coarse(rows)[["x", "t_x", "T", "weight"]].values.tolist() == [[1, 0, 260, 2]]

    def test_heavy_but_likely_customers_stay(self, cdnow):
        assert btyd.fit(cdnow).set_aside == 0


class TestLimits:
    """Data no model fits: a sentence for the reader, never a traceback."""

    def test_nobody_ever_left(self):
        rows = shoppers.rows("mbg_nbd", {"r": 1.0, "alpha": 60.0, "a": 1e-9, "b": 5.0}, 3_000)
        with pytest.raises(NotEnoughData, match="nobody seems to leave"):
            btyd.fit(rows)

    @pytest.mark.parametrize("model", btyd.NAMES)
    def test_nobody_came_back(self, cdnow, model):
        with pytest.raises(NotEnoughData, match="second day"):
            btyd.fit(cdnow.assign(x=0, t_x=0.0), model)

    @pytest.mark.parametrize("customers", [1, 19])
    def test_a_handful_of_customers(self, cdnow, customers):
        with pytest.raises(NotEnoughData, match="too few"):
            btyd.fit(cdnow.tail(customers).assign(weight=1))

    def test_forty_customers_are_fitted_or_refused_in_a_sentence(self):
        try:
            assert btyd.fit(shoppers.rows("mbg_nbd", TRUTH["mbg_nbd"], 40)).customers == 40
        except NotEnoughData as reason:
            assert "does not fit" in str(reason)

    def test_no_rows_at_all(self):
        with pytest.raises(NotEnoughData):
            btyd.fit(pd.DataFrame({"x": [], "t_x": [], "T": [], "weight": []}))

    def test_a_penalty_is_said(self):
        equal = pd.DataFrame({"x": [3], "t_x": [100.0], "T": [200.0], "weight": [1_000]})
        fitted = btyd.fit(equal)
        assert fitted.penalty > 0

    def test_spend_of_nobody_and_of_equals(self):
        with pytest.raises(NotEnoughData):
            btyd.fit_spend(pd.DataFrame({"x": [1], "m": [10.0], "weight": [1]}))
        equal = pd.DataFrame({"x": [1, 2, 3], "m": [10.0] * 3, "weight": [100] * 3})
        assert btyd.fit_spend_or_average(equal).model in {"average", "gamma_gamma"}

    def test_a_mean_that_does_not_exist_is_refused(self):
        """q ≤ 1: the population's mean spend is infinite."""
        rows = shoppers.spend_rows({"p": 3.0, "q": 0.7, "v": 10.0}, np.full(3_000, 2))
        fitted = btyd.fit_spend_or_average(rows)
        assert fitted.model == "average" or (fitted.penalty > 0 and fitted.params["q"] > 1)


class TestBadInput:
    @pytest.mark.parametrize("wrong", [{"t_x": 50.0}, {"x": -1}, {"x": 0}])
    def test_rows_that_are_no_history(self, cdnow, wrong):
        row = pd.DataFrame([{"x": 2, "t_x": 10.0, "T": 30.0, "weight": 1} | wrong])
        with pytest.raises(ValueError, match="no purchase history"):
            btyd.fit(pd.concat([cdnow, row]))

    def test_an_unknown_model(self, cdnow):
        with pytest.raises(ValueError, match="choose one of"):
            btyd.fit(cdnow, "poisson")

    def test_fitting_leaves_the_warning_filters_alone(self, cdnow):
        with warnings.catch_warnings():
            before = list(warnings.filters)
            btyd.fit(cdnow)
            assert list(warnings.filters) == before


def test_master_of_cdnow_converges(shared_data):
    """23,570 customers, no published fit: the sample's behaviour within its errors is the oracle."""
    with gzip.open(shared_data / "data/cdnow/CDNOW_master.txt.gz") as file:
        rows = shoppers.cdnow_rows(pd.read_csv(file, sep=r"\s+", skiprows=1, names=["id", "date", "cds", "dollars"]))
    fitted = btyd.fit(rows, "bg_nbd")
    assert fitted.customers == 23_570
    assert fitted.params["r"] == pytest.approx(CDNOW_BG_NBD["r"], abs=3 * CDNOW_BG_NBD_ERRORS["r"])


@pytest.mark.parametrize("model", ["bg_nbd", "mbg_nbd"])
def test_online_retail_ii(shared_data, model):
    """published.json: two programs' fit to all 5,878 customers, in weeks; its four heaviest accounts stay in."""
    published = json.loads((shared_data / "published.json").read_text())["models"]
    wanted = next(each for each in published if each["id"] == f"online_retail_ii_{model.replace('_', '')}_weeks")
    occasions = ibis.memtable(shoppers.online_retail_occasions(shared_data))
    rows = histories.counts(histories.histories(occasions, date(2011, 12, 9)))
    fitted = btyd.fit(rows.assign(t_x=rows.t_x / 7, T=rows["T"] / 7), model)
    own = wanted["recomputed"]["own"]
    assert fitted.params == pytest.approx({name: own[name] for name in fitted.params}, rel=1e-3)
    assert fitted.log_likelihood == pytest.approx(own["LL"], abs=0.05)
    assert fitted.set_aside == 0
    assert fitted.dropout_seen


def test_online_retail_ii_spend(shared_data):
    """published.json: Gamma–Gamma on purchase days, in pounds, the lines of both sheets."""
    published = json.loads((shared_data / "published.json").read_text())["models"]
    own = next(each for each in published if each["id"] == "online_retail_ii_gg_day_spend")["recomputed"]["own"]
    occasions = ibis.memtable(shoppers.online_retail_occasions(shared_data, overlap=True))
    rows = histories.spend_counts(histories.histories(occasions, date(2011, 12, 9)))
    fitted = btyd.fit_spend(rows.assign(m=rows.m / 100))
    wanted = {"p": own["p"], "q": own["q"], "v": own["gamma"]}
    assert fitted.params == pytest.approx(wanted, rel=1e-3)
    assert fitted.log_likelihood == pytest.approx(own["LL"], abs=0.5)  # days' sums are rounded to pence


def test_the_sample_ships_with_lifetimes():
    assert files("lifetimes").joinpath("datasets/CDNOW_sample.txt").is_file()
