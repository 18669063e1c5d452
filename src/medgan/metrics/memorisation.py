"""Synthetic images that lie suspiciously near to a training image.

How near is too near is told by real images that the generator has not seen (the idea of Meehan
2020, arXiv 2004.05675): the distance of each to its nearest training image. A synthetic image is
suspected to be a copy where it is nearer than CLOSER of the distance that QUANTILE of the held-out
images stay under. Each image is judged by itself, because means and tests over all images do not
notice a few copies among many.

It finds copies that are nearly exact to the feature network; one that is blurred or noisy may be
far from its original in features. No suspect is no proof of privacy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets, Floats, checked

QUANTILE = 0.01
CLOSER = 0.9
LEAST_HELD_OUT = 100
"""Fewer have no 1st percentile."""


def nearest_training(features: NDArray[Any], training: NDArray[Any]) -> Floats:
    """Distance of each of (n, D) to the nearest of (t, D): (n,)."""
    from sklearn.neighbors import NearestNeighbors  # over a second of import

    found: Floats = NearestNeighbors(n_neighbors=1).fit(training).kneighbors(features)[0][:, 0]
    return found


def copy_threshold(held_out: Floats) -> float:
    """The distance to the nearest training image below which an image is suspected to be a copy,
    from those of held-out images (n,).
    """
    return float(CLOSER * np.quantile(held_out, QUANTILE))


def copied_share(sets: FeatureSets, backbone: str, seed: int = 0) -> dict[str, Any]:
    """Share of the synthetic images that are suspected to be copies of training images.

    Args:
        sets: features of synthetic, real and training images.
        backbone: the network that the features are from.
        seed: of the halves.

    Returns:
        value with its exact 95 % interval low and high, n, n_real, n_training, threshold;
        median_ratio, the median distance to the nearest training image as a multiple of that of
        real images; real_vs_real, the share of real images under the threshold of the half that
        they are not in; features (D), backbone.

    Raises:
        UserError: no training images are known, or there are under 100 held-out ones.
    """
    from scipy.stats import binomtest

    if sets.training is None:
        raise UserError(
            "Copies cannot be looked for: the features of the training images were not given."
        )
    training = checked(sets.training, 1, "The distance to the nearest training image")
    if len(sets.real) < LEAST_HELD_OUT:
        raise UserError(
            f"The 1st percentile of held-out images takes {LEAST_HELD_OUT} of them, there are {len(sets.real)}: copies are not looked for."
        )
    real = nearest_training(checked(sets.real, LEAST_HELD_OUT, "The search for copies"), training)
    synthetic = nearest_training(checked(sets.synthetic, 1, "The search for copies"), training)
    threshold = copy_threshold(real)
    copies = int((synthetic < threshold).sum())
    interval = binomtest(copies, len(synthetic)).proportion_ci(method="exact")
    return {
        "value": copies / len(synthetic),
        "low": float(interval.low),
        "high": float(interval.high),
        "n": len(synthetic),
        "n_real": len(real),
        "n_training": len(training),
        "real_vs_real": _share_of_halves(real, sets, seed),
        "threshold": threshold,
        "median_ratio": float(np.median(synthetic) / np.median(real))
        if np.median(real) > 0
        else None,
        "features": training.shape[1],
        "backbone": backbone,
    }


def _share_of_halves(distances: Floats, sets: FeatureSets, seed: int) -> float:
    first, second = (distances[indices] for indices in sets.half_indices(seed))
    if not len(first):
        raise UserError(
            "All held-out images are of one patient, so real images cannot be held against each other: add patients."
        )
    under = (first < copy_threshold(second)).sum() + (second < copy_threshold(first)).sum()
    return float(under / len(distances))
