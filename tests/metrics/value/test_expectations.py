"""expectations.py: the published spreadsheets, quadrature against textbook closed forms, and awkward parameters."""

import math

import numpy as np
import pytest
import shoppers
from published_values import (
    BG_NBD_ARRIVALS,
    BG_NBD_EXPECTED_39,
    CDNOW_BG_NBD_SPREADSHEET,
    CDNOW_GAMMA_GAMMA,
    CDNOW_SPEND_FIRST_10,
    CUSTOMER_1516,
    CUSTOMER_1516_BG_NBD,
    PARADOX_BG_NBD,
)
from scipy import special

from helpers.metrics.value import btyd, expectations
from helpers.metrics.value.fits import Fit


def fit_of(model: str, *params: float) -> Fit:
    names = ("p", "q", "v") if model == "gamma_gamma" else btyd.PARAMETERS
    return Fit(model, dict(zip(names, params, strict=True)), np.eye(len(params)), 0.0, 1, 1)


BG = fit_of("bg_nbd", *CDNOW_BG_NBD_SPREADSHEET.values())


class TestKnownValues:
    @pytest.mark.parametrize(("weeks", "arrivals"), BG_NBD_ARRIVALS.items())
    def test_expected_occasions_of_a_new_customer(self, weeks, arrivals):
        """Fader, Hardie & Lee 2005, spreadsheet: E[X(t)]."""
        assert expectations.occasions(BG, [0], [0], [0], weeks)[0] == pytest.approx(arrivals, rel=3e-4, abs=1e-4)

    def test_expected_occasions_of_a_known_customer(self):
        x, t_x, age, expected = BG_NBD_EXPECTED_39
        assert expectations.occasions(BG, [x], [t_x], [age], 39)[0] == pytest.approx(expected, abs=5e-4)

    def test_customer_1516(self):
        """BTYD (CRAN) walkthrough."""
        x, t_x, age = ([value] for value in CUSTOMER_1516)
        assert expectations.occasions(BG, x, t_x, age, 52)[0] == pytest.approx(CUSTOMER_1516_BG_NBD["occasions_52"], rel=2e-3)
        assert expectations.p_alive(BG, x, t_x, age)[0] == pytest.approx(CUSTOMER_1516_BG_NBD["p_alive"], rel=1e-4)

    @pytest.mark.parametrize(("x", "expected"), PARADOX_BG_NBD.items())
    def test_silence_of_a_frequent_buyer_weighs_more(self, x, expected):
        assert expectations.occasions(BG, [x], [20], [39], 52)[0] == pytest.approx(expected, rel=2e-3)

    def test_conditional_spend(self):
        """Fader & Hardie, note 025: the first ten customers."""
        rows = shoppers.cdnow_lines().query("date <= 19970930").groupby(["id", "date"])["dollars"].sum().reset_index()
        rows["m"] = rows["dollars"].where(rows.groupby("id").cumcount() > 0)
        each = rows.groupby("id")["m"].agg(["count", "sum"]).head(10)
        slope, start = expectations.spend_line(fit_of("gamma_gamma", *CDNOW_GAMMA_GAMMA.values()), each["count"])
        assert (slope * each["sum"] + start).to_numpy() == pytest.approx(CDNOW_SPEND_FIRST_10, abs=0.1)


def closed_form(fitted: Fit, x: float, age: float, horizon: float) -> float:
    """The textbook expectation of a living customer (Fader, Hardie & Lee 2005, eq. 10)."""
    r, alpha, c, d = fitted.params.values()
    b = d + x + (1 if fitted.model == "mbg_nbd" else 0)
    z = horizon / (alpha + age + horizon)
    gone = special.hyp2f1(r + x, b, c + b - 1, z) * ((alpha + age) / (alpha + age + horizon)) ** (r + x)
    return (c + b - 1) / (c - 1) * (1 - gone)


