"""One expression, two engines: every metric that reads a table gives on PySpark what it gives on DuckDB.

Counts, days and words to the last digit, floats to 1e-9, on the same Parquet of a small demo client.
"""

import ast
import math
import os
from datetime import date
from functools import cached_property
from pathlib import Path

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pytest
import spark_servers
from ibis import _

from helpers import client as clients
from helpers.demo import write_demo
from helpers.intake import build
from helpers.metrics import completeness, market_measures, market_mix, occasions, quality
from helpers.metrics.acquisition import budget, cac, payback, referrals
from helpers.metrics.campaigns import effect, matching, playbook
from helpers.metrics.churn import churn, revenue_retention, subscriptions, survival
from helpers.metrics.costs import allocation, books, cost_history, cost_ratios, costs, reallocation
from helpers.metrics.groups import markets, standardise
from helpers.metrics.retention import buyers, cohort_comparison, cohorts
from helpers.metrics.risk import risk, segments, signals
from helpers.metrics.value import backtest, btyd, clv, clv_learned, clv_model, histories, renewals, tiers, tracking
from helpers.metrics.voice import promoters, voice
from helpers.periods import Period
from helpers.settings import load_settings

ROOT = Path(__file__).resolve().parents[1]
AS_OF, EARLIER = date(2026, 10, 31), date(2026, 4, 30)
W = 150
BY = ["home_market"]
MONTH, QUARTER, YEAR = Period.month("2026-10"), Period.trailing(AS_OF, 3), Period.trailing(AS_OF, 12)


@pytest.fixture(scope="module")
def shops(tmp_path_factory):
    """The same built demo client opened on both engines; one Spark session for all.

    Spark is local[2], or what an [engine] section in $PARITY_ENGINE says.
    """
    spark_servers.needed()
    home = tmp_path_factory.mktemp("parity")
    folder = home / "data" / "demo"
    folder.mkdir(parents=True)
    settings = (ROOT / "data" / "demo" / "client.toml").read_text(encoding="utf-8")
    (folder / "client.toml").write_text(f"{settings}\n{os.environ.get('PARITY_ENGINE', '')}", encoding="utf-8")
    write_demo(folder / "raw", customers=1_500)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBOOK_HOME", str(home))
        patch.setenv("WORKBOOK_KEYS", str(home / "keys"))
        patch.delenv("WORKBOOK_JOBS", raising=False)
        build.build(load_settings("demo"))
        opened = {}
        for kind in ("duckdb", "spark"):
            os.environ["WORKBOOK_ENGINE"] = kind
            opened[kind] = Shop(clients.open_client("demo", AS_OF))
        os.environ.pop("WORKBOOK_ENGINE")
        yield opened


class Shop:
    """A client's tables, and what several cases start from, under short names."""

    def __init__(self, client):
        self.client, self.all = client, client.occasions
        self.orders, self.refunds, self.customers = client.orders, client.table("refunds"), client.table("customers")
        self.surveys, self.sent = client.table("surveys"), client.table("surveys_sent")
        self.campaigns, self.spend = client.table("campaigns"), client.table("acquisition_spend")
        tickets, ledger = client.table("tickets"), client.table("retention_costs")
        self.books = books.Books(ledger, self.orders, self.all, W, "EUR", tickets)
        self.tables = signals.Tables(self.all, self.orders, self.refunds, tickets, client.table("engagement"))
        self.early = self.all.filter(_.date <= EARLIER)
        self.fits = (
            btyd.Fit("mbg_nbd", {"r": 0.6, "alpha": 40.0, "a": 0.8, "b": 1.6}, np.eye(4), 0, 1500, 1500),
            btyd.Fit("gamma_gamma", {"p": 5.0, "q": 4.0, "v": 4000.0}, np.eye(3), 0, 900, 900),
        )
        self.model = risk.Model("alive", ("const", "alive_log_odds"), np.array([-0.5, 0.8]), np.eye(2) * 0.01, 1500)

    @cached_property
    def stratified(self):
        return markets.with_strata(self.all, AS_OF).cache()

    @cached_property
    def valued(self):
        return clv_model.customers(histories.histories(self.all, AS_OF), *self.fits).cache()

    @cached_property
    def snapshot(self):
        tables = self.tables._replace(occasions=self.early)
        return risk.snapshot(tables, EARLIER, W, self.all, self.fits[0]).cache()

    @cached_property
    def assigned(self):
        scored = risk.with_probability(self.snapshot, self.model)
        return segments.assign(segments.with_kept_margin(scored, self.valued), W).cache()

    @cached_property
    def counted_by_amazon(self):
        unnamed = self.orders.filter(_.identity_scope == "none").mutate(period_start=_.order_date.truncate("M"))
        return unnamed.group_by(marketplace=_.sales_channel, product_id=_.currency, period_start=_.period_start).agg(
            period_end=_.order_date.max(), orders=_.count(), unique_customers=_.order_id.nunique(),
            repeat_customers_share=(_.net_rc > 5_000).mean())

    @cached_property
    def held(self):
        return backtest.holdout(self.all, AS_OF, 180)

    @cached_property
    def tiered(self):
        return tiers.tiers(self.valued, AS_OF, W).cache()


