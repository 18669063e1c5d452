"""Brings images of any size to the size of the store: cropped if asked, square, with the wanted
channels.

The central square is cut out before resizing. Resizing the short side first and cutting the square
out then (torchvision's Resize and CenterCrop) keeps the same part of the image: as it rounds the
margins later, it lies less than a pixel of the result away. So `crop: {centre: true}` stands for
both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.errors import UserError


class Box(NamedTuple):
    """A part of an image in pixels; `bottom` and `right` lie just outside it."""

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
    """How an image becomes square: shares of its height and width that are cut off its sides, then
    all but the central square (`centre`), or black bars along the short side (`pad`).

    With neither of the two an oblong image is squeezed into the square: nothing at its border is
    lost, its proportions are. Black bars keep both, and count as pixels where images are
    standardised.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    top: float = 0.0
    centre: bool = False
    bottom: float = 0.0
    left: float = 0.0
    right: float = 0.0
    pad: bool = False

    def __post_init__(self) -> None:
        for side, length in (
            ("top", "height"),
            ("bottom", "height"),
            ("left", "width"),
            ("right", "width"),
        ):
            if not 0.0 <= getattr(self, side) < 1.0:
                raise UserError(
                    f"preprocessing.crop.{side} is {getattr(self, side)}; it is the share of the {length} to cut off, "
                    "from 0 up to but not including 1"
                )
        for first, second in (("top", "bottom"), ("left", "right")):
            if getattr(self, first) + getattr(self, second) >= 1.0:
                raise UserError(
                    f"preprocessing.crop.{first} and preprocessing.crop.{second} leave nothing of an image; lower one of them"
                )
        if self.centre and self.pad:
            raise UserError(
                "preprocessing.crop has `centre` and `pad`: the central square needs no bars; choose one of them"
            )


WHOLE = Crop()


def kept_box(height: int, width: int, crop: Crop | None = None) -> Box:
    """The part of an image of this height and width that a crop keeps: one pixel at least, all of
    it without a crop.
    """
    asked = crop or WHOLE
    box = Box(
        int(height * asked.top),
        int(width * asked.left),
        height - int(height * asked.bottom),
        width - int(width * asked.right),
    )
    if not asked.centre:
        return box
    side = min(box.height, box.width)
    top, left = box.top + (box.height - side) // 2, box.left + (box.width - side) // 2
    return Box(top, left, top + side, left + side)


def crop_image(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """The part of (H, W, C) that a crop keeps."""
    box = kept_box(image.shape[0], image.shape[1], crop)
    return image[box.top : box.bottom, box.left : box.right]


def _resized(picture: Image.Image, width: int, height: int) -> Image.Image:
    return (
        picture
        if picture.size == (width, height)
        else picture.resize((width, height), Image.Resampling.BILINEAR)
    )


def _fitted(height: int, width: int, size: int) -> tuple[int, int]:
    """Height and width in the same proportions, the longer of them `size`, none under one pixel."""
    longer = max(height, width)
    return max(1, round(height * size / longer)), max(1, round(width * size / longer))


def thumbnail(image: NDArray[np.uint8], size: int, channels: int) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) to (h, w, channels) in its own proportions, the longer side `size`."""
    height, width = _fitted(image.shape[0], image.shape[1], size)
    return np.asarray(_resized(_picture(image, channels), width, height)).reshape(
        height, width, channels
    )


def _picture(image: NDArray[np.uint8], channels: int) -> Image.Image:
    """As Pillow has it; RGB becomes luminance where `channels` is 1."""
    return Image.fromarray(
        np.ascontiguousarray(image[:, :, 0] if image.shape[2] == 1 else image)
    ).convert("L" if channels == 1 else "RGB")


def fit_square(
    image: NDArray[np.uint8], size: int, channels: int, crop: Crop | None = None
) -> NDArray[np.uint8]:
    """uint8 (H, W, 1 or 3) to (size, size, channels), area-filtered on the way down; RGB becomes
    luminance where `channels` is 1.
    """
    kept = crop_image(image, crop) if crop else image
    if crop is None or not crop.pad:
        return np.asarray(_resized(_picture(kept, channels), size, size)).reshape(
            size, size, channels
        )
    small = thumbnail(kept, size, channels)
    top, left = (size - small.shape[0]) // 2, (size - small.shape[1]) // 2
    square = np.zeros((size, size, channels), dtype=np.uint8)
    square[top : top + small.shape[0], left : left + small.shape[1]] = small
    return square
