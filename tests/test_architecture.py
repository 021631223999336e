"""House rules that a machine can check: imports go one way, notebooks are stripped, public functions are documented."""

import ast
import doctest
import re
import tomllib
from pathlib import Path

import nbformat
import pytest
from papermill.inspection import inspect_notebook

ROOT = Path(__file__).resolve().parents[1]
HELPERS = ROOT / "helpers"
MODULES = sorted(path for path in HELPERS.rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LEVELS = [
    {"periods", "money", "schema", "estimates", "codes"},
    {"settings"},
    {"intake", "demo"},
    {"metrics"},
    {"spark", "engines", "cache", "client", "actions"},
    {"report"},
    {"cli"},
]
FORBIDDEN_NAMES = {"utils", "common", "core", "base", "manager", "misc", "helpers"}


def room(module: str) -> str:
    """The room of a dotted module name: helpers.metrics.churn.churn → metrics."""
    return module.split(".")[1] if "." in module else ""


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Every module of this project that a file imports, wherever in the file."""
    known = {dotted(p) for p in MODULES}
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return {name for name in found if name in known and name != "helpers"}


def level(module: str) -> int:
    return next(k for k, rooms in enumerate(LEVELS) if room(module) in rooms)


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_a_module_imports_only_from_its_own_level_or_above(path):
    if dotted(path) == "helpers":
        return
    lower = {name for name in imports(path) if level(name) > level(dotted(path))}
    assert not lower, f"{dotted(path)} reaches down to {lower}"


def test_metrics_know_no_files_settings_or_pages():
    for path in (HELPERS / "metrics").rglob("*.py"):
        assert {room(name) for name in imports(path)} <= LEVELS[0] | {"metrics"}, path.name


def test_there_is_no_circle():
    graph = {dotted(path): imports(path) - {dotted(path)} for path in MODULES}
    packages = {dotted(p) for p in MODULES if p.name == "__init__.py"}
    graph = {name: seen - packages for name, seen in graph.items()}
    done: set[str] = set()
    while len(done) < len(graph):
        free = {name for name, seen in graph.items() if name not in done and seen <= done}
        assert free, f"a circle among {sorted(set(graph) - done)}"
        done |= free


def test_the_rooms_of_metrics_stand_in_one_order():
    """No room of metrics is used by one that it uses itself, not even by way of other modules."""
    uses: dict[str, set[str]] = {}
    for path in (HELPERS / "metrics").rglob("[a-z]*.py"):
        mine = dotted(path).split(".")[2]
        uses.setdefault(mine, set()).update({name.split(".")[2] for name in imports(path) if name.count(".") > 2} - {mine})
    order: list[str] = []
    while len(order) < len(uses):
        free = sorted(each for each, used in uses.items() if each not in order and used <= {*order})
        assert free, f"a circle among {sorted(set(uses) - set(order))}"
        order += free


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert not {path.stem for path in MODULES} & FORBIDDEN_NAMES


def public_functions():
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                yield pytest.param(node, id=f"{dotted(path)}.{node.name}")


@pytest.mark.parametrize("node", list(public_functions()))
def test_every_public_function_is_documented(node):
    assert ast.get_docstring(node)


@pytest.mark.parametrize("path", sorted((HELPERS / "metrics").rglob("[a-z]*.py")), ids=dotted)
def test_every_public_metric_has_an_example_that_runs(path):
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            examples = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
            assert examples, f"{dotted(path)}.{node.name} has no example"
            assert not any(doctest.SKIP in e.options for e in examples), f"{node.name}: its example is skipped"


def test_lifetimes_is_imported_in_one_place():
    users = [dotted(p) for p in MODULES if re.search(r"^\s*(from|import) lifetimes\b", p.read_text(), re.M)]
    assert users == ["helpers.metrics.value.pareto"]


def test_metrics_never_ask_what_day_it_is():
    for path in [*(HELPERS / "metrics").rglob("*.py"), HELPERS / "client.py", HELPERS / "periods.py"]:
        calls = {n.attr for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Attribute)}
        assert not calls & {"today", "now", "utcnow"}, path.name


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebook:
    def test_is_committed_without_outputs(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None

    def test_has_the_same_first_cells_as_the_others(self, path):
        cells = nbformat.read(path, as_version=4).cells
        assert cells[0].cell_type == "markdown"
        assert cells[0].source.splitlines()[0].endswith("?"), "the title is the reader's question"
        assert "parameters" in cells[1].metadata.get("tags", [])
        assert "import" in cells[2].source
        assert "open_client(client, as_of, market)" in cells[3].source
        assert cells[-1].source.strip().endswith("sheet.provenance()")

    def test_defines_nothing_and_keeps_cells_short(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code":
                nodes = list(ast.walk(ast.parse(cell.source)))
                assert not any(isinstance(n, ast.FunctionDef | ast.ClassDef) for n in nodes)
                lines = [line for line in cell.source.splitlines() if line.strip()]
                only_imports = all(isinstance(n, ast.Import | ast.ImportFrom) for n in ast.parse(cell.source).body)
                assert only_imports or len(lines) <= 12, cell.source

    def test_parameters_are_plain_and_seen_by_papermill(self, path):
        cell = nbformat.read(path, as_version=4).cells[1]
        names = [n.targets[0].id for n in ast.parse(cell.source).body if isinstance(n, ast.Assign)]
        assert names[:3] == ["client", "as_of", "market"]
        assert set(names) == set(inspect_notebook(str(path)))
        assert all(line.count("=") == 1 and "#" in line for line in cell.source.splitlines() if line.strip())

    def test_types_no_number_in_markdown(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "markdown":
                assert "%" not in cell.source.replace("95 %", ""), cell.source


def test_the_three_lists_of_dependencies_are_in_step():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    wanted = project["dependencies"] + project["optional-dependencies"]["test"]
    for requirement in wanted:
        name = requirement.split("[")[0].split(">")[0].split("=")[0].split("<")[0].lower()
        assert f"\n{name}==" in f"\n{lock}", f"{name} is not in requirements.lock"
    environment = (ROOT / "environment.yml").read_text()
    assert "-e .[test]" in environment
    assert f"python{project['requires-python']}" in environment


def test_the_lock_is_hashed_and_names_no_index_host():
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert "://" not in lock
    assert "--index-url" not in lock
