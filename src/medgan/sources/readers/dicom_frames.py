"""Check the pixel data of DICOM files: compressed frames by their own headers, and the amount."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import BinaryIO

from pydicom.dataset import Dataset
from pydicom.encaps import parse_fragments
from pydicom.uid import UID, RLELossless

from medgan.sources.raw import ImageRefused

JPEG = b"\xff\xd8"
JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\x00\x00\x00\x0cjP  "
FRAME_STARTS = (JPEG, JPEG_2000, JP2)
FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that start a frame header (ITU T.81, table B.1; F7 is that of JPEG-LS)."""
MAX_TILES = 65_535  # tiles of a JPEG 2000 image (ITU T.800, A.5.1)


PADDING = 2**16  # bytes behind the pixels that are looked at: zeros are padding


def check_rest(stream: BinaryIO, header: Dataset, syntax: UID, needed: int, size: int) -> None:
    """Raise `ImageRefused` for pixel data that hold more than the header accounts for.

    Args:
        stream: at the pixel data, where it is left.
        header: the checked header.
        syntax: the transfer syntax.
        needed: bytes that the header accounts for.
        size: bytes of the pixel data.
    """
    start, count = stream.tell(), int(header.get("NumberOfFrames") or 1)
    problem = ""
    if not syntax.is_encapsulated and (size - needed) * int(header.Rows) * count >= needed:
        stream.seek(needed, 1)
        if stream.read(min(size - needed, PADDING)).strip(b"\0"):
            names = "NumberOfFrames, Rows, Columns, SamplesPerPixel or BitsAllocated"
            problem = f"{size} bytes, and its header accounts for {needed}: {names} is wrong"
    elif syntax.is_encapsulated and count == 1 and (found := _count_frames(stream, syntax)) > 1:
        problem = f"{found} compressed frames, and its header says one: NumberOfFrames is wrong"
    stream.seek(start)
    if problem:
        raise ImageRefused("UNREADABLE", f"its pixel data hold {problem}")


def _count_frames(stream: BinaryIO, syntax: UID) -> int:
    """Count the fragments that begin a frame; a frame may have several, except with RLE."""
    with suppress(ValueError):  # damaged items are refused where they are decoded
        places = parse_fragments(stream)[1][1:]  # the first one is the table of offsets
        starts = []
        for place in places:
            stream.seek(place + 8)
            starts.append(stream.read(len(JP2)))
        return sum(syntax == RLELossless or data.startswith(FRAME_STARTS) for data in starts)
    return 0


def check_size(data: bytes, size: tuple[int, int, int]) -> int:
    """Return the bits a sample of JPEG (2000, LS) data.

    Raises `ImageRefused` unless the data declare this width, height and number of samples.
    """
    if data.startswith((JPEG_2000, JP2)):
        *found, bits = _jpeg_2000_size(data)
    elif data.startswith(JPEG):
        *found, bits = _jpeg_size(data)
    else:
        raise ImageRefused("UNREADABLE", "its compressed data are not what its header says")
    if tuple(found) != size:
        problem = f"its compressed data are of the size {tuple(found)}, its header says {size}"
        raise ImageRefused("UNREADABLE", problem)
    return bits


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int, int]:
    start = data.find(JPEG_2000)
    if start < 0 or len(data) < start + 43:
        raise ImageRefused("UNREADABLE", "its compressed data have no header")
    right, lower, left, upper, tile_width, tile_height, tile_left, tile_upper, samples, depth = (
        struct.unpack_from(">8IHB", data, start + 8)
    )
    across = -(-(right - tile_left) // max(tile_width, 1))
    tiles = across * -(-(lower - tile_upper) // max(tile_height, 1))
    if not 0 < tiles <= MAX_TILES:
        raise ImageRefused("UNREADABLE", f"its compressed data come in {tiles} tiles")
    return right - left, lower - upper, samples, (depth & 0x7F) + 1  # the upper bit is the sign


def _jpeg_size(data: bytes) -> tuple[int, int, int, int]:
    place = 2
    while place + 10 <= len(data):
        marker = data[place + 1]
        if data[place] != 0xFF or marker in (0xFF, 0x00):
            place += 1
        elif marker in FRAME_MARKERS:
            bits, height, width, samples = struct.unpack_from(">BHHB", data, place + 4)
            return width, height, samples, bits
        else:
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
    raise ImageRefused("UNREADABLE", "its compressed data have no header")
