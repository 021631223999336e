"""Groups of customers set against each other by a share: a chart and a table, titled by the groups furthest apart."""

from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.retention.cohort_comparison import differ
from helpers.report import charts


def tell(sheet, groups, column: str, kind: str, key: str, reference: float) -> None:
    """A chart of the groups, best first, against the share of all customers (reference), and their numbers in a table.

    groups: `cohort_comparison.repurchase_by`; column and kind: what names a group, and how that is written; key: of the
    texts (key, key_differ, key_alike, key_table). The title names the ends of the row only where a test of all groups says that
    they differ; a group of customers about whom nothing is known is no end.

    >>> import pandas as pd
    >>> from helpers.report.wording import Words
    >>> class Sheet:
    ...     text, number, shown = Words().say, lambda self, spec: format, lambda self, frame: frame
    ...     name = lambda self, kind: str.title
    ...     def chart(self, ax, key, **values):
    ...         print(values["verdict"])
    ...     def table(self, frame, kinds, title):
    ...         print(title, list(kinds))
    >>> groups = pd.DataFrame({"home_market": ["japan", "france"], "active": [70, 40], "n": [100, 100],
    ...                        "value": [0.7, 0.4], "low": [0.6, 0.3], "high": [0.8, 0.5]})
    >>> tell(Sheet(), groups, "home_market", "market", "cohorts.by_market", 0.55)
    Japan: 70% come back; France: 40%
    cohorts.by_market.table ['home_market', 'value', 'n']
    """
    shown = sheet.shown(groups.assign(label=groups[column].map(sheet.name(kind))))
    ax = charts.forest(shown, "label", "value", "low", "high", reference, number=sheet.number("percent.0"))
    told = shown.dropna(subset="value")
    ends, verdict = told[told[column] != UNKNOWN], sheet.text(f"{key}.alike")
    if len(ends) > 1 and differ(told):
        best, worst = ends.iloc[0], ends.iloc[-1]
        said = {"best": best["label"], "most": best["value"], "worst": worst["label"], "least": worst["value"]}
        verdict = sheet.text("cohorts.groups_differ", **said)
    sheet.chart(ax, key, verdict=verdict)
    sheet.table(groups, {column: kind, "value": "percent", "n": "count"}, title=f"{key}.table")
