"""Synthetic images that are suspiciously close to a training image.

The reference are held-out real images (the idea of Meehan 2020, arXiv 2004.05675): the distance of
each to its nearest training image. A synthetic image is suspected to be a copy if it is closer than
CLOSER times the QUANTILE of these distances. Each image is tested by itself, because means and
tests over all images do not detect a few copies among many.

Only copies that are almost exact for the feature network are found; a blurred or noisy copy may
have very different features, and `medgan.metrics.copies` searches changed ones. The absence of
suspects is no proof of privacy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets, Floats, checked
from medgan.metrics.quality import QualityMetric

QUANTILE = 0.01
CLOSER = 0.9
LEAST_HELD_OUT = 100
"""Fewer images have no 1st percentile."""


def nearest_training(features: NDArray[Any], training: NDArray[Any]) -> Floats:
    """Compute the distance of each of (n, D) to the nearest of (t, D): (n,)."""
    from sklearn.neighbors import NearestNeighbors  # over a second of import

    return NearestNeighbors(n_neighbors=1).fit(training).kneighbors(features)[0][:, 0]


def copy_threshold(held_out: Floats) -> float:
    """Compute the distance below which an image is suspected, from held-out distances (n,)."""
    return float(CLOSER * np.quantile(held_out, QUANTILE))


def copied_share(sets: FeatureSets, backbone: str, seed: int = 0) -> QualityMetric:
    """Compute the share of synthetic images that are suspected copies of training images.

    Returns:
        value with its exact 95 % interval low and high, n, n_real, n_training, threshold;
        median_ratio, the median distance to the nearest training image as a multiple of that of
        real images; real_vs_real, the share of real images below the threshold of the half that
        they are not in; features (D), backbone.

    Raises:
        UserError: if the training images are unknown, there are fewer than 100 held-out images, or
            all of them are of one patient.
    """
    from scipy.stats import binomtest

    real, synthetic, n_training = _distances(sets)
    threshold, n, median = copy_threshold(real), len(synthetic), np.median(real)
    copies = int((synthetic < threshold).sum())
    interval = binomtest(copies, n).proportion_ci(method="exact")
    return QualityMetric(
        value=copies / n,
        low=float(interval.low),
        high=float(interval.high),
        n=n,
        n_real=len(real),
        n_training=n_training,
        real_vs_real=_share_of_halves(real, sets, seed),
        threshold=threshold,
        median_ratio=float(np.median(synthetic) / median) if median > 0 else None,
        features=int(np.shape(sets.real)[1]),
        backbone=backbone,
    )


def _distances(sets: FeatureSets) -> tuple[Floats, Floats, int]:
    """Return the distances of real and synthetic images to the nearest training image, and the
    number of training images.
    """
    if sets.training is None:
        raise UserError(
            "Copies cannot be looked for: the features of the training images were not given."
        )
    training = checked(sets.training, 1, "The distance to the nearest training image")
    if len(sets.real) < LEAST_HELD_OUT:
        raise UserError(
            f"The 1st percentile of held-out images takes {LEAST_HELD_OUT} of them, there are "
            f"{len(sets.real)}: copies are not looked for."
        )
    real, synthetic = (
        nearest_training(checked(features, 1, "The search for copies"), training)
        for features in (sets.real, sets.synthetic)
    )
    return real, synthetic, len(training)


def _share_of_halves(distances: Floats, sets: FeatureSets, seed: int) -> float:
    first, second = (distances[indices] for indices in sets.half_indices(seed))
    if not len(first):
        raise UserError(
            "All held-out images are of one patient, so real images cannot be compared with each "
            "other: add patients."
        )
    below = (first < copy_threshold(second)).sum() + (second < copy_threshold(first)).sum()
    return float(below / len(distances))
