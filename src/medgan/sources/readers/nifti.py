"""Reads NIfTI-1 and NIfTI-2 files, plain or packed with gzip (header and orientation by nibabel).

A volume is turned to canonical orientation (first axis to the right, second to the front, third to
the head), cut into slices as the configuration says, and scaled as a whole. Slices are shown as
radiologists look at them: the patient's right on the left side, the front on top (axial) or on the
left (sagittal), the head on top. The free text of the header is never read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import AXES, ReadingConfig
from medgan.sources.readers.decoding import Decoded
from medgan.sources.readers.volumes import (
    Volume,
    check_bytes,
    check_spacing,
    chosen,
    is_packed,
    kept,
    opened,
    read_values,
    skip,
    slice_of,
    volume_window,
)

LENGTHS: Mapping[bool, tuple[type[Nifti1Header], int]] = {
    True: (Nifti1Header, 348),
    False: (Nifti2Header, 540),
}
"""Whether the magic number is that of NIfTI-1 -> class and length of its header."""
VOXEL_KINDS = "iuf"
LARGEST_VOXEL = 8
MOST_BEFORE = 2**20
"""Bytes before the voxels that are passed over: header and extensions."""
IN_SLICE: Mapping[str, tuple[int, int]] = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}
"""Plane -> canonical axes of its rows and columns, both shown from their far end."""


@dataclass(frozen=True)
class _Header:
    """What a header says of the first volume in its file."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    axes: tuple[int, int, int]
    """Canonical axis -> axis of the file."""
    flipped: tuple[bool, bool, bool]
    """Whether that axis of the file runs the other way."""
    spacing: tuple[float, float, float]
    """Millimetres along the axes of the file."""

    def plane(self, config: ReadingConfig) -> str:
        """The configured plane; a file of one slice has only its own."""
        flat = [axis for axis in AXES if self.length(axis) == 1]
        wanted = config.slices.axis if config.slices else AXES[-1]
        return flat[0] if flat and wanted not in flat else wanted

    def length(self, plane: str) -> int:
        """Number of slices."""
        return self.shape[self.axes[AXES.index(plane)]]


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Numbers of the slices that the configuration chooses, counted along the canonical axis; none
    for a single one.
    """
    header = _checked(path, config)
    length = header.length(header.plane(config))
    return chosen(length, config) if length > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """One slice. Raises `ImageRefused`."""
    header = _checked(path, config)
    if frame is None and header.length(header.plane(config)) > 1:
        raise ImageRefused(
            "VOLUME",
            f"it is a volume of {header.shape} voxels; say with reading.slices which slices become images",
        )
    return slice_of(kept(path, config, lambda: _load(path, header, config)), frame)


def _checked(path: Path, config: ReadingConfig) -> _Header:
    with opened(path) as stream:
        header = _header(stream, config)
    needed = header.offset + math.prod(header.shape) * header.dtype.itemsize
    check_bytes(needed, path, is_packed(path), config)
    rows, columns = _in_slice(header, config)
    check_spacing(
        (header.spacing[rows], header.spacing[columns]),
        (header.shape[rows], header.shape[columns]),
        config,
    )
    return header


def _header(stream: BinaryIO, config: ReadingConfig) -> _Header:
    raw = stream.read(540)
    kind, length = LENGTHS[raw[344:348] == b"n+1\x00"]
    header = kind.from_fileobj(io.BytesIO(raw[:length]), check=False)  # type: ignore[no-untyped-call]
    slope, intercept = header.get_slope_inter()
    offset, dtype = float(header["vox_offset"]), header.get_data_dtype()
    if dtype.kind not in VOXEL_KINDS or dtype.itemsize > LARGEST_VOXEL:
        raise ImageRefused(
            "FORMAT",
            "its voxels are of a kind that is not read: read are whole numbers and floats of up to 64 bits",
        )
    if not length <= offset <= MOST_BEFORE:
        raise ImageRefused(
            "UNREADABLE", "its header says that the voxels begin at an impossible place"
        )
    shape = _shape(tuple(int(size) for size in header.get_data_shape()), config)
    axes, flipped = _orientation(header.get_best_affine())
    x, y, z = [*(abs(float(zoom)) for zoom in header.get_zooms()[:3]), 1.0, 1.0][:3]
    return _Header(shape, dtype, int(offset), *_scale(slope, intercept), axes, flipped, (x, y, z))


def _scale(slope: float | None, intercept: float | None) -> tuple[float, float]:
    """A header without a slope says that the voxels are what they are."""
    scale = (1.0 if slope is None else float(slope), 0.0 if intercept is None else float(intercept))
    if not np.isfinite(scale).all():
        raise ImageRefused(
            "NONFINITE", "its header scales the voxels by numbers that are not finite"
        )
    return scale


def _shape(shape: tuple[int, ...], config: ReadingConfig) -> tuple[int, int, int]:
    """(X, Y, Z) of the first volume. Raises `ImageRefused` for several volumes unless the
    configuration takes the first.
    """
    if not shape or min(shape) < 1:
        raise ImageRefused("UNREADABLE", f"its header says {shape} voxels")
    volumes = math.prod(shape[3:])
    if volumes > 1 and config.volumes_4d == "refuse":
        raise ImageRefused(
            "VOLUMES_4D",
            f"it holds {volumes} volumes; reading.volumes_4d = first takes the first of them",
        )
    x, y, z = (*shape[:3], 1, 1)[:3]
    return x, y, z


def _orientation(
    affine: NDArray[np.float64],
) -> tuple[tuple[int, int, int], tuple[bool, bool, bool]]:
    if not np.isfinite(affine).all():
        raise ImageRefused(
            "ORIENTATION", "its header does not say how it lies: the affine is not finite"
        )
    turned = io_orientation(affine)  # type: ignore[no-untyped-call]
    if not np.isfinite(turned).all():
        raise ImageRefused(
            "ORIENTATION",
            "its header does not say how it lies: an axis of the affine has no length",
        )
    order = np.argsort(turned[:, 0])
    x, y, z = (int(axis) for axis in order)
    a, b, c = (bool(turned[axis, 1] < 0) for axis in order)
    return (x, y, z), (a, b, c)


def _in_slice(header: _Header, config: ReadingConfig) -> tuple[int, int]:
    """Axes of the file that are the rows and columns of a slice."""
    rows, columns = IN_SLICE[header.plane(config)]
    return header.axes[rows], header.axes[columns]


def _load(path: Path, header: _Header, config: ReadingConfig) -> Volume:
    with opened(path) as stream:
        skip(stream, header.offset)
        values = read_values(stream, header.dtype, math.prod(header.shape))
        stream.read(1)  # gzip compares its checksum when it comes to the end
    limits, window = volume_window(values, header.slope, header.intercept, config)
    plane = header.plane(config)
    rows, columns = _in_slice(header, config)
    canonical = values.reshape(header.shape, order="F").transpose(header.axes)
    upright = canonical[tuple(slice(None, None, -1 if flip else 1) for flip in header.flipped)]
    turned = upright.transpose(AXES.index(plane), *IN_SLICE[plane])[:, ::-1, ::-1]
    return Volume(
        turned,
        header.slope,
        header.intercept,
        limits,
        window,
        (header.spacing[rows], header.spacing[columns]),
    )
