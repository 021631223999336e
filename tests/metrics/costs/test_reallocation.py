"""The best split of a budget between markets and channels."""

from datetime import date

import numpy as np
import pandas as pd
import pytest
from pencil import TIMELINE, orders_of
from scipy.optimize import minimize

from helpers.estimates import NotEnoughData
from helpers.metrics.costs import reallocation
from helpers.metrics.costs.books import Books
from helpers.periods import month_end

# the source article's case: Europe comes back by social, the United States by e-mail
TRUE = {
    ("DE", "social"): (9.0, 0.6),
    ("DE", "email"): (5.0, 0.35),
    ("US", "social"): (4.0, 0.35),
    ("US", "email"): (9.0, 0.6),
}


def history(months=36, noise=0.02, seed=3):
    """Spend moved by hand from month to month, about evenly between channels; customers answer by the true curves."""
    draw, rows = np.random.default_rng(seed), []
    for month in pd.period_range("2023-11", periods=months, freq="M"):
        active = 20_000 * draw.uniform(0.8, 1.2)
        for (market, channel), (scale, elasticity) in TRUE.items():
            spend = 2_000 * draw.uniform(0.4, 1.6)
            share = scale * (spend / active) ** elasticity * np.exp(draw.normal(0, noise)) / 30
            rows.append((str(month), market, channel, spend, round(active), round(share * active)))
    return pd.DataFrame(rows, columns=["month", "market", "channel", "spend", "active_existing", "reached"])


# known values


def test_europe_by_social_and_the_us_by_email():
    """The curves are found from the history, and the split is the one the true curves have as their best."""
    cells = reallocation.responses(history())
    assert cells["basis"].eq("fitted").all()
    truth = cells[["market", "channel"]].apply(lambda row: TRUE[tuple(row)][1], axis=1)
    assert (cells["elasticity"] - truth).abs().max() < 0.06
    plan = reallocation.best_split(cells).set_index(["market", "channel"])
    assert plan.loc[("DE", "social"), "change"] > 0 > plan.loc[("DE", "email"), "change"]
    assert plan.loc[("US", "email"), "change"] > 0 > plan.loc[("US", "social"), "change"]
    # today's spend with the true elasticities, calibrated to the same customers
    known = cells.assign(elasticity=truth, scale=cells["reached"] / cells["spend"] ** truth)
    best = reallocation.best_split(known)
    brings = (known["scale"] * plan["recommended"].to_numpy() ** truth).sum()
    assert brings == pytest.approx(best["expected"].sum(), rel=0.003)  # a flat top: other splits bring as many
    assert plan["recommended"].to_numpy() == pytest.approx(best["recommended"].to_numpy(), rel=0.10)
    saved = reallocation.worth(reallocation.best_split(cells))[1]
    assert saved.low > 0 and saved.low < reallocation.worth(best)[1].value < saved.high


def test_two_equal_curves_share_by_their_squared_scales():
    """By hand: with elasticity ½ the best split is proportional to scale²."""
    cells = pd.DataFrame(
        {"market": ["DE", "US"], "channel": "email", "spend": [150.0, 50.0], "scale": [2.0, 1.0], "elasticity": 0.5}
    )
    assert reallocation.best_split(cells)["recommended"].tolist() == pytest.approx([160.0, 40.0])


def test_a_split_of_noisy_curves_promises_no_more_than_it_keeps():
    """On average over simulated histories: chosen by fitted curves, it is judged by the true ones."""
    promised, kept = [], []
    for seed in range(15):
        plan = reallocation.best_split(reallocation.responses(history(months=24, noise=0.25, seed=seed)))
        truth = np.array([TRUE[cell][1] for cell in zip(plan["market"], plan["channel"], strict=True)])
        promised.append(reallocation._saved(plan, plan["elasticity"].to_numpy()))
        kept.append(reallocation._saved(plan, truth))
    assert 0 < np.mean(promised) <= np.mean(kept)


# two roads to one number


