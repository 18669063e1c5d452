"""Arrays to look at: enlarged images, and anomaly maps laid over them."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from medgan.plots.style import HEAT

SIDE = 256
"""Least side, in pixels, of an enlarged picture."""
STRENGTH = 0.65
"""Share of the hottest color in an overlay."""


def enlarged(image: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) to (k H, k W, 3), every pixel a square, so that nothing is smoothed
    away.
    """
    factor = max(1, -(-side // max(image.shape[:2])))
    return (
        np.repeat(image, 3 // image.shape[2], axis=2).repeat(factor, axis=0).repeat(factor, axis=1)
    )


def scaled(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Values clipped to low..high, as 0..1."""
    clipped: NDArray[np.float64] = np.clip(
        (values.astype(np.float64) - low) / max(high - low, 1e-12), 0.0, 1.0
    )
    return clipped


def own_range(values: NDArray[Any]) -> tuple[float, float]:
    """The lowest and the highest value."""
    return float(values.min()), float(values.max())


def heat(strength: NDArray[np.float64]) -> NDArray[np.uint8]:
    """(H, W) in 0..1 to colors (H, W, 3)."""
    colors: NDArray[np.uint8] = colormaps[HEAT](strength, bytes=True)[:, :, :3]
    return colors


def overlay(image: NDArray[np.uint8], strength: NDArray[np.float64]) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) under a map (H, W) in 0..1, which is the less transparent the hotter it
    is: (H, W, 3).
    """
    share = STRENGTH * strength[:, :, None]
    mixed: NDArray[np.uint8] = np.rint((1 - share) * image + share * heat(strength)).astype(
        np.uint8
    )
    return mixed
