"""Differences of two figures of the same images, with intervals over resampled patients, and Holm's correction for many of them.

Both figures are computed on each resample and subtracted, so that what the two share - patients, images - cancels (the paired bootstrap).
Where they rest on different patients, as with the women and the men of a test set, the same resamples make the two independent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.intervals import LEVEL, MIN_VALID_SHARE, TOO_FEW_GROUPS, Estimate, Floats, Metric, weight_blocks

Draws = tuple[float, Floats]
"""A figure, and its value under each resample of the patients (n_boot,); NaN where the images do not determine it."""


def resampled(metrics: Mapping[str, Metric], groups: Sequence[str] | NDArray[Any], n_boot: int, seed: int) -> dict[str, Draws]:
    """Each figure on the images and on resamples of their patients.

    One set of resamples serves all, so that their differences are paired.
    """
    whole = np.ones((1, len(groups)))
    drawn: dict[str, list[Floats]] = {name: [] for name in metrics}
    for weights in weight_blocks(groups, n_boot, seed):
        for name, metric in metrics.items():
            drawn[name].append(metric.statistic(weights))
    return {name: (float(metric.statistic(whole)[0]), np.concatenate(drawn[name])) for name, metric in metrics.items()}


def difference(first: Draws, second: Draws) -> Estimate:
    """The first figure minus the second, as `resampled` gives them, with its 95 % percentile interval."""
    value, draws = first[0] - second[0], first[1] - second[1]
    valid = draws[np.isfinite(draws)]
    if not np.isfinite(value):
        return Estimate(None, reason="not estimable: one of the two figures cannot be had")
    if len(valid) < MIN_VALID_SHARE * len(draws):
        return Estimate(value, reason=TOO_FEW_GROUPS)
    tail = (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.quantile(valid, [tail, 1 - tail]))
    return Estimate(value, min(low, value), max(high, value))


def p_value(first: Draws, second: Draws) -> float:
    """Two-sided p of no difference: the difference over its bootstrap standard error, against a normal distribution (Wald).

    A share of resamples could not be under 1/n_boot, which Holm's correction over many pairs would then never call significant.
    """
    value, draws = first[0] - second[0], first[1] - second[1]
    valid = draws[np.isfinite(draws)]
    spread = float(np.std(valid, ddof=1)) if len(valid) > 1 else 0.0
    if spread == 0.0:
        return 1.0 if value == 0.0 else 2.0 / (len(draws) + 1)
    return math.erfc(abs(value) / spread / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values (Holm 1979): the k-th smallest of m times m - k + 1, never under a smaller one's, at most 1."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    stepped = np.maximum.accumulate(values[order] * (len(values) - np.arange(len(values))))
    adjusted = np.empty(len(values))
    adjusted[order] = np.minimum(stepped, 1.0)
    return [float(value) for value in adjusted]
