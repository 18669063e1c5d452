"""Sensitivity, specificity and AUROC of some of the test images: of a sex, of a site, of a year."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.stats.bootstrap import Estimate, Floats, Metric
from medgan.stats.classification import auroc, sensitivity, specificity

MINIMUM = 50
"""Anomalous images that a sensitivity needs, normal ones that a specificity needs, and an AUROC
both.
"""
INSUFFICIENT = "insufficient"
LABELS = ("normal", "anomalous")
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Decided:
    """Test images (n,) with what a detector made of them."""

    labels: NDArray[Any]
    scores: NDArray[Any]
    decisions: NDArray[Any]

    @classmethod
    def of(cls, test: pd.DataFrame, threshold: float) -> Decided:
        """The images of a table with label and score, called anomalous at or above the
        threshold.
        """
        scores = test["score"].to_numpy(dtype=np.float64)
        return cls(test["label"].to_numpy(), scores, (scores >= threshold).astype(np.int64))

    def among(self, mask: Mask) -> Decided:
        """Some of them."""
        return Decided(self.labels[mask], self.scores[mask], self.decisions[mask])


@dataclass(frozen=True)
class Figure:
    """How a figure is computed, and which labels its images have."""

    compute: Callable[[Decided, Floats], Floats]
    carriers: tuple[int, ...]

    def metric(self, data: Decided, mask: Mask) -> Metric:
        """The figure over the images of a mask (n,)."""
        chosen = data.among(mask)
        statistic = partial(_over, self.compute, chosen, mask)
        return Metric(statistic, [mask & (data.labels == label) for label in self.carriers])


def _over(
    compute: Callable[[Decided, Floats], Floats], chosen: Decided, mask: Mask, weights: Floats
) -> Floats:
    return compute(chosen, weights[:, mask])


FIGURES: Mapping[str, Figure] = {
    "sensitivity": Figure(
        lambda data, weights: sensitivity(data.labels, data.decisions, weights), (1,)
    ),
    "specificity": Figure(
        lambda data, weights: specificity(data.labels, data.decisions, weights), (0,)
    ),
    "auroc": Figure(lambda data, weights: auroc(data.labels, data.scores, weights), (0, 1)),
}


def too_few(figure: str, metric: Metric) -> Estimate | None:
    """What stands for a figure of which a class has fewer than MINIMUM images; None where there are
    enough.
    """
    counted = [
        (int(mask.sum()), LABELS[label])
        for mask, label in zip(metric.carriers, FIGURES[figure].carriers, strict=True)
    ]
    count, name = min(counted)
    return (
        None
        if count >= MINIMUM
        else Estimate(None, reason=f"{INSUFFICIENT}: {count} {name} images, {MINIMUM} are needed")
    )
