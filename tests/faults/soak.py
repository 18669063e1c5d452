"""`make soak`: 100,000 damaged files (or as many as the first argument says), then what became of
them.
"""

from __future__ import annotations

import faulthandler
import sys
import tempfile
import warnings
from pathlib import Path

from tests.faults.fuzzing import SLOWEST, Outcome, fuzz, peak_memory

SEED = 20_000


def report(outcome: Outcome) -> str:
    """The figures, and the problems if there are any."""
    codes = ", ".join(f"{code} {count}" for code, count in outcome.codes.most_common())
    lines = [
        f"{outcome.inputs} damaged files, {outcome.inputs / outcome.seconds:.0f} a second: {codes}",
        f"slowest {outcome.slowest[0]:.2f} s of {SLOWEST} ({outcome.slowest[1]}), peak memory {peak_memory() / 2**20:.0f} MB",
        *outcome.problems()[:20],
    ]
    return "\n".join(lines)


def main(count: int = 100_000) -> int:
    """0 where nothing uncaught was raised, nothing was slow and memory stayed small."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        outcome = fuzz(Path(folder), count, SEED)
    print(report(outcome))  # noqa: T201
    return bool(outcome.problems())


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
