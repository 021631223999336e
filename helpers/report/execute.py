"""Notebooks run one after another or side by side by papermill, and what each of them had to say."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import papermill
from papermill.exceptions import PapermillExecutionError
from papermill.translators import PythonTranslator

from helpers.report import rows
from helpers.report.page import MIME

CELL_SECONDS = 1_800  # a cell that takes longer hangs: the cron job must end with a page saying so
START_SECONDS = 300  # a kernel on a busy machine takes its time
ADDED = {"papermill-error-cell-tag", "injected-parameters"}  # cells papermill puts in: not the author's


class UnknownParameter(ValueError):
    """A notebook was given a parameter it does not declare; papermill alone would run it on its defaults."""


@dataclass
class Run:
    """One notebook's run: the executed notebook, what it published, how long it took and why it failed, if it did."""

    name: str
    notebook: nbformat.NotebookNode
    seconds: float
    failure: str = ""
    metrics: list[dict] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The notebook's first heading: its question."""
        words = (cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")
        return next((text.splitlines()[0].removeprefix("# ").strip() for text in words if text.startswith("# ")), self.name)


def execute(
    notebooks: list[Path], parameters: dict, into: Path, jobs: int = 2, tell: Callable[[str, str], None] | None = None
) -> list[Run]:
    """Every notebook run with the parameters, `jobs` at a time, in their own order; a failing one stops no other.

    Executed notebooks go into the folder `into`. `tell(name, "start" | "done" | "failed")` is called on the way.
    Raises UnknownParameter before anything runs.
    """
    for path in notebooks:
        _check_parameters(path, parameters)
    # one thread a kernel: notebooks run side by side, and sums in one thread do not depend on the machine
    os.environ |= {"OMP_NUM_THREADS": "1", "WORKBOOK_JOBS": str(jobs), "JUPYTER_PREFER_ENV_PATH": "1"}
    tell = tell or (lambda name, event: None)
    with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
        return list(pool.map(lambda path: _run(path, parameters, into, tell), notebooks))


def _check_parameters(path: Path, parameters: dict) -> None:
    cells = nbformat.read(path, as_version=4).cells
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    declared = [parameter.name for cell in tagged[:1] for parameter in PythonTranslator.inspect(cell)]
    unknown = sorted(set(parameters) - set(declared))
    if unknown:
        raise UnknownParameter(
            f"notebooks/{path.name} has no parameter {', '.join(unknown)}. Its parameters cell declares: "
            f"{', '.join(declared) or 'none'}. Add it there, tagged 'parameters', with a default that runs on the demo."
        )


def _run(path: Path, parameters: dict, into: Path, tell: Callable[[str, str], None]) -> Run:
    tell(path.stem, "start")
    began, failure, output = time.monotonic(), "", into / path.name
    try:
        papermill.execute_notebook(
            str(path), str(output), parameters, kernel_name="python3", cwd=str(path.parent), progress_bar=False,
            execution_timeout=CELL_SECONDS, start_timeout=START_SECONDS, language="python",
            extra_arguments=["--log-level=CRITICAL", "--HistoryManager.enabled=False"],
        )  # fmt: skip
    except PapermillExecutionError as error:
        failure = f"{error.ename}: {error.evalue}".strip().rstrip(":")
    except Exception as error:  # noqa: BLE001 - a dead kernel or a hung cell must not stop the other notebooks
        failure = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
    notebook = nbformat.read(output if output.exists() else path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not ADDED & set(cell.metadata.get("tags", []))]
    failure = failure and f"{_where(notebook)} {failure}".strip()
    run = Run(path.stem, notebook, round(time.monotonic() - began, 1), failure)
    _collect(run)
    run.failure = run.failure or rows.conflict(run.metrics)
    tell(path.stem, "failed" if run.failure else "done")
    return run


def _where(notebook: nbformat.NotebookNode) -> str:
    """Which cell failed, in the reader's terms: its number and the heading above it."""
    heading = ""
    for number, cell in enumerate(notebook.cells, 1):
        if cell.cell_type == "markdown":
            titles = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = titles[-1].lstrip("# ").strip() if titles else heading
        elif any(output.output_type == "error" for output in cell.get("outputs", [])):
            return f"Cell {number}, under “{heading}”."
    return ""


def _collect(run: Run) -> None:
    """What the cells handed over beside what they show: taken out, for no page has it."""
    handed = {"metrics": run.metrics, "answer": run.answers, "missing": run.missing, "actions": run.actions}
    for cell in run.notebook.cells:
        kept = []
        for output in cell.get("outputs", []):
            contents = {kind: output.get("data", {}).get(MIME.format(kind)) for kind in handed}
            for kind, content in contents.items():
                handed[kind] += content or []
            if all(content is None for content in contents.values()):
                kept.append(output)
        if cell.cell_type == "code":
            cell.outputs = kept
