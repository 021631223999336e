"""What the README says is so: its commands exist, its links resolve, its map is the tree."""

import re
import subprocess
from pathlib import Path

import pytest
from report_runs import ROOT, workbook

PAGES = [ROOT / "README.md", ROOT / "data" / "README.md", ROOT / "reports" / "README.md"]
README = PAGES[0].read_text(encoding="utf-8")
FENCED = re.findall(r"^```[a-z]*\n(.*?)^```", README, re.M | re.S)
COMMANDS = [line.split("#")[0].strip() for block in FENCED for line in block.splitlines()]
SPOKEN = re.findall(r"`((?:make|workbook|\.venv/bin/workbook)[^`]*)`", README)
TARGETS = sorted({c.split()[1] for c in COMMANDS + SPOKEN if c.startswith("make ")})
CALLS = [c.split("workbook ")[1] for c in COMMANDS + SPOKEN if re.search(r"\bworkbook [a-z]", c)]
SUBCOMMANDS = sorted({call.split()[0] for call in CALLS})


@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_every_target_the_readme_names(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_workbook_knows_every_command_the_readme_names(command, tmp_path):
    assert workbook(tmp_path, command, "--help").code == 0


def test_the_readme_names_commands_at_all():
    assert {"report", "test", "lab"} <= set(TARGETS)
    assert {"new", "report", "check", "forget"} <= set(SUBCOMMANDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.parent.name + "/" + p.name)
def test_relative_links_resolve(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_lists_the_notebooks_by_their_titles():
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        title = re.search(r'"# ([^"\\]+\?)', notebook.read_text(encoding="utf-8")).group(1)
        assert f"| `{notebook.stem}` | {title} |" in README


def test_the_top_level_holds_what_it_promises():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    folders = {Path(name).parts[0] for name in tracked if len(Path(name).parts) > 1}
    assert folders == {"notebooks", "helpers", "data", "reports", "tests", ".ci", ".github"}


def test_nothing_committed_carries_a_path_of_a_machine_or_a_secret():
    pattern = r"/(root|home|work|Users)/[a-z]|BEGIN (RSA|OPENSSH) PRIVATE KEY|AKIA[0-9A-Z]{16}"
    done = subprocess.run(["git", "grep", "-nIE", pattern, "--", ".", ":!tests/test_docs.py"], cwd=ROOT,
                          capture_output=True, text=True, check=False)
    assert not done.stdout, done.stdout
