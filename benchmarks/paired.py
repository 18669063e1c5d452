"""Compare the speed of two functions that do the same work, in one process.

The sides take turns, A B A B ... A, so that what else the machine does meets both. A is ours. Each
ratio pairs a B with its two neighbours, and two neighbouring As are the control: how far a ratio is
from 1 where there is no difference. A side that takes less than `BLOCK_SECONDS` is called several
times in a row. The first call of each side is not timed; its results are compared.
"""

from __future__ import annotations

import ctypes
import gc
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

ROUNDS = 7
BLOCK_SECONDS = 0.2
SLOW_SECONDS = 2.0
"""A first call that takes longer needs no second to tell how many calls make a block."""
STATUS, CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"
"""What resets the peak of the resident memory (Linux, man 5 proc)."""


class OutputsDiffer(Exception):
    """Both sides do not compute the same, so their times must not be compared."""


@dataclass(frozen=True)
class Within:
    """The outputs agree: `difference(ours, theirs)` is at most `tolerance`."""

    tolerance: float
    difference: Callable[[Any, Any], float]
    what: str
    """What is compared, such as "relative difference of the FID"."""
    results: Callable[[], tuple[Any, Any]] | None = None
    """Both results, where what is timed does not return them."""


@dataclass(frozen=True)
class NotCompared:
    """The outputs cannot be equal, for a reason."""

    reason: str


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    work: str
    """With its size: "FID of 5,000 new samples, 2,048 features"."""
    against: str
    goal: float
    """Smallest ratio that is wanted."""
    ours: Callable[[], Any]
    other: Callable[[], Any]
    outputs: Within | NotCompared
    scale: float = 1.0
    """How many times the work of `other` is smaller than that of `ours`; its time is multiplied."""
    note: str = ""
    operations: int = 0
    """Floating-point operations of `ours` in matrix products; 0 where they do not limit it."""
    precision: str = "fp32"
    """Of these operations."""


@dataclass(frozen=True)
class Timed:
    """A line with a limit in seconds in place of another side."""

    work: str
    limit: float
    run: Callable[[], Any]


@dataclass(frozen=True)
class Quality:
    """A line on trained models: whether a faster training makes worse ones."""

    work: str
    metric: str
    """Lower is better."""
    plain: Callable[[int], float]
    """Train with a seed, and compute the metric."""
    faster: Callable[[int], float]
    seeds: int


@dataclass(frozen=True)
class Spread:
    """The median of the rounds, the smallest and the largest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: list[float]) -> Spread:
        """Summarize one value of each round."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True)
class Comparison:
    """What was measured."""

    ratio: Spread
    """Seconds of the other : seconds of ours."""
    control: Spread
    """Seconds of ours : seconds of ours."""
    seconds: Spread
    other_seconds: Spread
    memory_mb: float | None
    """What a call adds to the resident memory, at most; None where it cannot be measured."""
    other_memory_mb: float | None
    outputs: str
    rounds: int

    @property
    def within_control(self) -> bool:
        """Whether the ratio is no larger than those of ours with itself, so that nothing is said."""
        return within(self.control, self.ratio.median)


@dataclass(frozen=True)
class Parity:
    """The metric of both trainings with the same seeds."""

    ratio: Spread
    """That of the plain : that of the faster training; above 1, the faster one is better."""
    control: Spread
    """That of the plain training : that with the seed before."""
    plain: Spread
    faster: Spread

    @property
    def equal(self) -> bool:
        """Whether two seeds of the plain training differ by as much."""
        return within(self.control, self.ratio.median)


def compare(case: Case, rounds: int = ROUNDS) -> Comparison:
    """Measure a case.

    Raises:
        OutputsDiffer: if the results are further apart than the tolerance.
    """
    gc.collect()
    ours, mine = _warm(case.ours)
    other, theirs = _warm(case.other)
    outputs = agreement(case.outputs, mine, theirs)
    del mine, theirs
    seconds, other_seconds = [_seconds(case.ours, ours)], []
    for _ in range(rounds):
        other_seconds.append(case.scale * _seconds(case.other, other))
        seconds.append(_seconds(case.ours, ours))
    return Comparison(
        Spread.of(paired_ratios(seconds, other_seconds)),
        Spread.of(control_ratios(seconds)),
        Spread.of(seconds),
        Spread.of(other_seconds),
        _added_mb(case.ours),
        _added_mb(case.other),
        outputs,
        rounds,
    )