class TestTwoRoads:
    @pytest.mark.parametrize("model", btyd.NAMES)
    @pytest.mark.parametrize("x", [0, 1, 7, 60])
    @pytest.mark.parametrize("horizon", [1.0, 52.0, 2_000.0])
    def test_quadrature_equals_the_closed_form(self, model, x, horizon):
        for params in [(0.25, 4.4, 0.8, 2.4), (2.0, 60.0, 0.3, 5.0), (0.6, 0.5, 3.0, 12.0)]:
            fitted = fit_of(model, *params)
            found = expectations.living_occasions(fitted, [x], [39.0], horizon)[0]
            assert found == pytest.approx(closed_form(fitted, x, 39.0, horizon), rel=1e-9)

    def test_it_crosses_a_equals_1_where_the_closed_form_has_a_pole(self):
        near, at = (expectations.living_occasions(fit_of("mbg_nbd", 0.5, 6.0, a, 1.6), [2], [39], 52)[0]
                    for a in (1 + 1e-7, 1.0))
        assert near == pytest.approx(at, rel=1e-6)

    def test_a_discounted_sum_lies_between_its_steps(self):
        """Weekly rates discounted at the start and at the end of each week bracket the integral."""
        fitted, rate = BG, 0.01
        weekly = np.diff([0.0, *(expectations.living_occasions(fitted, [2], [39], w)[0] for w in range(1, 53))])
        found = expectations.living_occasions(fitted, [2], [39], 52, rate)[0]
        factors = np.exp(-rate * np.arange(53))
        assert (weekly * factors[1:]).sum() < found < (weekly * factors[:-1]).sum()

    @pytest.mark.parametrize("model", btyd.NAMES)
    def test_discounted_for_ever_is_the_sum_of_all_weeks(self, model):
        """DERT: the closed form week by week, each discounted to its middle, for 20,000 weeks."""
        fitted, rate = fit_of(model, 0.25, 4.4, 0.8, 2.4), math.log(1.15) / 52.18
        ends = np.arange(20_000.0)
        weekly = np.diff([closed_form(fitted, 3, 39, end) for end in ends])
        summed = weekly @ np.exp(-rate * (ends[1:] - 0.5))
        assert expectations.living_occasions(fitted, [3], [39], math.inf, rate)[0] == pytest.approx(summed, rel=1e-5)

    @pytest.mark.parametrize("model", btyd.NAMES)
    @pytest.mark.parametrize("seed", range(20))
    def test_as_few_nodes_as_serve_give_what_all_give(self, model, seed):
        rng = np.random.default_rng(seed)
        fitted = fit_of(model, *np.exp(rng.uniform(np.log(0.02), np.log(50), 4)))
        x, age = np.r_[0, rng.geometric(0.2, 100), 300].astype(float), np.r_[rng.integers(0, 900, 101), 0].astype(float)
        few, all_of_them = (expectations.living_occasions(fitted, x, age, 365.25, (0.0, 3e-4), nodes)
                            for nodes in (None, expectations.NODES))
        assert few == pytest.approx(all_of_them, rel=1e-9)

    @pytest.mark.parametrize("model", ["mbg_nbd", "bg_nbd"])
    @pytest.mark.parametrize(("a", "b", "off"), [(0.6, 2.8, 1e-9), (200.0, 20.0, 1e-9), (200.0, 9_000.0, 1e-9), (200.0, 1e5, 2e-6)])
    def test_chances_of_dropping_out_may_lie_close_together(self, model, a, b, off):
        """The mean over p ~ Beta(a, b) by the trapezoid rule on its log-odds, where scipy's 2F1 overflows too (a in the hundreds)."""
        r, alpha, age, horizon = 0.31, 2.0, 1.0, 365.25
        odds, (at, weights) = np.linspace(-60, 20, 80_001), np.polynomial.legendre.leggauss(80)
        k = np.expm1((at + 1) / 2 * np.log1p(horizon / (alpha + age)))
        for x in (0, 7, 100):
            flips = b + x + (model == "mbg_nbd")
            chance = np.exp(a * special.log_expit(odds) + flips * special.log_expit(-odds) - special.betaln(a, flips)) * (odds[1] - odds[0])
            alive = np.exp(-(r + x + 1) * np.log1p(np.outer(k, special.expit(odds)))) @ chance
            expected = (r + x) * (alive * (1 + k)) @ weights / 2 * np.log1p(horizon / (alpha + age))
            found = expectations.living_occasions(fit_of(model, r, alpha, a, b), [x], [age], horizon)[0]
            assert found == pytest.approx(expected, rel=off)

    def test_days_and_weeks_give_one_answer(self):
        weeks, days = fit_of("mbg_nbd", 0.5, 6.0, 0.9, 1.6), fit_of("mbg_nbd", 0.5, 42.0, 0.9, 1.6)
        assert expectations.occasions(days, [3], [70], [273], 365) == pytest.approx(
            expectations.occasions(weeks, [3], [10], [39], 365 / 7))

    @pytest.mark.parametrize("model", btyd.NAMES)
    def test_simulated_customers_buy_what_is_expected(self, model):
        fitted = fit_of(model, 0.6, 40.0, 0.8, 2.5)
        ages = np.full(20_000, 730.0)
        bought = shoppers.purchase_days(model, fitted.params, ages)
        known = [each[each <= 365] for each in bought]
        x, t_x = np.array([len(k) for k in known]), np.array([k[-1] if len(k) else 0.0 for k in known])
        later = np.array([len(each) for each in bought]) - x
        assert expectations.occasions(fitted, x, t_x, np.full(20_000, 365.0), 365).sum() == pytest.approx(
            later.sum(), rel=0.03)


class TestEdges:
    @pytest.mark.parametrize("a", [1e-4, 0.01, 1.0, 30.0, 900.0])
    @pytest.mark.parametrize("x", [0, 5, 700])
    def test_extreme_parameters_stay_finite_and_in_order(self, a, x):
        fitted = fit_of("mbg_nbd", 0.6, 3.0, a, 900.0)
        short, long = (expectations.living_occasions(fitted, [x], [800], h)[0] for h in (30, 3_000))
        assert 0 < short <= long < math.inf

    def test_probabilities_stay_probabilities(self):
        for model in btyd.NAMES:
            fitted = fit_of(model, 0.6, 3.0, 0.5, 2.0)
            alive = expectations.p_alive(fitted, [0, 0, 5_000, 900], [0, 0, 1, 730], [0, 4_000, 5_000, 730])
            assert ((alive >= 0) & (alive <= 1)).all()

    def test_bg_nbd_thinks_every_one_time_buyer_alive_and_mbg_nbd_does_not(self):
        """The reason why MBG/NBD is the default."""
        assert expectations.p_alive(BG, [0], [0], [5_000])[0] == 1
        assert expectations.p_alive(fit_of("mbg_nbd", 0.5, 6.0, 0.9, 1.6), [0], [0], [5_000])[0] < 0.1

    def test_no_time_no_occasions(self):
        assert expectations.living_occasions(BG, [3], [39], 0)[0] == 0

    def test_an_endless_horizon_needs_a_discount(self):
        with pytest.raises(ValueError, match="discount rate"):
            expectations.living_occasions(BG, [3], [39], math.inf)

    def test_a_fit_of_another_kind_is_no_purchase_model_of_these(self):
        pareto = Fit("pareto_nbd", {"r": 0.6, "alpha": 10.6, "s": 0.6, "beta": 11.7}, np.eye(4), 0.0, 1, 1)
        with pytest.raises(KeyError):
            expectations.occasions(pareto, [3], [10], [39], 52)
