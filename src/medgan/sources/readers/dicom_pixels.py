"""What the stored numbers of a DICOM image mean, and which of them are shown: the modality LUT,
then the VOI window (PS3.3 C.11).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import IMAGE_PERCENTILES

KEYWORDS = (
    *(
        "RescaleSlope",
        "RescaleIntercept",
        "ModalityLUTSequence",
        "WindowCenter",
        "WindowWidth",
        "VOILUTFunction",
        "VOILUTSequence",
    ),
    *("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"),
)
HOUNSFIELD = "CT"
Spread = Callable[[], tuple[float, float]]
"""The percentiles of an image, or of the whole file that it is a frame of."""


@dataclass(frozen=True)
class Shown:
    """Values in the unit of the file, and the range of them that is shown; None where they are
    8-bit grey levels already.
    """

    values: NDArray[np.generic]
    limits: tuple[float, float] | None
    window: str = ""


def modality_values(
    stored: NDArray[np.generic], header: Dataset, frame: int
) -> NDArray[np.generic]:
    """Stored values (H, W) in the unit of the modality, for CT Hounsfield units."""
    if header.get("ModalityLUTSequence"):
        return cast(NDArray[np.generic], apply_modality_lut(stored, header))
    place = _place(header, frame, "PixelValueTransformationSequence")
    slope, intercept = _number(place, "RescaleSlope", 1.0), _number(place, "RescaleIntercept", 0.0)
    if (slope, intercept) == (1.0, 0.0):
        return stored
    numbers: NDArray[Any] = stored.astype(np.float32 if stored.dtype.itemsize <= 2 else np.float64)
    return numbers * slope + intercept


def shown(
    values: NDArray[np.generic], header: Dataset, frame: int, config: ReadingConfig, spread: Spread
) -> Shown:
    """Which values are shown: those of the configuration, else of the file's LUT or window, else
    all of 8 bits, else percentiles.
    """
    if config.limits:
        _check_preset(header, config)
        return Shown(values, config.limits, config.window_name)
    place = _place(header, frame, "FrameVOILUTSequence")
    return (
        _by_lut(values, place, header)
        or _by_window(values, place)
        or _by_depth(values, header)
        or _by_percentiles(values, spread)
    )


def _check_preset(header: Dataset, config: ReadingConfig) -> None:
    modality = str(header.get("Modality") or HOUNSFIELD)
    if isinstance(config.window, str) and modality != HOUNSFIELD:
        raise ImageRefused(
            "WINDOW",
            f"reading.window = {config.window} is for CT, and this is another image; give [lowest, highest]",
        )


def _by_lut(values: NDArray[np.generic], place: Dataset, header: Dataset) -> Shown | None:
    if not place.get("VOILUTSequence"):
        return None
    holder = Dataset()
    holder.VOILUTSequence = place.VOILUTSequence
    holder.file_meta = header.file_meta
    depth = int(place.VOILUTSequence[0].LUTDescriptor[2])
    whole = np.rint(values.astype(np.float64)).astype(np.int32)
    return Shown(apply_voi(whole, holder), (0.0, 2.0**depth - 1.0), "file, table")


def _by_window(values: NDArray[np.generic], place: Dataset) -> Shown | None:
    """The first of the file's windows; one that is not usable, such as of width 0, is passed
    over.
    """
    centre, width = (
        _number(place, "WindowCenter", math.nan),
        _number(place, "WindowWidth", math.nan),
    )
    function = str(place.get("VOILUTFunction") or "LINEAR")
    if (
        not (math.isfinite(centre) and math.isfinite(width))
        or width <= (function == "LINEAR")
        or function not in FUNCTIONS
    ):
        return None
    return FUNCTIONS[function](values, centre, width)


def _linear(values: NDArray[np.generic], centre: float, width: float) -> Shown:
    return _linear_exact(values, centre - 0.5, width - 1.0)


def _linear_exact(values: NDArray[np.generic], centre: float, width: float) -> Shown:
    low, high = centre - width / 2, centre + width / 2
    return Shown(values, (low, high), f"file {low:g} to {high:g}")


def _sigmoid(values: NDArray[np.generic], centre: float, width: float) -> Shown:
    curve = 1.0 / (
        1.0 + np.exp(np.clip(-4.0 * (values.astype(np.float64) - centre) / width, -700.0, 700.0))
    )
    return Shown(curve, (0.0, 1.0), f"file, sigmoid at {centre:g}, width {width:g}")


FUNCTIONS: Mapping[str, Callable[[NDArray[np.generic], float, float], Shown]] = {
    "LINEAR": _linear,
    "LINEAR_EXACT": _linear_exact,
    "SIGMOID": _sigmoid,
}
"""VOI LUT function (PS3.3 C.11.2.1.3) -> what it shows."""


def _by_depth(values: NDArray[np.generic], header: Dataset) -> Shown | None:
    bits = int(header.BitsStored)
    if values.dtype != np.uint8 or bits > 8:
        return None
    return Shown(values, None if bits == 8 else (0.0, 2.0**bits - 1.0))


def _by_percentiles(values: NDArray[np.generic], spread: Spread) -> Shown:
    return Shown(values, spread(), "percentiles {:g} to {:g}".format(*IMAGE_PERCENTILES))


def _place(header: Dataset, frame: int, group: str) -> Dataset:
    """Where attributes stand: for this frame, for all frames, or, in older files, in the header
    itself.
    """
    for name, number in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = header.get(name) or []
        found = items[number].get(group) if number < len(items) else None
        if found:
            return cast(Dataset, found[0])
    return header


def _number(place: Dataset, keyword: str, absent: float) -> float:
    value: Any = place.get(keyword)
    first = value if isinstance(value, float | int | str) else next(iter(value or ()), None)
    return absent if first is None or first == "" else float(first)


JPEG = b"\xff\xd8"
JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\x00\x00\x00\x0cjP  "
FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that start a frame header (ITU T.81, table B.1; F7 is that of JPEG-LS)."""
MOST_TILES = 65_535
"""Of a JPEG 2000 image (ITU T.800, A.5.1)."""


