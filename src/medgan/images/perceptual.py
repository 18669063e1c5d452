"""Stand-in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def perceptual_hash(pixels: NDArray[np.uint8]) -> str:
    """64 hex digits."""
    return f"{int(pixels.astype(np.int64).sum()):064x}"
