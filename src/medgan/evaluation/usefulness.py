"""What a classifier learns from synthetic images, and whether they show their class.

Train on synthetic, test on real (TSTR, Esteban 2017, arXiv 1706.02633): one network is trained on
synthetic images and tested on held-out real ones. Train on real, test on synthetic (TRTS): a second
one, of the same network, steps and initial weights, is trained on the real training split and
tested on the synthetic images. Both stand beside the second one on held-out real images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.metrics import TASKS
from medgan.metrics.quality import QualityMetric
from medgan.stats.bootstrap import Estimate, interval
from medgan.stats.classification import Predictions, multiclass_auroc_of

N_RESAMPLES = 1000


@dataclass(frozen=True)
class Classified:
    """Images as a classifier sees them."""

    probabilities: NDArray[Any]
    """(n, classes)."""
    labels: NDArray[Any]
    """(n,)."""
    groups: NDArray[Any]
    """(n,), the patient of each."""
    n_training: int
    """Images that the classifier was trained on."""
    patients_known: bool = True
    """Whether groups are patients."""

    def auroc(self, seed: int) -> Estimate:
        """The AUROC, the mean over the classes if there are more than two, with its patient
        interval.
        """
        labels = np.asarray(self.labels, dtype=np.int64)
        seen = Predictions(labels, self.probabilities, self.probabilities.argmax(1))
        return interval(multiclass_auroc_of(seen), self.groups, N_RESAMPLES, seed)


def usefulness(
    synthetic_to_real: Classified,
    real_to_synthetic: Classified,
    real_to_real: Classified,
    seed: int = 0,
) -> dict[str, QualityMetric]:
    """Compute the AUROC of both tests beside that of real images.

    Returns:
        `tstr_auroc` and `trts_auroc`: value with its 95 % interval low and high, n (tested images),
        n_training, real_vs_real (trained and tested on real images), n_real_vs_real.
    """
    floor = real_to_real.auroc(seed)
    found = {}
    for metric, tested in zip(TASKS, (synthetic_to_real, real_to_synthetic), strict=True):
        area = tested.auroc(seed)
        found[metric.key] = QualityMetric(
            value=area.value,
            reason=area.reason,
            low=area.low,
            high=area.high,
            resampled="patients" if tested.patients_known else "images",
            n=len(tested.labels),
            n_training=tested.n_training,
            real_vs_real=floor.value,
            n_real_vs_real=len(real_to_real.labels),
        )
    return found


def not_useful(reason: str) -> dict[str, QualityMetric]:
    """Both metrics as missing."""
    return {metric.key: QualityMetric(value=None, reason=reason) for metric in TASKS}
