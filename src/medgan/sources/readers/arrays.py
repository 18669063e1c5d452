"""Reads NPY files, and NPZ files of one array: (H, W) or (H, W, 1 or 3) is an image, any other
(slices, H, W) a volume.

Nothing is ever unpickled. The header is read and checked before the numbers are.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import (
    IMAGE_PERCENTILES,
    Decoded,
    check_pixels,
    percentile_window,
)
from medgan.sources.readers.volumes import (
    Volume,
    check_bytes,
    chosen,
    kept,
    read_values,
    slice_of,
    volume_window,
)

NUMBERS = "biuf"
CHANNELS = (1, 3)
LARGEST_NUMBER = 8
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 2 or (len(self.shape) == 3 and self.shape[2] in CHANNELS)


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Numbers of the slices of a volume that the configuration chooses, along its first axis; none
    for an image.
    """
    with _opened(path) as stream:
        header = _header(stream, path, config)
    return () if header.is_image else chosen(header.shape[0], config)


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """An image, or one slice. Raises `ImageRefused`."""
    with _opened(path) as stream:
        header = _header(stream, path, config)
        if header.is_image:
            return _image(_array(stream, header), config)
    if frame is None:
        raise ImageRefused(
            "VOLUME",
            f"it is a volume of {header.shape} numbers; say with reading.slices which slices become images",
        )
    return slice_of(kept(path, config, lambda: _volume(path, config)), frame)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """The bytes of the array, unpacked as they are read."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        arrays = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        if len(arrays) != 1:
            raise ImageRefused(
                "FORMAT",
                f"it is an archive of {len(arrays)} arrays, and one is read; MedMNIST is a source of kind npz",
            )
        with archive.open(arrays[0]) as member:
            yield cast(BinaryIO, member)


def _header(stream: BinaryIO, path: Path, config: ReadingConfig) -> _Header:
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ImageRefused("FORMAT", f"it is an array file of version {version}, which is not read")
    shape, columns_first, dtype = HEADERS[version](stream)
    if dtype.kind not in NUMBERS or dtype.itemsize > LARGEST_NUMBER or dtype.fields:
        raise ImageRefused(
            "FORMAT",
            "it holds no numbers: read are truth values, whole numbers and floats of up to 64 bits",
        )
    header = _Header(tuple(map(int, shape)), columns_first, dtype)
    if not 2 <= len(shape) <= 3 or min(shape) < 1:
        raise ImageRefused(
            "FORMAT",
            f"it is an array of the shape {shape}; read are (H, W), (H, W, 3) and volumes (slices, H, W)",
        )
    height, width = header.shape[:2] if header.is_image else header.shape[1:]
    check_pixels(width, height, config)
    check_bytes(math.prod(header.shape) * dtype.itemsize, path, zipfile.is_zipfile(path), config)
    return header


def _array(stream: BinaryIO, header: _Header) -> NDArray[np.generic]:
    values = read_values(stream, header.dtype, math.prod(header.shape))
    stream.read(1)  # a zip archive compares its checksum when it comes to the end
    grey = values.astype(np.uint8) * 255 if header.dtype.kind == "b" else values
    return grey.reshape(header.shape, order="F" if header.columns_first else "C")


def _image(values: NDArray[np.generic], config: ReadingConfig) -> Decoded:
    deep = values if values.ndim == 3 else values[:, :, None]
    color = {"color": "RGB" if deep.shape[2] == 3 else "grey"}
    if values.dtype == np.uint8:
        return Decoded(deep, metadata=color)
    low, high = config.limits or percentile_window(deep)
    shown = (
        config.window_name
        if config.limits
        else "percentiles {:g} to {:g}".format(*IMAGE_PERCENTILES)
    )
    return Decoded(deep, low, high, {**color, "window": shown})


def _volume(path: Path, config: ReadingConfig) -> Volume:
    with _opened(path) as stream:
        voxels = _array(stream, _header(stream, path, config))
    if voxels.dtype == np.uint8 and not config.limits:
        return Volume(voxels)
    limits, window = volume_window(voxels.ravel("K"), 1.0, 0.0, config)
    return Volume(voxels, limits=limits, window=window)
