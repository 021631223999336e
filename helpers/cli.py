"""`workbook`: reports, checks, new clients and the demo, from a terminal or a cron job.

Heavy libraries are imported inside the commands, so that `workbook --help` answers at once.
"""

import functools
import inspect
import os
import re
import sys
import time
import webbrowser
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
main = app  # the entry point of the `workbook` command
out, err = Console(highlight=False, soft_wrap=True), Console(stderr=True, highlight=False, soft_wrap=True)
DEMO = "demo"

ClientName = Annotated[str, typer.Argument(help="A folder under data/, such as demo.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")]
RawFolder = Annotated[Path | None, typer.Option("--raw", help="Read the raw exports from this folder instead.")]
MaxRejected = Annotated[float | None, typer.Option(min=0, max=1, help="Share of a file's rows that may be rejected, such as 0.02.")]
Month = Annotated[str, typer.Argument(help="The list's month, as 2026-10.")]


@app.callback()
def workbook() -> None:
    """Customer retention for cross-border sellers: exports in, dated reports out."""


def _command(function):
    """A command of the app whose errors are said in a sentence, with exit code 1; with --debug they are raised as they are."""

    @functools.wraps(function)
    def told(*args, debug: bool = False, **options):
        """The command, with its errors said."""
        try:
            return function(*args, **options)
        except (typer.Exit, typer.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - a person at a terminal gets a sentence, never a traceback
            if debug:
                raise
            known = isinstance(error, (ValueError, OSError))  # its message is a sentence written for the user
            err.print("Stopped." if known else "Stopped by an error nobody expected; --debug shows where.", style="bold red")
            err.print(str(error) if known else f"{type(error).__name__}: {error}", markup=False)
            raise typer.Exit(1) from None

    asked = inspect.signature(function)
    debug = inspect.Parameter("debug", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Debug)
    told.__signature__ = asked.replace(parameters=[*asked.parameters.values(), debug])
    return app.command()(told)


@_command
def report(
    client: ClientName,
    month: Annotated[str, typer.Option(help="The month, as 2026-10; by default the last the exports cover.")] = "",
    as_of: Annotated[str, typer.Option(help="The last day observed, as 2026-10-15, instead of a month.")] = "",
    market: Annotated[str, typer.Option(help="One market only, as DE.")] = "",
    raw: RawFolder = None,
    jobs: Annotated[int, typer.Option(min=1, help="Notebooks run at the same time.")] = 2,
    engine: Annotated[str, typer.Option(help="duckdb, spark or warehouse, instead of what client.toml says.")] = "",
    max_rejected: MaxRejected = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser when it is ready.")] = False,
) -> None:
    """Build the tables, run the notebooks and write reports/CLIENT/MONTH."""
    from helpers.report import progress, render
    from helpers.settings import load_settings

    if engine:
        os.environ["WORKBOOK_ENGINE"] = engine
    if client == DEMO and raw is None:
        _write_demo(only_if_none=True)
    settings = load_settings(client)
    files = _build(settings, raw, max_rejected)
    day = _last_day(settings, files, month, as_of)
    with progress.shown(settings.report.notebooks, err) as tell:
        made = render.report(client, day, market.upper(), jobs, tell)
    for name, failure in made.failures.items():
        err.print(f"{name} failed. {failure}", style="red", markup=False)
    out.print(f"{'Finished' if not made.failures else 'Not complete'}, {made.seconds:.0f} s.")
    out.print(str(made.front), style="bold", markup=False)
    if show:
        webbrowser.open(made.front.resolve().as_uri())
    if made.failures:
        raise typer.Exit(1)


@_command
def check(
    client: ClientName,
    raw: RawFolder = None,
    max_rejected: MaxRejected = None,
    keep_window: Annotated[bool, typer.Option(help="Write the proposed churn window into client.toml.")] = False,
) -> None:
    """Read the raw exports, say what each was taken for, build the tables and propose a churn window."""
    from helpers.intake import build
    from helpers.intake.contract import IntakeError
    from helpers.settings import load_settings

    settings = load_settings(client)
    found = build.check(settings, raw)
    table = Table("file", "read as", Column("rows", justify="right"), Column("rejected", justify="right"), box=None, pad_edge=False)
    for row in found.itertuples():
        table.add_row(row.file, row.format, f"{row.rows_read:,}", f"{row.rows_rejected:,}")
    out.print(table)
    try:
        built = _build(settings, raw, max_rejected)
    except IntakeError as error:
        _print_problems(found, str(error))
        raise
    _print_problems(found)
    through = _covered(settings, built)
    out.print(f"Tables built. All sources reach {through:%Y-%m-%d}.")
    if settings.churn_window_days == "auto":
        _propose_window(settings, through, keep_window)


@_command
def new(
    client: ClientName,
    raw: Annotated[Path | None, typer.Option("--raw", help="Exports to copy in and to fill client.toml from.")] = None,
) -> None:
    """Make data/CLIENT with a commented client.toml and CSV templates to fill, from a folder of exports if given."""
    from helpers.intake.new import new_client

    folder, found = new_client(client, raw)
    for line in found:
        out.print(line, markup=False)
    todo = "Go" if raw else f"Put the exports into {folder / 'raw'}, go"
    out.print(f"{folder} is ready. {todo} through client.toml, then:", markup=False)
    out.print(f"  workbook check {client}", style="bold", markup=False)


@_command
def lab() -> None:
    """Open the notebooks in JupyterLab."""
    from helpers.settings import home

    os.chdir(home() / "notebooks")
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab"])


@_command
def demo() -> None:
    """Write the demo client's raw exports anew, as the platforms would give them."""
    _write_demo()


@_command
def forget(client: ClientName, email: Annotated[str, typer.Argument(help="The person's e-mail.")]) -> None:
    """Erase a person from a client's raw exports, tables and action lists."""
    from helpers.intake import people

    out.print(people.forget(client, email), markup=False)


@_command
def contacts(client: ClientName, month: Month, raw: RawFolder = None) -> None:
    """Join a month's action list to e-mail addresses, for the mailing tool; the file stays in data/CLIENT/actions."""
    from helpers.intake import people

    out.print(str(people.contacts(client, month, raw)), markup=False)


def _write_demo(only_if_none: bool = False) -> None:
    from helpers.demo import write_demo
    from helpers.settings import client_folder

    folder = client_folder(DEMO) / "raw"
    if only_if_none and any(path.is_file() for path in folder.glob("[!.]*")):
        return
    with err.status("Simulating the demo client's exports"):
        write_demo(folder)
    err.print(f"Wrote the demo client's exports into {folder}.", markup=False)


def _build(settings, raw, max_rejected):
    """The files table of the client's tables, built anew when a raw file, the settings or the program changed."""
    from helpers.intake import build

    began = time.monotonic()
    with err.status("Reading and checking the exports"):
        built = build.build(settings, raw, max_rejected)
    if not built.reused:
        rows = built.files.drop_duplicates("file")["rows_read"].sum()
        err.print(f"Read {rows:,} rows of {built.files['file'].nunique()} files, {time.monotonic() - began:.0f} s.")
    for remark in [*built.remarks, *settings.placeholders()]:
        err.print(f"Note: {remark}", style="dim", markup=False)
    return built.files


def _covered(settings, files):
    """The last day that the exports of every active source of client.toml cover (of every file, when it names none)."""
    import pandas as pd

    active = {name for name, source in settings.sources.items() if source.active and not source.skip}
    of = files[files["source"].isin(active)] if active else files
    days = pd.to_datetime(of["covered_through"]).groupby(of["source"]).max().dropna()
    if days.empty:
        raise ValueError("No export says which days it covers. Name the month with --month 2026-10.")
    return days.min().date()


def _propose_window(settings, as_of, keep: bool) -> None:
    """Say the churn window the client's own gaps between purchases give; written into client.toml it stays the same."""
    from helpers.client import open_client
    from helpers.estimates import NotEnoughData
    from helpers.metrics.churn import survival

    try:
        window = survival.churn_window(survival.gaps(open_client(settings.client, as_of).occasions, as_of))
    except NotEnoughData as gap:
        out.print(str(gap), markup=False)
        return
    line = f"churn_window_days = {window.days}"
    path = settings.folder / "client.toml"
    if not keep:
        out.print(f"Proposed: {line}. Write it into {path}, so that churn does not move because the window does:")
        out.print(f"  workbook check {settings.client} --keep-window", style="bold", markup=False)
        return
    text, found = re.subn(r"(?m)^churn_window_days\s*=.*$", line, path.read_text(encoding="utf-8-sig"), count=1)
    path.write_text(text if found else f"{line}\n{text}", encoding="utf-8")
    out.print(f"{path} now says {line}.", markup=False)


def _last_day(settings, files, month: str, as_of: str):
    """The day a report is as of: a given day, the end of a given month, or of the last month the exports cover."""
    from helpers import periods

    if month and as_of:
        raise ValueError("Give either --month or --as-of, not both.")
    if as_of:
        return periods.as_date(as_of)
    return periods.month_end(month or periods.last_complete_month(_covered(settings, files)))


def _print_problems(found, said: str = "") -> None:
    """What is wrong with each file, under its name; a file that an error names already is not named again."""
    for row in found.itertuples():
        if row.problems and f"/raw/{row.file} has " not in said:
            lines = row.problems.splitlines()
            out.print("\n".join([f"{row.file}:", *(f"  {line}" for line in lines)]), style="yellow", markup=False)
