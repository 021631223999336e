"""Whom to try to keep, and with what: actions chosen under a budget, with some customers held out to learn from."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources

import ibis
import ibis.expr.types as ir
import pandas as pd
from ibis import _

from helpers.money import to_major, to_minor

COLUMNS = ("name", "segment", "channel", "market", "unit_cost", "effect", "effect_source", "needs_consent")
CONSENTS = ("consent_email", "consent_sms")  # any channel but sms that asks for consent takes that of e-mail


def actions(own: Iterable[Mapping] = ()) -> pd.DataFrame:
    """The playbook as a frame, a row per action: the client's own, or the default one when it lists none.

    own: mappings with the keys of client.toml's [[playbook.actions]]. Columns name, segment, channel, market (empty:
    every market), unit_cost (major units), effect (rise of the share buying again), effect_source, needs_consent.

    >>> actions()["name"].iloc[0], actions([{"name": "call", "segment": "lapsed", "channel": "phone", "unit_cost": 5,
    ...                                     "effect": 0.1}])["effect_source"].iloc[0]
    ('onboarding series', 'assumption')
    """
    own = own or tomllib.loads(resources.files(__package__).joinpath("playbook.toml").read_text("utf-8"))["actions"]
    usual = {"market": "", "effect_source": "assumption", "needs_consent": True}
    return pd.DataFrame([usual | dict(action) for action in own])[list(COLUMNS)]


def choose(
    assigned: ir.Table, plays: pd.DataFrame, customers: ir.Table, currency: str, *, budget: float | None = None,
    holdout_share: float = 0.10, contacted: ir.Table | None = None,
) -> pd.DataFrame:
    """The customers worth an action this month, the best action for each, best value for money first.

    An action fits a customer of its segment and market who has consented to its channel. Its expected value is least(effect, churn
    probability) × kept_rc − unit cost: a customer cannot be kept more often than they would have left, and is worth the margin of the
    next 12 months. Of several, the one of highest value is taken; without positive value, none. Customers are taken in the order of
    value per unit of cost while the costs of those treated (a `holdout_share` is not) fit the budget (None: no limit). Everybody in
    `contacted` (written to too recently) is left out.

    assigned: `segments.assign`; plays: `experiments.learn` of `actions`, or `actions` itself; customers: the table with consents. One row
    per chosen customer, for the action list alone: customer_id, segment, action, channel, market, churn_probability, expected_value,
    low, high (with the ends of the effect's interval), cost; money in major units.

    >>> who = ibis.memtable({"customer_id": ["a", "b"], "segment": ["lapsed"] * 2, "home_market": ["DE"] * 2,
    ...                      "churn_probability": [0.6, 0.01], "kept_rc": [10_000.0, 10_000.0]})
    >>> may = ibis.memtable({"customer_id": ["a", "b"], "consent_email": [True] * 2, "consent_sms": [False] * 2})
    >>> chosen = choose(who, actions(), may, "EUR", budget=50)
    >>> chosen[["customer_id", "action", "expected_value", "cost"]].round(2).values.tolist()
    [['a', 'win-back coupon', 2.2, 0.8], ['b', 'win-back coupon', 0.2, 0.8]]
    """
    if contacted is not None:
        assigned = assigned.anti_join(contacted, "customer_id")
    offers = _offers(assigned, plays, customers, currency)
    best = ibis.window(group_by="customer_id", order_by=[_.expected_rc.desc(), _.action])
    offers = offers.filter(_.expected_rc > 0).mutate(rank=ibis.row_number().over(best)).filter(_.rank == 0)
    by_worth = [(_.expected_rc / ibis.greatest(_.cost_rc, 1.0)).desc(), _.customer_id]
    if budget is not None:
        so_far = ibis.window(order_by=by_worth, preceding=None, following=0)
        offers = offers.mutate(spent=_.cost_rc.sum().over(so_far) * (1 - holdout_share))
        offers = offers.filter(_.spent <= to_minor(str(budget), currency))
    chosen = offers.order_by(by_worth).select(
        "customer_id", "segment", "action", "channel", "market", "churn_probability", expected_value=_.expected_rc,
        low=_.low_rc, high=_.high_rc, cost=_.cost_rc).execute()
    return chosen.assign(**{name: to_major(chosen[name], currency) for name in ("expected_value", "low", "high", "cost")})


def _offers(assigned: ir.Table, plays: pd.DataFrame, customers: ir.Table, currency: str) -> ir.Table:
    """A lazy row per customer and action that fits and is allowed, with what is expected of it in minor units."""
    spread = {"low": plays.get("low", plays["effect"]), "high": plays.get("high", plays["effect"])}
    listed = plays.assign(cost_rc=plays["unit_cost"].map(lambda cost: float(to_minor(str(cost), currency))), **spread)
    listed = listed.rename(columns={"name": "action", "market": "only_market"})
    kept = ["action", "segment", "channel", "only_market", "cost_rc", "effect", "low", "high", "needs_consent"]
    offers = assigned.join(ibis.memtable(listed[kept]), "segment")
    offers = offers.filter((_.only_market == "") | (_.only_market == _.home_market))
    consents = customers.select("customer_id", *CONSENTS)
    given = ibis.ifelse(_.channel == "sms", _.consent_sms, _.consent_email).fill_null(False)
    allowed = offers.left_join(consents, "customer_id").drop("customer_id_right").filter(~_.needs_consent | given)
    worth = {name: ibis.least(_[effect], _.churn_probability) * _.kept_rc - _.cost_rc
             for name, effect in (("expected_rc", "effect"), ("low_rc", "low"), ("high_rc", "high"))}
    return allowed.mutate(market=_.home_market, **worth)


def consenting(customers: ir.Table) -> int:
    """How many customers have consented to e-mail or to text messages.

    >>> consenting(ibis.memtable({"consent_email": [True, False], "consent_sms": [None, False]}, schema=dict.fromkeys(CONSENTS, "boolean")))
    1
    """
    return int(customers.filter(_.consent_email.fill_null(False) | _.consent_sms.fill_null(False)).count().execute())


def arms(chosen: pd.DataFrame, holdout_share: float = 0.10, budget: float | None = None) -> pd.DataFrame:
    """The chosen customers with their arm, treated or holdout: per segment and action, the lowest draws are held out.

    chosen has a column draw (`helpers.actions.draws`), which is dropped; round(share × customers) of each stratum are held
    out. Where the treated come to more than the budget, since the dearer action has fewer held out, the last rows go.

    >>> rows = pd.DataFrame({"segment": "lapsed", "action": "call", "cost": 5.0, "draw": [0.4, 0.1, 0.9, 0.7]})
    >>> arms(rows, 0.25)["arm"].tolist(), arms(rows, 0.25, budget=12)["arm"].tolist()
    (['treated', 'holdout', 'treated', 'treated'], ['treated', 'holdout', 'treated'])
    """
    strata = chosen.groupby(["segment", "action"])["draw"]
    waits = strata.rank(method="first") <= (strata.transform("size") * holdout_share).round()
    drawn = chosen.assign(arm=waits.map({True: "holdout", False: "treated"})).drop(columns="draw")
    if budget is None:
        return drawn
    spent = drawn["cost"].where(~waits, 0.0).cumsum().round(6)
    return drawn[spent <= budget].reset_index(drop=True)


def plan(issued: pd.DataFrame) -> pd.DataFrame:
    """What the list comes to: a row per segment and action, most expected value first.

    Over the treated customers: n, cost, value (expected margin won − cost), low, high (with the ends of the effects'
    interval, all together, since one effect is shared by everybody), in major units; and holdout, those left alone.

    >>> rows = pd.DataFrame({"segment": "lapsed", "action": "call", "channel": "phone", "arm": ["treated", "holdout"],
    ...                      "expected_value": 2.0, "low": -1.0, "high": 5.0, "cost": 1.5})
    >>> plan(rows)[["action", "n", "holdout", "cost", "value", "low", "high"]].values.tolist()
    [['call', 1, 1, 1.5, 2.0, -1.0, 5.0]]
    """
    keys = ["segment", "action", "channel"]
    treated = issued[issued["arm"] == "treated"].groupby(keys)
    sums = treated.agg(n=("arm", "size"), cost=("cost", "sum"), value=("expected_value", "sum"), low=("low", "sum"),
                       high=("high", "sum"))
    waiting = issued[issued["arm"] == "holdout"].groupby(keys).size().rename("holdout")
    table = sums.join(waiting).fillna({"holdout": 0}).astype({"holdout": int}).reset_index()
    return table.sort_values(["value", *keys], ascending=[False, True, True, True], ignore_index=True)
