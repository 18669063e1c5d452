"""Find damage in JPEG data, which have no checksum: their markers, and how far they are decoded."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import IO, cast

from PIL.JpegImagePlugin import JpegImageFile

from medgan.sources.raw import ImageRefused

MARKER = re.compile(rb"\xff[^\x00\xff]")
"""A marker in entropy-coded data, where a 0 follows each byte of 255 that is none (T.81, B.1.1.5)."""
HUFFMAN = frozenset((0xC0, 0xC1))
"""Markers of frames with one scan, unless their channels are stored one after another."""
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
RESTARTS = range(0xD0, 0xD8)
START, END, INTERVAL = 0xDA, 0xD9, 0xDD
BEHIND_A_SCAN = frozenset((0xC4, END, START, 0xDB, 0xDC, INTERVAL, *range(0xE0, 0xF0), 0xFE))
PADDING = b"\x00\xff"
"""What some encoders put behind the last pixel."""
SPARE = 8
"""Bytes behind the last pixel that are no sign of damage."""
AHEAD = bytes(8)
"""What the decoder reads ahead. It takes these for pixels only where it lacks some, as libjpeg does."""


@dataclass(frozen=True)
class Layout:
    """What the markers of JPEG data tell."""

    frame: int
    """The marker of the frame; 0 without one."""
    ends: list[int]
    """Where the entropy-coded data of each scan end; a scan that is cut off has no end."""


class CheckedJpeg(JpegImageFile):
    """A JPEG file that is refused where libjpeg would warn of damage and fill in pixels.

    The last bytes of the only scan are given to the decoder when it asks for them: a sound scan is
    not finished without them, and needs none behind them. Pixels stay as they are.
    """

    def load_prepare(self) -> None:
        """Read the file, and part it. Raises `ImageRefused` for markers that cannot be."""
        super().load_prepare()
        file = cast(IO[bytes], self.fp)
        file.seek(0)
        data = file.read()
        layout = layout_of(data)
        self._parts = [data]
        if layout.frame in HUFFMAN and len(layout.ends) == 1:
            (end,) = layout.ends
            needed = len(data[:end].rstrip(PADDING)) - SPARE
            self._parts = [data[:needed], data[needed:end] + AHEAD]

    def load_read(self, read_bytes: int) -> bytes:
        """Return the next part. Raises `ImageRefused` where the decoder needs more than all."""
        if not self._parts:
            raise ImageRefused("UNREADABLE", "its data are cut or damaged: pixels are missing")
        return self._parts.pop(0)

    def load_end(self) -> None:
        """Raise `ImageRefused` where the decoder has not needed all data."""
        super().load_end()
        if self._parts:
            raise ImageRefused("UNREADABLE", "its data are damaged: they hold more than its pixels")


def layout_of(data: bytes) -> Layout:
    """Find the scans of JPEG data. Raises `ImageRefused` for markers that no encoder writes."""
    frame, interval, place = 0, 0, 2
    ends: list[int] = []
    while 0 <= (place := data.find(b"\xff", place)) < len(data) - 3:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == END:
            break
        if marker in (0x00, 0xFF, 0xD8) or marker in RESTARTS:
            place += 1
            continue
        if marker in FRAMES:
            frame = marker
        if marker == INTERVAL:
            interval = int.from_bytes(data[place + 4 : place + 6], "big")
        place += 2 + length
        if marker == START:
            place = _end(data, place, interval)
            ends += [place] * (place < len(data))
    return Layout(frame, ends)


def _end(data: bytes, start: int, interval: int) -> int:
    """Return where the entropy-coded data end that begin at `start`."""
    restarts = 0
    for found in MARKER.finditer(data, start):
        marker = data[found.start() + 1]
        if interval and marker == RESTARTS[restarts % len(RESTARTS)]:
            restarts += 1
        elif marker in BEHIND_A_SCAN:
            return found.start()
        else:
            raise ImageRefused("UNREADABLE", "its data are damaged: a marker is among its pixels")
    return len(data)
