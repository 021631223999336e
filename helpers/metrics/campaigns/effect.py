"""Did a campaign work: treated against held-out customers, with intervals, in customers kept and in money."""

import contextlib
from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
from ibis import _
from scipy import stats
from statsmodels.stats import proportion

from helpers.estimates import ALPHA, Estimate, NotEnoughData, with_wilson
from helpers.metrics.groups.comparison import adjusted
from helpers.metrics.groups.markets import UNKNOWN
from helpers.money import to_major

HORIZON_DAYS = 60  # a purchase within this many days of the contact counts as kept
PRE_DAYS = 365  # spend in this many days before the contact is the CUPED covariate
WORTH_TELLING = 0.05  # an adjustment that narrows the interval by less than this is not worth a sentence
LEAST_OF_AN_ARM = 30  # fewer customers than this in an arm give no interval worth printing
MOMENTS = ("n", "bought", "margin", "margin_2", "pre", "pre_2", "cross", "cost_rc")


def arm_sums(campaigns: ir.Table, occasions: ir.Table, as_of: date, by: Sequence[str] = ()) -> pd.DataFrame:
    """What each arm of each finished experiment did: sums over customers, never a row per customer.

    Customers stay in the arm they were drawn into, whatever they received (intention to treat). The outcome window is 60 days, that of
    the contact the first; campaigns whose window ends after as_of are left out. by: columns of campaigns, or `home_market`, which is
    that of the occasions; who has no occasion, or no segment recorded, is "unknown".

    Columns campaign_id, arm, those of `by`, sent_date (first), n (customers), bought (with an occasion in the window), margin, margin_2
    (sum and sum of squares of margin in the window), pre, pre_2, cross (of margin in the 365 days before, and its products with
    margin), cost_rc; money in minor units of the reporting currency.

    >>> sums = arm_sums(*_example(), date(2026, 4, 30))
    >>> sums[["campaign_id", "arm", "n", "bought"]].to_records(index=False).tolist()
    [('spring', 'holdout', 40, 10), ('spring', 'treated', 80, 40)]
    """
    drawn = campaigns.filter(_.arm.isin(("treated", "holdout")))
    finished = drawn.group_by("campaign_id").agg(last=_.sent_date.max())
    finished = finished.filter(ibis.literal(as_of).delta(finished["last"], unit="day") >= HORIZON_DAYS - 1)
    each = _outcomes(drawn.semi_join(finished, "campaign_id"), occasions, by)
    squares = {"margin_2": _.margin * _.margin, "pre_2": _.pre * _.pre, "cross": _.margin * _.pre}
    sums = each.mutate(**squares).group_by("campaign_id", "arm", *by).agg(
        sent_date=_.sent_date.min(), n=_.count(), **{name: _[name].sum() for name in MOMENTS[1:]})
    return sums.execute().sort_values(["campaign_id", *by, "arm"]).reset_index(drop=True)


def _outcomes(contacts: ir.Table, occasions: ir.Table, by: Sequence[str] = ()) -> ir.Table:
    """One lazy row per contacted customer: bought (0/1) and margin in the window (0 without purchase), pre, cost_rc."""
    keys = [c for c in ("campaign_id", "customer_id", "arm", "sent_date", "cost_rc", *by) if c in contacts.columns]
    bought = occasions.select("customer_id", "date", "margin_rc", "home_market")
    named = {name: _[name].fill_null(UNKNOWN) for name in by if name in keys and contacts[name].type().is_string()}
    joined = contacts.select(*keys).mutate(**named).left_join(bought, "customer_id")
    after = joined.date.delta(joined.sent_date, unit="day")
    inside, before = after.between(0, HORIZON_DAYS - 1), after.between(-PRE_DAYS, -1)
    money = joined.margin_rc.cast("float64")
    sums = {"bought": inside.fill_null(False).cast("int64").max(),
            "margin": inside.ifelse(money, 0.0).sum().fill_null(0.0),
            "pre": before.ifelse(money, 0.0).sum().fill_null(0.0)}
    if "home_market" in by:
        sums["home_market"] = joined.home_market.max().fill_null(UNKNOWN)
    grouped = joined.group_by([joined[c] for c in keys if c not in ("cost_rc", "home_market")])
    return grouped.agg(cost_rc=joined.cost_rc.max().fill_null(0), **sums)


