"""Copies of a picture as they come about in the wild: saved again as JPEG, resized, brightened, darkened."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

TONE = 0.25
"""Brightness, contrast and exposure change by up to this share, in both directions."""
SCALES = (0.5, 1.5)
QUALITIES = (30, 90)
"""Of JPEG."""
SMALLEST, LARGEST = 64, 512
"""Sides in pixels: nothing is shrunk below the one; larger pictures are brought to the other first, which makes their twins harsher."""
FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)


def _resized(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    scale = max(rng.uniform(*SCALES), min(1.0, SMALLEST / min(picture.size)))
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), FILTERS[int(rng.integers(len(FILTERS)))])


def _factor(rng: np.random.Generator) -> float:
    return float(rng.uniform(1.0 - TONE, 1.0 + TONE))


def _brightened(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Brightness(picture).enhance(_factor(rng))


def _shifted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    offset = rng.uniform(-TONE, TONE) * 255.0
    return picture.point(lambda value: value + offset)


def _contrasted(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageEnhance.Contrast(picture).enhance(_factor(rng))


def _exposed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    gamma = _factor(rng)
    return picture.point([round(255.0 * (value / 255.0) ** gamma) for value in range(256)] * len(picture.getbands()))


def _compressed(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=int(rng.integers(QUALITIES[0], QUALITIES[1] + 1)))
    return Image.open(buffer, formats=["JPEG"])


CHANGES: dict[str, tuple[Callable[[Image.Image, np.random.Generator], Image.Image], ...]] = {
    "size": (_resized,),
    "tone": (_brightened, _shifted, _contrasted, _exposed),
    "tone again": (_brightened, _contrasted),
    "compression": (_compressed,),
}
"""What may happen to a picture, in this order; of several ways one is drawn."""


def make_twin(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A copy of uint8 (H, W, 1 or 3) with a random half of CHANGES, at least one; its sides differ from those given."""
    picture = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.BILINEAR)
    chosen = rng.random(len(CHANGES)) < 0.5
    chosen[int(rng.integers(len(chosen)))] = True
    for ways in (ways for ways, wanted in zip(CHANGES.values(), chosen, strict=True) if wanted):
        picture = ways[int(rng.integers(len(ways)))](picture, rng)
    copy = np.asarray(picture)
    return copy[:, :, None] if copy.ndim == 2 else copy
