"""Check the attributes of a DICOM header that describe its pixels (PS3.3 C.7.6.3)."""

from __future__ import annotations

import math
import re

from pydicom.dataset import Dataset

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import check_pixels
from medgan.sources.readers.dicom_attributes import codes, entries, numbers, whole
from medgan.sources.readers.dicom_pixels import PALETTES

PHOTOMETRIC = "PhotometricInterpretation"
SHAPE = "PresentationLUTShape"
SEGMENTED = "SegmentedRedPaletteColorLookupTableData"
KEYWORDS = (
    *("SamplesPerPixel", PHOTOMETRIC, "PlanarConfiguration", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "BurnedInAnnotation"),
    *(*PALETTES, SEGMENTED, SHAPE),
)
MAX_FRAMES = 16_384
COLORS = {
    "MONOCHROME1": "MONOCHROME1, inverted",
    "MONOCHROME2": "MONOCHROME2",
    "PALETTE COLOR": "palette to RGB",
    "RGB": "RGB",
    **{name: f"{name} to RGB" for name in ("YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")},
}
"""Photometric interpretation -> its description in the manifest; others are refused."""
SHAPES = {"MONOCHROME1": "INVERSE", "MONOCHROME2": "IDENTITY"}
"""The presentation LUT shape that belongs to each (PS3.3 C.8.11.3.1)."""
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")
ONE_SAMPLE = (*MONOCHROME, "PALETTE COLOR")
SPELLINGS = {re.sub("[ _]", "", name): name for name in COLORS}
HALVED = "YBR_FULL_422"  # has a color for two pixels where it is not compressed
DEPTHS = {"PixelData": (1, 8, 16, 32, 64), "FloatPixelData": (32,), "DoubleFloatPixelData": (64,)}
"""Attribute of the pixels -> bits allocated that are read."""


def frame_count(header: Dataset) -> int:
    """Return the number of frames of a checked header."""
    return int(header.get("NumberOfFrames") or 1)


def check_header(
    header: Dataset, keyword: str, encapsulated: bool, size: int, config: ReadingConfig
) -> int:
    """Return the bytes that the pixels need at least.

    Args:
        header: of the file; its photometric interpretation is corrected where that is possible.
        keyword: attribute of the pixels.
        encapsulated: whether the pixels are compressed frames.
        size: bytes of the pixels in the file.
        config: the limits.

    Raises:
        ImageRefused: a header that is not allowed, or does not match the file.
    """
    burned_in = codes(header, "BurnedInAnnotation") == ["YES"]
    if burned_in and config.burned_in == "refuse":
        remedy = "reading.burned_in = keep reads it anyway"
        raise ImageRefused("BURNED_IN", f"its header says that its pixels show text; {remedy}")
    _check_colors(header)
    rows, columns = (whole(header, name, range(1, 2**16)) for name in ("Rows", "Columns"))
    check_pixels(columns, rows, config)
    allocated = whole(header, "BitsAllocated", DEPTHS[keyword])
    if keyword == "PixelData":
        whole(header, "BitsStored", range(1, allocated + 1))
        whole(header, "PixelRepresentation", (0, 1))
    if numbers(header, "NumberOfFrames") not in ([], [0]):
        whole(header, "NumberOfFrames", range(1, MAX_FRAMES + 1))
    count = frame_count(header)
    native = math.ceil(rows * columns * int(header.SamplesPerPixel) * allocated * count / 8)
    if header.PhotometricInterpretation == HALVED and not encapsulated:
        if size >= native:  # converters unpack such pixels and keep the old name
            header.PhotometricInterpretation = "YBR_FULL"
        else:
            native = math.ceil(native * 2 / 3)
    least = 8 * count if encapsulated else native  # an item header a frame
    if size < least:
        raise ImageRefused("UNREADABLE", f"it is cut: it has {size} of {least} bytes")
    return least


def _check_colors(header: Dataset) -> None:
    """Bring the photometric interpretation to its usual spelling. Raises `ImageRefused`."""
    stated = codes(header, PHOTOMETRIC)
    if not stated:
        raise ImageRefused("UNREADABLE", f"its header has no {PHOTOMETRIC}")
    photometric = SPELLINGS.get(stated[0].replace(" ", ""))
    if photometric is None:
        raise ImageRefused("FORMAT", f"its {PHOTOMETRIC} is none of {', '.join(COLORS)}")
    header.PhotometricInterpretation = photometric
    _check_polarity(header, photometric)
    if photometric in ONE_SAMPLE:
        whole(header, "SamplesPerPixel", (1,))
    else:
        whole(header, "SamplesPerPixel", (3,))
        whole(header, "PlanarConfiguration", (0, 1))
    if photometric == "PALETTE COLOR":
        if SEGMENTED in header:
            raise ImageRefused("FORMAT", "its palette is segmented, which is not read")
        for keyword in PALETTES:
            if not entries(header, keyword):
                raise ImageRefused("UNREADABLE", f"its header has no {keyword}")


def _check_polarity(header: Dataset, photometric: str) -> None:
    shape = next(iter(codes(header, SHAPE)), "")
    if shape in SHAPES.values() and shape != SHAPES.get(photometric, shape):
        raise ImageRefused(
            "FORMAT",
            f"its {PHOTOMETRIC} {photometric} and its {SHAPE} {shape} contradict each other: one "
            "says that it is to be inverted, the other that it is not",
        )