def check_size(data: bytes, width: int, height: int, samples: int) -> None:
    """Raises `ImageRefused` unless JPEG, JPEG-LS or JPEG 2000 data are of that size; other data are
    not looked at.
    """
    if data.startswith((JPEG_2000, JP2)):
        found = _jpeg_2000_size(data)
    elif data.startswith(JPEG):
        found = _jpeg_size(data)
    else:
        raise ImageRefused(
            "UNREADABLE", "its compressed data are not of the kind that its header says"
        )
    if found != (width, height, samples):
        raise ImageRefused(
            "UNREADABLE",
            f"its compressed data are of the size {found}, and its header says {(width, height, samples)}",
        )


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int]:
    start = data.find(JPEG_2000)
    if start < 0 or len(data) < start + 42:
        raise ImageRefused("UNREADABLE", "its compressed data have no header")
    right, lower, left, upper, tile_width, tile_height, tile_left, tile_upper, samples = (
        struct.unpack_from(">8IH", data, start + 8)
    )
    tiles = -(-(right - tile_left) // max(tile_width, 1)) * -(
        -(lower - tile_upper) // max(tile_height, 1)
    )
    if not 0 < tiles <= MOST_TILES:
        raise ImageRefused("UNREADABLE", f"its compressed data come in {tiles} tiles")
    return right - left, lower - upper, samples


def _jpeg_size(data: bytes) -> tuple[int, int, int]:
    place = 2
    while place + 10 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0xFF, 0x00):
            place += 1
            continue
        if marker in FRAMES:
            height, width, samples = struct.unpack_from(">HHB", data, place + 5)
            return width, height, samples
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    raise ImageRefused("UNREADABLE", "its compressed data have no header")
