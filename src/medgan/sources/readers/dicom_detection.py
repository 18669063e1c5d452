"""Recognize DICOM files by their first bytes, also those without preamble and prefix."""

from __future__ import annotations

import struct

PREFIX = b"DICM"
PREAMBLE = 128  # bytes before the prefix
FIRST_GROUPS = (2, 8)
"""Groups of the first elements: the meta information of a file, or the data set itself."""
EXPLICIT = frozenset(
    (b"AE", b"CS", b"DA", b"DT", b"LO", b"OB", b"PN", b"SH", b"SQ", b"TM", b"UI", b"UL", b"US")
)
"""Value representations of the first elements."""
LONG = frozenset((b"OB", b"SQ"))  # those with a length of four bytes, after two that are 0


def is_dicom(head: bytes) -> bool:
    """Find the prefix or, as older programs write none, two elements that follow each other."""
    if PREFIX in (head[PREAMBLE : PREAMBLE + len(PREFIX)], head[: len(PREFIX)]):
        return True
    return any(_has_elements(head, order) for order in "<>")


def _has_elements(head: bytes, order: str) -> bool:
    place, last = 0, (0, -1)
    for _ in range(2):
        if len(head) < place + 12:
            return False
        tag = struct.unpack_from(f"{order}HH", head, place)
        if tag[0] not in FIRST_GROUPS or tag <= last:
            return False
        start, length = _value(head, place, order)
        if length % 2:  # undefined lengths are odd too
            return False
        place, last = start + length, tag
    return True


def _value(head: bytes, place: int, order: str) -> tuple[int, int]:
    """Return the place and the length of an element's value, in explicit or implicit form."""
    representation = head[place + 4 : place + 6]
    if representation not in EXPLICIT:
        return place + 8, struct.unpack_from(f"{order}I", head, place + 4)[0]
    if representation in LONG:
        return place + 12, struct.unpack_from(f"{order}I", head, place + 8)[0]
    return place + 8, struct.unpack_from(f"{order}H", head, place + 6)[0]
