"""Features of made-up images, which the rows of distances share."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from torch import nn


@lru_cache(maxsize=2)
def features(n: int, dimensions: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Draw features of real and of synthetic images, (n, dimensions) each, which overlap.

    Their spread falls from the first to the last dimension, as that of a network's features does.
    """
    rng = np.random.default_rng(0)
    spread = np.arange(1, dimensions + 1) ** -0.5
    real, synthetic = (rng.standard_normal((n, dimensions)) * spread for _ in range(2))
    return real, synthetic * 1.05 + 0.05 * spread


class GivenFeatures(nn.Flatten):
    """The network of a metric of torchmetrics: its images (n, D, 1, 1) are features already."""

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.num_features = dimensions
