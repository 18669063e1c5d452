"""Brings images of any size to the size of the store: cropped if asked, square, with the wanted channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.contracts import Refusal


@dataclass(frozen=True)
class Crop:
    """What is cut off before resizing: the share `top` of the height, then, with `centre`, all but the central square.

    Without a crop an oblong image is squeezed into the square, so nothing at its border is lost.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    top: float = 0.0
    centre: bool = False

    def __post_init__(self) -> None:
        if not 0.0 <= self.top < 1.0:
            raise Refusal(
                f"preprocessing.crop.top is {self.top}; it is the share of the height to cut off, from 0 up to but not including 1"
            )


def crop_image(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """(H, W, C) without its top share, then its central square if asked."""
    lower = image[int(image.shape[0] * crop.top) :]
    if not crop.centre:
        return lower
    side = min(lower.shape[:2])
    row, column = (lower.shape[0] - side) // 2, (lower.shape[1] - side) // 2
    return lower[row : row + side, column : column + side]


def fit_square(image: NDArray[np.uint8], size: int, channels: int, crop: Crop | None = None) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) to (size, size, channels), area-filtered on the way down; RGB becomes luminance where `channels` is 1."""
    kept = crop_image(image, crop) if crop else image
    picture = Image.fromarray(np.ascontiguousarray(kept[:, :, 0] if kept.shape[2] == 1 else kept)).convert("L" if channels == 1 else "RGB")
    if picture.size != (size, size):
        picture = picture.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(picture).reshape(size, size, channels)
