"""The calibration of probabilities."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import Estimate, Floats, estimates, interval, mean_over

BINS = 10
LEAST = 1e-12
"""A probability of 0 counts as this one in a logarithm."""


@dataclass(frozen=True)
class CalibrationBin:
    """Images with a similar probability of being anomalous."""

    predicted: float
    observed: Estimate
    n_images: int


@dataclass(frozen=True)
class Calibration:
    """How far probabilities of being anomalous can be trusted."""

    brier: Estimate
    """Mean squared error (Brier 1950)."""
    expected_calibration_error: Estimate
    """Guo 2017, over 10 bins of equal width; its bias is upward."""
    brier_of_the_share: float
    """Brier score of always saying the share of anomalous images: a model above it knows less than
    that number.
    """
    calibration_curve: tuple[CalibrationBin, ...]
    """Of each bin that holds images: mean probability, share of anomalous images, images."""


def calibration(
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Measure the calibration of probabilities (n,) for labels (n,) of 0 and 1 and patients
    (n,).
    """
    labels = np.asarray(labels, dtype=np.float64)
    probabilities = np.asarray(probabilities, dtype=np.float64)
    share = float(labels.mean()) if len(labels) else 0.0
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)
    inside = np.eye(BINS)[place] * (probabilities - labels)[:, None]

    def error(weights: Floats) -> Floats:
        return np.abs(weights @ inside).sum(1) / weights.sum(1)

    squares = mean_over((probabilities - labels) ** 2)
    statistics = {"brier": squares, "error": replace(squares, statistic=error)}
    found = estimates(statistics, groups, n_resamples, seed)
    curve = []
    for number in np.unique(place):
        chosen = place == number
        observed = interval(
            mean_over(labels[chosen]), np.asarray(groups)[chosen], n_resamples, seed
        )
        mean = float(probabilities[chosen].mean())
        curve.append(CalibrationBin(mean, observed, int(chosen.sum())))
    return Calibration(found["brier"], found["error"], share * (1 - share), tuple(curve))


TEMPERATURES = (0.05, 20.0)
"""Range of temperatures."""


def temperature(probabilities: NDArray[Any], labels: NDArray[Any]) -> float:
    """Find the temperature of probabilities (n, K) with the lowest log loss for class numbers (n,)
    (Guo 2017, section 4.2).
    """
    from scipy.optimize import minimize_scalar

    places = np.arange(len(labels)), np.asarray(labels, dtype=np.int64)

    def loss(exponent: float) -> float:
        chosen = scaled(probabilities, math.exp(exponent))[places]
        return float(-np.log(np.maximum(chosen, LEAST)).mean())

    bounds = tuple(map(math.log, TEMPERATURES))
    return math.exp(float(minimize_scalar(loss, bounds=bounds, method="bounded").x))


def scaled(probabilities: NDArray[Any], by: float) -> Floats:
    """Divide the logits of probabilities (n, K) by a temperature; return probabilities."""
    logits = np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), LEAST)) / by
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)
