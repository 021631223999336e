"""Groups of customers set against each other by a share: a chart and a table, titled by the groups furthest apart."""

from helpers.metrics.groups.markets import UNKNOWN
from helpers.metrics.retention.cohort_comparison import differ
from helpers.report import charts


def tell(sheet, groups, column: str, kind: str, key: str, reference: float) -> None:
    """A chart of the groups, best first, against the share of all customers (reference), and their numbers in a table.

    groups: `cohort_comparison.repurchase_by`; column and kind: what names a group, and how that is written; key: of the
    texts (key, key_differ, key_alike, key_table). The title names the ends of the row only where a test of all groups says that
    they differ; a group of customers about whom nothing is known is no end.
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
