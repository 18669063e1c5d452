"""Kernel distance of two sets of features (KID: Bińkowski 2018, arXiv 1801.01401).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(a, b) = (a.b / D + 1)^3

estimated without bias (Gretton 2012, equation 3): pairs of an image with itself are left out, so two sets of one distribution have 0 on
average, whatever their numbers, and a value may be negative.

Bińkowski averages over subsets of 1,000 images, for memory. Here every pair is used, the rows of the kernel block by block. The standard
error is that of the two-sample delete-one jackknife (Arvesen 1969), which needs only the sums of the rows. Where both distributions are
the same it is too large rather than too small.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import FeatureSets, Floats, checked

ROWS_AT_ONCE = 1024
LEAST_IMAGES = 3
"""One may be left out, and pairs remain."""


@dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy, with the standard error of images drawn independently."""

    value: float
    standard_error: float


def kernel_distance(first: NDArray[Any], second: NDArray[Any]) -> KernelDistance:
    """The unbiased squared distance of features (n, D) and (m, D) by the cubic kernel.

    Raises:
        Refusal: fewer than three features on a side, or one that is not finite.
    """
    first, second = (checked(features, LEAST_IMAGES, "A kernel distance") for features in (first, second))
    within_first, within_second = _row_sums(first, first, itself=True), _row_sums(second, second, itself=True)
    across_first, across_second = _row_sums(first, second), _row_sums(second, first)
    own, other, across = within_first.sum(), within_second.sum(), across_first.sum()
    n, m = len(first), len(second)
    value = _unbiased(own, other, across, n, m)
    left_out = (
        _unbiased(own - 2 * within_first, other, across - across_first, n - 1, m),
        _unbiased(own, other - 2 * within_second, across - across_second, n, m - 1),
    )
    variance = sum((len(part) - 1) * part.var() for part in left_out)
    return KernelDistance(float(value), float(np.sqrt(variance)))


def domain_kid(sets: FeatureSets, backbone: str, seed: int = 0) -> dict[str, Any]:
    """The kernel distance in the features of a network of our own, beside that of two halves of the real images.

    Args:
        sets: features of synthetic and of real images.
        backbone: the network that the features are from.
        seed: of the halves.

    Returns:
        value, standard_error, n, n_real, real_vs_real, standard_error_real_vs_real, n_floor, features (D), backbone. The standard errors
        take images for independent.
    """
    found = kernel_distance(sets.real, sets.synthetic)
    first, second = sets.halves(seed)
    floor = kernel_distance(first, second)
    return {
        "value": found.value,
        "standard_error": found.standard_error,
        "n": len(sets.synthetic),
        "n_real": len(sets.real),
        "real_vs_real": floor.value,
        "standard_error_real_vs_real": floor.standard_error,
        "n_floor": [len(first), len(second)],
        "features": int(np.shape(sets.real)[1]),
        "backbone": backbone,
    }


def _unbiased(own: Any, other: Any, across: Any, n: int, m: int) -> Any:
    """The estimate from the sums of the kernel within each set, without the diagonal, and across."""
    return own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)


def _row_sums(first: Floats, second: Floats, *, itself: bool = False) -> Floats:
    """The kernel of each of (n, D) summed over all of (m, D); without itself where both are one set."""
    from sklearn.metrics.pairwise import polynomial_kernel  # over a second of import

    starts = range(0, len(first), ROWS_AT_ONCE)
    blocks = (polynomial_kernel(first[start : start + ROWS_AT_ONCE], second, degree=3, coef0=1) for start in starts)
    sums = np.concatenate([block.sum(1) for block in blocks])
    return sums - (np.square(first).mean(1) + 1) ** 3 if itself else sums
