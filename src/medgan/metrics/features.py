"""Features of synthetic and real images, the input of the metrics of distributions.

The metrics `feature_*` take feature sets, the name of the network that computed them, and the seed
of random halves of the real images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
DRAWS = 10


@dataclass(frozen=True)
class FeatureSets:
    """Features of images of the same classes, which one metric compares."""

    synthetic: NDArray[Any]
    """(m, D)."""
    real: NDArray[Any]
    """(n, D), of real images that no generator was trained on."""
    groups: NDArray[Any] | None = None
    """(n,), the patient of each real image; None if each image is its own patient."""
    training: NDArray[Any] | None = None
    """(t, D), of the real images that the generators were trained on, if known."""
    patients_known: bool = True
    """Whether groups are patients; else they keep copies of one image together."""

    def halves(self, seed: int) -> tuple[NDArray[Any], NDArray[Any]]:
        """Split the real features into two disjoint halves, with no patient in both."""
        first, second = self.half_indices(seed)
        return self.real[first], self.real[second]

    def half_indices(self, seed: int) -> tuple[Indices, Indices]:
        """Return the indices of the real images in each half."""
        return halves(np.arange(len(self.real)) if self.groups is None else self.groups, seed)

    @property
    def unit(self) -> str:
        """What is resampled of the real images: patients where they are known."""
        return "images" if self.groups is None or not self.patients_known else "patients"

    def parts(self, seed: int, count: int) -> tuple[list[NDArray[Any]], list[NDArray[Any]]]:
        """Draw `count` parts of the real features, of whole patients, and of the synthetic ones;
        each has half as many images as the smaller set, or a few less.
        """
        n = min(len(self.real), len(self.synthetic)) // 2
        groups = np.arange(len(self.real)) if self.groups is None else self.groups
        rngs = [np.random.default_rng([seed, draw, 1]) for draw in range(count)]
        real = [self.real[_whole_groups(groups, n, rng)[0]] for rng in rngs]
        synthetic = [self.synthetic[rng.permutation(len(self.synthetic))[:n]] for rng in rngs]
        return real, synthetic

    def equal_draws(self, seed: int) -> Iterator[EqualDraw]:
        """Draw DRAWS times as many features of each half of the real images and of the synthetic
        ones, so that a metric that depends on numbers of images treats both comparisons alike.
        """
        for draw in range(DRAWS):
            parts = (*self.halves(seed + draw), self.synthetic)
            n = min(map(len, parts))
            rng = np.random.default_rng([seed, draw])
            yield EqualDraw(*(part[rng.permutation(len(part))[:n]] for part in parts))


@dataclass(frozen=True)
class EqualDraw:
    """Features of equally many images, (N, D) each."""

    reference: NDArray[Any]
    """Of one half of the real images, with which both others are compared."""
    others: NDArray[Any]
    """Of the other half."""
    synthetic: NDArray[Any]


def halves(groups: NDArray[Any], seed: int) -> tuple[Indices, Indices]:
    """Split images into two halves of whole groups (n,), as equal as a random order of them allows:
    the indices of both, in the order drawn. The first half is at most as large as the second, and
    empty if there is only one group.
    """
    return _whole_groups(groups, len(groups) // 2, np.random.default_rng(seed))


def _whole_groups(
    groups: NDArray[Any], most: int, rng: np.random.Generator
) -> tuple[Indices, Indices]:
    """Draw whole groups with at most so many images; return these images and the others."""
    _, inverse, counts = np.unique(groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(counts))
    drawn = order[np.cumsum(counts[order]) <= most]
    images = np.argsort(np.argsort(order)[inverse], kind="stable")
    middle = int(counts[drawn].sum())
    return images[:middle], images[middle:]


def blocks_of(count: int, size: int) -> list[slice]:
    """Divide rows into blocks of at most `size`."""
    return [slice(start, start + size) for start in range(0, count, size)]


def checked(features: NDArray[Any], least: int, what: str) -> Floats:
    """Convert features (n, D) to float64.

    Args:
        features: (n, D).
        least: number of images that the metric needs.
        what: the metric with its article, as the first words of an error.

    Raises:
        UserError: if there are fewer than `least` features, or one is not finite.
    """
    found = np.asarray(features, dtype=np.float64)
    if found.ndim != 2 or len(found) < least:
        raise UserError(
            f"{what} needs at least {least} images on each side, there are {len(found)}: draw more "
            "images."
        )
    if not np.isfinite(found).all():
        raise UserError(
            f"{what} cannot be computed, as a feature is not a finite number: train the feature "
            "network again."
        )
    return found
