"""Kernel distance of two sets of features (KID: Bińkowski 2018, arXiv 1801.01401).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(a, b) = (a.b / D + 1)^3

The estimate is unbiased (Gretton 2012, eq. 3): pairs of an image with itself are left out, so two
sets of one distribution have 0 on average, whatever their numbers, and a value may be negative.

Bińkowski averages over subsets of 1,000 images to save memory; here every pair is used, in blocks,
and once: the kernel is symmetric. The standard error is that of the two-sample delete-one jackknife (Arvesen 1969), which
needs only row sums. It is valid for a distance above 0: if both distributions are equal, values are
skewed around 0. So the mean, the standard deviation and the 95th percentile of the distance between
random halves of the real images are reported beside the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import FeatureSets, Floats, Indices, blocks_of, checked
from medgan.metrics.intervals import ANY, with_intervals
from medgan.metrics.quality import QualityMetric

BLOCK = 1024
"""Rows and columns of the kernel at a time."""
LEAST_IMAGES = 3
"""The jackknife leaves one out, and a pair has to remain."""
DRAWS = 100
"""Random halves of the real images."""


@dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy, and its standard error for independent images."""

    value: float
    standard_error: float


def kernel_distance(first: NDArray[Any], second: NDArray[Any]) -> KernelDistance:
    """Compute the unbiased squared distance of features (n, D) and (m, D), cubic kernel.

    Raises:
        UserError: if a set has fewer than three features, or one is not finite.
    """
    first, second = (_checked(features, "A kernel distance") for features in (first, second))
    within_first, within_second = (
        _within(features, np.ones((len(features), 1)))[:, 0] - _diagonal(features)
        for features in (first, second)
    )
    across_first, across_second = _across(first, second)
    own, other, across = within_first.sum(), within_second.sum(), across_first.sum()
    n, m = len(first), len(second)
    value = _unbiased(own, other, across, n, m)
    left_out = (
        _unbiased(own - 2 * within_first, other, across - across_first, n - 1, m),
        _unbiased(own, other - 2 * within_second, across - across_second, n, m - 1),
    )
    variance = sum((len(part) - 1) * part.var() for part in left_out)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def distances_of_halves(features: NDArray[Any], firsts: Sequence[Indices]) -> Floats:
    """Compute the distance of each part of the features (n, D) to the rest, in one pass.

    Args:
        features: (n, D).
        firsts: indices of each part.

    Returns:
        (parts,), the squared distances.

    Raises:
        UserError: if a part or its rest has fewer than three features, or one is not finite.
    """
    inside = np.zeros((len(features), len(firsts)))
    for column, first in enumerate(firsts):
        inside[first, column] = 1
    n = inside.sum(0)
    least = int(min(n.min(), len(features) - n.max()))
    enough = features if least >= LEAST_IMAGES else features[:least]
    features = _checked(enough, "A kernel distance of real images")
    outside = 1 - inside
    diagonal = _diagonal(features)
    sums = _within(features, np.hstack([inside, np.ones((len(features), 1))]))
    to_inside, to_outside = sums[:, :-1], sums[:, -1:] - sums[:, :-1]
    own = (inside * to_inside).sum(0) - diagonal @ inside
    other = (outside * to_outside).sum(0) - diagonal @ outside
    found: Floats = _unbiased(own, other, (inside * to_outside).sum(0), n, len(features) - n)
    return found


def feature_kid(sets: FeatureSets, backbone: str, seed: int = 0) -> QualityMetric:
    """Compute the kernel distance, and that between random halves of the real images.

    Returns:
        value, standard_error (of independent images), low and high (`metrics.intervals`), n, n_real; real_vs_real, std_real_vs_real and
        percentile_95_real_vs_real over `draws` random halves; n_floor, the images of the first
        halves; features (D), backbone.

    Raises:
        UserError: if a set or a half has fewer than three features, or one is not finite.
    """
    found = kernel_distance(sets.real, sets.synthetic)
    firsts = [sets.half_indices(seed + draw)[0] for draw in range(DRAWS)]
    floors = distances_of_halves(sets.real, firsts)
    metric = QualityMetric(
        value=found.value,
        standard_error=found.standard_error,
        n=len(sets.synthetic),
        n_real=len(sets.real),
        real_vs_real=float(floors.mean()),
        std_real_vs_real=float(floors.std()),
        percentile_95_real_vs_real=float(np.quantile(floors, 0.95)),
        draws=DRAWS,
        n_floor=(len(firsts[0]), len(sets.real) - len(firsts[0])),
        features=int(np.shape(sets.real)[1]),
        backbone=backbone,
    )
    return with_intervals({"kid": metric}, sets, _distances, {"kid": ANY}, seed)["kid"]


def _distances(real: NDArray[Any], synthetic: NDArray[Any]) -> dict[str, float]:
    return {"kid": kernel_distance(real, synthetic).value}


def _unbiased(own: Any, other: Any, across: Any, n: Any, m: Any) -> Any:
    """Compute the estimate from the kernel sums within each set, without diagonal, and across."""
    return own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)


def _checked(features: NDArray[Any], what: str) -> NDArray[Any]:
    """Check features, and keep them in single precision if they are and no product can overflow:
    products take half the time, and rounding errors of millions of pairs cancel. All else is in
    double precision.
    """
    precise = checked(features, LEAST_IMAGES, what)
    fits = features.dtype == np.float32 and np.isfinite(np.vdot(features, features))
    return features if fits else precise


def _diagonal(features: NDArray[Any]) -> Floats:
    """Compute the kernel of each of (n, D) with itself: (n,)."""
    squares = np.square(features, dtype=np.float64)
    return np.asarray((squares.mean(1) + 1) ** 3, dtype=np.float64)


def _within(features: NDArray[Any], weights: Floats) -> Floats:
    """Sum the kernel of each of (n, D) over all of them, with weights (n, k): (n, k)."""
    sums = np.zeros(weights.shape)
    blocks = blocks_of(len(features), BLOCK)
    for place, rows in enumerate(blocks):
        for columns in blocks[place:]:
            kernel = _kernel(features[rows], features[columns])
            sums[rows] += kernel @ weights[columns]
            if columns != rows:
                sums[columns] += kernel.T @ weights[rows]
    return sums


def _across(first: NDArray[Any], second: NDArray[Any]) -> tuple[Floats, Floats]:
    """Sum the kernel of (n, D) and (m, D) over the second, (n,), and over the first, (m,)."""
    of_first, of_second = np.zeros(len(first)), np.zeros(len(second))
    for rows in blocks_of(len(first), BLOCK):
        for columns in blocks_of(len(second), BLOCK):
            kernel = _kernel(first[rows], second[columns])
            of_first[rows] += kernel.sum(1)
            of_second[columns] += kernel.sum(0)
    return of_first, of_second


def _kernel(first: NDArray[Any], second: NDArray[Any]) -> Floats:
    """Compute k of (n, D) and (m, D): (n, m). Two products are faster than a power."""
    base: Floats = np.asarray(first @ second.T, dtype=np.float64)
    base /= first.shape[1]
    base += 1
    cube = base * base
    cube *= base
    return cube
