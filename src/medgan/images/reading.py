"""Reads one raster file safely into uint8 pixels.

The magic bytes decide what a file is, the header decides whether it may be decoded, and the whole file is decoded before it counts as read.
How colour modes become pixels: grey stays grey; palettes become RGB; transparency is laid on black; CMYK and YCbCr become RGB;
16-bit and float pixels are windowed between their 0.1 and 99.9 percentiles.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from medgan.images.picture import ImageRefused

FORMATS = ("JPEG", "PNG", "BMP", "TIFF")
PIXEL_CAP = 64_000_000
"""Largest image, in pixels, that is decoded."""
MAGIC = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\x00", b"MM\x00*")
"""How files of FORMATS begin."""
OTHER_MAGIC = (b"GIF8", b"RIFF", b"%!PS", b"%PDF", b"8BPS", b"SIMPLE", b"P5", b"P6", b"\x00\x00\x01\x00", b"\x1f\x8b", b"PK\x03\x04")
"""How some well-known files begin that are not read."""
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".psd", ".eps", ".fits", ".ppm", ".pgm", ".dcm", ".nii"}
)
"""Files that claim to be images. Those of other formats are quarantined with the reason FORMAT, not passed over."""
WINDOW_PERCENTILES = (0.1, 99.9)


def window(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Maps (H, W) values of any type linearly to 0..255, between their 0.1 and 99.9 percentiles."""
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        raise ImageRefused("NONFINITE", "it has pixels that are not finite numbers")
    low, high = np.percentile(numbers, WINDOW_PERCENTILES)
    if high <= low:
        low, high = numbers.min(), numbers.max()
    scaled = (numbers - low) / max(high - low, np.finfo(np.float64).tiny)
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    return grey


def read_image(path: Path | str, pixel_cap: int = PIXEL_CAP) -> NDArray[np.uint8]:
    """The pixels of a JPEG, PNG, BMP or TIFF file: (H, W, 1) grey or (H, W, 3) RGB, upright. Raises `ImageRefused`."""
    try:
        _check_magic(Path(path))
        with Image.open(path, formats=FORMATS) as image:
            return _decode(image, pixel_cap)
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:
        raise ImageRefused("TOO_LARGE", f"it has more than {pixel_cap} pixels") from error
    except Exception as error:  # decoders raise nearly anything on damaged input
        raise ImageRefused("UNREADABLE", f"it cannot be decoded ({type(error).__name__})") from error


def _check_magic(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(132)
    if head.startswith(MAGIC):
        return
    if head.startswith(OTHER_MAGIC) or head[128:] == b"DICM":
        raise ImageRefused("FORMAT", f"its content is not {', '.join(FORMATS)}")
    raise ImageRefused("UNREADABLE", "it is empty" if not head else "its content is no image format that is known here")


def _decode(image: Image.Image, pixel_cap: int) -> NDArray[np.uint8]:
    if image.width * image.height > pixel_cap:
        raise ImageRefused("TOO_LARGE", f"it has {image.width} x {image.height} pixels, more than {pixel_cap}")
    if getattr(image, "n_frames", 1) > 1:
        raise ImageRefused("MULTIPAGE", "it holds several pages")
    image.load()
    upright = ImageOps.exif_transpose(image)
    pixels = MODES.get(upright.mode, _colour)(upright)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("L"))


def _colour(image: Image.Image) -> NDArray[np.uint8]:
    return np.asarray(image.convert("RGB"))


def _deep(image: Image.Image) -> NDArray[np.uint8]:
    return window(np.asarray(image))


def _transparent(image: Image.Image) -> NDArray[np.uint8]:
    full = image.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", full.size, (0, 0, 0, 255)), full).convert("RGB"))


def _transparent_grey(image: Image.Image) -> NDArray[np.uint8]:
    return _transparent(image)[:, :, 0]


def _palette(image: Image.Image) -> NDArray[np.uint8]:
    return _transparent(image) if "transparency" in image.info else _colour(image)


MODES: dict[str, Callable[[Image.Image], NDArray[np.uint8]]] = {
    "1": _grey,
    "L": _grey,
    "LA": _transparent_grey,
    "La": _transparent_grey,
    "P": _palette,
    "PA": _transparent,
    "RGBA": _transparent,
    "RGBa": _transparent,
    "I": _deep,
    "I;16": _deep,
    "I;16B": _deep,
    "I;16L": _deep,
    "F": _deep,
}
"""How the pixels of a Pillow mode become uint8; the others become RGB."""
