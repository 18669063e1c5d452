"""Decode image files: the interface of the readers, windowing, and the choice of the reader."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.sources.raw import ImageRefused, Picture, Pixels, Values
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.formats import detect

T = TypeVar("T")
IMAGE_PERCENTILES = (0.1, 99.9)  # window of an image that has none
WINDOW_NAME = "percentiles {:g} to {:g}"
ROWS = 256  # rows that are windowed at once, to limit the memory of large images
RASTER_READERS: Mapping[str, str] = dict.fromkeys(("JPEG", "PNG", "BMP", "TIFF"), "raster")
READERS: Mapping[str, str] = {
    **RASTER_READERS,
    "DICOM": "dicom",
    "NIfTI": "nifti",
    "NPY": "arrays",
    "NPZ": "arrays",
}
"""Format -> module of this package, a `Reader`; imported for the first file of the format."""
DEFAULT = ReadingConfig()


@dataclass(frozen=True)
class Decoded:
    """One decoded image."""

    values: Values  # (H, W, C), C 1 (gray) or 3 (RGB), upright, in the unit of the file
    low: float | None = None
    """Shown black, and `high` white; low > high inverts the image. None: uint8, shown as is."""
    high: float | None = None
    metadata: Mapping[str, str] = field(
        default_factory=dict
    )  # keys of `raw.METADATA` and `raw.IDENTITY`


class Reader(Protocol):
    """Interface of a reading module. Errors other than `ImageRefused` count as UNREADABLE."""

    def frames(self, path: Path, config: ReadingConfig) -> Sequence[int]:
        """Number the images in a file from its header alone; empty where the file is one image."""

    def read(self, path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
        """Decode a file, or one of its `frames()`."""


def read_picture(
    path: Path | str, frame: int | None = None, config: ReadingConfig = DEFAULT
) -> Picture:
    """Read a file, or one of its images: uint8 (H, W, 1 or 3), upright. Raises `ImageRefused`."""
    return _safely(lambda: render(decode(path, frame, config)))


def decode(
    path: Path | str,
    frame: int | None = None,
    config: ReadingConfig = DEFAULT,
    readers: Mapping[str, str] = READERS,
) -> Decoded:
    """Decode a file, or one of its images, in the unit of the file. Raises `ImageRefused`."""
    return _safely(lambda: _reader(Path(path), readers).read(Path(path), frame, config))


def frames(path: Path | str, config: ReadingConfig = DEFAULT) -> Sequence[int]:
    """Number the images in a file from its header; empty where it is one. Raises `ImageRefused`."""
    return _safely(lambda: _reader(Path(path), READERS).frames(Path(path), config))


def check_pixels(width: int, height: int, config: ReadingConfig) -> None:
    """Raise `ImageRefused` for an image without pixels, or more than are decoded."""
    if width < 1 or height < 1:
        raise ImageRefused("UNREADABLE", f"its header says {width} x {height} pixels")
    if width * height > config.max_pixels:
        cap = f"reading.max_pixels = {config.max_pixels}"
        raise ImageRefused("TOO_LARGE", f"it has {width} x {height} pixels, more than {cap}")


def check_frame(count: int, frame: int | None, config: ReadingConfig, what: str) -> None:
    """Raise `ImageRefused` where a file has several frames and none is chosen."""
    if count > 1 and frame is None and config.frames != "first":
        raise ImageRefused("MULTIPAGE", f"it has {count} {what}; set reading.frames: first or all")


def percentile_window(
    values: Values, percentiles: tuple[float, float] = IMAGE_PERCENTILES
) -> tuple[float, float]:
    """Compute percentiles, or the range where they are equal. Raises `ImageRefused` for NaN."""
    if not values.size:
        raise ImageRefused("UNREADABLE", "it has no pixels")
    numbers = as_float(values)
    if not np.isfinite(numbers).all():
        raise ImageRefused("NONFINITE", "it has pixels that are not finite numbers")
    low, high = (float(value) for value in np.percentile(numbers, percentiles))
    return (low, high) if high > low else (float(numbers.min()), float(numbers.max()))


def as_float(values: Values) -> NDArray[Any]:
    """Convert to the smallest float type that holds the integers of up to 16, or 32, bits."""
    return values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)


def windowed(values: Values, color: str, config: ReadingConfig) -> Decoded:
    """Window an image (H, W[, C]) without a window of its own; uint8 is shown as it is."""
    deep = values if values.ndim == 3 else values[:, :, None]
    if values.dtype == np.uint8:
        return Decoded(deep, metadata={"color": color})
    low, high = config.limits or percentile_window(values)
    name = config.window_name if config.limits else WINDOW_NAME.format(*IMAGE_PERCENTILES)
    return Decoded(deep, low, high, {"color": color, "window": name})


def render(decoded: Decoded) -> Picture:
    """Map values from [low, high] to [0, 255], clipped. Raises `ImageRefused` for NaN."""
    if decoded.low is None or decoded.high is None:
        return Picture(np.ascontiguousarray(decoded.values, dtype=np.uint8), decoded.metadata)
    values, show = decoded.values, partial(_levels, low=decoded.low, high=decoded.high)
    if values.dtype.kind in "iu" and values.size > 256**values.dtype.itemsize:
        # A table of all values is faster than arithmetic on every pixel, and gives the same.
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
        unsigned = np.dtype(f"u{values.dtype.itemsize}")
        every = np.arange(256**unsigned.itemsize, dtype=unsigned)
        values, show = values.view(unsigned), partial(np.take, show(every.view(values.dtype)))
    pixels = np.empty(values.shape, np.uint8)
    for start in range(0, len(pixels), ROWS):
        block = slice(start, start + ROWS)
        pixels[block] = show(values[block])
    return Picture(pixels, decoded.metadata)


def _levels(values: Values, low: float, high: float) -> Pixels:
    """Map values from [low, high] to [0, 255]. Raises `ImageRefused` for NaN."""
    numbers, span = values.astype(np.float64), high - low
    if not (np.isfinite(numbers).all() and np.isfinite(span)):
        raise ImageRefused("NONFINITE", "it has pixels that are not finite, or too large")
    scaled = (numbers - low) / span if span else np.zeros_like(numbers)
    return np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)


def _reader(path: Path, readers: Mapping[str, str]) -> Reader:
    if not path.is_file():
        annexed = "annex" in path.resolve().parts
        remedy = "; it is a link of git-annex, fetch it with `git annex get`" if annexed else ""
        raise ImageRefused("UNREADABLE", f"there is no such file{remedy}")
    module = readers[detect(path, readers.keys())]
    return cast(Reader, importlib.import_module(f"medgan.sources.readers.{module}"))


def _safely(work: Callable[[], T]) -> T:
    """Convert the errors of decoders, which raise nearly anything, without quoting the file."""
    try:
        return work()
    except (ImageRefused, UserError):
        raise
    except Exception as error:
        raise ImageRefused("UNREADABLE", f"it cannot be decoded ({type(error).__name__})") from None
