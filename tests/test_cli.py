"""The command line: sentences and exit codes, no traceback, and an answer at once to --help."""

import subprocess
import sys
import time
from datetime import date
from types import SimpleNamespace

import pandas as pd
import pytest
from typer.testing import CliRunner

from helpers import cli
from helpers.report import render

COMMANDS = ("report", "check", "new", "lab", "demo", "forget", "contacts")


@pytest.fixture
def run():
    """`run("report", "demo")`: the command's result, its output in one string."""
    return lambda *arguments: CliRunner().invoke(cli.app, list(arguments), env={"COLUMNS": "200"})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project folder with one client and no exports."""
    monkeypatch.setenv("WORKBOOK_HOME", str(tmp_path))
    folder = tmp_path / "data" / "tiny"
    folder.mkdir(parents=True)
    (folder / "client.toml").write_text(
        'name = "Tiny"\ncurrency = "EUR"\ntime_zone = "Europe/Berlin"\n[margin]\nrate = 0.4\n', encoding="utf-8"
    )
    return tmp_path


@pytest.fixture
def built(project, monkeypatch):
    """Reports that are not really made: the arguments they were asked for with, and the failures they should report."""
    asked, failures = [], {}
    days = {"eu": ["2026-10-31", "2026-09-30"], "us": ["2026-11-12"]}
    files = pd.DataFrame([{"source": name, "covered_through": day} for name in days for day in days[name]])

    def make(client, as_of, market, jobs, tell):
        asked.append((client, as_of, market, jobs))
        return render.Report(project / "reports" / client / "2026-10", failures, 12.0)

    monkeypatch.setattr(cli, "_build", lambda settings, raw, share: files)
    monkeypatch.setattr(render, "report", make)
    return SimpleNamespace(asked=asked, failures=failures)


def test_help_names_every_command_and_comes_at_once():
    began = time.monotonic()
    command = [sys.executable, "-X", "importtime", "-c", "from helpers.cli import app; app()", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    assert all(name in done.stdout for name in COMMANDS)
    heavy = {"pandas", "ibis", "duckdb", "matplotlib", "papermill", "nbconvert", "numpy", "babel"}
    loaded = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert not heavy & loaded
    assert time.monotonic() - began < 10  # the machine may be busy; what is not imported cannot be slow


def test_a_month_is_its_last_day_and_the_default_is_the_last_that_all_exports_cover(run, built):
    for arguments in ([], ["--month", "2026-10"], ["--as-of", "2026-10-31"]):
        assert run("report", "tiny", *arguments).exit_code == 0
    run("report", "tiny", "--as-of", "2026-10-15", "--market", "de", "--jobs", "3")
    october = ("tiny", date(2026, 10, 31), "", 2)
    assert built.asked == [october, october, october, ("tiny", date(2026, 10, 15), "DE", 3)]


def test_the_path_is_printed_and_only_a_whole_report_is_a_success(run, built):
    done = run("report", "tiny")
    assert done.exit_code == 0
    assert done.output.strip().endswith("reports/tiny/2026-10/index.html")
    built.failures["02_churn_rate"] = "Cell 5. ValueError: no."
    done = run("report", "tiny")
    assert done.exit_code == 1
    assert "02_churn_rate failed. Cell 5. ValueError: no." in done.output


@pytest.mark.parametrize(("arguments", "said"), [
    (["report", "nobody"], "There is no client 'nobody'. Known: tiny."),
    (["report", "../tiny"], "'../tiny' cannot be a client name"),
    (["report", "tiny", "--month", "2026-10", "--as-of", "2026-10-01"], "Give either --month or --as-of, not both."),
    (["report", "tiny", "--month", "2026-13"], "'2026-13' is not a month. Write it as 2026-10."),
    (["report", "tiny", "--as-of", "31/10/2026"], "'31/10/2026' is not a date. Write it as 2026-10-31."),
])  # fmt: skip
def test_an_error_is_a_sentence(run, built, arguments, said):
    done = run(*arguments)
    assert done.exit_code == 1
    assert said in done.output
    assert "Traceback" not in done.output


def test_a_share_is_between_none_and_all(run, built):
    done = run("check", "tiny", "--max-rejected", "-1")
    assert done.exit_code == 2 and "max-rejected" in done.output and "Traceback" not in done.output


def test_check_says_in_which_file_a_problem_is(run, project, monkeypatch):
    """Under the limit, under the file's name; over it the error says it once. What is left out is said too."""
    monkeypatch.setenv("WORKBOOK_KEYS", str(project / "keys"))
    raw = project / "data" / "tiny" / "raw"
    raw.mkdir()
    orders = "order_id,ordered_at,currency,amount\n" + "".join(f"{k},2026-03-01,EUR,1\n" for k in range(200))
    (raw / "a.csv").write_text(orders + "x,soon,EUR,1\n")
    (raw / "old.csv").write_text("a,b\n1,2\n")
    toml = project / "data" / "tiny" / "client.toml"
    toml.write_text(toml.read_text() + '[sources.old]\nfiles = "old.csv"\nskip = true\n')
    done = run("check", "tiny")
    assert done.exit_code == 0, done.output
    assert "a.csv:\n  ordered_at: 1 of 201 values is not a date" in done.output and "left out: skip = true" in done.output
    (raw / "b.csv").write_text("a,b\n1,2\n")
    (raw / "c.csv").write_text("")
    done = run("check", "tiny")
    assert done.exit_code == 1 and done.output.count("no known export has the columns a, b") == 1
    assert "raw/c.csv has 1 problem:\n  1. the file: it is empty" in done.output