CASES = {
    "allocation.allocated": lambda s: allocation.allocated(s.books, QUARTER, by_month=True),
    "books.existing": lambda s: books.existing(s.all, MONTH, W),
    "books.active_existing": lambda s: s.books.active_existing(books.whole_months(YEAR)),
    "buyers.past_repeat_purchase_rates": lambda s: buyers.past_repeat_purchase_rates(s.all, [EARLIER, AS_OF]),
    "buyers.repeat_purchase_change": lambda s: buyers.repeat_purchase_change(s.all, AS_OF, EARLIER),
    "buyers.first_seen_known_before": lambda s: buyers.first_seen_known_before(s.all, s.customers, s.client.first_day, AS_OF),
    "buyers.repeat_purchase_rate": lambda s: buyers.repeat_purchase_rate(s.all, AS_OF, by=BY),
    "buyers.returning_customer_rate": lambda s: buyers.returning_customer_rate(s.all, AS_OF),
    "buyers.names_no_buyer": lambda s: pd.Series([buyers.names_no_buyer(s.orders)]),
    "buyers.marketplace_repeat_share": lambda s: buyers.marketplace_repeat_share(s.counted_by_amazon),
    "churn.active": lambda s: churn.active(s.all, AS_OF, W),
    "churn.flows": lambda s: churn.flows(s.all, AS_OF, W, s.client.first_day, by=BY),
    "churn.churn_by_window": lambda s: churn.churn_by_window(s.all, AS_OF, W, s.client.first_day),
    "churn.runs": lambda s: churn.runs(s.all, AS_OF, W, periods=12),
    "clv.formula_inputs": lambda s: clv.formula_inputs(s.all, YEAR, W),
    "clv.cohort_average": lambda s: clv.cohort_average(s.all, AS_OF),
    "clv_model.customers": lambda s: s.valued,
    "clv_model.per_customer": lambda s: clv_model.per_customer(s.valued, by=("home_market",)),
    "cohort_comparison.repurchase_by": lambda s: cohort_comparison.repurchase_by(s.all, AS_OF, "home_market"),
    "cohorts.retention_table": lambda s: cohorts.retention_table(s.all, AS_OF, by=BY),
    "cohorts.retention_counts": lambda s: cohorts.retention_counts(s.all, AS_OF),
    "cohorts.cumulative_repurchase": lambda s: cohorts.cumulative_repurchase(s.all, AS_OF),
    "cohorts.unbounded_retention": lambda s: cohorts.unbounded_retention(s.all, AS_OF),
    "cohorts.rolling_retention_table": lambda s: cohorts.rolling_retention_table(s.all, AS_OF),
    "cost_history.monthly": lambda s: cost_history.monthly(s.books, AS_OF, months=6),
    "costs.customers": lambda s: costs.customers(s.books, QUARTER),
    "costs.by_channel": lambda s: costs.by_channel(
        s.books, allocation.allocated(s.books, QUARTER), costs.customers(s.books, QUARTER), QUARTER),
    "costs.reached": lambda s: costs.reached(s.books, QUARTER),
    "books.lines": lambda s: s.books.lines(QUARTER),
    "effect.arm_sums": lambda s: effect.arm_sums(s.campaigns, s.all, AS_OF, by=BY),
    "matching.matched_change": lambda s: matching.matched_change(
        s.campaigns, s.all, AS_OF, "spring-2026", "EUR"),
    "histories.histories": lambda s: histories.histories(s.all, AS_OF),
    "histories.counts": lambda s: histories.counts(histories.histories(s.all, AS_OF), by=("home_market",)),
    "histories.spend_counts": lambda s: histories.spend_counts(histories.histories(s.all, AS_OF)),
    "markets.sizes": lambda s: markets.sizes(s.all),
    "markets.together": lambda s: markets.sizes(markets.together(s.all, {"AE": "other"}, "home_market")),
    "markets.with_strata": lambda s: markets.with_strata(s.all, AS_OF, {"AE": "other"}),
    "market_measures.retention": lambda s: market_measures.retention(s.stratified, AS_OF),
    "market_measures.repurchase": lambda s: market_measures.repurchase(s.stratified, AS_OF),
    "market_measures.churned": lambda s: market_measures.churned(s.stratified, AS_OF, W, s.client.first_day),
    "market_measures.spending": lambda s: market_measures.spending(s.stratified, AS_OF, 100),
    "market_measures.after_sales": lambda s: market_measures.after_sales(s.orders, s.refunds, s.stratified, AS_OF, 100),
    "market_measures.valued": lambda s: market_measures.valued(s.valued, s.stratified, "clv_total", 100),
    "market_mix.payment_mix": lambda s: market_mix.payment_mix(s.orders, AS_OF),
    "books.ledger": lambda s: s.books.ledger,
    "books.sold": lambda s: s.books.sold,
    "books.discounts": lambda s: s.books.discounts,
    "books.opened": lambda s: s.books.opened,
    "market_mix.constant_currency": lambda s: market_mix.constant_currency(s.orders, AS_OF),
    "markets.bootstrapped": lambda s: markets.bootstrapped(
        s.valued.select("customer_id", market=_.home_market, x=_.clv_total, y=_.x + 1)),
    "occasions.occasions": lambda s: s.all,
    "occasions.numbered": lambda s: occasions.numbered(s.all.select("customer_id", "date")),
    "occasions.sampled": lambda s: occasions.sampled(s.all, 500),
    "playbook.consenting": lambda s: playbook.consenting(s.customers),
    "promoters.counts_to_return": lambda s: promoters.counts_to_return(s.surveys, s.all, AS_OF),
    "promoters.drivers": lambda s: promoters.drivers(
        ibis.union(nps := s.surveys.filter(_.kind == "nps"), nps.mutate(kind=ibis.literal("delivery")))),
    "reallocation.panel": lambda s: reallocation.panel(s.books, AS_OF, months=3),
    "revenue_retention.value_per_active_customer": lambda s: revenue_retention.value_per_active_customer(
        s.all, AS_OF, W, "EUR", s.client.first_day),
    "revenue_retention.revenue_retention": lambda s: revenue_retention.revenue_retention(s.all, AS_OF, s.client.first_day),
    "risk.snapshot": lambda s: s.snapshot,
    "risk.sample": lambda s: risk.sample(s.snapshot, most=300),
    "risk.with_probability": lambda s: risk.with_probability(s.snapshot, s.model),
    "signals.signals": lambda s: signals.signals(s.tables, AS_OF, W),
    "standardise.moments": lambda s: standardise.moments(s.stratified.select("home_market", x=_.n, y=_.n), BY),
    "renewals.subscription_lives": lambda s: renewals.subscription_lives(s.client.table("subscriptions"), AS_OF),
    "subscriptions.revenue_churn": lambda s: subscriptions.revenue_churn(
        s.client.table("subscriptions"), s.client.table("fx"), AS_OF, "EUR"),
    "survival.gaps": lambda s: survival.gaps(s.all, AS_OF),
    "survival.lapsed": lambda s: survival.lapsed(s.all, AS_OF),
    "voice.answers": lambda s: voice.answers(s.surveys, "nps", by=["market"]),
    "voice.csat": lambda s: voice.csat(s.surveys, YEAR, by=["market"]),
    "voice.nps": lambda s: voice.nps(s.surveys, YEAR, by=["market"]),
    "voice.ces": lambda s: voice.ces(s.surveys, YEAR),
    "voice.trailing": lambda s: voice.trailing(s.surveys, [EARLIER, AS_OF]),
    "voice.with_groups": lambda s: voice.with_groups(s.surveys, s.all),
    "voice.response_rate": lambda s: voice.response_rate(s.surveys, s.sent, YEAR, s.all),
    "backtest.holdout": lambda s: s.held.customers,
    "backtest.predictions": lambda s: backtest.predictions(s.all, s.held, ("mbg_nbd",)),
    "books.together": lambda s: books.existing(books.together(s.books, {"DE": "DE", "AE": "other"}).occasions, MONTH, W),
    "books.active_buckets": lambda s: s.books.active_buckets(books.whole_months(QUARTER), "DE"),
    "books.unbooked": lambda s: s.books.unbooked(Period(YEAR.start, date(YEAR.end.year + 1, YEAR.end.month, 1))),
    "budget.monthly": lambda s: budget.monthly(s.all, s.spend, AS_OF),
    "cac.won": lambda s: cac.won(s.all, YEAR),
    "cac.fold": lambda s: cac.fold(s.all, {"email": "other"}, "first_acquisition_channel").first_acquisition_channel.value_counts(),
    "cac.cac": lambda s: cac.cac(s.all, s.spend, YEAR, by=["market", "acquisition_channel"]),
    "cost_ratios.ltv_by_market": lambda s: cost_ratios.ltv_by_market(
        allocation.allocated(s.books, QUARTER), costs.customers(s.books, QUARTER), s.valued, books.existing(s.all, QUARTER, W), "EUR"),
    "costs.headline": lambda s: costs.headline(s.books, QUARTER),
    "effect.by_action": lambda s: effect.by_action(s.campaigns, s.all, AS_OF, "EUR"),
    "matching.without_holdout": lambda s: matching.without_holdout(s.campaigns),
    "payback.ltv_curve": lambda s: payback.ltv_curve(s.all, AS_OF, by=BY),
    "playbook.choose": lambda s: playbook.choose(s.assigned, playbook.actions(), s.customers, "EUR", budget=500),
    "referrals.referral_value": lambda s: referrals.referral_value(s.valued, s.orders),
    "segments.assign": lambda s: s.assigned,
    "segments.with_kept_margin": lambda s: segments.with_kept_margin(s.snapshot, s.valued),
    "segments.summary": lambda s: segments.summary(s.assigned, s.model, "EUR"),
    "segments.rfm": lambda s: segments.rfm(s.all, AS_OF, W, "EUR"),
    "tiers.tiers": lambda s: s.tiered,
    "tiers.tier_table": lambda s: tiers.tier_table(s.tiered),
    "tiers.concentration": lambda s: tiers.concentration(s.all),
    "tiers.movers": lambda s: tiers.movers(
        s.tiered.filter(_.customer_id < "c"), s.tiered.filter(_.customer_id > "4"), s.all, EARLIER),
    "tracking._monthly_curve": lambda s: tracking._monthly_curve(s.all, s.held, s.fits[0]),
    "tracking.published_check": lambda s: tracking.published_check(FORECASTS, s.all, AS_OF),
    "voice.open_answers": lambda s: voice.open_answers(s.surveys, YEAR),
    "clv_learned.features": lambda s: clv_learned.features(s.all, EARLIER),
    "clv_model.expected_per_active": lambda s: clv_model.expected_per_active(s.valued, AS_OF, W),
    "cost_ratios.ltv_by_tier": lambda s: cost_ratios.ltv_by_tier(
        s.tiered, s.valued, books.existing(s.all, QUARTER, W), WHOLE, "EUR"),
    "costs.top_discounts": lambda s: costs.top_discounts(s.books, QUARTER, top=0.1),
    "completeness.gaps": lambda s: completeness.gaps(s.orders, s.refunds, s.client.files),
    "completeness.alike": lambda s: completeness.alike(s.all.filter(_.home_market == "DE").mutate(first_discounted=True)),
    "quality.identity_coverage": lambda s: quality.identity_coverage(s.orders, "market"),
    "quality.silent_days": lambda s: quality.silent_days(s.orders, AS_OF),
    "quality.stale": lambda s: quality.stale({"surveys": s.surveys}, date(2027, 1, 31)),
    "quality.likely_doubles": lambda s: quality.likely_doubles(s.orders),
    "quality.going_on": lambda s: quality.going_on(s.orders, EARLIER),
    "quality.holes": lambda s: quality.holes(s.orders.filter(~s.orders.order_date.between(date(2026, 3, 1), date(2026, 4, 20)))),
    "quality.currencies": lambda s: quality.currencies(s.orders, s.client.table("fx")),
    "quality.bridge": lambda s: quality.bridge(s.orders, s.refunds, "2026-10", "EUR"),
    "tracking._season_index": lambda s: tracking._season_index(s.all, AS_OF, s.fits[0]),
    "tracking.with_season": lambda s: tracking.with_season(s.all, s.held, s.fits[0]),
}
WHOLE = pd.Series({"annual_cost": 30.0, "annual_cost_low": 28.0, "annual_cost_high": 32.0, "discounts": 10.0})
FORECASTS = pd.DataFrame({"made": ["2025-10-31"], "months": [12], "value": [900.0], "low": [800.0], "high": [950.0]})
ASKED_BY_OTHERS = {  # read no table themselves, or only through a function above
    "cost_history.with_intervals", "signals.collect", "voice.needed",
    "clv_learned.learn", "clv_learned.challengers", "clv_learned.scored",
}


