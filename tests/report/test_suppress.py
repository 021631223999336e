"""Small cells: hidden, and not to be worked out from what is shown."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from helpers.report.suppress import STANDS_ALONE, hidden, hidden_flows, hidden_rows

MINIMUM = 10


def parts(**counts) -> pd.DataFrame:
    return pd.DataFrame({"market": list(counts), "n": list(counts.values())})


def test_a_lone_small_part_takes_its_smallest_neighbour_with_it():
    assert hidden(parts(DE=900, FR=40, IT=4), MINIMUM).tolist() == [False, True, True]


def test_two_small_parts_that_hold_enough_together_need_no_third():
    assert hidden(parts(DE=900, FR=6, IT=5), MINIMUM).tolist() == [False, True, True]


def test_two_small_parts_that_hold_too_few_together_need_a_third():
    assert hidden(parts(DE=900, ES=50, FR=3, IT=2), MINIMUM).tolist() == [False, True, True, True]


def test_nothing_is_hidden_where_all_are_large_or_nobody_is_counted():
    assert not hidden(parts(DE=900, FR=40), MINIMUM).any()
    assert not hidden(parts(DE=900, FR=4).drop(columns="n"), MINIMUM).any()
    assert not hidden(parts(DE=900, FR=None), MINIMUM).any()


def test_periods_are_looked_at_one_by_one():
    months = {"2026-09": parts(DE=900, FR=40, IT=4), "2026-10": parts(DE=9, FR=40, IT=44)}
    frame = pd.concat([part.assign(period=month) for month, part in months.items()])
    assert hidden(frame, MINIMUM).tolist() == [False, True, True, True, True, False]


def test_months_of_a_year_are_parts_of_it():
    """Answers by month add up to the year's, which is published too: 168 less 160 would tell of May's eight."""
    counts = [14, 12, 19, 13, 15, 16, 8, 11, 17, 14, 15, 14]
    months = pd.DataFrame({"month": pd.date_range("2025-11-01", periods=12, freq="MS"), "n": counts})
    assert hidden(months, MINIMUM).tolist() == [False] * 6 + [True, True] + [False] * 4


def test_a_total_is_no_part_and_stays():
    assert hidden(parts(DE=900, FR=40, IT=4, all=944), MINIMUM).tolist() == [False, True, True, False]


def test_a_cell_hidden_along_one_dimension_is_covered_along_the_other():
    cells = pd.DataFrame(
        [(m, c, 50 + 10 * k) for k, (m, c) in enumerate(itertools.product("ABC", ["ads", "email", "none"]))],
        columns=["market", "channel", "n"],
    )
    cells.loc[4, "n"] = 3
    shown = cells.assign(hide=hidden(cells, MINIMUM))
    for dimension in ("market", "channel"):
        assert set(shown.groupby(dimension).hide.sum()) <= {0, 2, 3}


@given(st.lists(st.integers(0, 60), min_size=2, max_size=8))
def test_from_the_total_and_the_shown_parts_nobody_learns_about_fewer_than_the_minimum(counts):
    """The attack: value × n of the total less that of the shown parts is what the hidden parts have together."""
    frame = pd.DataFrame({"market": [f"M{k}" for k in range(len(counts))], "n": counts})
    hide = hidden(frame, MINIMUM)
    assert hide[frame.n < MINIMUM].all()
    if hide.any() and sum(counts) >= MINIMUM:
        assert hide.sum() >= 2
        assert frame.n[hide].sum() >= MINIMUM


def test_pages_hide_the_same_cell_everywhere():
    """The 05 page publishes all markets, the 02 page France alone: what 05 must hide, 02 must not show."""
    rows = [
        {"metric": "churn_rate", "market": market, "n": n, "value": 0.1, "period": "2026-10", "notebook": "05"}
        for market, n in [("DE", 900), ("FR", 40), ("IT", 4)]
    ]
    rows.append(rows[1] | {"notebook": "02"})
    rows.append({"metric": "churn_rate", "n": 944, "value": 0.1, "period": "2026-10", "notebook": "02"})
    assert hidden_rows(rows, MINIMUM) == [False, True, True, True, False]


def test_rows_published_one_by_one_are_neighbours_all_the_same():
    rows = [{"metric": "churn_rate", "market": m, "n": n} for m, n in [("DE", 900), ("FR", 40), ("IT", 4)]]
    assert hidden_rows(rows, MINIMUM) == [False, True, True]
    assert hidden_rows([{"metric": "rows_read", "value": 3}], MINIMUM) == [False]
    assert hidden_rows([], MINIMUM) == []


def test_markets_channels_cohorts_and_tiers_add_up_and_so_does_what_nobody_thought_of():
    assert not {"market", "sales_channel", "acquisition_channel", "cohort", "tier", "name"} & STANDS_ALONE
    discounted = pd.DataFrame({"first_discounted": [True, False], "n": [4, 90]})
    assert hidden(discounted, MINIMUM).all()


def test_a_label_in_other_words_does_not_make_parts_of_a_total_into_strangers():
    named = pd.DataFrame({"market": ["DE", "FR", "IT"], "label": ["Germany", "France", "Italy"], "n": [900, 40, 4]})
    assert hidden(named, MINIMUM).tolist() == [False, True, True]
    plan = pd.DataFrame({"segment": ["new", "new", "lapsed"], "action": ["series", "bundle", "coupon"], "n": [900, 40, 4]})
    assert hidden(plan, MINIMUM).tolist() == [False, True, True]


def test_measures_side_by_side_are_no_parts_of_anything():
    assert hidden(pd.DataFrame({"measure": ["csat", "nps"], "n": [4, 90]}), MINIMUM).tolist() == [True, False]


# flows between places of which the sizes before and after are known

TIERS = ("vip", "medium", "low")
FLOWS = [(a, b) for a in TIERS for b in TIERS if a != b] + [(tier, "lost") for tier in TIERS]
FLOWS += [(place, tier) for place in ("new", "back") for tier in TIERS]


def worked_out(n: pd.Series, hide: pd.Series, flows: list[tuple]) -> list[int]:
    """The attack: the hidden flows that follow from what each place gained less what it lost, and from the flows shown."""
    unknown = [k for k in range(len(flows)) if hide[k]]
    places = sorted({end for flow in flows for end in flow})
    known = np.array([[(flows[k][1] == place) - (flows[k][0] == place) for k in unknown] for place in places], dtype=float)
    if not unknown:
        return []
    _u, size, directions = np.linalg.svd(known)
    free = directions[(size > 1e-9).sum() :]
    return [k for place, k in enumerate(unknown) if np.abs(free[:, place]).max(initial=0.0) < 1e-9]


def test_sizes_and_losses_give_away_a_flow_that_is_hidden_as_a_part_of_the_losses_alone():
    """The demo's report of October 2026 told so that five VIPs were lost."""
    n, flows = pd.Series([4, 48, 408, 204, 230, 25]), [("vip", "lost"), ("medium", "lost"), ("low", "lost"), ("medium", "vip"),
                                                       ("vip", "medium"), ("low", "vip")]
    naive = hidden(pd.DataFrame({"tier": [came for came, _ in flows[:3]], "n": n[:3]}), MINIMUM).reindex(n.index, fill_value=False)
    assert worked_out(n, naive, flows) == [0, 1]
    assert worked_out(n, hidden_flows(n, MINIMUM, tuple(zip(*flows, strict=True))), flows) == []


@given(st.lists(st.integers(1, 60), min_size=len(FLOWS), max_size=len(FLOWS)))
def test_no_hidden_flow_follows_from_the_sizes_of_the_places(counts):
    n = pd.Series(counts)
    hide = hidden_flows(n, MINIMUM, tuple(zip(*FLOWS, strict=True)))
    assert worked_out(n, hide, FLOWS) == []
    assert hide[n < MINIMUM].all()
    for place in {end for k, flow in enumerate(FLOWS) if hide[k] for end in flow}:
        own = [k for k, flow in enumerate(FLOWS) if place in flow]
        assert n[own][hide[own]].sum() >= MINIMUM or hide[own].all()


def test_where_all_flows_are_large_all_are_shown_and_one_flow_has_no_way_round():
    assert not hidden_flows(pd.Series([40, 50]), MINIMUM, (["vip", "low"], ["low", "vip"])).any()
    assert hidden_flows(pd.Series([4]), MINIMUM, (["vip"], ["low"])).tolist() == [True]
    assert hidden_flows(pd.Series([], dtype="int64"), MINIMUM, ([], [])).tolist() == []