def test_debug_shows_where_an_error_arose(run, built):
    assert isinstance(run("report", "nobody", "--debug").exception, ValueError)


@pytest.mark.parametrize(("broken", "error"), [(lambda *_: {}["x"], "KeyError"), (lambda *_: [][0], "IndexError")])
def test_an_error_nobody_expected_says_so(run, built, monkeypatch, broken, error):
    monkeypatch.setattr(render, "report", broken)
    done = run("report", "tiny")
    assert done.exit_code == 1
    assert "an error nobody expected; --debug shows where" in done.output
    assert error in done.output


def test_exports_that_say_nothing_about_their_days_need_a_month(run, built, monkeypatch):
    files = pd.DataFrame({"source": ["eu"], "covered_through": [None]})
    monkeypatch.setattr(cli, "_build", lambda *_: files)
    assert "Name the month with --month" in run("report", "tiny").output
    assert run("report", "tiny", "--month", "2026-10").exit_code == 0


def test_a_client_without_exports_is_told_where_they_go(run, project):
    done = run("check", "tiny")
    assert done.exit_code == 1
    assert "raw" in done.output
    assert "Traceback" not in done.output


def test_the_demo_is_simulated_when_its_exports_are_not_there(run, built, project, monkeypatch):
    written = []
    monkeypatch.setattr("helpers.demo.write_demo", lambda folder: written.append(folder))
    (project / "data" / "tiny").rename(project / "data" / "demo")
    assert run("report", "demo").exit_code == 0
    assert written == [project / "data" / "demo" / "raw"]
    written[0].mkdir()
    (written[0] / "orders.csv").write_text("Name\n", encoding="utf-8")
    run("report", "demo")
    assert len(written) == 1
    run("demo")
    assert len(written) == 2


def test_a_new_client_is_made_once(run, project):
    done = run("new", "acme")
    assert done.exit_code == 0
    assert (project / "data" / "acme" / "client.toml").is_file()
    assert done.output.strip().endswith("workbook check acme")
    assert "is there already" in run("new", "acme").output
    assert "cannot be a client name" in run("new", "Acme & Co").output


def test_forget_and_contacts_hand_over_and_print_what_they_are_told(run, project, monkeypatch):
    monkeypatch.setattr("helpers.intake.people.forget", lambda client, email: f"Erased [{email}] from {client}")
    monkeypatch.setattr("helpers.intake.people.contacts", lambda client, month, raw: project / f"{client}.csv")
    assert "Erased [a@b.example] from tiny" in run("forget", "tiny", "a@b.example").output
    assert run("contacts", "tiny", "2026-10").output.strip().endswith("tiny.csv")
