"""The HTML of a report: each notebook's page and the front page, from the templates, with no request to anywhere."""

import base64
import html
import re
from collections import Counter
from functools import partial
from pathlib import Path

import jinja2
import markupsafe
from nbconvert import HTMLExporter

from helpers import periods
from helpers.report import formats, gaps, index
from helpers.report.execute import Run
from helpers.report.wording import Words

TEMPLATES = Path(__file__).parent / "template"
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)<a class="anchor-link"', re.DOTALL)
LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg"}
READABLE = 4.5  # contrast of letters against white, WCAG 2.1


def write_pages(folder: Path, shop, runs: list[Run], rows: list[dict], facts: dict) -> None:
    """One HTML file a notebook and index.html, into the folder."""
    settings = shop.settings
    words = Words(settings.language, settings.currency, settings.privacy.minimum_cell)
    month = periods.month_end(shop.as_of) == shop.as_of
    brand = settings.report.brand_color
    shared = {
        "lang": settings.language, "client": settings.name, "brand": brand,
        "brand_ink": brand if _contrast_on_white(brand) >= READABLE else "#1f5a7a",
        "month": words.format_field(shop.as_of, "month" if month else "day"),
        "market": words.market(shop.market) if shop.market else "", "logo": _logo(settings.folder, settings.report.logo),
        "style": "".join((TEMPLATES / name).read_text(encoding="utf-8") for name in ("parts.css", "style.css")),
        "pages": runs, "t": words.say,
    }  # fmt: skip
    loader = jinja2.FileSystemLoader(TEMPLATES)
    templates = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    templates.filters["bound"] = lambda text: markupsafe.Markup(formats.escaped(text))
    exporter = HTMLExporter(template_name="notebook", extra_template_basedirs=[str(TEMPLATES)])
    left_out, elsewhere = partial(words.say, "common.page.left_out"), words.say("common.page.elsewhere")
    for run in runs:
        body = gaps.told_once(exporter.from_notebook_node(run.notebook)[0], left_out, elsewhere)
        contents = [(anchor, html.unescape(re.sub("<[^>]+>", "", text))) for anchor, text in HEADING.findall(body)]
        page = templates.get_template("page.html.j2").render(
            shared, title=run.title, here=run.name, body=body, contents=contents, failure=run.failure
        )
        (folder / f"{run.name}.html").write_text(page, encoding="utf-8")
    front = templates.get_template("index.html.j2").render(shared, **_front(folder, shop, runs, rows, facts, words))
    (folder / "index.html").write_text(front, encoding="utf-8")


def _contrast_on_white(color: str) -> float:
    """The contrast of a colour against white (WCAG 2.1), from 1 (white) to 21 (black)."""
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return round(1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05), 2)


def _logo(folder: Path, name: str) -> str:
    """The client's logo as a data URI; empty without one. It must be an image inside the client's own folder."""
    if not name:
        return ""
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or not path.is_file() or path.suffix.lower() not in LOGO_TYPES:
        raise ValueError(
            f"The logo '{name}' is not an image inside data/{folder.name}. Put a .svg, .png or .jpg there and name it "
            "under [report] in client.toml, or leave logo empty."
        )
    return f"data:{LOGO_TYPES[path.suffix.lower()]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _front(folder: Path, shop, runs: list[Run], rows: list[dict], facts: dict, words: Words) -> dict:
    period = periods.label(shop.as_of)
    suffix = f"-{shop.market}" if shop.market else ""
    earlier = index.earlier_rows(folder.parent, period, suffix)
    market = words.market(shop.market) if shop.market else words.say("common.all_markets")
    published, reasons = Counter(row["notebook"] for row in rows), index.reasons(runs, words)
    found = [
        {"name": run.name, "title": run.title, "failure": run.failure, "answers": run.answers,
         "reason": reasons.get(run.name, ""),
         "took": words.format_field(run.seconds, "number"),
         "published": words.format_field(published[run.name], "count")}
        for run in runs
    ]  # fmt: skip
    return {
        "title": words.say("common.page.front"),
        "here": "index",
        "head": words.say("common.head", client=shop.settings.name, as_of=shop.as_of, market=market),
        "cards": index.cards(rows, earlier, period, words, shop.market),
        "next": [line for run in runs for line in run.actions][:5],
        "runs": found,
        "failed": [run for run in runs if run.failure],
        "missing": index.missing_inputs(runs, told=reasons.values()),
        "facts": _facts(facts, words),
    }


def _facts(facts: dict, words: Words) -> list[tuple[str, str]]:
    inputs = facts["inputs"]
    totals = {part: sum(each[f"rows_{part}"] for each in inputs) for part in ("read", "accepted", "rejected")}
    shown = {
        "day": words.format_field(facts["parameters"]["as_of"], "day"),
        "inputs": words.say("common.made.inputs_text", files=sum(each["rows_read"] > 0 for each in inputs)),
        "rows": words.say("common.made.rows_text", **totals),
        "fx": words.say("common.made.fx_text", **facts["fx"]) if facts["fx"] else "",
        "engine": facts["engine"],
        "versions": ", ".join(f"{name} {version}" for name, version in facts["versions"].items()),
        "took": words.say("common.made.took_text", seconds=facts["seconds_total"]),
    }
    return [(words.say(f"common.made.{name}"), text) for name, text in shown.items() if text]
