"""Intervals of metrics of sets of features, by random parts of the images.

A bootstrap draws with replacement: copies of an image then lie in each other's balls, and make a
covariance narrower. Here parts are drawn without replacement (the delete-d jackknife: Shao & Wu
1989, eq. 2.1, which holds for metrics that are not smooth too). A part has n images of N; the
variance of the metric of the whole set is that over parts times n / (N - n). Both sets are varied
in turn, and both variances are added. Real images are drawn by patients. All parts have half as
many images as the smaller set, since the metrics depend on the ratio of both numbers.

The interval is value ± t SE, within the range of the metric. It describes other patients and other
images of the same generator, not another training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets
from medgan.metrics.quality import QualityMetric

PARTS = 20
"""Of each set."""
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
    """Add low and high, within the limits of each metric of the whole sets, and `resampled`, the
    unit of the real images. `measure` computes the same metrics of parts of the sets; metrics stay
    as they are where the parts are not enough for it.
    """
    from scipy.special import stdtrit

    real, synthetic = sets.parts(seed, PARTS)
    try:
        of_real = [measure(part, synthetic[0]) for part in real]
        of_synthetic = [measure(real[0], part) for part in synthetic]
    except UserError:
        return dict(found)
    t, intervals = float(stdtrit(PARTS - 1, 1 - TAIL)), {}
    for name, metric in found.items():
        variance = _variance([one[name] for one in of_real], real, len(sets.real)) + _variance(
            [one[name] for one in of_synthetic], synthetic, len(sets.synthetic)
        )
        (low, high), value = limits[name], metric.value or 0.0
        margin = t * float(np.sqrt(variance))
        low, high = max(low, value - margin), min(high, value + margin)
        intervals[name] = replace(metric, low=low, high=high, resampled=sets.unit)
    return intervals


def _variance(values: Sequence[float], parts: Sequence[NDArray[Any]], total: int) -> float:
    """The variance of a metric of all images of a set, from its values of the parts."""
    n = float(np.mean([len(part) for part in parts]))
    return float(np.var(values, ddof=1) * n / (total - n))
