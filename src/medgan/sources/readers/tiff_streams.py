"""Compare the checksums of the deflate streams of a TIFF page, which libtiff does not look at."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import accumulate

from medgan.sources.raw import ImageRefused

DEFLATE = (8, 32946)  # values of the tag Compression
PLACES, SIZES = (273, 324), (279, 325)  # tags of the streams: of strips, or of tiles
BLOCK = 0xFFFF  # bytes of the largest block without compression
NUMBERS = {3: "H", 4: "I", 16: "Q"}  # type of a tag -> format of its values


def with_checked_streams(content: bytes, page: int, limit: int) -> bytes:
    """Return a file with the streams of a page stored without compression.

    Then libtiff has nothing to unpack, and the check takes hardly any time of its own.

    Args:
        content: of the file.
        page: its number.
        limit: bytes that the streams unpack to at most.

    Raises:
        ImageRefused: a stream is damaged.
    """
    directory = _Directory(content, page)
    places, sizes = directory.numbers(PLACES), directory.numbers(SIZES)
    streams = []
    for place, size in zip(places, sizes, strict=True):
        streams.append(_stored(content[place : place + size], limit))
        limit -= len(streams[-1])
    return directory.with_streams(streams)


def _stored(stream: bytes, limit: int) -> bytes:
    """Return a stream of the same data in blocks without compression (RFC 1951, 3.2.4)."""
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(stream, limit + 1)
    except zlib.error:
        data = b""
    if not unpacking.eof:
        raise ImageRefused("UNREADABLE", "its compressed data are damaged")
    parts = [b"\x78\x01"]
    for start in range(0, max(len(data), 1), BLOCK):
        block = data[start : start + BLOCK]
        last = start + BLOCK >= len(data)
        parts += (struct.pack("<BHH", last, len(block), BLOCK - len(block)), block)
    end = len(stream) - len(unpacking.unused_data)
    return b"".join((*parts, stream[end - 4 : end]))


class _Directory:
    """The tags of one page; what is added to its file replaces the streams of the page."""

    def __init__(self, content: bytes, page: int) -> None:
        self.content = content
        self.order = "<" if content.startswith(b"II") else ">"
        self.big = 43 in content[2:4]
        self.word, count = "QQ" if self.big else "IH"
        room = struct.calcsize(self.word)
        length = struct.calcsize("=HH") + 2 * room
        place = room if self.big else 4  # of the place of the first directory
        for _ in range(page + 1):
            (start,) = self._read(self.word, place)
            (number,) = self._read(count, start)
            first = start + struct.calcsize(count)
            place = first + number * length
        self.entries = {self._read("H", at)[0]: at for at in range(first, place, length)}

    def _read(self, form: str, place: int) -> tuple[int, ...]:
        return struct.unpack_from(self.order + form, self.content, place)

    def _pack(self, form: str, *numbers: int) -> bytes:
        return struct.pack(self.order + form, *numbers)

    def _entry(self, tags: Sequence[int]) -> int:
        return next(self.entries[tag] for tag in tags if tag in self.entries)

    def numbers(self, tags: Sequence[int]) -> tuple[int, ...]:
        """Return the numbers of the one of these tags that the page has."""
        entry = self._entry(tags)
        kind, number = self._read(f"H{self.word}", entry + 2)
        form, place = f"{number}{NUMBERS[kind]}", entry + 4 + struct.calcsize(self.word)
        if struct.calcsize("=" + form) > struct.calcsize(self.word):
            (place,) = self._read(self.word, place)
        return self._read(form, place)

    def with_streams(self, streams: Sequence[bytes]) -> bytes:
        """Return the file with other streams for the page, behind what it holds."""
        head, sizes = bytearray(self.content), list(map(len, streams))
        first = len(head) + 2 * len(sizes) * struct.calcsize(self.word)
        places = list(accumulate(sizes[:-1], initial=first))
        for tags, numbers in ((PLACES, places), (SIZES, sizes)):
            entry, value = self._entry(tags), self._pack(f"{len(numbers)}{self.word}", *numbers)
            start = len(head)
            head += value
            if len(numbers) > 1:
                value = self._pack(self.word, start)
            kind = 16 if self.big else 4
            changed = self._pack(f"H{self.word}", kind, len(numbers)) + value
            head[entry + 2 : entry + 2 + len(changed)] = changed
        return b"".join((head, *streams))
