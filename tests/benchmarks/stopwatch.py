"""Seconds by step, and the process's peak memory."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch(dict):
    """Step name to seconds; print it as the last line."""

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        begin = time.perf_counter()
        yield
        self[name] = round(time.perf_counter() - begin, 4)

    def report(self, **more) -> None:
        """One line of JSON with the steps, their sum and the peak memory."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(json.dumps({**self, "total": round(sum(self.values()), 4), "gigabytes": round(peak, 3), **more}))
