"""Scores fit to be shown: enough answers behind them, and two groups at least where groups are compared."""

import pandas as pd

from helpers.estimates import Estimate, NotEnoughData

UNITS = {"ces_mean": "score", "ces_index": "index", "ces_top_box": "fraction"}


def headline(table: pd.DataFrame, least: int) -> Estimate:
    """The first row of a table as an Estimate; NotEnoughData when fewer than `least` respondents stand behind it.

    >>> headline(pd.DataFrame({"value": [33.3], "low": [-30.0], "high": [80.0], "n": [12]}), least=10).n
    12
    """
    row = table.iloc[0]
    if row["n"] < least:
        raise NotEnoughData(f"Fewer than {least} customers answered one of the questions in a period asked about: too few "
                            "to show, and too few to tell anything.")
    return Estimate.of(row)


def comparable(groups: pd.DataFrame) -> pd.DataFrame:
    """The groups that may be shown, highest value first; NotEnoughData when there are not two of them to compare.

    groups: any table with column value, blank where a group is too small to be shown.

    >>> comparable(pd.DataFrame({"market": ["DE", "FR", "JP"], "value": [20.0, None, 30.0]}))["market"].tolist()
    ['JP', 'DE']
    """
    shown = groups.dropna(subset="value").sort_values("value", ascending=False, kind="stable", ignore_index=True)
    if len(shown) < 2:
        raise NotEnoughData("There are no two groups with enough answers to compare.")
    return shown


def ends(shown: pd.DataFrame) -> dict:
    """The ends of a row of groups, highest first, as a chart's title names them: highest, most, lowest, least.

    >>> ends(pd.DataFrame({"label": ["Japan", "Germany"], "value": [30.0, 20.0]}))
    {'highest': 'Japan', 'most': 30.0, 'lowest': 'Germany', 'least': 20.0}
    """
    first, last = shown.iloc[0], shown.iloc[-1]
    return {"highest": first["label"], "most": float(first["value"]), "lowest": last["label"], "least": float(last["value"])}
