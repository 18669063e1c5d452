"""Reads JPEG, PNG, BMP and TIFF files.

The header decides whether a file may be decoded, and the whole file is decoded before it counts as
read.
How color modes become pixels: grey stays grey; palettes become RGB; transparency is laid on black;
CMYK and YCbCr become RGB; 16-bit and float pixels are windowed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import (
    IMAGE_PERCENTILES,
    Decoded,
    check_pixels,
    percentile_window,
)

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
"""Pillow's decoders that are used; it has many more, each another way in."""
MAX_PAGES = 16_384


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Numbers of the pages, where all of several count."""
    if config.frames != "all":
        return ()
    with Image.open(path, formats=FORMATS) as image:
        pages = _pages(image)
    return range(pages) if pages > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """The pixels of a page. Raises `ImageRefused`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            return _decode(image, frame, config)
    except Image.DecompressionBombError as error:
        raise ImageRefused(
            "TOO_LARGE", f"it has more than reading.max_pixels = {config.max_pixels} pixels"
        ) from error


def _pages(image: Image.Image) -> int:
    pages = int(getattr(image, "n_frames", 1))
    if pages > MAX_PAGES:
        raise ImageRefused("TOO_LARGE", f"it has {pages} pages, more than {MAX_PAGES}")
    return pages


def _decode(image: Image.Image, frame: int | None, config: ReadingConfig) -> Decoded:
    check_pixels(image.width, image.height, config)
    pages = _pages(image)
    if pages > 1 and frame is None and config.frames != "first":
        raise ImageRefused(
            "MULTIPAGE",
            f"it holds {pages} pages; say with reading.frames whether the first or all of them count",
        )
    if frame:
        image.seek(frame)
        check_pixels(image.width, image.height, config)
    image.load()
    upright = ImageOps.exif_transpose(image)
    convert, color = MODES.get(upright.mode, (_color, f"{upright.mode} to RGB"))
    values = convert(upright)
    return _described(values if values.ndim == 3 else values[:, :, None], color, config)


def _described(values: NDArray[np.generic], color: str, config: ReadingConfig) -> Decoded:
    if values.dtype == np.uint8:
        return Decoded(values, metadata={"color": color})
    low, high = config.limits or percentile_window(values)
    shown = (
        config.window_name
        if config.limits
        else "percentiles {:g} to {:g}".format(*IMAGE_PERCENTILES)
    )
    return Decoded(values, low, high, {"color": color, "window": shown})


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L"))


def _color(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def _deep(image: Image.Image) -> NDArray[np.generic]:
    return np.asarray(image)


def _transparent(image: Image.Image) -> NDArray[np.uint8]:
    full = image.convert("RGBA")
    return np.asarray(
        Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full).convert("RGB")
    )


def _transparent_grey(image: Image.Image) -> NDArray[np.uint8]:
    return _transparent(image)[:, :, 0]


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    return _transparent(image) if "transparency" in image.info else _color(image)


MODES: dict[str, tuple[Callable[[Image.Image], NDArray[np.generic]], str]] = {
    "1": (_grey, "black and white"),
    "L": (_grey, "grey"),
    "LA": (_transparent_grey, "grey, transparency on black"),
    "La": (_transparent_grey, "grey, transparency on black"),
    "RGB": (_color, "RGB"),
    "P": (_palette, "palette to RGB"),
    "PA": (_transparent, "palette to RGB, transparency on black"),
    "RGBA": (_transparent, "RGB, transparency on black"),
    "RGBa": (_transparent, "RGB, transparency on black"),
    "I": (_deep, "grey, 32 bit"),
    "I;16": (_deep, "grey, 16 bit"),
    "I;16B": (_deep, "grey, 16 bit"),
    "I;16L": (_deep, "grey, 16 bit"),
    "F": (_deep, "grey, float"),
}
"""How the pixels of a Pillow mode become an array, and what that is called; the others become
RGB.
"""
