"""What every reader gives, and how that becomes a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from medgan.images.picture import ImageRefused, Picture
from medgan.images.readers.config import ReadingConfig

IMAGE_PERCENTILES = (0.1, 99.9)
"""Between these the values of an image are shown that brings no window."""
ROWS = 256
"""Rows that are windowed at a time, so that a large image needs little besides itself."""


@dataclass(frozen=True)
class Decoded:
    """One decoded image."""

    values: NDArray[np.generic]
    """(H, W, C), C 1 (grey) or 3 (RGB), upright, in the file's own unit."""
    low: float | None = None
    """Shown black, and `high` shown white; low > high inverts the image. None: the values are uint8 and shown as they are."""
    high: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Keys of `picture.METADATA`."""


class Reader(Protocol):
    """What each reading module exports. Errors other than `ImageRefused` count as UNREADABLE."""

    def frames(self, path: Path, config: ReadingConfig) -> Sequence[int]:
        """Numbers of the images in a file that count one by one, from its header alone; empty where the file is one image."""
        ...

    def read(self, path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
        """One image of a file; `frame` is one of `frames()`, or None."""
        ...


def check_pixels(width: int, height: int, config: ReadingConfig) -> None:
    """Raises `ImageRefused` for more pixels than are decoded, or none."""
    if width < 1 or height < 1:
        raise ImageRefused("UNREADABLE", f"its header says {width} x {height} pixels")
    if width * height > config.max_pixels:
        raise ImageRefused("TOO_LARGE", f"it has {width} x {height} pixels, more than reading.max_pixels = {config.max_pixels}")


def percentile_window(values: NDArray[np.generic], percentiles: tuple[float, float] = IMAGE_PERCENTILES) -> tuple[float, float]:
    """(low, high) percentiles of values of any shape; their range where those are equal. Raises `ImageRefused` for NaN and infinity."""
    if not values.size:
        raise ImageRefused("UNREADABLE", "it has no pixels")
    numbers: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if not np.isfinite(numbers).all():
        raise ImageRefused("NONFINITE", "it has pixels that are not finite numbers")
    low, high = (float(value) for value in np.percentile(numbers, percentiles))
    return (low, high) if high > low else (float(numbers.min()), float(numbers.max()))


def render(decoded: Decoded) -> Picture:
    """The picture: values linear between `low` (0) and `high` (255), clipped. Raises `ImageRefused` for NaN and infinity."""
    if decoded.low is None or decoded.high is None:
        return Picture(np.ascontiguousarray(decoded.values, dtype=np.uint8), decoded.metadata)
    pixels = np.empty(decoded.values.shape, np.uint8)
    for start in range(0, len(pixels), ROWS):
        pixels[start : start + ROWS] = _windowed(decoded.values[start : start + ROWS], decoded.low, decoded.high)
    return Picture(pixels, decoded.metadata)


def _windowed(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    numbers = values.astype(np.float64)
    span = high - low
    if not (np.isfinite(numbers).all() and np.isfinite(span)):
        raise ImageRefused("NONFINITE", "it has pixels that are not finite numbers, or too large ones")
    scaled = (numbers - low) / span if span else np.zeros_like(numbers)
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    return grey
