"""Score large or oblong images in tiles of the size that a detector was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from typing import Self

import numpy as np
from numpy.typing import NDArray

from medgan.images.resizing import as_image, crop_image
from medgan.images.tiles import TiledScore, score_in_tiles
from medgan.inference.trained import ScoresAndMaps, Trained


@dataclass(frozen=True)
class InTiles(Trained):
    """A detector that sees images at their own resolution, one tile after the other.

    It should have been trained on tiles: the parts of an image are no images of its data set.
    """

    overlap: float = 0.5

    @classmethod
    def of(cls, using: Trained, overlap: float) -> Self:
        """Let a detector score tiles that overlap by at least this share."""
        return cls(**{one.name: getattr(using, one.name) for one in fields(using)}, overlap=overlap)

    def prepared(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop an image (H, W, C) as the image store does, and keep its size."""
        crop, channels = self.preprocessing.crop, self.store.info.channels
        kept = crop_image(image, crop) if crop else image
        return np.asarray(as_image(kept, channels)).reshape(*kept.shape[:2], channels)

    def score(self, pixels: Sequence[NDArray[np.uint8]], names: Sequence[str]) -> ScoresAndMaps:
        """Score images (H, W, C) of any sizes: the highest of their blended maps."""
        size, found = self.store.info.height, list[TiledScore]()
        for image, name in zip(pixels, names, strict=True):
            score = partial(self._score_tiles, name)
            found.append(score_in_tiles(image, size, self.overlap, score, self.batch_size))
        scores = np.array([one.score for one in found], dtype=np.float32)
        return scores, [one.anomaly_map.astype(np.float16) for one in found]

    def _score_tiles(self, name: str, tiles: NDArray[np.uint8]) -> ScoresAndMaps:
        return super().score(list(tiles), [name] * len(tiles))
