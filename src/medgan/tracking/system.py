"""Load of this process, sampled beside a run: the option `system_metrics` of tracking.yml."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

EVERY = 10.0
"""Seconds between two samples."""
STATM = Path("/proc/self/statm")
Sample = Mapping[str, float]


class SystemMetrics(threading.Thread):
    """Report processor, memory and GPU memory of this process until it is stopped.

    Names begin with `system/`, which MLflow shows on a page of their own.
    """

    def __init__(self, report: Callable[[Sample], Any], every: float = EVERY) -> None:
        super().__init__(daemon=True)
        self._report, self._every = report, every
        self._over = threading.Event()

    def run(self) -> None:
        """Sample."""
        number, before, worked = 0, time.monotonic(), time.process_time()
        while not self._over.wait(self._every):
            now, work, number = time.monotonic(), time.process_time(), number + 1
            share = (work - worked) / (now - before) / (os.cpu_count() or 1)
            load = {"system/cpu_utilization_percentage": 100.0 * share, **_memory()}
            self._report({"step": number, **load})
            before, worked = now, work

    def stop(self) -> None:
        """End after the sample that is being taken."""
        self._over.set()
        self.join()


def _memory() -> dict[str, float]:
    """Memory in MB, where the system tells it, and that of PyTorch on a GPU that is in use."""
    found = {}
    if STATM.exists():
        pages = int(STATM.read_text(encoding="ascii").split()[1])
        found["system/process_memory_megabytes"] = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        found["system/gpu_memory_megabytes"] = torch.cuda.memory_reserved() / 1e6
    return found
