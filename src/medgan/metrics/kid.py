"""Kernel distance of two sets of features (KID: Bińkowski 2018, arXiv 1801.01401).

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(a, b) = (a.b / D + 1)^3

estimated without bias (Gretton 2012, equation 3): pairs of an image with itself are left out, so
two sets of one distribution have 0 on average, whatever their numbers, and a value may be negative.

Bińkowski averages over subsets of 1,000 images, for memory. Here every pair is used, the rows of
the kernel block by block. The standard error is that of the two-sample delete-one jackknife
(Arvesen 1969), which needs only the sums of the rows. It describes a distance that is there: where
both distributions are the same, values are skewed around 0 and no standard error tells their
spread. So real images are dealt into halves many times, and the mean, the spread and the 95th
percentile of the distance of the halves stand beside the value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import FeatureSets, Floats, Indices, checked

ROWS_AT_ONCE = 1024
LEAST_IMAGES = 3
"""One may be left out, and pairs remain."""
DRAWS = 100


@dataclass(frozen=True)
class KernelDistance:
    """A squared maximum mean discrepancy, with the standard error of images drawn independently."""

    value: float
    standard_error: float


def kernel_distance(first: NDArray[Any], second: NDArray[Any]) -> KernelDistance:
    """The unbiased squared distance of features (n, D) and (m, D) by the cubic kernel.

    Raises:
        UserError: fewer than three features on a side, or one that is not finite.
    """
    first, second = (
        checked(features, LEAST_IMAGES, "A kernel distance") for features in (first, second)
    )
    within_first, within_second = (
        _row_sums(features, features) - _itself(features) for features in (first, second)
    )
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


def distances_of_halves(features: NDArray[Any], firsts: Sequence[Indices]) -> Floats:
    """The distance of a part of the features (n, D) to the rest of them, for each choice of the
    part: one pass over the kernel.

    Raises:
        UserError: fewer than three features in a part or its rest, or one that is not finite.
    """
    inside = np.zeros((len(features), len(firsts)))
    for column, first in enumerate(firsts):
        inside[first, column] = 1
    n = inside.sum(0)
    least = int(min(n.min(), len(features) - n.max()))
    features = checked(
        features if least >= LEAST_IMAGES else features[:least],
        LEAST_IMAGES,
        "A kernel distance of real images",
    )
    outside = 1 - inside
    diagonal = _itself(features)
    to_inside, to_outside = (
        _weighted_rows(features, features, weights) for weights in (inside, outside)
    )
    own = (inside * to_inside).sum(0) - diagonal @ inside
    other = (outside * to_outside).sum(0) - diagonal @ outside
    found: Floats = _unbiased(own, other, (inside * to_outside).sum(0), n, len(features) - n)
    return found


def domain_kid(sets: FeatureSets, backbone: str, seed: int = 0) -> dict[str, Any]:
    """The kernel distance in the features of a network of our own, beside that of two halves of the
    real images.

    Args:
        sets: features of synthetic and of real images.
        backbone: the network that the features are from.
        seed: of the halves.

    Returns:
        value, standard_error (of images drawn independently), n, n_real; real_vs_real,
        std_real_vs_real and percentile_95_real_vs_real over `draws` deals into halves; n_floor, the
        images of the halves of the first deal; features (D), backbone.
    """
    found = kernel_distance(sets.real, sets.synthetic)
    deals = [sets.half_indices(seed + draw)[0] for draw in range(DRAWS)]
    floors = distances_of_halves(sets.real, deals)
    return {
        "value": found.value,
        "standard_error": found.standard_error,
        "n": len(sets.synthetic),
        "n_real": len(sets.real),
        "real_vs_real": float(floors.mean()),
        "std_real_vs_real": float(floors.std()),
        "percentile_95_real_vs_real": float(np.quantile(floors, 0.95)),
        "draws": DRAWS,
        "n_floor": [len(deals[0]), len(sets.real) - len(deals[0])],
        "features": int(np.shape(sets.real)[1]),
        "backbone": backbone,
    }


def _unbiased(own: Any, other: Any, across: Any, n: Any, m: Any) -> Any:
    """The estimate from the sums of the kernel within each set, without the diagonal, and
    across.
    """
    return own / (n * (n - 1)) + other / (m * (m - 1)) - 2 * across / (n * m)


def _row_sums(first: Floats, second: Floats) -> Floats:
    """The kernel of each of (n, D) summed over all of (m, D)."""
    return _weighted_rows(first, second, np.ones((len(second), 1)))[:, 0]


def _itself(features: Floats) -> Floats:
    """The kernel of each of (n, D) with itself."""
    found: Floats = (np.square(features).mean(1) + 1) ** 3
    return found


def _weighted_rows(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Sums (n, k) of the kernel of each of (n, D) over all of (m, D), each weighted by (m, k)."""
    from sklearn.metrics.pairwise import polynomial_kernel  # over a second of import

    starts = range(0, len(first), ROWS_AT_ONCE)
    return np.concatenate(
        [
            polynomial_kernel(first[start : start + ROWS_AT_ONCE], second, degree=3, coef0=1)
            @ weights
            for start in starts
        ]
    )
