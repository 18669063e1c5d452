"""Do probabilities mean what they say? Brier score, calibration curve and error of p(anomalous)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.intervals import Floats, Metric, interval, resolved

BINS = 10
NO_PROBABILITIES = "not reported: scores are no probabilities"


def calibration(
    labels: NDArray[Any], probabilities: NDArray[Any], groups: NDArray[Any], n_boot: int = 1000, seed: int = 0
) -> dict[str, Any]:
    """How far probabilities (n,) of being anomalous can be trusted, for labels (n,) of 0 and 1 and patients (n,).

    Returns:
        `brier` (mean squared error, Brier 1950), `brier_of_the_share` (that of always saying the share of anomalous images: a model above
        it knows less than that number), `expected_calibration_error` (Guo 2017; 10 bins of equal width, its bias is upward) and
        `calibration_curve` (for each bin that holds images: `predicted`, `observed` with its interval, `n_images`).
    """
    labels, probabilities = np.asarray(labels, dtype=np.float64), np.asarray(probabilities, dtype=np.float64)
    everything = np.ones(len(labels), dtype=bool)
    share = float(labels.mean()) if len(labels) else 0.0
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)

    def brier(weights: Floats) -> Floats:
        squared: Floats = (weights @ (probabilities - labels) ** 2) / weights.sum(1)
        return squared

    def error(weights: Floats) -> Floats:
        inside = np.eye(BINS)[place]
        gap: Floats = np.abs(weights @ (inside * (probabilities - labels)[:, None])).sum(1) / weights.sum(1)
        return gap

    tree = {"brier": Metric(brier, (everything,)), "expected_calibration_error": Metric(error, (everything,))}
    return {
        **resolved(tree, groups, n_boot, seed),
        "brier_of_the_share": share * (1 - share),
        "calibration_curve": [
            _bin(labels, probabilities, groups, place == number, n_boot, seed) for number in range(BINS) if (place == number).any()
        ],
    }


def _bin(labels: Floats, probabilities: Floats, groups: NDArray[Any], inside: NDArray[np.bool_], n_boot: int, seed: int) -> dict[str, Any]:
    chosen = labels[inside]

    def observed(weights: Floats) -> Floats:
        share: Floats = (weights @ chosen) / weights.sum(1)
        return share

    found = interval(Metric(observed, (np.ones(len(chosen), dtype=bool),)), np.asarray(groups)[inside], n_boot, seed)
    return {"predicted": float(probabilities[inside].mean()), "observed": found.as_dict(), "n_images": len(chosen)}
