"""Seconds by step, and the process's peak memory."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
        total = {"total": round(sum(self.values()), 4), "processor": round(self.processor, 4)}
        print(json.dumps({**self, **total, "gigabytes": round(_peak(), 3), **more}))


def _peak() -> float:
    """Gigabytes: of this program alone where Linux tells it, for getrusage remembers the process that started this one."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
