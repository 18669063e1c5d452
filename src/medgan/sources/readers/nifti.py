"""Read NIfTI-1 and NIfTI-2 files, plain or gzipped (header and orientation by nibabel).

Slices are shown as radiologists view them: the patient's right on the left, anterior on top (axial)
or on the left (sagittal), the head on top. The free text of the header is never read.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from nibabel.affines import voxel_sizes
from nibabel.nifti1 import Nifti1Header
from nibabel.nifti2 import Nifti2Header
from nibabel.orientations import io_orientation
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from medgan.sources.raw import ImageRefused
from medgan.sources.readers import volumes
from medgan.sources.readers.config import AXES, ReadingConfig
from medgan.sources.readers.decoding import Decoded

NUMBERS = (2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280)
"""Codes of integers and floats of 8 to 64 bits."""
OTHER_VOXELS = {1: "single bits", 128: "colors (RGB)", 1536: "floats of 128 bits"} | {
    2304: "colors (RGBA)",
    **dict.fromkeys((32, 1792, 2048), "complex numbers"),
}
"""Code -> type of voxels that is not read."""
STATISTICS = range(2, 25)
"""Intent codes of statistical maps."""
OTHER_INTENTS = {1002: "a label map", 1003: "a map of brain regions"} | {
    **dict.fromkeys((1004, 1005, 1010), "a map of matrices"),
    **dict.fromkeys((1006, 1007), "a field of vectors"),
    **dict.fromkeys((1008, 1009), "the points of a surface"),
}
"""Other intent codes of files that are no images -> what they are."""
MILLIMETERS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
"""Code of the unit of length -> millimeters; 0 says nothing, which is taken for millimeters."""
SPATIAL_UNIT = 0b111  # bits of xyzt_units
REMEDY = "convert it again from DICOM, or correct its header"
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
    count: int  # volumes in the file

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
    dtype, offset = _voxel_type(header), float(header["vox_offset"])
    if not length <= offset <= MAX_OFFSET:
        raise ImageRefused("UNREADABLE", "its header says an impossible offset of the voxels")
    _check_intent(header)
    shape, count = _shape(tuple(int(size) for size in header.get_data_shape()), config)
    slope, intercept = _scale(header)
    return _Header(shape, dtype, int(offset), slope, intercept, *_geometry(header), count)


def _check_intent(header: Nifti1Header) -> None:
    """Raise `ImageRefused` for what the header itself says to be no image (intent_code)."""
    code = int(header["intent_code"])
    what = "a statistical map" if code in STATISTICS else OTHER_INTENTS.get(code)
    if what:
        raise ImageRefused("NOT_AN_IMAGE", f"it is no image of a scan but {what}")


def _voxel_type(header: Nifti1Header) -> np.dtype[Any]:
    code = int(header["datatype"])
    if code not in NUMBERS:
        found = OTHER_VOXELS.get(code, f"of the unknown type {code}")
        raise ImageRefused("FORMAT", f"its voxels are {found}; save one number a voxel")
    dtype: np.dtype[Any] = header.get_data_dtype()  # type: ignore[no-untyped-call]
    return dtype


def _scale(header: Nifti1Header) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or NaN means that there are none."""
    problem = "its header scales voxels by numbers that are not finite"
    try:
        slope, intercept = header.get_slope_inter()  # type: ignore[no-untyped-call]
    except HeaderDataError:
        raise ImageRefused("NONFINITE", problem) from None
    slope, intercept = float(1.0 if slope is None else slope), float(intercept or 0.0)
    if not math.isfinite(slope) or not math.isfinite(intercept):
        raise ImageRefused("NONFINITE", problem)
    return slope, intercept


