"""Read JPEG, PNG, BMP and TIFF files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from medgan.sources.raw import ImageRefused, Pixels, Values
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Decoded, check_frame, check_pixels, windowed

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
"""Decoders of Pillow that are used; each further one would be one more way to attack."""
MAX_PAGES = 16_384


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Number the pages, where all of several are used."""
    if config.frames != "all":
        return ()
    with Image.open(path, formats=FORMATS) as image:
        pages = _pages(image)
    return range(pages) if pages > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode a page. Raises `ImageRefused`."""
    try:
        with Image.open(path, formats=FORMATS) as image:
            check_pixels(image.width, image.height, config)
            check_frame(_pages(image), frame, config, "pages")
            if frame:
                image.seek(frame)
                check_pixels(image.width, image.height, config)
            image.load()
            upright = ImageOps.exif_transpose(image)
            convert, color = MODES.get(upright.mode, (_rgb, f"{upright.mode} to RGB"))
            return windowed(convert(upright), color, config)
    except Image.DecompressionBombError as error:
        cap = f"reading.max_pixels = {config.max_pixels}"
        raise ImageRefused("TOO_LARGE", f"it has more pixels than {cap}") from error


def _pages(image: Image.Image) -> int:
    pages = int(getattr(image, "n_frames", 1))
    if pages > MAX_PAGES:
        raise ImageRefused("TOO_LARGE", f"it has {pages} pages, more than {MAX_PAGES}")
    return pages


def _gray(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("L"))


def _rgb(image: Image.Image) -> Pixels:
    return np.asarray(image.convert("RGB"))


def _on_black(image: Image.Image) -> Pixels:
    full = image.convert("RGBA")
    return _rgb(Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full))


def _palette(image: Image.Image) -> Pixels:
    return _on_black(image) if "transparency" in image.info else _rgb(image)


MODES: dict[str, tuple[Callable[[Image.Image], Values], str]] = {
    "1": (_gray, "black and white"),
    "L": (_gray, "grey"),
    **dict.fromkeys(
        ("LA", "La"), (lambda image: _on_black(image)[:, :, 0], "grey, transparency on black")
    ),
    "RGB": (_rgb, "RGB"),
    "P": (_palette, "palette to RGB"),
    "PA": (_on_black, "palette to RGB, transparency on black"),
    **dict.fromkeys(("RGBA", "RGBa"), (_on_black, "RGB, transparency on black")),
    "I": (np.asarray, "grey, 32 bit"),
    **dict.fromkeys(("I;16", "I;16B", "I;16L"), (np.asarray, "grey, 16 bit")),
    "F": (np.asarray, "grey, float"),
}
"""Mode of Pillow -> conversion to an array, and its description; other modes become RGB."""
