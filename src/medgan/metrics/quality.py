"""The value of a metric of synthetic images; field names are the keys of the JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medgan.metrics.features import DRAWS, FeatureSets


@dataclass(frozen=True, kw_only=True)
class QualityMetric:
    """A metric of synthetic images, with that of real images against real ones."""

    value: float | None
    reason: str = ""
    std: float | None = None
    standard_error: float | None = None
    low: float | None = None
    high: float | None = None
    resampled: str | None = None
    """The unit of the real images that low and high resample: patients or images."""
    n: int | float | None = None
    n_real: int | float | None = None
    n_training: int | float | None = None
    real_vs_real: float | None = None
    std_real_vs_real: float | None = None
    percentile_95_real_vs_real: float | None = None
    n_real_vs_real: int | float | None = None
    n_floor: tuple[int | float, ...] | None = None
    k: int | float | None = None
    draws: int | float | None = None
    drawn_from: tuple[int | float, ...] | None = None
    threshold: float | None = None
    median_ratio: float | None = None
    features: int | None = None
    backbone: str | None = None
    per_seed: tuple[float | None, ...] = ()


def over_draws(
    sets: FeatureSets, values: Sequence[float], real_vs_real: Sequence[float], n: int
) -> QualityMetric:
    """Return the means and standard deviations of a metric over equal draws of n images each."""
    return QualityMetric(
        value=float(np.mean(values)),
        std=float(np.std(values)),
        real_vs_real=float(np.mean(real_vs_real)),
        std_real_vs_real=float(np.std(real_vs_real)),
        n=n,
        n_real=n,
        n_real_vs_real=n,
        draws=DRAWS,
        drawn_from=(len(sets.synthetic), len(sets.real)),
        features=int(np.shape(sets.real)[1]),
    )