def effects(sums: pd.DataFrame, currency: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """Treated minus holdout, for repurchase and margin: a row per campaign (and `by`) and outcome, with 95 % interval.

    repurchase: difference of the shares who bought in the window, Newcombe's interval, p-value of the score test. margin_raw: difference
    of mean margin per customer, Welch. margin: the same after CUPED, which takes out what spend before the contact already told (Deng
    et al. 2013): same expectation, narrower interval. Money in major units.

    Columns campaign_id, *by, outcome, treated, holdout (the two means), value, low, high, n, n_treated, n_holdout, p_value, p_adjusted
    (Benjamini–Hochberg over the rows of one outcome), called (p_adjusted < 5 %). Rows with fewer than 30 customers in an arm are left
    out; when none remains, NotEnoughData.

    >>> table = effects(arm_sums(*_example(), date(2026, 4, 30)), "EUR")
    >>> table.loc[table["outcome"] == "repurchase", ["treated", "holdout", "value"]].round(3).values.tolist()
    [[0.5, 0.25, 0.25]]
    """
    wide = sums.pivot(index=["campaign_id", *by], columns="arm", values=list(MOMENTS)).fillna(0.0)
    none = pd.Series(0.0, wide.index)
    arms = [pd.DataFrame({m: wide.get((m, arm), none) for m in MOMENTS}) for arm in ("treated", "holdout")]
    enough = (arms[0]["n"] >= LEAST_OF_AN_ARM) & (arms[1]["n"] >= LEAST_OF_AN_ARM)
    if not enough.any():
        raise NotEnoughData(f"No finished campaign has {LEAST_OF_AN_ARM} treated and {LEAST_OF_AN_ARM} held-out customers. Keep a "
                            "random holdout (notebook 06 draws one) and come back when its customers have had time to buy.")
    t, h = (arm[enough] for arm in arms)
    frames = [_shares(t, h), _means(t, h, currency, adjusted=False), _means(t, h, currency, adjusted=True)]
    named = zip(("repurchase", "margin_raw", "margin"), frames, strict=True)
    frames = [frame.assign(outcome=name, p_adjusted=adjusted(frame["p_value"])) for name, frame in named]
    table = pd.concat(frames).assign(called=lambda rows: rows["p_adjusted"] < ALPHA).reset_index()
    sizes = pd.DataFrame({"n_treated": t["n"], "n_holdout": h["n"], "n": t["n"] + h["n"]}).astype("int64")
    return table.merge(sizes.reset_index(), on=["campaign_id", *by])


def verdict(effect) -> str:
    """Whether a campaign "worked", "harmed", or is "unsure": the side of zero its effect (an Estimate, or a row of `effects`) lies on.

    >>> [verdict(Estimate(value, value - 0.02, value + 0.02)) for value in (0.03, 0.01, -0.03)]
    ['worked', 'unsure', 'harmed']
    """
    return "worked" if effect.low > 0 else "harmed" if effect.high < 0 else "unsure"


def left_out(sums: pd.DataFrame, by: str) -> dict:
    """The groups of one campaign that `effects` leaves out, as an arm has fewer than 30 customers, for a sentence.

    sums: the campaign's rows of `arm_sums` by one column. codes: of the groups; left: the customers in them (an Estimate, so that very
    few are not told); n: all customers; least: 30.

    >>> sums = arm_sums(*_example(), date(2026, 4, 30), by=["segment"])
    >>> left_out(sums, "segment")["codes"], left_out(sums.assign(n=[29, 80]), "segment")["codes"]
    ([], ['new'])
    """
    wide = sums.pivot(index=by, columns="arm", values="n").reindex(columns=["treated", "holdout"]).fillna(0)
    small = wide[wide.min(axis="columns") < LEAST_OF_AN_ARM]
    left = int(small.to_numpy().sum())
    return {"codes": small.index.tolist(), "left": Estimate(left, n=left), "n": int(sums["n"].sum()), "least": LEAST_OF_AN_ARM}


def _shares(t: pd.DataFrame, h: pd.DataFrame) -> pd.DataFrame:
    counts = [column.to_numpy() for column in (t["bought"], t["n"], h["bought"], h["n"])]
    low, high = proportion.confint_proportions_2indep(*counts, method="newcomb", compare="diff", alpha=ALPHA)
    tests = [proportion.test_proportions_2indep(*row, method="score").pvalue if 0 < row[0] + row[2] < row[1] + row[3] else 1.0
             for row in zip(*counts, strict=True)]  # nobody bought, or everybody: no difference
    treated, holdout = t["bought"] / t["n"], h["bought"] / h["n"]
    return pd.DataFrame({"treated": treated, "holdout": holdout, "value": treated - holdout, "low": low,
                         "high": high, "p_value": tests})


def _means(t: pd.DataFrame, h: pd.DataFrame, currency: str, adjusted: bool) -> pd.DataFrame:
    """Difference of mean margins, Welch; adjusted: less theta × (mean before − that of both arms), theta within arms."""
    scale, arms = to_major(1.0, currency), []
    for arm in (t, h):
        n, y, x = arm["n"], arm["margin"] / arm["n"], arm["pre"] / arm["n"]
        squares = {"yy": arm["margin_2"] - n * y**2, "xy": arm["cross"] - n * y * x, "xx": arm["pre_2"] - n * x**2}
        arms.append(pd.DataFrame({"n": n, "y": y, "x": x} | {name: sums / (n - 1) for name, sums in squares.items()}))
    xy, xx = (sum((arm["n"] - 1) * arm[name] for arm in arms) for name in ("xy", "xx"))
    theta = (xy / xx.where(xx > 0)).fillna(0.0) * adjusted
    center = (t["pre"] + h["pre"]) / (t["n"] + h["n"])
    means = [(arm["y"] - theta * (arm["x"] - center)) * scale for arm in arms]
    errors = [(arm["yy"] - 2 * theta * arm["xy"] + theta**2 * arm["xx"]).clip(lower=0) / arm["n"] * scale**2 for arm in arms]
    error = np.sqrt(sum(errors))
    freedom = sum(errors) ** 2 / sum(each**2 / (arm["n"] - 1) for each, arm in zip(errors, arms, strict=True)).where(error > 0)
    value, half = means[0] - means[1], stats.t.ppf(1 - ALPHA / 2, freedom.fillna(1)) * error
    p_value = 2 * stats.t.sf(np.abs(value / error.where(error > 0)), freedom)
    return pd.DataFrame({"treated": means[0], "holdout": means[1], "value": value, "low": value - half,
                         "high": value + half, "p_value": np.where(error > 0, p_value, 1.0)})


def arm_rates(sums: pd.DataFrame, currency: str) -> pd.DataFrame:
    """What each arm of one campaign did: share who bought in the window (Wilson) and mean margin per customer.

    sums: the campaign's rows of `arm_sums`. Columns arm, value, low, high, n, margin (major units); treated first.

    >>> arm_rates(arm_sums(*_example(), date(2026, 4, 30)), "EUR")[["arm", "value", "margin", "n"]].values.tolist()
    [['treated', 0.5, 6.0, 80], ['holdout', 0.25, 3.0, 40]]
    """
    table = with_wilson(sums.sort_values("arm", ascending=False), "bought", "n")
    table["margin"] = to_major(table["margin"] / table["n"], currency)
    return table[["arm", "value", "low", "high", "n", "margin"]].reset_index(drop=True)


def by_action(contacts: ir.Table | None, occasions: ir.Table, as_of: date, currency: str) -> pd.DataFrame:
    """The difference in repurchase that every finished experiment found with an action, in each segment it was tried on.

    A row per campaign, action and segment, for `experiments.learn`: action, segment ("unknown" where the campaign names none), value, low,
    high, n. No row without contacts or finished experiments of 30 customers in each arm.

    >>> by_action(*_example(), date(2026, 4, 30), "EUR").round(2).values.tolist()
    [['bundle', 'new', 0.25, 0.06, 0.4, 120]]
    """
    none = pd.DataFrame(columns=["action", "segment", "value", "low", "high", "n"])
    if contacts is None:
        return none
    sums = arm_sums(contacts.filter(_.action.notnull()), occasions, as_of, by=["action", "segment"])
    with contextlib.suppress(NotEnoughData):
        table = effects(sums, currency, ["action", "segment"])
        return table.loc[table["outcome"] == "repurchase", list(none)].reset_index(drop=True)
    return none


def cost_per_kept(effect: Estimate, n_treated: int, cost: float) -> Estimate:
    """What one more kept customer cost: cost of the campaign / (treated customers × difference in repurchase).

    In the unit of `cost`. Where the difference may be zero the upper end is infinite; where it is not positive, nan.

    >>> kept = cost_per_kept(Estimate(0.04, 0.02, 0.06, 5000), n_treated=2500, cost=1000.0)
    >>> [round(x, 2) for x in kept[:3]]
    [10.0, 6.67, 20.0]
    """
    if not effect.value > 0:
        return Estimate(float("nan"), n=effect.n)
    differences = (effect.value, effect.high, effect.low)
    return Estimate(*(cost / (n_treated * each) if each > 0 else float("inf") for each in differences), effect.n)


def net_gain(margin: Estimate, n_treated: int, cost: float) -> Estimate:
    """What the campaign earned after its cost: treated customers × difference in margin − cost, in the unit of `cost`.

    >>> net_gain(Estimate(1.5, 0.5, 2.5, 5000), n_treated=1000, cost=400.0)[:3]
    (1100.0, 100.0, 2100.0)
    """
    return Estimate(*(n_treated * x - cost for x in margin[:3]), margin.n)


def _example() -> tuple[ir.Table, ir.Table]:
    """120 customers written to on 1 March: half of 80 treated and a quarter of 40 held out buy ten days later."""
    ids = [f"{k:03x}" for k in range(120)]
    contacts = pd.DataFrame({"campaign_id": "spring", "customer_id": ids, "arm": ["treated"] * 80 + ["holdout"] * 40})
    contacts = contacts.assign(sent_date="2026-03-01", cost_rc=[50] * 80 + [0] * 40, segment="new", action="bundle")
    first = pd.DataFrame({"customer_id": ids, "date": "2026-01-10", "margin_rc": 1_000})
    again = pd.DataFrame({"customer_id": ids[:40] + ids[80:90], "date": "2026-03-11", "margin_rc": 1_200})
    bought = pd.concat([first, again], ignore_index=True).assign(home_market="DE")
    return ibis.memtable(contacts).cast({"sent_date": "date"}), ibis.memtable(bought).cast({"date": "date"})