def seconds_of(case: Timed, rounds: int = ROUNDS) -> Spread:
    """Measure the seconds of a call, after one that is not timed."""
    case.run()
    return Spread.of([_seconds(case.run, 1) for _ in range(rounds)])


def parity_of(case: Quality) -> Parity:
    """Train both with every seed."""
    plain, faster = (
        [train(seed) for seed in range(case.seeds)] for train in (case.plain, case.faster)
    )
    ratios = [one / other for one, other in zip(plain, faster, strict=True)]
    return Parity(*map(Spread.of, (ratios, control_ratios(plain), plain, faster)))


def paired_ratios(seconds: list[float], other_seconds: list[float]) -> list[float]:
    """Divide each time of B by the geometric mean of the A before and the A after it."""
    return [
        other / math.sqrt(before * after)
        for other, (before, after) in zip(other_seconds, pairwise(seconds), strict=True)
    ]


def control_ratios(seconds: list[float]) -> list[float]:
    """Divide each value of A by the one before."""
    return [after / before for before, after in pairwise(seconds)]


def within(control: Spread, ratio: float) -> bool:
    """Whether a ratio, or its reciprocal, is no larger than those of the control."""
    largest = max(distance_from_one(control.low), distance_from_one(control.high))
    return distance_from_one(ratio) <= largest


def distance_from_one(ratio: float) -> float:
    """Measure a ratio, or its reciprocal, on the scale of logarithms."""
    return abs(math.log(ratio))


def agreement(outputs: Within | NotCompared, mine: Any, theirs: Any) -> str:
    """State how far apart the results are. Raises `OutputsDiffer`."""
    if isinstance(outputs, NotCompared):
        return f"not compared: {outputs.reason}"
    if outputs.results is not None:
        mine, theirs = outputs.results()
    found = outputs.difference(mine, theirs)
    if not found <= outputs.tolerance:
        raise OutputsDiffer(f"{outputs.what}: {found:.2g}, more than {outputs.tolerance:g}")
    return f"{outputs.what}: {found:.1g}, at most {outputs.tolerance:g}"


def relative_difference(mine: Any, theirs: Any) -> float:
    """Return the largest difference of two arrays, divided by the largest value."""
    first, second = np.asarray(mine, dtype=np.float64), np.asarray(theirs, dtype=np.float64)
    if first.shape != second.shape:
        return math.inf
    return float(np.abs(first - second).max() / np.abs(second).max())


def _warm(run: Callable[[], Any]) -> tuple[int, Any]:
    """Call a side once; return how often a block calls it, and its result."""
    started = time.perf_counter()
    result = run()
    if time.perf_counter() - started > SLOW_SECONDS:
        return 1, result
    started = time.perf_counter()
    run()
    taken = time.perf_counter() - started
    return max(1, math.ceil(BLOCK_SECONDS / max(taken, 1e-6))), result


def _seconds(run: Callable[[], Any], calls: int) -> float:
    started = time.perf_counter()
    for _ in range(calls):
        run()
    return (time.perf_counter() - started) / calls


def _added_mb(run: Callable[[], Any]) -> float | None:
    """Measure the memory that a call adds at most, in MB, in a call that is not timed."""
    if not os.access(CLEAR_REFS, os.W_OK):
        return None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc
    if trim is not None:
        trim(0)  # what is kept for the next call would hide its peak
    CLEAR_REFS.write_text(RESET_PEAK)
    before = _memory_mb("VmRSS")
    run()
    return _memory_mb("VmHWM") - before


def _memory_mb(field: str) -> float:
    lines = STATUS.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