def _geometry(
    header: Nifti1Header,
) -> tuple[tuple[int, ...], tuple[bool, ...], tuple[float, float, float]]:
    """Return axes, flips and spacing, all from one affine: the sform, else the qform.

    Raises:
        ImageRefused: ORIENTATION where both codes are 0, the forms contradict each other, or the
            affine is unusable; SPACING where pixdim is unusable, or contradicts the affine.
    """
    used = min(3, int(header["dim"][0]))
    stated = [float(size) for size in header["pixdim"][1 : used + 1]]
    unit = MILLIMETERS.get(int(header["xyzt_units"]) & SPATIAL_UNIT)
    if unit is None or not all(math.isfinite(size) and size > 0 for size in stated):
        raise ImageRefused("SPACING", f"its header says voxels of {_sides(stated)}, or no unit")
    forms = (("sform_code", header.get_sform), ("qform_code", header.get_qform))
    affines = [_affine(form) for code, form in forms if int(header[code]) > 0]
    if not affines:
        raise ImageRefused("ORIENTATION", f"its sform and qform codes are 0; {REMEDY}")
    orientations = [_orientation(affine) for affine in affines]
    if orientations[0] != orientations[-1]:
        raise ImageRefused("ORIENTATION", f"its sform and qform contradict each other; {REMEDY}")
    measured = [float(size) for size in voxel_sizes(affines[0])[:used]]  # type: ignore[no-untyped-call]
    pairs = zip(stated, measured, strict=True)
    if any(max(pair) > volumes.SAME_SPACING * min(pair) for pair in pairs):
        problem = f"pixdim says voxels of {_sides(stated)}, and its affine {_sides(measured)}"
        raise ImageRefused("SPACING", f"{problem}; {REMEDY}")
    x, y, z = [*(size * unit for size in measured), 1.0, 1.0][:3]
    return *orientations[0], (x, y, z)


def _sides(lengths: list[float]) -> str:
    return " x ".join(f"{length:.3g}" for length in lengths)


def _affine(form: Callable[[], NDArray[np.float64]]) -> NDArray[np.float64]:
    try:
        return form()
    except (HeaderDataError, ValueError):  # numbers that are no rotation
        raise ImageRefused("ORIENTATION", "its qform is no rotation") from None


def _shape(shape: tuple[int, ...], config: ReadingConfig) -> tuple[tuple[int, int, int], int]:
    """Return (X, Y, Z) of the first volume, and how many there are.

    Raises `ImageRefused` for several, unless allowed, and for several values a voxel.
    """
    if not shape or min(shape) < 1:
        raise ImageRefused("UNREADABLE", f"its header says {shape} voxels")
    if math.prod(shape[4:]) > 1:
        raise ImageRefused("FORMAT", "its voxels are vectors; save one number a voxel")
    count = math.prod(shape[3:])
    if count > 1 and config.volumes_4d == "refuse":
        remedy = "reading.volumes_4d = first reads the first"
        raise ImageRefused("VOLUMES_4D", f"it holds {count} volumes; {remedy}")
    x, y, z = (*shape[:3], 1, 1)[:3]
    return (x, y, z), count


def _orientation(affine: NDArray[np.float64]) -> tuple[tuple[int, ...], tuple[bool, ...]]:
    """Return canonical axis -> axis of the file, and whether that is flipped."""
    turned = io_orientation(affine) if np.isfinite(affine).all() else affine  # type: ignore[no-untyped-call]
    if not np.isfinite(turned).all():
        raise ImageRefused("ORIENTATION", "its affine is not finite, or singular")
    axes = np.argsort(turned[:, 0])
    return tuple(axes.tolist()), tuple((turned[axes, 1] < 0).tolist())


def _load(path: Path, header: _Header, config: ReadingConfig) -> volumes.Volume:
    with volumes.opened(path) as stream:
        stream.seek(header.offset)
        values = volumes.read_values(stream, header.dtype, math.prod(header.shape))
        if header.count == 1:
            volumes.check_end(stream)
    limits, window = volumes.volume_window(values, header.slope, header.intercept, config)
    plane = header.plane(config)
    canonical = values.reshape(header.shape, order="F").transpose(header.axes)
    upright = canonical[tuple(slice(None, None, -1 if flip else 1) for flip in header.flipped)]
    shown = upright.transpose(AXES.index(plane), *IN_SLICE[plane])[:, ::-1, ::-1]
    rows, columns = header.in_slice(plane)
    spacing = header.spacing[rows], header.spacing[columns]
    return volumes.Volume(shown, header.slope, header.intercept, limits, window, spacing)
