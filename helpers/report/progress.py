"""A running report shown in the terminal: a bar over the notebooks, and a line with a clock for each that runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


@contextmanager
def shown(names, console: Console) -> Iterator[Callable[[str, str], None]]:
    """A function to call with a notebook's name and its event: "start", "done" or "failed"; plain lines without a terminal.

    >>> with shown(["02_churn_rate"], Console(quiet=True)) as tell:
    ...     tell("02_churn_rate", "start")
    ...     tell("02_churn_rate", "done")
    """
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    running = {}  # a notebook's line and when it began; each name is the affair of one thread alone
    with Progress(*columns, console=console, transient=True) as bar:
        every = bar.add_task("Report", total=len(names))

        def tell(name: str, event: str) -> None:
            """Show what became of a notebook."""
            if event == "start":
                running[name] = bar.add_task(f"  {name}", total=1), time.monotonic()
                return
            task, began = running.pop(name)
            bar.remove_task(task)
            bar.advance(every)
            if not console.is_terminal or event == "failed":
                console.print(f"{name} {event}, {time.monotonic() - began:.0f} s", markup=False)

        yield tell
