"""Read NIfTI-1 and NIfTI-2 files, plain or gzipped (header and orientation by nibabel).

Slices are shown as radiologists view them: the patient's right on the left, anterior on top (axial)
or on the left (sagittal), the head on top. The free text of the header is never read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import io_orientation
from numpy.typing import NDArray

from medgan.sources.raw import ImageRefused
from medgan.sources.readers import volumes
from medgan.sources.readers.config import AXES, ReadingConfig
from medgan.sources.readers.decoding import Decoded

VOXEL_TYPES = "iuf"
MAX_VOXEL_BYTES = 8
MAX_OFFSET = 2**20  # bytes of header and extensions before the voxels
IN_SLICE = {"axial": (1, 0), "coronal": (2, 0), "sagittal": (2, 1)}
"""Plane -> canonical axes of its rows and columns, both shown from their far end."""


@dataclass(frozen=True)
class _Header:
    """The first volume of a file."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]
    offset: int
    slope: float
    intercept: float
    axes: tuple[int, ...]  # canonical axis (right, anterior, superior) -> axis of the file
    flipped: tuple[bool, ...]  # whether that axis of the file runs the other way
    spacing: tuple[float, float, float]  # millimeters along the axes of the file

    def plane(self, config: ReadingConfig) -> str:
        """The configured plane; a file of one slice has only its own."""
        flat = [axis for axis in AXES if self.length(axis) == 1]
        wanted = config.slices.axis if config.slices else AXES[-1]
        return flat[0] if flat and wanted not in flat else wanted

    def length(self, plane: str) -> int:
        """Number of slices."""
        return self.shape[self.axes[AXES.index(plane)]]

    def in_slice(self, plane: str) -> tuple[int, int]:
        """Axes of the file that are the rows and columns of a slice."""
        rows, columns = IN_SLICE[plane]
        return self.axes[rows], self.axes[columns]


def frames(path: Path, config: ReadingConfig) -> Sequence[int]:
    """Number the chosen slices along the canonical axis; none for a single slice."""
    header = _checked(path, config)
    length = header.length(header.plane(config))
    return volumes.chosen_slices(length, config) if length > 1 else ()


def read(path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
    """Decode one slice. Raises `ImageRefused`."""
    header = _checked(path, config)
    if header.length(header.plane(config)) > 1:
        volumes.check_slice(header.shape, frame)
    return volumes.read_slice(path, frame, config, lambda: _load(path, header, config))


def _checked(path: Path, config: ReadingConfig) -> _Header:
    with volumes.opened(path) as stream:
        header = _header(stream, config)
    needed = header.offset + math.prod(header.shape) * header.dtype.itemsize
    volumes.check_bytes(needed, path, volumes.is_packed(path), config)
    rows, columns = header.in_slice(header.plane(config))
    spacing = header.spacing[rows], header.spacing[columns]
    volumes.check_spacing(spacing, (header.shape[rows], header.shape[columns]), config)
    return header


def _header(stream: BinaryIO, config: ReadingConfig) -> _Header:
    raw = stream.read(540)
    kind, length = (Nifti1Header, 348) if raw[344:348] == b"n+1\x00" else (Nifti2Header, 540)
    header = kind.from_fileobj(io.BytesIO(raw[:length]), check=False)  # type: ignore[no-untyped-call]
    offset, dtype = float(header["vox_offset"]), header.get_data_dtype()
    if dtype.kind not in VOXEL_TYPES or dtype.itemsize > MAX_VOXEL_BYTES:
        raise ImageRefused("FORMAT", "its voxels are not numbers of up to 64 bits")
    if not length <= offset <= MAX_OFFSET:
        raise ImageRefused("UNREADABLE", "its header says an impossible offset of the voxels")
    slope, intercept = header.get_slope_inter()
    slope, intercept = float(1.0 if slope is None else slope), float(intercept or 0.0)
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise ImageRefused("NONFINITE", "its header scales voxels by numbers that are not finite")
    shape = _shape(tuple(int(size) for size in header.get_data_shape()), config)
    axes, flipped = _orientation(header.get_best_affine())
    x, y, z = [*(abs(float(zoom)) for zoom in header.get_zooms()[:3]), 1.0, 1.0][:3]
    return _Header(shape, dtype, int(offset), slope, intercept, axes, flipped, (x, y, z))


def _shape(shape: tuple[int, ...], config: ReadingConfig) -> tuple[int, int, int]:
    """Return (X, Y, Z) of the first volume. Raises `ImageRefused` for several, unless allowed."""
    if not shape or min(shape) < 1:
        raise ImageRefused("UNREADABLE", f"its header says {shape} voxels")
    count = math.prod(shape[3:])
    if count > 1 and config.volumes_4d == "refuse":
        remedy = "reading.volumes_4d = first reads the first"
        raise ImageRefused("VOLUMES_4D", f"it holds {count} volumes; {remedy}")
    x, y, z = (*shape[:3], 1, 1)[:3]
    return x, y, z


def _orientation(affine: NDArray[np.float64]) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return canonical axis -> axis of the file, and whether that is flipped."""
    turned = io_orientation(affine) if np.isfinite(affine).all() else affine  # type: ignore[no-untyped-call]
    if not np.isfinite(turned).all():
        raise ImageRefused("ORIENTATION", "its affine is not finite, or singular")
    axes = np.argsort(turned[:, 0])
    return tuple(axes.tolist()), tuple((turned[axes, 1] < 0).tolist())


def _load(path: Path, header: _Header, config: ReadingConfig) -> volumes.Volume:
    with volumes.opened(path) as stream:
        volumes.skip(stream, header.offset)
        values = volumes.read_values(stream, header.dtype, math.prod(header.shape))
        stream.read(1)  # gzip verifies its checksum at the end
    limits, window = volumes.volume_window(values, header.slope, header.intercept, config)
    plane = header.plane(config)
    canonical = values.reshape(header.shape, order="F").transpose(header.axes)
    upright = canonical[tuple(slice(None, None, -1 if flip else 1) for flip in header.flipped)]
    shown = upright.transpose(AXES.index(plane), *IN_SLICE[plane])[:, ::-1, ::-1]
    rows, columns = header.in_slice(plane)
    spacing = header.spacing[rows], header.spacing[columns]
    return volumes.Volume(shown, header.slope, header.intercept, limits, window, spacing)
