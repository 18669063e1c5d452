"""Fréchet distance of two sets of features, each modelled as a normal distribution (Heusel 2017).

    d = |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2))

With C = F^T F the last trace is the sum of the singular values of F1 F2^T. F are the centred
features themselves where there are fewer images than features, and the Cholesky factor of C
elsewhere, so the cost grows with the smaller of both numbers: no covariance of 2,048 features
is computed for 200 images, and no matrix square root, which may be complex.

The distance decreases with the number of images, so the synthetic images and other real images are
compared with the same real images in equal numbers, as for precision and recall.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.metrics.features import FeatureSets, Floats, checked
from medgan.metrics.intervals import AT_LEAST_ZERO, with_intervals
from medgan.metrics.quality import QualityMetric, over_draws


@dataclass(frozen=True)
class FeatureStatistics:
    """Mean (D,) of n features, and a factor F (min(n, D), D) of their covariance F^T F."""

    mean: Floats
    factor: Floats
    n: int


def statistics(features: NDArray[Any]) -> FeatureStatistics:
    """Compute the mean and a factor of the unbiased covariance of features (n, D) in float64.

    Raises:
        UserError: if there are fewer than two features, or one is not finite.
    """
    features = checked(features, 2, "A Fréchet distance")
    mean, n = features.mean(0), len(features)
    centred = (features - mean) / np.sqrt(n - 1)
    factor = centred if n <= centred.shape[1] else _triangular(centred)
    return FeatureStatistics(mean, factor, n)


def _triangular(centred: Floats) -> Floats:
    """Factor the covariance of (n, D): (D, D). QR is slower, and can factor a singular one."""
    try:
        return np.asarray(np.linalg.cholesky(centred.T @ centred).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.qr(centred, mode="r"))


def frechet_distance(first: FeatureStatistics, second: FeatureStatistics) -> float:
    """Compute the squared Fréchet distance, 0 for equal statistics."""
    product = first.factor @ second.factor.T
    smaller = product if len(product) <= product.shape[1] else product.T
    eigenvalues = np.linalg.eigvalsh(smaller @ smaller.T)
    shared = np.sqrt(np.clip(eigenvalues, 0, None)).sum()
    means = np.square(first.mean - second.mean).sum()
    traces = means + np.square(first.factor).sum() + np.square(second.factor).sum()
    return float(max(0.0, traces - 2 * shared))


def feature_fid(sets: FeatureSets, backbone: str, seed: int = 0) -> QualityMetric:
    """Compute the Fréchet distance, and that of real images under the same protocol.

    Returns:
        value and real_vs_real, the means over equal draws, their standard deviations std and
        std_real_vs_real, low and high (`metrics.intervals`), n = n_real = n_real_vs_real, the
        images of each set in a draw, draws, drawn_from (the numbers of synthetic and real images),
        features (D), backbone.

    Raises:
        UserError: if a draw has fewer than two features, or one is not finite.
    """
    found, between_real, sizes = [], [], []
    for drawn in sets.equal_draws(seed):
        reference = statistics(drawn.reference)
        found.append(frechet_distance(reference, statistics(drawn.synthetic)))
        between_real.append(frechet_distance(reference, statistics(drawn.others)))
        sizes.append(reference.n)
    metric = replace(over_draws(sets, found, between_real, min(sizes)), backbone=backbone)
    return with_intervals({"fid": metric}, sets, _distances, {"fid": AT_LEAST_ZERO}, seed)["fid"]


def _distances(real: NDArray[Any], synthetic: NDArray[Any]) -> dict[str, float]:
    return {"fid": frechet_distance(statistics(real), statistics(synthetic))}
