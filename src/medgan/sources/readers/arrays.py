"""Read NPY files, and NPZ files of one array, without unpickling.

(H, W), (H, W, 1 or 3) and (1, H, W) are images, other (slices, H, W) volumes. A shape that may mean
channels, or slices along the last axis, is refused.
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

from medgan.sources.raw import ImageRefused, Values
from medgan.sources.readers import volumes
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Decoded, check_pixels, windowed

NUMBERS = "biuf"
OTHER_VALUES = {
    "O": "Python objects, which are never unpickled",
    "V": "records",
    "c": "complex numbers",
    **dict.fromkeys("SU", "text"),
    **dict.fromkeys("Mm", "times"),
}
"""Kind of NumPy type -> what is not read."""
MAX_NUMBER_BYTES = 8
CHANNELS = (2, 3, 4)  # lengths of an axis that may be of channels
FLATTEST = 2  # a last axis this many times shorter than both others holds slices
HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    columns_first: bool
    dtype: np.dtype[Any]

    @property
    def is_image(self) -> bool:
        return len(self.shape) == 2 or self.shape[2] in (1, 3) or self.shape[0] == 1

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        last = len(self.shape) == 2 or self.shape[2] in (1, 3)
        height, width = self.shape[:2] if last else self.shape[1:]
        return height, width

    @property
    def problem(self) -> str:
        """Say why the axes are not sure; empty where they are."""
        first, second, last = self.shape if len(self.shape) == 3 else (0, 0, 0)
        if self.is_image:
            return ""
        if first in CHANNELS or last in CHANNELS:
            return "may have channels or slices; store colors as (H, W, 3), a volume as NIfTI"
        if second == 1:
            return "has slices of one row; store an image as (H, W)"
        if first == second > last or first > FLATTEST * last < second:
            return "seems to have its slices along the last axis; move them to the first"
        return ""


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Number the chosen slices of a volume along its first axis; none for an image."""
    with _opened(path) as stream:
        header = _header(stream, path, config)
    return () if header.is_image else volumes.chosen_slices(header.shape[0], config)


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode an image, or one slice. Raises `ImageRefused`."""
    with _opened(path) as stream:
        header = _header(stream, path, config)
        if header.is_image:
            values = _array(stream, header)
            values = values.reshape(*header.size, -1)
            return windowed(values, "RGB" if values.shape[2:] == (3,) else "grey", config)
    volumes.check_slice(header.shape, frame)
    return volumes.read_slice(path, frame, config, lambda: _volume(path, config))


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """Open the bytes of the array, unpacked as they are read."""
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            yield file
        return
    with zipfile.ZipFile(path) as archive:
        arrays = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        if len(arrays) != 1:
            remedy = "read files like MedMNIST's with kind: npz"
            raise ImageRefused("FORMAT", f"it holds {len(arrays)} arrays, not one; {remedy}")
        with archive.open(arrays[0]) as member:
            yield cast(BinaryIO, member)


def _header(stream: BinaryIO, path: Path, config: ReadingConfig) -> _Header:
    version = npy.read_magic(stream)
    if version not in HEADERS:
        raise ImageRefused("FORMAT", f"it is an array file of version {version}, which is not read")
    shape, columns_first, dtype = HEADERS[version](stream)
    if dtype.kind not in NUMBERS or dtype.itemsize > MAX_NUMBER_BYTES or dtype.fields:
        kind = OTHER_VALUES.get(dtype.kind, "numbers of more than 64 bits")
        raise ImageRefused("FORMAT", f"it holds {kind}; save numbers of up to 64 bits")
    header = _Header(tuple(map(int, shape)), columns_first, dtype)
    if not 2 <= len(shape) <= 3 or min(shape) < 1:
        raise ImageRefused("FORMAT", f"its shape {shape} is not (H, W[, 3]) or (slices, H, W)")
    if header.problem:
        raise ImageRefused("FORMAT", f"its shape {header.shape} {header.problem}")
    height, width = header.size
    check_pixels(width, height, config)
    needed = math.prod(header.shape) * dtype.itemsize
    volumes.check_bytes(needed, path, zipfile.is_zipfile(path), config)
    return header


def _array(stream: BinaryIO, header: _Header) -> Values:
    values = volumes.read_values(stream, header.dtype, math.prod(header.shape))
    volumes.check_end(stream)
    gray = values.astype(np.uint8) * 255 if header.dtype.kind == "b" else values
    return gray.reshape(header.shape, order="F" if header.columns_first else "C")


def _volume(path: Path, config: ReadingConfig) -> volumes.Volume:
    with _opened(path) as stream:
        voxels = _array(stream, _header(stream, path, config))
    if voxels.dtype == np.uint8 and not config.limits:
        return volumes.Volume(voxels)
    limits, window = volumes.volume_window(voxels.ravel("K"), 1.0, 0.0, config)
    return volumes.Volume(voxels, limits=limits, window=window)
