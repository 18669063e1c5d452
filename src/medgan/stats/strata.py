"""Metrics of some of the test images, such as those of one sex or one site."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.stats.bootstrap import Estimate, WeightedStatistic
from medgan.stats.classification import Predictions, auroc_of, sensitivity_of, specificity_of

MINIMUM = 50
"""Images of each class that a metric rests on, at least: at 20 images the 95 % interval of a
sensitivity of 0.9 is 0.27 wide, at 50 it is 0.17 (Wilson).
"""
INSUFFICIENT = "insufficient"
CLASSES = ("normal", "anomalous")
METRICS: Mapping[str, tuple[Callable[[Predictions], WeightedStatistic], tuple[int, ...]]] = {
    "sensitivity": (sensitivity_of, (1,)),
    "specificity": (specificity_of, (0,)),
    "auroc": (auroc_of, (0, 1)),
}
"""Name to the metric, and the labels of the images that it rests on."""
Mask = NDArray[np.bool_]


def predictions_of(test: pd.DataFrame, threshold: float) -> Predictions:
    """The label, score and decision of each image; scores from the threshold on are anomalous."""
    scores = test["score"].to_numpy(dtype=np.float64)
    return Predictions(test["label"].to_numpy(), scores, (scores >= threshold).astype(np.int64))


@dataclass(frozen=True)
class Stratum:
    """Some of n test images."""

    all: Predictions
    """Of all n images."""
    mask: Mask
    """(n,)"""

    def metric(self, name: str) -> WeightedStatistic:
        """A metric of these images, as a function of the weights of all n images."""
        whole, mask = self.all, self.mask
        compute, rests_on = METRICS[name]
        inner = compute(Predictions(whole.labels[mask], whole.scores[mask], whole.decisions[mask]))
        carriers = [mask & (whole.labels == label) for label in rests_on]
        return replace(
            inner, statistic=lambda weights: inner.statistic(weights[:, mask]), carriers=carriers
        )

    def count(self, label: int) -> int:
        """The number of its normal (0) or anomalous (1) images."""
        return int((self.all.labels[self.mask] == label).sum())

    def too_few(self, name: str) -> Estimate | None:
        """What stands for a metric that rests on fewer than MINIMUM images of a class."""
        count, label = min((self.count(label), CLASSES[label]) for label in METRICS[name][1])
        reason = f"{INSUFFICIENT}: {count} {label} images, {MINIMUM} are needed"
        return Estimate(None, reason=reason) if count < MINIMUM else None
