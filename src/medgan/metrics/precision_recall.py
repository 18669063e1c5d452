"""Overlap of two sets of features: precision and recall, density and coverage.

Each image is the center of a ball whose radius is the distance to its k-th nearest image of its own
set.

- precision: share of synthetic images in a ball of a real one; recall: share of real images in a
  ball of a synthetic one (Kynkäänniemi 2019, arXiv 1904.06991, eq. 1 and 2; k = 3).
- density: mean number of balls of real images that contain a synthetic image, divided by k: 1 for
  equal distributions, and possibly more; coverage: share of real images with a synthetic one in
  their ball (Naeem 2020, arXiv 2002.09797, eq. 6 and 7; k = 5).

Precision and density measure whether images look real, recall and coverage whether they are as
varied. One outlier among the real images has a large ball and raises precision, but hardly density;
one among the synthetic images raises recall, but not coverage.

All four depend on the numbers of images, so both sets have equal sizes. Real images are split into
two halves, N = min(half, synthetic images) are drawn from each half and from the synthetic images,
and both the second half and the synthetic images are compared with the balls of the first half. The
mean over draws is reported, so that every image is used.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import FeatureSets, Floats, blocks_of, checked
from medgan.metrics.intervals import AT_LEAST_ZERO, SHARE, with_intervals
from medgan.metrics.quality import QualityMetric, over_draws
from medgan.ranges import Range, require_ranges

BLOCK = 512
"""Rows and columns of distances at a time, which fit into the cache of a processor."""


@dataclass(frozen=True)
class Neighbours:
    """k of the balls, by default as published."""

    precision: Annotated[int, Range(1, 100)] = 3
    """Of precision and recall."""
    density: Annotated[int, Range(1, 100)] = 5
    """Of density and coverage."""

    def __post_init__(self) -> None:
        require_ranges("synthesis.neighbours", self)


PUBLISHED = Neighbours()


@dataclass(frozen=True)
class Overlap:
    """Precision, recall and coverage in [0, 1], and density, at least 0."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(
    real: NDArray[Any], synthetic: NDArray[Any], neighbours: Neighbours = PUBLISHED
) -> Overlap:
    """Compute the metrics of features (n, D) and (m, D); they depend on n and m.

    Raises:
        UserError: if a set has not more images than the larger k, or a feature is not finite.
    """
    most = max(neighbours.precision, neighbours.density)
    real, synthetic = (
        checked(features, most + 1, "The overlap of two sets (precision, density)")
        for features in (real, synthetic)
    )
    centers, points = _Factors.of(real), _Factors.of(synthetic)
    radii, synthetic_radii = _to_nearest(centers, most), _to_nearest(points, most)
    ball, wide_ball = neighbours.precision - 1, neighbours.density - 1
    recalled, covered = np.zeros((2, len(real)), dtype=bool)
    precise, inside = np.zeros(len(synthetic), dtype=bool), 0
    for rows in blocks_of(len(real), BLOCK):
        for columns in blocks_of(len(synthetic), BLOCK):
            squared = centers.squared(rows, points, columns)
            wide = squared <= radii[rows, wide_ball, None]
            inside += int(np.count_nonzero(wide))
            covered[rows] |= wide.any(1)
            precise[columns] |= (squared <= radii[rows, ball, None]).any(0)
            recalled[rows] |= (squared <= synthetic_radii[columns, ball]).any(1)
    return Overlap(
        precision=float(precise.mean()),
        recall=float(recalled.mean()),
        density=inside / (neighbours.density * len(synthetic)),
        coverage=float(covered.mean()),
    )


def feature_overlap(
    sets: FeatureSets, backbone: str, seed: int = 0, neighbours: Neighbours = PUBLISHED
) -> dict[str, QualityMetric]:
    """Compute the metrics, and those of real images under the same protocol.

    Returns:
        precision, recall, density, coverage: each with value and real_vs_real, the means over the
        draws, their standard deviations std and std_real_vs_real, low and high
        (`metrics.intervals`), n = n_real = n_real_vs_real, the
        images of each set in a draw, draws, drawn_from (the numbers of synthetic and real images),
        k, features (D), backbone.

    Raises:
        UserError: if a draw has not more images than the larger k, or a feature is not finite.
    """
    found, floors, sizes = [], [], []
    for drawn in sets.equal_draws(seed):
        found.append(overlap(drawn.reference, drawn.synthetic, neighbours))
        floors.append(overlap(drawn.reference, drawn.others, neighbours))
        sizes.append(len(drawn.reference))
    ks = {
        "precision": neighbours.precision,
        "recall": neighbours.precision,
        "density": neighbours.density,
        "coverage": neighbours.density,
    }
    metrics = {
        name: replace(
            over_draws(
                sets,
                [getattr(one, name) for one in found],
                [getattr(one, name) for one in floors],
                min(sizes),
            ),
            k=k,
            backbone=backbone,
        )
        for name, k in ks.items()
    }
    limits = dict.fromkeys(ks, SHARE) | {"density": AT_LEAST_ZERO}

    def of_halves(real: NDArray[Any], synthetic: NDArray[Any]) -> dict[str, float]:
        return asdict(overlap(real, synthetic, neighbours))

    return with_intervals(metrics, sets, of_halves, limits, seed)


@dataclass(frozen=True)
class _Factors:
    """Factors (n, D + 2) of squared distances: |a|^2 - 2 a.b + |b|^2 is one product of matrices, as
    the squares are two more columns.
    """

    left: Floats
    right: Floats

    @classmethod
    def of(cls, features: Floats) -> _Factors:
        """Make those of features (n, D)."""
        squares, ones = np.square(features).sum(1), np.ones(len(features))
        left = np.column_stack([-2 * features, squares, ones])
        return cls(left, np.column_stack([features, ones, squares]))

    def squared(self, rows: slice, others: _Factors, columns: slice) -> Floats:
        """Compute the squared distances of some rows to some of others: (rows, columns). Rounding
        may make one of copies negative.
        """
        found: Floats = self.left[rows] @ others.right[columns].T
        return found


def _to_nearest(points: _Factors, most: int) -> Floats:
    """Compute the squared distances of each of n to its nearest others: (n, most), ascending.

    A distance is computed once, for both of its ends.
    """
    count = len(points.left)
    nearest = np.full((count, most), np.inf)  # the last of a row is its largest

    def keep(rows: slice, squared: Floats) -> None:
        own = nearest[rows]
        closer = np.flatnonzero(squared < own[:, -1:])  # soon few, and partitions are slow
        found, column = np.divmod(closer, squared.shape[1])
        counts = np.bincount(found, minlength=len(own))
        place = np.arange(len(found)) - np.repeat(np.cumsum(counts) - counts, counts)
        known = np.full((len(own), most + counts.max()), np.inf)
        known[:, :most] = own
        known[found, most + place] = squared[found, column]
        known.partition(most - 1, axis=1)
        own[:] = known[:, :most]

    blocks = blocks_of(count, BLOCK)
    for place, rows in enumerate(blocks):
        for columns in blocks[place:]:
            squared = points.squared(rows, points, columns)
            if rows == columns:
                np.fill_diagonal(squared, np.inf)
            else:
                keep(columns, squared.T)
            keep(rows, squared)
    ascending: Floats = np.maximum(np.sort(nearest, axis=1), 0)
    return ascending
