"""Placement values of an area under a ROC curve, and the error of the difference of two areas.

The placement of a positive is the share of negatives below it, that of a negative the share of
positives above it; ties count half. Their means are the area. Two scores of the same images differ
by the means of the differences of their placements, so

    var(A - B) = var(p_A - p_B) / n_positives + var(n_A - n_B) / n_negatives

(DeLong 1988, eq. 5, written for one contrast): what the scores have in common cancels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Placements:
    """Placement values of some images, in the order of the images."""

    positives: Floats
    """(p,)"""
    negatives: Floats
    """(n,)"""

    @classmethod
    def of(cls, positive: NDArray[np.bool_], scores: NDArray[Any]) -> Placements:
        """Compute the placements of scores (m,); `positive` (m,) holds both classes."""
        high, low = (np.sort(scores[part]) for part in (positive, ~positive))
        return cls(_below(scores[positive], low), 1 - _below(scores[~positive], high))

    @property
    def area(self) -> float:
        """Area under the ROC curve."""
        return float(self.positives.mean())

    def difference_error(self, other: Placements) -> float:
        """Compute the standard error of the difference of two areas of the same images; 0 where a
        class has one image.
        """
        return math.sqrt(
            _variance(self.positives - other.positives)
            + _variance(self.negatives - other.negatives)
        )


def _below(values: NDArray[Any], among: NDArray[Any]) -> Floats:
    """Compute the share of sorted values (n,) below each value, ties as half."""
    below, not_above = (np.searchsorted(among, values, side) for side in ("left", "right"))
    return (below + not_above) / (2 * len(among))


def _variance(values: Floats) -> float:
    """Compute the variance of the mean of values (n,)."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
