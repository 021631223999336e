"""A running report shown in the terminal: a bar over the notebooks, and a line with a clock for each that runs."""

import threading
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


class Notebooks:
    """A context manager whose `tell` is called when a notebook starts and ends; plain lines where there is no terminal.

    >>> with Notebooks(["02_churn_rate"], Console(quiet=True)) as shown:
    ...     shown.tell("02_churn_rate", "start")
    ...     shown.tell("02_churn_rate", "done")
    """

    def __init__(self, names, console: Console):
        columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
        self._console, self._bar = console, Progress(*columns, TimeElapsedColumn(), console=console, transient=True)
        self._all = self._bar.add_task("Report", total=len(names))
        self._running, self._lock = {}, threading.Lock()

    def __enter__(self):
        self._bar.start()
        return self

    def __exit__(self, *_):
        self._bar.stop()

    def tell(self, name: str, event: str) -> None:
        """A notebook's event: "start", "done" or "failed" (called from the threads that run them)."""
        with self._lock:
            if event == "start":
                self._running[name] = self._bar.add_task(f"  {name}", total=1), time.monotonic()
                return
            task, began = self._running.pop(name)
            self._bar.remove_task(task)
            self._bar.advance(self._all)
        if not self._console.is_terminal or event == "failed":
            self._console.print(f"{name} {event}, {time.monotonic() - began:.0f} s", markup=False)
