"""Features of synthetic and of real images, as the distances between distributions take them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class FeatureSets:
    """What one comparison rests on: features of images of the same classes.

    `synthetic` (m, D) and `real` (n, D), the real images being ones that no generator has learned
    from. `groups` (n,) names the patient of each real image; without it each is its own. `training`
    (t, D) are the real images that generators have learned from, where known.
    """

    synthetic: NDArray[Any]
    real: NDArray[Any]
    groups: NDArray[Any] | None = None
    training: NDArray[Any] | None = None

    def halves(self, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Two disjoint halves of the real images, no patient in both."""
        first, second = self.half_indices(seed)
        return self.real[first], self.real[second]

    def half_indices(self, seed: int) -> tuple[Indices, Indices]:
        """Which real images are in which half."""
        return halves(np.arange(len(self.real)) if self.groups is None else self.groups, seed)


def halves(groups: NDArray[Any], seed: int) -> tuple[Indices, Indices]:
    """Numbers of the images of two disjoint halves, whole groups in each, as even as their order
    allows.

    Args:
        groups: of each image (n,).
        seed: of the order.

    Returns:
        Two arrays, each in the order drawn; the first is not the larger one. It is empty where
        there is one group only.
    """
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(counts))
    first_groups = order[np.cumsum(counts[order]) <= len(inverse) // 2]
    rank = np.empty(len(counts), dtype=np.intp)
    rank[order] = np.arange(len(counts))
    images = np.argsort(rank[inverse], kind="stable")
    middle = int(counts[first_groups].sum())
    return images[:middle], images[middle:]


def checked(features: NDArray[Any], least: int, what: str) -> Floats:
    """Features (n, D) in float64.

    Args:
        features: to be checked.
        least: images that the figure needs.
        what: the figure, with its article, as a sentence begins.

    Raises:
        UserError: fewer than `least` features, or one that is not finite.
    """
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2 or len(found) < least:
        raise UserError(
            f"{what} needs at least {least} images on each side, there are {len(found)}: draw more images."
        )
    if not np.isfinite(found).all():
        raise UserError(
            f"{what} cannot be had, as a feature is not a finite number: train the feature network again."
        )
    return found
