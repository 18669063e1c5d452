"""Features of many images, in batches."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.contracts import FeatureExtractor


@torch.inference_mode()
def extract(
    extractor: FeatureExtractor, images: Callable[[NDArray[np.int64]], Tensor], rows: NDArray[np.int64], batch_size: int = 128
) -> NDArray[np.float32]:
    """Features (n, D) of the images in `rows` (n,); the extractor has to be in eval mode, so that the batches do not matter."""
    batches = (rows[start : start + batch_size] for start in range(0, len(rows), batch_size))
    return np.concatenate([extractor.features(images(batch)).float().cpu().numpy() for batch in batches])
