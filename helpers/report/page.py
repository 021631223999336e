"""What a notebook tells its reader: sentences, charts, tables and numbers, alike in JupyterLab and in the report.

    sheet = page.start(shop, "02_churn_rate")          # the head of the page
    sheet.answer("churn.answer", rate=rate, lost=412)  # the answer, also on index.html; see language/en/churn.toml
    sheet.say("churn.sensitivity", factor=2)           # a sentence in the text
    sheet.chart(ax, "churn.by_month", rate=rate)       # texts churn.by_month.finding and .subtitle; churn.source if there is one
    sheet.chart(ax, "churn.season", "clear")           # … .clear instead of .finding, where a finding has several cases
    sheet.table(frame, {"market": "market", "value": "percent", "n": "count"}, title="churn.table_title")
    sheet.heat(wide, "percent.0", title="cohorts.heat")    # index: cohorts, columns: n, ages; nan blank, 0 shown
    sheet.publish("churn_rate", rate, unit="fraction", period="2026-10", market="DE")      # one row of metrics.json
    sheet.publish("churn_rate", frame, unit="fraction")    # value[, low, high, n]; every other column is a label
    with sheet.section():                              # not enough data in here: its sentence instead
        ...
    sheet.counted(expression, other)                   # folded: the SQL the engine runs and the rows it reads
    sheet.do_next("risk.next", frame)                  # at most five lines, also on index.html; columns fill the text
    sheet.provenance()                                 # last cell

Strings for charts and for other sentences, not shown by themselves:
    sheet.text("churn.axis", ...)                      a filled text
    sheet.words.change(now, before, "percent", "2026-09")    "up 1.2 points from 18.0% in September 2026"
    sheet.number("percent.0"), sheet.name("market")    functions that write a number, a code: charts' number= and names=
    sheet.enough(n, "costs.plan_few")                  in a section: its text instead of what follows, where n is too small
    sheet.shown(frame)                                 value, low, high blank where customers are too few: what charts
                                                       and sentences about groups that may be small are given
Units of publish: "fraction", "points" (−100..100), "ratio", "days", "months", "count", "rows", "money" (written as the
client's currency); any other word is kept. period is the month of as_of unless given; period="" for none.
Only what goes through the sheet gets into the report: other output of a cell stays in the notebook.
"""

import re
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import ibis
import pandas as pd
from IPython.display import display

from helpers import cache, periods
from helpers.estimates import Estimate, NotEnoughData, StepMissing
from helpers.report import axes, drawing, rows, tables
from helpers.report.formats import escaped, finer
from helpers.report.suppress import hidden
from helpers.report.wording import HIDDEN, Words

MIME = "application/vnd.workbook.{}+json"
TEMPLATES = Path(__file__).parent / "template"
MOST_NEXT = 5
DATE = re.compile(r"(?<![\w-])\d{4}-\d{2}(-\d{2})?(?![\w-])")  # as the metrics write a month or a day


def start(shop, notebook: str) -> "Sheet":
    """The sheet of a notebook, its head shown: whose data, as of which day, for which market (and, for JupyterLab, the style)."""
    sheet = Sheet(shop, notebook)
    style = "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("lab.css", "parts.css"))
    display({"text/html": f"<style>{style}</style>", "text/plain": ""}, raw=True)
    market = sheet.words.market(shop.market) if shop.market else sheet.text("common.all_markets")
    line = sheet.text("common.head", client=shop.settings.name, as_of=shop.as_of, market=market)
    sheet._html(f'<p class="head">{escaped(line)}</p>')
    return sheet