@pytest.mark.parametrize("name", CASES)
def test_spark_gives_what_duckdb_gives(shops, name):
    on_duckdb, on_spark = (CASES[name](shops[kind]) for kind in ("duckdb", "spark"))
    assert_same(on_duckdb, on_spark, name)


def test_every_metric_that_reads_a_table_is_compared():
    reading = set()
    for path in (ROOT / "helpers" / "metrics").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                kinds = {ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation}
                if any(kind.removesuffix(" | None") in ("ir.Table", "Books", "Tables") for kind in kinds):
                    reading.add(f"{path.stem}.{node.name}")
    assert reading - set(CASES) - ASKED_BY_OTHERS == set()


def plain(found):
    """A result as pandas, rows of a lazy table in the order of their keys."""
    if isinstance(found, ir.Table):
        frame = found.to_pandas()
        keys = [c for c in frame.columns if not pd.api.types.is_float_dtype(frame[c])]
        return frame.sort_values(keys, ignore_index=True)
    return found


def assert_same(a, b, where):
    a, b = plain(a), plain(b)
    if isinstance(a, np.ndarray):
        a, b = pd.Series(a), pd.Series(b)
    if isinstance(a, pd.DataFrame):
        assert len(a), f"{where} is empty and compares nothing"
        assert list(a.columns) == list(b.columns), where
        assert len(a) == len(b), where
        for column in a.columns:
            assert_same(a[column], b[column], f"{where}[{column}]")
    elif isinstance(a, pd.Series):
        if pd.api.types.is_float_dtype(a) or pd.api.types.is_float_dtype(b):
            pd.testing.assert_series_equal(
                a.astype("float64"), b.astype("float64"), rtol=1e-9, atol=1e-9, check_index=False, obj=where)
        else:
            pd.testing.assert_series_equal(a, b, check_dtype=False, check_index=False, obj=where)
    elif isinstance(a, dict):
        assert a.keys() == b.keys(), where
        for key in a:
            assert_same(a[key], b[key], f"{where}.{key}")
    elif isinstance(a, tuple):
        for k, (x, y) in enumerate(zip(a, b, strict=True)):
            assert_same(x, y, f"{where}.{k}")
    elif isinstance(a, float | np.floating):
        assert math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) or (math.isnan(a) and math.isnan(b)), where
    else:
        assert a == b, where
