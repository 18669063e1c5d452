"""Volumes: checked before they are decoded, decoded once, windowed as a whole, shown by slice."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.files.parallel import Recent, stamp
from medgan.sources.raw import ImageRefused, Values
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import WINDOW_NAME, Decoded, check_pixels, percentile_window
from medgan.sources.readers.formats import GZIP

Spacing = tuple[float, float]  # millimeters from row to row and from column to column
VOLUME_PERCENTILES = (0.5, 99.5)
"""Window of a volume that has none, of values other than 0: air around the body would lower it."""
SAMPLED_VALUES = 2**20  # values of a volume that the percentiles are computed from
CHUNK = 2**22  # bytes or values that are processed at once
MAX_SLICES = 16_384
SAME_SPACING = 1.03  # ratio of spacings within a slice up to which pixels count as square
MAX_SPACING_RATIO = 10.0  # ratio above which spacings count as an error
MAX_COMPRESSION = 200
"""Ratio of unpacked to packed size above which a large file counts as a decompression bomb; volumes
of scanners reach about 10."""
SMALL = 2**26  # unpacked bytes up to which any compression is accepted


@dataclass(frozen=True)
class Volume:
    """One decoded volume."""

    voxels: Values  # (slices, H, W[, C]) stored values, each slice as it is shown
    slope: float = 1.0
    intercept: float = 0.0
    limits: tuple[float, float] | None = None
    """Lowest and highest value shown in every slice; None for gray levels of 8 bits."""
    window: str = ""
    spacing: Spacing = (1.0, 1.0)


_volumes: Recent[Volume] = Recent(2)


def chosen_slices(length: int, config: ReadingConfig) -> Sequence[int]:
    """Number the slices that become images; none where the configuration has no policy."""
    if length > MAX_SLICES:
        raise ImageRefused("TOO_LARGE", f"it has {length} slices, more than {MAX_SLICES}")
    return config.slices.numbers(length) if config.slices else ()


def check_slice(shape: tuple[int, ...], frame: int | None) -> None:
    """Raise `ImageRefused` where no slice of a volume is chosen."""
    if frame is None:
        raise ImageRefused("VOLUME", f"it is a volume {shape}; choose slices with reading.slices")


def read_slice(
    path: Path, frame: int | None, config: ReadingConfig, load: Callable[[], Volume]
) -> Decoded:
    """Decode one slice of a file; its volume is loaded unless it is one of the two used last."""
    volume = _volumes.get((*stamp(path), config), load)
    if len(volume.voxels) > 1:
        check_slice(volume.voxels.shape, frame)
    values = volume.voxels[frame or 0]
    if (volume.slope, volume.intercept) != (1.0, 0.0):
        values = values.astype(np.float64) * volume.slope + volume.intercept
    values = values if values.ndim == 3 else values[:, :, None]
    metadata = {"color": "RGB" if values.shape[2] == 3 else "grey"}
    if volume.window:
        metadata["window"] = volume.window
    low, high = volume.limits or (None, None)
    fine = min(volume.spacing)
    if low is not None and max(volume.spacing) > SAME_SPACING * fine:
        values = squared(values, volume.spacing)
        metadata["color"] += f", resampled to {fine:.3g} mm"
    return Decoded(values, low, high, metadata)


def squared(values: Values, spacing: Spacing) -> NDArray[np.float32]:
    """Resample an image (H, W, C) to square pixels of the finer spacing."""
    height, width = _square_size(values.shape[:2], spacing)
    planes = [
        Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32), mode="F")
        for plane in np.moveaxis(values, 2, 0)
    ]
    shown = [plane.resize((width, height), Image.Resampling.BILINEAR) for plane in planes]
    return np.stack([np.asarray(plane) for plane in shown], axis=2)


def _square_size(shape: tuple[int, ...], spacing: Spacing) -> tuple[int, int]:
    fine = min(spacing)
    return round(shape[0] * spacing[0] / fine), round(shape[1] * spacing[1] / fine)


def check_spacing(spacing: Spacing, shape: tuple[int, int], config: ReadingConfig) -> None:
    """Raise `ImageRefused` for impossible spacings, and slices (H, W) too large once resampled."""
    fine = min(spacing)
    if not (np.isfinite(spacing).all() and fine > 0 and max(spacing) <= MAX_SPACING_RATIO * fine):
        raise ImageRefused("SPACING", "its voxels have no size, or sides of 1 : 10 and more")
    height, width = _square_size(shape, spacing)
    check_pixels(width, height, config)


def volume_window(
    values: Values, slope: float, intercept: float, config: ReadingConfig
) -> tuple[tuple[float, float], str]:
    """Compute one window, and its name, for all stored values (n,). Raises `ImageRefused`."""
    chunks = range(0, values.size if values.dtype.kind == "f" else 0, CHUNK)
    if not all(np.isfinite(values[start : start + CHUNK]).all() for start in chunks):
        raise ImageRefused("NONFINITE", "it has voxels that are not finite numbers")
    if config.limits:
        return config.limits, config.window_name
    sample = values[:: values.size // SAMPLED_VALUES | 1].astype(np.float64) * slope + intercept
    inside = sample[sample != 0]
    limits = percentile_window(inside if len(inside) else sample, VOLUME_PERCENTILES)
    return limits, f"volume, {WINDOW_NAME.format(*VOLUME_PERCENTILES)}"


def check_bytes(needed: int, path: Path, packed: bool, config: ReadingConfig) -> None:
    """Raise `ImageRefused` for a file too large to decode, or smaller than its header says."""
    size = path.stat().st_size
    if needed > config.max_volume_bytes:
        limit = f"reading.max_volume_bytes = {config.max_volume_bytes}"
        raise ImageRefused("TOO_LARGE", f"it unpacks to {needed} bytes, more than {limit}")
    if packed and needed > max(SMALL, MAX_COMPRESSION * size):
        raise ImageRefused("TOO_LARGE", f"its {size} bytes would unpack to {needed} bytes")
    if not packed and needed > size:
        raise ImageRefused("UNREADABLE", f"it is cut: it has {size} bytes of at least {needed}")


def is_packed(path: Path) -> bool:
    """Return whether a file is packed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == GZIP


def opened(path: Path) -> BinaryIO:
    """Open a file; a gzip file is unpacked as it is read."""
    return cast(BinaryIO, gzip.open(path, "rb")) if is_packed(path) else path.open("rb")


def check_end(stream: BinaryIO) -> None:
    """Raise `ImageRefused` for a stream that goes on; zeros are padding.

    At its end a gzip file and a zip archive verify their checksums.
    """
    if stream.read(CHUNK).strip(b"\0"):
        remedy = "its shape is wrong, or several arrays were written to it"
        raise ImageRefused("UNREADABLE", f"it holds more than its header says: {remedy}")


def read_values(stream: BinaryIO, dtype: np.dtype[np.generic], count: int) -> Values:
    """Read `count` values (n,) and not a byte more. Raises `ImageRefused` where there are fewer."""
    values = np.empty(count, dtype)
    room, filled = values.view(np.uint8).data, 0
    while filled < len(room):
        got = cast(int, stream.readinto(room[filled : filled + CHUNK]))  # type: ignore[attr-defined]
        if not got:
            raise ImageRefused("UNREADABLE", f"it is cut: it has {filled} of {len(room)} bytes")
        filled += got
    return values
