"""Intervals of metrics of sets of features, by random halves of the images.

A bootstrap draws with replacement: copies of an image then lie in each other's balls, and make a
covariance narrower. Here half of the patients and half of the synthetic images are drawn without
replacement, RESAMPLES times. The standard deviation over such halves is the standard error of the
metric of the whole sets (the delete-d jackknife with d = n / 2: Shao & Wu 1989, eq. 2.1, whose
factor (n - d) / d is 1 here), for metrics that are not smooth too. The interval is value ± t SE,
within the range of the metric.

It describes other patients and other images of the same generator, not another training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets
from medgan.metrics.quality import QualityMetric

RESAMPLES = 40
TAIL = 0.025
Limits = tuple[float, float]
AT_LEAST_ZERO: Limits = (0.0, np.inf)
SHARE: Limits = (0.0, 1.0)
ANY: Limits = (-np.inf, np.inf)
Measure = Callable[[NDArray[Any], NDArray[Any]], Mapping[str, float]]
"""Real features (n, D) and synthetic ones (m, D) to metrics by name."""


def with_intervals(
    found: Mapping[str, QualityMetric],
    sets: FeatureSets,
    measure: Measure,
    limits: Mapping[str, Limits],
    seed: int,
) -> dict[str, QualityMetric]:
    """Add low and high, and `resampled`, the unit of the real images.

    Metrics stay as they are where half of the images is not enough for `measure`.

    Args:
        found: metrics of the whole sets.
        sets: their features.
        measure: computes the same metrics of half of the images.
        limits: range of each.
        seed: of the halves.
    """
    from scipy.special import stdtrit

    try:
        halves = [measure(*half) for half in sets.half_samples(seed, RESAMPLES)]
    except UserError:
        return dict(found)
    t = float(stdtrit(RESAMPLES - 1, 1 - TAIL))
    intervals = {}
    for name, metric in found.items():
        margin = t * float(np.std([half[name] for half in halves], ddof=1))
        low, high = limits[name]
        value = metric.value or 0.0
        intervals[name] = replace(
            metric,
            low=max(low, value - margin),
            high=min(high, value + margin),
            resampled=sets.unit,
        )
    return intervals
