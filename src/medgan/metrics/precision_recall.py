"""How far two sets of features overlap: precision and recall, density and coverage.

Each image is the centre of a ball that reaches to its k-th nearest image of its own set.

- precision: share of synthetic images in a ball of a real one; recall: share of real images in a
ball of a synthetic one
  (Kynkäänniemi 2019, arXiv 1904.06991, equations 1 and 2; k = 3).
- density: balls of real images that a synthetic one is in, on average, divided by k, which is 1
where both sets are alike and may be more;
  coverage: share of real images with a synthetic one in their ball (Naeem 2020, arXiv 2002.09797,
  equations 6 and 7; k = 5).

Precision and density tell whether images look real, recall and coverage whether they are as varied.
One outlier among the real images has a large ball and lifts precision, hardly density; one among
the synthetic images lifts recall, not coverage.

All four move with the numbers of images, so both sets are equally large, and what real images reach
against real images is measured with the same numbers against the same balls: real images are dealt
into two halves, N = min(half, synthetic images) are drawn of each half and of the synthetic ones,
and the figures of synthetic and of real images are both against the balls of the first half. The
mean over draws is reported, so that every image has its part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets, Floats, checked

DRAWS = 10
WORKING_MEMORY = 64
"""Mebibytes of distances at a time."""


@dataclass(frozen=True)
class Neighbours:
    """k of the balls, as published by default: `precision` for precision and recall, `density` for
    density and coverage.
    """

    precision: int = 3
    density: int = 5

    def __post_init__(self) -> None:
        if min(self.precision, self.density) < 1:
            raise UserError(
                f"synthesis.neighbours: {self.precision} and {self.density} are not both 1 or more, so there is no ball: raise them."
            )


PUBLISHED = Neighbours()


@dataclass(frozen=True)
class Overlap:
    """Precision, recall and coverage in [0, 1], density 0 or more."""

    precision: float
    recall: float
    density: float
    coverage: float


def overlap(
    real: NDArray[Any], synthetic: NDArray[Any], neighbours: Neighbours = PUBLISHED
) -> Overlap:
    """The four figures of features (n, D) and (m, D); compare only what has the same numbers.

    Raises:
        UserError: a set has not more images than the larger k, or a feature is not finite.
    """
    least = max(neighbours.precision, neighbours.density) + 1
    real, synthetic = (
        checked(features, least, "The overlap of two sets (precision, density)")
        for features in (real, synthetic)
    )
    radii, synthetic_radii = _radii(real, least - 1), _radii(synthetic, least - 1)
    ball, wide_ball = neighbours.precision - 1, neighbours.density - 1
    return Overlap(
        precision=float((_balls(synthetic, real, radii[:, ball]) > 0).mean()),
        recall=float((_balls(real, synthetic, synthetic_radii[:, ball]) > 0).mean()),
        density=float(_balls(synthetic, real, radii[:, wide_ball]).mean() / neighbours.density),
        coverage=float((_nearest(real, synthetic) <= radii[:, wide_ball]).mean()),
    )


def domain_overlap(
    sets: FeatureSets, backbone: str, seed: int = 0, neighbours: Neighbours = PUBLISHED
) -> dict[str, dict[str, Any]]:
    """The four figures in the features of a network of our own, each beside that of real images
    under the same protocol.

    Args:
        sets: features of synthetic and of real images.
        backbone: the network that the features are from.
        seed: of the draws.
        neighbours: k of the balls.

    Returns:
        precision, recall, density, coverage: each with value and real_vs_real, the means over the
        draws, their spreads std and std_real_vs_real, n = n_real = n_real_vs_real, the images of
        each set in a draw, draws, drawn_from (the numbers of synthetic and of real images), k,
        features (D), backbone.
    """
    found, floors, sizes = [], [], []
    for reference, others, synthetic in _draws(sets, seed):
        found.append(overlap(reference, synthetic, neighbours))
        floors.append(overlap(reference, others, neighbours))
        sizes.append(len(reference))
    common = {
        **dict.fromkeys(("n", "n_real", "n_real_vs_real"), min(sizes)),
        "draws": DRAWS,
        "drawn_from": [len(sets.synthetic), len(sets.real)],
        "features": int(np.shape(sets.real)[1]),
        "backbone": backbone,
    }
    ks = {
        "precision": neighbours.precision,
        "recall": neighbours.precision,
        "density": neighbours.density,
        "coverage": neighbours.density,
    }
    return {name: {**_summary(name, found, floors), "k": k, **common} for name, k in ks.items()}


def _summary(name: str, found: list[Overlap], floors: list[Overlap]) -> dict[str, float]:
    values, compared = ([asdict(one)[name] for one in many] for many in (found, floors))
    return {
        "value": float(np.mean(values)),
        "std": float(np.std(values)),
        "real_vs_real": float(np.mean(compared)),
        "std_real_vs_real": float(np.std(compared)),
    }


def _draws(
    sets: FeatureSets, seed: int
) -> Iterator[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]]:
    """Equally many features of one half of the real images, of the other, and of the synthetic
    ones.
    """
    for draw in range(DRAWS):
        parts = (*sets.halves(seed + draw), sets.synthetic)
        n = min(map(len, parts))
        rng = np.random.default_rng([seed, draw])
        first, second, synthetic = (part[rng.permutation(len(part))[:n]] for part in parts)
        yield first, second, synthetic


def _radii(features: Floats, most: int) -> Floats:
    """Distances of each of (n, D) to its nearest, second nearest, ... other one (n, most)."""
    from sklearn.neighbors import NearestNeighbors  # over a second of import

    found: Floats = NearestNeighbors(n_neighbors=most).fit(features).kneighbors()[0]
    return found


def _balls(points: Floats, centres: Floats, radii: Floats) -> Floats:
    """In how many balls of the radii (m,) around the centres (m, D) each point of (n, D) lies
    (n,).
    """
    return _reduced(points, centres, lambda block: (block <= radii).sum(1))


def _nearest(points: Floats, centres: Floats) -> Floats:
    """Distance of each point of (n, D) to the nearest centre of (m, D): (n,)."""
    return _reduced(points, centres, lambda block: block.min(1))


def _reduced(points: Floats, centres: Floats, reduce: Callable[[Floats], NDArray[Any]]) -> Floats:
    """What `reduce` makes of the distances (n, m), which it gets in blocks of rows that fit into
    memory.
    """
    from sklearn.metrics import pairwise_distances_chunked

    blocks = pairwise_distances_chunked(
        points, centres, reduce_func=lambda block, _: reduce(block), working_memory=WORKING_MEMORY
    )
    return np.concatenate(list(blocks)).astype(np.float64)
