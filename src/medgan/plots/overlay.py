"""An anomaly map over an image, as pixels for a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.plots.anomaly_maps import OPACITY, MapScale
from medgan.plots.style import HEAT

Pixels = NDArray[np.uint8]


def overlay(
    image: Pixels, anomaly_map: NDArray[Any], scale: MapScale, opacity: float = OPACITY
) -> Pixels:
    """Draw a map over an image, in the colors and transparency of all other heat maps.

    Args:
        image: (H, W, 1 or 3).
        anomaly_map: (H, W), higher is more anomalous.
        scale: of the colors.
        opacity: of the map where it is strongest, 0 to 1.

    Returns:
        (H, W, 3).
    """
    from matplotlib import colormaps

    strength = scale.strength(anomaly_map)
    colors = colormaps[HEAT](strength)[..., :3] * 255.0
    share = (opacity * strength)[..., None]
    mixed = np.repeat(image, 3 // image.shape[2], axis=2) * (1 - share) + colors * share
    return np.asarray(np.rint(mixed), dtype=np.uint8)


def enlarged(values: NDArray[Any], side: int, smooth: bool) -> NDArray[Any]:
    """Enlarge pixels (H, W, C) or a map (H, W) to at least `side`, by a whole factor.

    Pixels are repeated; a map is interpolated where `smooth`.
    """
    factor = max(1, -(-side // max(values.shape[:2])))
    if not smooth:
        return values.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = (length * factor for length in values.shape)
    picture = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR))


def zoomed(values: NDArray[Any], place: tuple[float, float], factor: float) -> NDArray[Any]:
    """Cut out the part (H / factor, W / factor) around a place, inside the image.

    Args:
        values: (H, W, ...).
        place: row and column as shares of height and width.
        factor: 1 (all of it) and more.
    """
    starts = []
    for length, share in zip(values.shape[:2], place, strict=True):
        side = max(1, round(length / factor))
        start = min(max(0, round(share * length - side / 2)), length - side)
        starts.append(slice(start, start + side))
    return values[tuple(starts)]


def hottest(anomaly_map: NDArray[Any]) -> tuple[float, float]:
    """Return the place of the highest value, as shares of height and width."""
    row, column = np.unravel_index(int(np.argmax(anomaly_map)), anomaly_map.shape)
    height, width = anomaly_map.shape
    return (float(row) + 0.5) / height, (float(column) + 0.5) / width
