"""Seconds by step, and the process's peak memory."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch(dict):
    """Step name to seconds; print it as the last line."""

    processor = 0.0  # seconds of all threads: what a busy machine does not change

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time what happens inside."""
        begin, busy = time.perf_counter(), time.process_time()
        yield
        self.processor += time.process_time() - busy
        self[name] = round(time.perf_counter() - begin, 4)

    def report(self, **more) -> None:
        """One line of JSON with the steps, their sum and the peak memory."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        total = {"total": round(sum(self.values()), 4), "processor": round(self.processor, 4)}
        print(json.dumps({**self, **total, "gigabytes": round(peak, 3), **more}))
