"""Interpret DICOM pixels: size of compressed frames, modality LUT, VOI window (PS3.3 C.11)."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from medgan.sources.raw import ImageRefused, Values
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import IMAGE_PERCENTILES, WINDOW_NAME, as_float

KEYWORDS = (
    *("RescaleSlope", "RescaleIntercept", "ModalityLUTSequence", "WindowCenter", "WindowWidth"),
    *("VOILUTFunction", "VOILUTSequence"),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
Percentiles = Callable[[], tuple[float, float]]
HOUNSFIELD = "CT"
JPEG = b"\xff\xd8"
JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\x00\x00\x00\x0cjP  "
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that start a frame header (ITU T.81, table B.1; F7 is that of JPEG-LS)."""
MAX_TILES = 65_535  # tiles of a JPEG 2000 image (ITU T.800, A.5.1)


@dataclass(frozen=True)
class Windowed:
    """Values in the unit of the file, and the range that is shown; None: gray levels of 8 bits."""

    values: Values
    limits: tuple[float, float] | None
    name: str = ""


def modality_values(stored: Values, header: Dataset, frame: int) -> Values:
    """Convert stored values (H, W) to the unit of the modality, for CT Hounsfield units."""
    if header.get("ModalityLUTSequence"):
        return cast(Values, apply_modality_lut(stored, header))
    group = _group(header, frame, "PixelValueTransformationSequence")
    slope, intercept = _number(group, "RescaleSlope", 1.0), _number(group, "RescaleIntercept", 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return stored
    scaled: Values = as_float(stored) * slope + intercept
    return scaled


def voi_window(
    values: Values, header: Dataset, frame: int, config: ReadingConfig, percentiles: Percentiles
) -> Windowed:
    """Window values by configuration, the file's LUT or window, 8 bits, or percentiles."""
    if config.limits:
        modality = str(header.get("Modality") or HOUNSFIELD)
        if isinstance(config.window, str) and modality != HOUNSFIELD:
            problem = f"reading.window = {config.window} is for CT, and this is another image"
            raise ImageRefused("WINDOW", f"{problem}; give [lowest, highest]")
        return Windowed(values, config.limits, config.window_name)
    group = _group(header, frame, "FrameVOILUTSequence")
    if group.get("VOILUTSequence"):
        return _by_lut(values, group, header)
    found = _by_window(values, group)
    if found is not None:
        return found
    bits = int(header.BitsStored)
    if values.dtype == np.uint8 and bits <= 8:
        return Windowed(values, None if bits == 8 else (0.0, 2.0**bits - 1.0))
    return Windowed(values, percentiles(), WINDOW_NAME.format(*IMAGE_PERCENTILES))


def _by_lut(values: Values, group: Dataset, header: Dataset) -> Windowed:
    holder = Dataset()
    holder.VOILUTSequence = group.VOILUTSequence
    holder.file_meta = header.file_meta
    depth = int(group.VOILUTSequence[0].LUTDescriptor[2])
    whole = np.rint(values.astype(np.float64)).astype(np.int32)
    return Windowed(apply_voi(whole, holder), (0.0, 2.0**depth - 1.0), "file, table")


def _by_window(values: Values, group: Dataset) -> Windowed | None:
    """Apply the first window of the file; skip one that is not usable, such as of width 0."""
    center = _number(group, "WindowCenter", math.nan)
    width = _number(group, "WindowWidth", math.nan)
    function = str(group.get("VOILUTFunction") or "LINEAR")
    least = 1.0 if function == "LINEAR" else 0.0
    if function not in FUNCTIONS or not math.isfinite(center) or not least < width < math.inf:
        return None
    return FUNCTIONS[function](values, center, width)


def _linear_exact(values: Values, center: float, width: float) -> Windowed:
    low, high = center - width / 2, center + width / 2
    return Windowed(values, (low, high), f"file {low:g} to {high:g}")


def _sigmoid(values: Values, center: float, width: float) -> Windowed:
    exponent = np.clip(-4.0 * (values.astype(np.float64) - center) / width, -700.0, 700.0)
    name = f"file, sigmoid at {center:g}, width {width:g}"
    return Windowed(1.0 / (1.0 + np.exp(exponent)), (0.0, 1.0), name)


FUNCTIONS: Mapping[str, Callable[[Values, float, float], Windowed]] = {
    "LINEAR": lambda values, center, width: _linear_exact(values, center - 0.5, width - 1.0),
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}
"""VOI LUT function (PS3.3 C.11.2.1.3) -> its window."""


def _group(header: Dataset, frame: int, name: str) -> Dataset:
    """Find attributes: of this frame, of all frames, or, in older files, of the header itself."""
    for sequence, number in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = header.get(sequence) or []
        found = items[number].get(name) if number < len(items) else None
        if found:
            return cast(Dataset, found[0])
    return header


def _number(group: Dataset, keyword: str, absent: float) -> float:
    value: Any = group.get(keyword)
    first = value if isinstance(value, float | int | str) else next(iter(value or ()), None)
    return absent if first is None or first == "" else float(first)


def check_size(data: bytes, size: tuple[int, int, int]) -> None:
    """Raise `ImageRefused` unless JPEG (2000, LS) data declare this width, height, samples."""
    if data.startswith((JPEG_2000, JP2)):
        found = _jpeg_2000_size(data)
    elif data.startswith(JPEG):
        found = _jpeg_size(data)
    else:
        raise ImageRefused("UNREADABLE", "its compressed data are not what its header says")
    if found != size:
        problem = f"its compressed data are of the size {found}, its header says {size}"
        raise ImageRefused("UNREADABLE", problem)


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int]:
    start = data.find(JPEG_2000)
    if start < 0 or len(data) < start + 42:
        raise ImageRefused("UNREADABLE", "its compressed data have no header")
    right, lower, left, upper, tile_width, tile_height, tile_left, tile_upper, samples = (
        struct.unpack_from(">8IH", data, start + 8)
    )
    across = -(-(right - tile_left) // max(tile_width, 1))
    tiles = across * -(-(lower - tile_upper) // max(tile_height, 1))
    if not 0 < tiles <= MAX_TILES:
        raise ImageRefused("UNREADABLE", f"its compressed data come in {tiles} tiles")
    return right - left, lower - upper, samples


def _jpeg_size(data: bytes) -> tuple[int, int, int]:
    place = 2
    while place + 10 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0xFF, 0x00):
            place += 1
        elif marker in FRAME_MARKERS:
            height, width, samples = struct.unpack_from(">HHB", data, place + 5)
            return width, height, samples
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    raise ImageRefused("UNREADABLE", "its compressed data have no header")