def test_the_split_is_the_one_a_general_optimiser_finds():
    cells = reallocation.responses(history(seed=4))
    now, scale, b = (cells[name].to_numpy() for name in ("spend", "scale", "elasticity"))
    found = minimize(
        lambda x: -(scale * x**b).sum(),
        now,
        bounds=list(zip(0.5 * now, 2 * now, strict=True)),
        constraints={"type": "eq", "fun": lambda x: x.sum() - now.sum()},
        options={"ftol": 1e-12, "maxiter": 500},
    )
    assert reallocation.best_split(cells)["recommended"].to_numpy() == pytest.approx(found.x, rel=2e-3)


def test_the_saving_buys_the_same_customers():
    plan = reallocation.best_split(reallocation.responses(history()))
    saved = reallocation.worth(plan)[1].value
    size = 1 - saved / plan["spend"].sum()
    again = (plan["scale"] * (size * plan["recommended"]) ** plan["elasticity"]).sum()
    assert again == pytest.approx(plan["reached"].sum())
    assert plan["recommended"].sum() == pytest.approx(plan["spend"].sum())


# bad input and edges


@pytest.mark.parametrize("change", ["short", "constant", "unrelated"])
def test_where_history_cannot_tell_the_assumption_is_declared(change):
    months = history(6 if change == "short" else 24)
    if change == "constant":
        months["spend"] = 2000.0
    if change == "unrelated":
        months["reached"] = np.random.default_rng(1).integers(300, 600, len(months))
    cells = reallocation.responses(months)
    assert cells["basis"].eq("assumed").sum() >= 3
    assert cells.loc[cells["basis"] == "assumed", "elasticity"].eq(reallocation.ASSUMED_ELASTICITY).all()
    saved = reallocation.worth(reallocation.best_split(cells))[1]
    assert saved.low <= saved.value <= saved.high


def test_a_single_channel_is_refused():
    cells = reallocation.responses(history())
    with pytest.raises(NotEnoughData, match="only one channel"):
        reallocation.best_split(cells.head(1))


def test_the_panel_by_pencil(table, occasions_of):
    """Anna (DE) comes back by e-mail every month; in GB carla does so in May alone."""
    lines = [
        dict(
            category="marketing",
            component="email",
            currency="EUR",
            existing_share=1.0,
            market=market,
            channel="email",
            amount_rc=rc,
            amount_minor=rc,
            month=month_end(f"2026-0{m}"),
        )
        for m in (5, 6)
        for market, rc in (("DE", 200), ("GB", 100))
    ]
    books = Books(
        table("retention_costs", lines),
        table("orders", orders_of(TIMELINE)),
        occasions_of(TIMELINE, date(2026, 6, 30)),
        window=90,
        currency="EUR",
    )
    found = reallocation.panel(books, date(2026, 6, 30), 2)
    assert found[["month", "market", "spend", "active_existing", "reached"]].values.tolist() == [
        ["2026-05", "DE", 2.0, 1, 1],
        ["2026-05", "GB", 1.0, 1, 1],
        ["2026-06", "DE", 2.0, 1, 1],
        ["2026-06", "GB", 1.0, 1, 0],
    ]


def test_what_the_split_brings_is_what_the_table_adds_up_to():
    plan = reallocation.best_split(reallocation.responses(history()))
    gain = reallocation.worth(plan)[0]
    assert gain.value == pytest.approx(plan["expected_change"].sum())
    assert 0 < gain.low < gain.value < gain.high
    truth = np.array([TRUE[market, channel][1] for market, channel in zip(plan["market"], plan["channel"], strict=True)])
    assert gain.low < reallocation._gained(plan, truth) < gain.high


def test_history_counts_for_less_the_less_it_shows():
    """The weight by hand: prior variance over prior and error variance; the error is what is left of it after the mixing."""
    sure, unsure = (reallocation.responses(history(noise=noise)) for noise in (0.01, 0.2))
    assert (sure["history"] > 0.9).all()
    assert (unsure["history"] < sure["history"]).all()
    fitted = unsure[unsure["basis"] == "fitted"]
    error = fitted["se"] / fitted["history"] ** 0.5
    assert fitted["history"].tolist() == pytest.approx((reallocation.PRIOR_SE**2 / (reallocation.PRIOR_SE**2 + error**2)).tolist())
    assert (unsure.loc[unsure["basis"] == "assumed", "history"] == 0).all()
