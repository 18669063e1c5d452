"""Precision, recall, density and coverage of synthetic images."""

from __future__ import annotations

from contextlib import redirect_stdout
from dataclasses import asdict

from benchmarks.paired import Case, Within, relative_difference
from benchmarks.rows.features import features
from benchmarks.scale import Scale
from medgan.metrics.precision_recall import Neighbours, overlap

K = 5
"""One k for all four, as prdc has it."""


def against_prdc(scale: Scale) -> Case:
    """prdc, by the authors of density and coverage."""
    from prdc import compute_prdc

    real, synthetic = features(*scale.of((10_000, 256), (1_000, 64)))
    n, dimensions = real.shape

    def mine() -> list[float]:
        return [*asdict(overlap(real, synthetic, Neighbours(K, K))).values()]

    def theirs() -> list[float]:
        with redirect_stdout(None):  # it prints
            found = compute_prdc(real, synthetic, K)
        return [found[name] for name in ("precision", "recall", "density", "coverage")]

    return Case(
        f"Precision, recall, density, coverage of {n:,} and {n:,} images, {dimensions} features",
        "prdc",
        3.0,
        mine,
        theirs,
        Within(1e-6, relative_difference, "relative difference of the four"),
    )


CASES = (against_prdc,)
