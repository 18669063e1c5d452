"""The size that compressed image data say they have.

A DICOM header and the JPEG or JPEG 2000 data in it are two statements; decoders believe the second and allocate what it says. So it is
read and compared before they are let at it.
"""

from __future__ import annotations

import struct

from medgan.images.picture import ImageRefused

JPEG = b"\xff\xd8"
JPEG_2000 = b"\xff\x4f\xff\x51"
JP2 = b"\x00\x00\x00\x0cjP  "
FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that start a frame header (ITU T.81, table B.1; F7 is that of JPEG-LS)."""
MOST_TILES = 65_535
"""Of a JPEG 2000 image (ITU T.800, A.5.1)."""


def check_size(data: bytes, width: int, height: int, samples: int) -> None:
    """Raises `ImageRefused` unless JPEG, JPEG-LS or JPEG 2000 data are of that size; other data are not looked at."""
    if data.startswith((JPEG_2000, JP2)):
        found = _jpeg_2000_size(data)
    elif data.startswith(JPEG):
        found = _jpeg_size(data)
    else:
        raise ImageRefused("UNREADABLE", "its compressed data are not of the kind that its header says")
    if found != (width, height, samples):
        raise ImageRefused("UNREADABLE", f"its compressed data are of the size {found}, and its header says {(width, height, samples)}")


def _jpeg_2000_size(data: bytes) -> tuple[int, int, int]:
    start = data.find(JPEG_2000)
    if start < 0 or len(data) < start + 42:
        raise ImageRefused("UNREADABLE", "its compressed data have no header")
    right, lower, left, upper, tile_width, tile_height, tile_left, tile_upper, samples = struct.unpack_from(">8IH", data, start + 8)
    tiles = -(-(right - tile_left) // max(tile_width, 1)) * -(-(lower - tile_upper) // max(tile_height, 1))
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
