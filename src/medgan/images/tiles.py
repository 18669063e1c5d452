"""Overlapping square tiles of an image of any size, and maps of tiles blended to one.

A tile keeps the resolution of the image, so a lesion of few pixels is not averaged away by resizing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from medgan.sources.raw import Pixels

SMOOTHED = 5
"""Side in pixels of the window in which a map is averaged, so that no single pixel decides."""
Score = Callable[[Pixels], tuple[NDArray[np.float32], Sequence[NDArray[Any]]]]
"""Tiles (n, size, size, C) to scores (n,) and maps (n, size, size)."""


@dataclass(frozen=True)
class TiledScore:
    """The score of an image whose tiles were scored."""

    score: float
    """The highest mean of the map over SMOOTHED x SMOOTHED pixels: a lesion is in few of them."""
    highest_tile: float
    """The highest score of a tile."""
    anomaly_map: NDArray[np.float32]
    """(H, W), the maps of the tiles, blended."""
    tiles: int


def starts(length: int, size: int, overlap: float) -> list[int]:
    """Return where tiles begin along a side: evenly, from border to border.

    Args:
        length: of the side, in pixels, at least `size`.
        size: of a tile.
        overlap: least share of a tile, in [0, 1), that the next one has too.
    """
    stride = max(1, int(size * (1 - overlap)))
    count = -(-(length - size) // stride) + 1
    return [int(place) for place in np.linspace(0, length - size, count).round()]


def padded(image: Pixels, size: int) -> Pixels:
    """Repeat the border of an image (H, W, C) that is smaller than a tile below and to the right."""
    height, width = image.shape[:2]
    more = ((0, max(0, size - height)), (0, max(0, size - width)), (0, 0))
    return np.pad(image, more, mode="edge")


def score_in_tiles(
    image: Pixels, size: int, overlap: float, score: Score, batch_size: int = 64
) -> TiledScore:
    """Score overlapping tiles of an image (H, W, C).

    The map of a pixel is the mean of those of its tiles, each weighted by how near the pixel is to
    the center of the tile, so that no edge of a tile is seen.
    """
    height, width = image.shape[:2]
    large = padded(image, size)
    total, weights = np.zeros((2, *large.shape[:2]), dtype=np.float32)
    window = _window(size)
    scores = list[float]()
    corners = list(product(*(starts(side, size, overlap) for side in large.shape[:2])))
    for first in range(0, len(corners), batch_size):
        places = corners[first : first + batch_size]
        found, maps = score(np.stack([_tile(large, place, size) for place in places]))
        scores.extend(found.tolist())
        for (top, left), one in zip(places, maps, strict=True):
            part = slice(top, top + size), slice(left, left + size)
            total[part] += window * one
            weights[part] += window
    blended = (total / weights)[:height, :width]
    highest = float(uniform_filter(blended, SMOOTHED, mode="nearest").max())
    return TiledScore(highest, max(scores), blended, len(scores))


def cut(image: Pixels, size: int, overlap: float) -> Iterator[Pixels]:
    """Yield the tiles (size, size, C) of an image (H, W, C), row by row."""
    large = padded(image, size)
    for place in product(*(starts(side, size, overlap) for side in large.shape[:2])):
        yield _tile(large, place, size)


def _tile(image: Pixels, place: Sequence[int], size: int) -> Pixels:
    top, left = place
    return image[top : top + size, left : left + size]


def _window(size: int) -> NDArray[np.float32]:
    """Weights (size, size) of the pixels of a tile: a pyramid, nowhere 0."""
    line = 1 - np.abs((np.arange(size, dtype=np.float32) + 0.5) / size * 2 - 1)
    weights: NDArray[np.float32] = np.multiply.outer(line, line)
    return weights
