"""The machine that a figure was measured on, and what it could do at that moment."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import torch

SIDE, TIMES = 2048, 5


@dataclass(frozen=True)
class Machine:
    """Of one row, measured just before it."""

    processor: str
    cores: int
    threads: int
    """Of torch."""
    torch: str
    load: float
    """Processes that wanted a core in the last minute; above 0, others were at work."""
    fp32_tflops: float
    """The roof: a product of two matrices of SIDE rows and columns."""
    bf16_tflops: float

    @classmethod
    def now(cls) -> Machine:
        """Measure both roofs."""
        load = os.getloadavg()[0]
        roofs = {dtype: roof(dtype) for dtype in (torch.float32, torch.bfloat16)}
        return cls(
            _processor(),
            os.cpu_count() or 1,
            torch.get_num_threads(),
            torch.__version__.split("+")[0],
            round(load, 1),
            *(round(value, 3) for value in roofs.values()),
        )


def roof(dtype: torch.dtype, device: str = "cpu", side: int = SIDE) -> float:
    """Measure the TFLOP/s of a matrix product, the median of `TIMES`."""
    first, second = (torch.rand(side, side, device=device).to(dtype) for _ in range(2))
    first @ second
    return 2 * side**3 / median(_seconds(first, second) for _ in range(TIMES)) / 1e12


def _seconds(first: torch.Tensor, second: torch.Tensor) -> float:
    wait(first.device)
    started = time.perf_counter()
    first @ second
    wait(first.device)
    return time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Wait until an accelerator has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
