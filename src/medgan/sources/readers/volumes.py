"""Volumes: decoded once, scaled as a whole, shown slice by slice."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Decoded, Recent, check_pixels, percentile_window, stamp

VOLUME_PERCENTILES = (0.5, 99.5)
"""Between these of its values other than 0 a volume is shown that is given no window: air around
the body would pull them down.
"""
VALUES_LOOKED_AT = 2**20
AT_A_TIME = 2**22
MOST_SLICES = 16_384
SAME_SPACING = 1.03
"""Ratio of spacings within a slice up to which its pixels count as square."""
WIDEST_SPACING = 10.0
"""Ratio above which the spacing is not believed."""
HONEST_RATIO = 200
"""Unpacked to packed size above which a large file counts as a bomb; volumes of a scanner reach
about 10.
"""
SMALL = 2**26
"""Unpacked bytes up to which any ratio will do."""


@dataclass(frozen=True)
class Volume:
    """One decoded volume."""

    voxels: NDArray[np.generic]
    """(slices, H, W[, C]), each slice as it is shown, in stored values."""
    slope: float = 1.0
    intercept: float = 0.0
    limits: tuple[float, float] | None = None
    """Lowest and highest value shown in every slice; None where they are grey levels of 8 bits."""
    window: str = ""
    spacing: tuple[float, float] = (1.0, 1.0)
    """Millimetres from row to row and from column to column."""


_volumes: Recent[Volume] = Recent(2)


def kept(path: Path, config: ReadingConfig, load: Callable[[], Volume]) -> Volume:
    """The volume of a file: loaded, or one of the two that were used last."""
    return _volumes.get((*stamp(path), config), load)


def chosen(length: int, config: ReadingConfig) -> Sequence[int]:
    """Numbers of the slices that become images; none where the configuration does not say."""
    if length > MOST_SLICES:
        raise ImageRefused("TOO_LARGE", f"it has {length} slices, more than {MOST_SLICES}")
    return config.slices.numbers(length) if config.slices else ()


def slice_of(volume: Volume, frame: int | None) -> Decoded:
    """One slice of a volume. Raises `ImageRefused` where none is named and there are several."""
    count = len(volume.voxels)
    if frame is None and count > 1:
        raise ImageRefused(
            "VOLUME",
            f"it is a volume of {count} slices; say with reading.slices which of them become images",
        )
    values = _scaled(volume.voxels[frame or 0], volume)
    facts = {"color": "RGB" if values.ndim == 3 and values.shape[2] == 3 else "grey"}
    if volume.window:
        facts["window"] = volume.window
    low, high = volume.limits or (None, None)
    return _squared(
        Decoded(values if values.ndim == 3 else values[:, :, None], low, high, facts),
        volume.spacing,
    )


def _scaled(values: NDArray[np.generic], volume: Volume) -> NDArray[np.generic]:
    if (volume.slope, volume.intercept) == (1.0, 0.0):
        return values
    scaled: NDArray[np.generic] = values.astype(np.float64) * volume.slope + volume.intercept
    return scaled


def _squared(decoded: Decoded, spacing: tuple[float, float]) -> Decoded:
    """Resampled to the finer of the two spacings, where they differ; an image has no room for
    two.
    """
    rows, columns = spacing
    if max(spacing) <= SAME_SPACING * min(spacing) or decoded.low is None:
        return decoded
    fine = min(spacing)
    size = (
        round(decoded.values.shape[1] * columns / fine),
        round(decoded.values.shape[0] * rows / fine),
    )
    image = Image.fromarray(
        np.ascontiguousarray(decoded.values[:, :, 0], dtype=np.float32), mode="F"
    )
    values = np.asarray(image.resize(size, Image.Resampling.BILINEAR))[:, :, None]
    color = f"{decoded.metadata['color']}, resampled to {fine:.3g} mm"
    return Decoded(values, decoded.low, decoded.high, {**decoded.metadata, "color": color})


def check_spacing(
    spacing: tuple[float, float], shape: tuple[int, int], config: ReadingConfig
) -> None:
    """Raises `ImageRefused` for spacings that no scanner makes, and slices (H, W) that would grow
    above the cap by them.
    """
    if not (
        np.isfinite(spacing).all()
        and min(spacing) > 0
        and max(spacing) <= WIDEST_SPACING * min(spacing)
    ):
        raise ImageRefused(
            "SPACING", "its header says voxels of no size, or more than ten times as long as wide"
        )
    fine = min(spacing)
    check_pixels(round(shape[1] * spacing[1] / fine), round(shape[0] * spacing[0] / fine), config)


def volume_window(
    values: NDArray[np.generic], slope: float, intercept: float, config: ReadingConfig
) -> tuple[tuple[float, float], str]:
    """The range shown in every slice, and what the manifest calls it, of all stored values (n,).
    Raises `ImageRefused`: NONFINITE.
    """
    check_finite(values)
    if config.limits:
        return config.limits, config.window_name
    sample = values[:: values.size // VALUES_LOOKED_AT | 1].astype(np.float64) * slope + intercept
    inside = sample[sample != 0]
    low, high = percentile_window(inside if len(inside) else sample, VOLUME_PERCENTILES)
    return (low, high), "volume, percentiles {:g} to {:g}".format(*VOLUME_PERCENTILES)


def check_finite(values: NDArray[np.generic]) -> None:
    """Raises `ImageRefused` for NaN and infinity, a piece of the (n,) values at a time."""
    if values.dtype.kind != "f":
        return
    if not all(
        np.isfinite(values[start : start + AT_A_TIME]).all()
        for start in range(0, values.size, AT_A_TIME)
    ):
        raise ImageRefused("NONFINITE", "it has voxels that are not finite numbers")


def check_bytes(needed: int, path: Path, packed: bool, config: ReadingConfig) -> None:
    """Raises `ImageRefused` where a file is too large to be decoded, or too small to hold what its
    header says.
    """
    there = path.stat().st_size
    if needed > config.max_volume_bytes:
        raise ImageRefused(
            "TOO_LARGE",
            f"it unpacks to {needed} bytes, more than reading.max_volume_bytes = {config.max_volume_bytes}",
        )
    if packed and needed > max(SMALL, HONEST_RATIO * there):
        raise ImageRefused(
            "TOO_LARGE", f"its {there} bytes would unpack to {needed}, as no real volume does"
        )
    if not packed and needed > there:
        raise ImageRefused("UNREADABLE", f"it is cut: it has {there} bytes of at least {needed}")


def opened(path: Path) -> BinaryIO:
    """A file, unpacked as it is read where it is packed with gzip."""
    return cast(BinaryIO, gzip.open(path, "rb")) if is_packed(path) else path.open("rb")


def read_values(stream: BinaryIO, dtype: np.dtype[np.generic], count: int) -> NDArray[np.generic]:
    """`count` values (n,) from a stream, which is never asked for more. Raises `ImageRefused` where
    there are fewer.
    """
    values = np.empty(count, dtype)
    room, filled = values.view(np.uint8).data, 0
    while filled < len(room):
        got = cast(int, stream.readinto(room[filled : filled + AT_A_TIME]))  # type: ignore[attr-defined]
        if not got:
            raise ImageRefused(
                "UNREADABLE", f"it is cut: it has {filled} of {len(room)} bytes of voxels"
            )
        filled += got
    return values


def skip(stream: BinaryIO, count: int) -> None:
    """Passes over `count` bytes of a stream."""
    while count > 0 and (got := len(stream.read(min(count, AT_A_TIME)))):
        count -= got


def is_packed(path: Path) -> bool:
    """Whether a file is packed with gzip."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"
