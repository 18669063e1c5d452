"""Resamples of images, one at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score


def aurocs(
    labels: NDArray[np.int64], scores: NDArray[np.float64], weights: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the AUROC of each resample; `weights` (B, n) count how often an image is drawn."""
    images, found = np.arange(len(labels)), []
    for row in weights:
        drawn = np.repeat(images, row)
        found.append(roc_auc_score(labels[drawn], scores[drawn]))
    return np.asarray(found)