class Sheet:
    """Where a notebook puts what it has to say; see the top of this module."""

    def __init__(self, shop, notebook: str):
        self.shop, self.notebook, self._count = shop, notebook, 0
        settings = shop.settings
        self.words = Words(settings.language, settings.currency, settings.privacy.minimum_cell)

    def text(self, key: str, **values) -> str:
        """The text of a key, filled; for charts and for parts of other sentences."""
        return self.words.say(key, **values)

    def answer(self, key: str, **values) -> None:
        """The answer to the notebook's question, shown big and on the front page of the report."""
        sentence = self.text(key, **values)
        self._html(f'<p class="answer">{escaped(sentence)}</p>')
        self._record("answer", [sentence])

    def say(self, key: str, **values) -> None:
        """A computed sentence in the text."""
        self._html(f"<p>{escaped(self.text(key, **values))}</p>")

    def number(self, spec: str):
        """A function writing a number by a spec of wording, for charts; its `finer` writes one decimal more."""
        write = partial(self.words.format_field, spec=spec)
        write.finer = partial(self.words.format_field, spec=finer(spec))
        return write

    def name(self, spec: str):
        """A function writing a code ("market", "label", "month!short") by a spec of wording, for charts."""
        return partial(self.words.format_field, spec=spec)

    def shown(self, frame: pd.DataFrame) -> pd.DataFrame:
        """The frame with value, low and high missing in rows on too few customers (report/suppress.py)."""
        blank = [column for column in frame if column in rows.NUMBERS[:3] or str(column).endswith(("_low", "_high"))]
        shown = frame.copy()
        shown.loc[hidden(frame, self.words.minimum_cell), blank] = float("nan")
        return shown

    def enough(self, n: float, key: str) -> None:
        """NotEnoughData with the text of key, where what follows would rest on fewer customers than the minimum cell."""
        if n < self.words.minimum_cell:
            raise NotEnoughData(self.text(key, minimum=self.words.minimum_cell))

    def chart(self, ax, key: str, finding: str = "finding", **values) -> None:
        """A chart as SVG under its finding (ten words or fewer, which the pages' tests count), with subtitle and source."""
        finding, subtitle = (self.text(f"{key}.{part}", **values) for part in (finding, "subtitle"))
        source = f"{key.split('.')[0]}.source"
        source = source if self.words.has(source) else "common.source"
        source = self.text(source, client=self.shop.settings.name, as_of=self.shop.as_of)
        axes.rewrite_ticks(ax.figure, lambda text: self._dated(text, "!short"))
        svg = drawing.to_svg(ax.figure, self._key(), f"{finding.rstrip('.')}. {subtitle.rstrip('.')}.")
        hides = self.text("common.hidden_note", minimum=self.words.minimum_cell) if f">{HIDDEN}</text>" in svg else ""
        finding = escaped(finding)
        self._html(
            f'<figure class="chart"><figcaption><strong>{finding}</strong><span>{escaped(subtitle)}</span></figcaption>'
            f'<div class="scroll" tabindex="0" role="region" aria-label="{finding}">{svg}</div>'
            f'<p class="source">{escaped(f"{source} {hides}".strip())}</p></figure>'
        )

    def table(self, frame: pd.DataFrame, kinds: dict[str, str], title="", note="", n="n", fold="", hide=None, **values) -> None:
        """The columns of kinds as a table (report/tables.py); title, note and fold are keys of texts, filled with values.

        With fold, the table is folded away under that text; hide: the rows not to be shown, where it is known better.
        """
        texts, topic = self._texts(title, note, values), title.split(".")[0] or "common"
        shown = tables.table(frame, kinds, self.words, **texts, topic=topic, n=n, key=self._key(), hide=hide)
        self._html(self._folded(self.text(fold, **values), shown) if fold else shown)

    def heat(self, frame: pd.DataFrame, kind="percent.0", title="", note="", heading="common.columns.cohort", **how) -> None:
        """A wide frame as coloured cells (report/tables.py, how: full, few); title, note and heading (of rows) are keys of texts."""
        texts = self._texts(title, note, {})
        self._html(tables.heat(frame, kind, self.words, **texts, heading=self.text(heading), key=self._key(), **how))

    def publish(self, metric: str, what, unit: str, period: str | None = None, **labels) -> None:
        """Rows of metrics.json: an Estimate, a number, or a frame with value (low, high, n) and label columns."""
        frame = what if isinstance(what, pd.DataFrame) else pd.DataFrame([what if isinstance(what, Estimate) else {"value": what}])
        if "value" not in frame:
            raise ValueError(f"publish('{metric}') needs a column value; there are {', '.join(map(str, frame))}.")
        fixed = {"metric": metric, "unit": self.shop.settings.currency if unit == "money" else unit}
        fixed |= {"as_of": self.shop.as_of.isoformat(), "notebook": self.notebook}
        fixed |= {"period": periods.label(self.shop.as_of) if period is None else period}
        fixed |= {"market": self.shop.market} if self.shop.market else {}
        hide = hidden(frame.assign(**labels), self.words.minimum_cell)
        published = [
            rows.row(fixed | labels | dict(zip(frame.columns, row, strict=True)), hiding)
            for row, hiding in zip(frame.itertuples(index=False, name=None), hide, strict=True)
        ]
        self._record("metrics", published)

    @contextmanager
    def section(self):
        """Around everything optional: when there is not enough data for it, the sentence saying so takes its place."""
        try:
            yield
        except NotEnoughData as gap:
            said = self._dated(str(gap))
            follows = isinstance(gap, StepMissing)
            self._html(f'<p class="missing{" step" if follows else ""}">{escaped(said)}</p>')
            if not follows:
                self._record("missing", [said])

    def counted(self, *expressions) -> None:
        """Folded: the SQL the engine runs for each expression and how many rows of which tables it reads."""
        parts = []
        for expression in expressions:
            sources = expression.op().find(ibis.expr.operations.PhysicalTable)
            counts = {cache.plain(op.name): int(op.to_expr().count().execute()) for op in sources}
            read = [self.text("common.rows_read", table=name, rows=counts[name]) for name in sorted(counts)]
            sql = escaped(cache.plain(str(ibis.to_sql(expression, pretty=True))))
            said = escaped(self.words.format("{read:list text}", read=read))
            parts.append(f"<p>{said}</p><pre><code>{sql}</code></pre>")
        self._html(self._folded(self.text("common.counted"), "".join(parts)))

    def do_next(self, key: str, frame: pd.DataFrame) -> None:
        """At most five lines of what to do, best first, also on the front page.

        A line is the text of key filled with the columns of a row; {estimate} is its value, low, high and n in one.
        """
        found = frame.head(MOST_NEXT).to_dict("records")
        lines = [self.text(key, **row, estimate=Estimate(*map(row.get, rows.NUMBERS))) for row in found]
        items = "".join(f"<li>{escaped(line)}</li>" for line in lines)
        self._html(f'<ol class="next">{items}</ol>')
        self._record("actions", lines)

    def provenance(self) -> None:
        """Where the page's numbers come from: client, day, files read, identity coverage, versions."""
        facts = [
            ("common.facts.as_of", self.words.format("{d:day}", d=self.shop.as_of)),
            ("common.facts.window", self._window()),
            ("common.facts.identity", self._identity()),
            ("common.facts.versions", f"ibis {ibis.__version__}, pandas {pd.__version__}"),
            ("common.facts.privacy", self.text("common.pseudonymised", minimum=self.words.minimum_cell)),
        ]
        items = "".join(f"<dt>{escaped(self.text(k))}</dt><dd>{escaped(v)}</dd>" for k, v in facts if v)
        self._html(f'<dl class="facts">{items}</dl>')

    def _identity(self) -> str:
        orders = self.shop.orders
        known, every = orders.aggregate(known=orders.customer_id.count(), every=orders.count()).execute().iloc[0]
        share, least = known / every if every else float("nan"), self.words.minimum_cell
        return self.text(f"common.identity{'_few' * bool(0 < every < least)}", share=share, orders=int(every), least=least)

    def _window(self) -> str:
        kept = self.shop.settings.churn_window_days != "auto"
        try:
            return self.text("common.window" if kept else "common.window_auto", days=self.shop.window)
        except NotEnoughData:
            return ""

    def _texts(self, title: str, note: str, values: dict) -> dict:
        return {name: self.text(key, **values) if key else "" for name, key in {"title": title, "note": note}.items()}

    def _dated(self, text: str, part: str = "") -> str:
        """The text with its months and days (2026-10, 2026-10-31) in the words of the language."""
        return DATE.sub(lambda found: self.words.format_field(found[0], ("day" if found[1] else "month") + part), text)

    def _folded(self, summary: str, markup: str) -> str:
        return f'<details class="counted"><summary>{escaped(summary)}</summary>{markup}</details>'

    def _key(self) -> str:
        self._count += 1
        return f"c{self.notebook[:2]}-{self._count}"

    def _html(self, markup: str) -> None:
        display({"text/html": markup, "text/plain": ""}, raw=True, metadata={"workbook": "shown"})

    def _record(self, kind: str, content: list) -> None:
        display({MIME.format(kind): content, "text/plain": f"{kind}: {self.notebook}"}, raw=True)
