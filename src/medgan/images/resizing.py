"""Resize images of any size to the squares of the store, with cropping and the wanted channels.

The central square is cropped before resizing. Resizing the short side first and cropping then
(torchvision's Resize and CenterCrop) keeps the same part, to less than a pixel of the result, so
`crop: {centre: true}` stands for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.errors import require
from medgan.ranges import ShareBelowOne, require_ranges
from medgan.sources.raw import Pixels


class Box(NamedTuple):
    """A part of an image in pixels; `bottom` and `right` are exclusive."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Rows of the part."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns of the part."""
        return self.right - self.left


@dataclass(frozen=True)
class Crop:
    """How an image becomes square: shares of height and width that are cropped at its sides, then
    the central square (`centre`), or black bars along the short side (`pad`).

    With neither, an oblong image is squeezed: its border is kept and its proportions are lost.
    Black bars keep both, and count as pixels where images are standardised.
    """

    top: ShareBelowOne = 0.0
    centre: bool = False
    bottom: ShareBelowOne = 0.0
    left: ShareBelowOne = 0.0
    right: ShareBelowOne = 0.0
    pad: bool = False

    def __post_init__(self) -> None:
        require_ranges("preprocessing.crop", self)
        for first, second in (("top", "bottom"), ("left", "right")):
            require(
                getattr(self, first) + getattr(self, second) < 1.0,
                f"preprocessing.crop.{first} and preprocessing.crop.{second} leave nothing of an "
                "image; lower one of them",
            )
        require(
            not (self.centre and self.pad),
            "preprocessing.crop has `centre` and `pad`, and the central square needs no bars; "
            "choose one of them",
        )


def kept_box(height: int, width: int, crop: Crop | None = None) -> Box:
    """Return the part of an image that a crop keeps: at least one pixel, without a crop all."""
    crop = crop or Crop()
    top, left = int(height * crop.top), int(width * crop.left)
    bottom, right = height - int(height * crop.bottom), width - int(width * crop.right)
    if crop.centre:
        side = min(bottom - top, right - left)
        top, left = top + (bottom - top - side) // 2, left + (right - left - side) // 2
        bottom, right = top + side, left + side
    return Box(top, left, bottom, right)


def crop_image(image: Pixels, crop: Crop) -> Pixels:
    """Return the part of (H, W, C) that a crop keeps."""
    box = kept_box(image.shape[0], image.shape[1], crop)
    return image[box.top : box.bottom, box.left : box.right]


def as_image(pixels: Pixels, channels: int | None = None) -> Image.Image:
    """Convert uint8 (H, W, 1 or 3) to Pillow; to luminance with 1 channel, to RGB with 3."""
    plain = np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image = Image.fromarray(plain)
    return image if channels is None else image.convert("L" if channels == 1 else "RGB")


def _resize(pixels: Pixels, size: tuple[int, int], channels: int) -> Pixels:
    height, width = size
    image = as_image(pixels, channels)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(height, width, channels)


def thumbnail(image: Pixels, size: int, channels: int) -> Pixels:
    """Resize uint8 (H, W, 1 or 3) to (h, w, channels), keeping proportions, longer side `size`."""
    height, width = image.shape[:2]
    longer = max(height, width)
    fitted = max(1, round(height * size / longer)), max(1, round(width * size / longer))
    return _resize(image, fitted, channels)


def fit_square(image: Pixels, size: int, channels: int, crop: Crop | None = None) -> Pixels:
    """Resize uint8 (H, W, 1 or 3) to (size, size, channels), area-filtered when shrinking."""
    kept = crop_image(image, crop) if crop else image
    if crop is None or not crop.pad:
        return _resize(kept, (size, size), channels)
    small = thumbnail(kept, size, channels)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square = np.zeros((size, size, channels), dtype=np.uint8)
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square


def unfit_square(
    values: NDArray[Any], height: int, width: int, crop: Crop | None = None, outside: float = 0.0
) -> NDArray[np.float32]:
    """Bring a map (size, size) of a prepared image back to the image (height, width) itself.

    It is the inverse of `fit_square` for maps: black bars are cut off, the rest is enlarged without
    steps, and what the crop has left out is `outside`.
    """
    box, size = kept_box(height, width, crop), values.shape[0]
    inner = values
    if crop is not None and crop.pad:
        longer = max(box.height, box.width)
        rows = max(1, round(box.height * size / longer))
        columns = max(1, round(box.width * size / longer))
        top, left = (size - rows) // 2, (size - columns) // 2
        inner = values[top : top + rows, left : left + columns]
    enlarged = Image.fromarray(np.asarray(inner, np.float32)).resize(
        (box.width, box.height), Image.Resampling.BILINEAR
    )
    whole = np.full((height, width), outside, dtype=np.float32)
    whole[box.top : box.bottom, box.left : box.right] = np.asarray(enlarged)
    return whole
