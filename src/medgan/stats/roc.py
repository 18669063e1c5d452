"""ROC curves, the mean of several trainings, with bands that resample patients."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import TAIL, Floats, weight_blocks

GRID = np.linspace(0, 1, 101)
"""False-positive rates."""


def roc_band(
    labels: NDArray[Any],
    scores: NDArray[Any],
    groups: NDArray[Any],
    n_resamples: int = 300,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """Compute a curve and its band: sensitivities at the rates of `GRID`, their lower and their
    upper bounds, each (101,).

    Labels (n,) hold both classes; scores are (n,), or (S, n) of S trainings. Resamples without both
    classes are left out.
    """
    trainings = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    whole = _sensitivities(labels, trainings, np.ones(len(labels)))
    drawn = [
        _sensitivities(labels, trainings, row)
        for weights in weight_blocks(groups, n_resamples, seed)
        for row in weights
    ]
    band = np.stack([curve for curve in drawn if np.isfinite(curve).all()])
    low, high = np.quantile(band, [TAIL, 1 - TAIL], axis=0)
    return whole, low, high


def _sensitivities(labels: NDArray[Any], trainings: Floats, weights: Floats) -> Floats:
    positive, negative = weights * (labels == 1), weights * (labels == 0)
    if positive.sum() == 0 or negative.sum() == 0:
        return np.full(len(GRID), np.nan)
    return np.mean([_curve(scores, positive, negative) for scores in trainings], axis=0)


def _curve(scores: Floats, positive: Floats, negative: Floats) -> Floats:
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    true, false = (
        np.append(0.0, np.cumsum(part[order])[last] / part.sum()) for part in (positive, negative)
    )
    return np.interp(GRID, false, true)
