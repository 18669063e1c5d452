"""Recognize files by their content: images, other formats, archives, and what is no image."""

from __future__ import annotations

import contextlib
import struct
import zlib
from collections.abc import Collection, Mapping
from pathlib import Path

from medgan.sources.raw import ImageRefused
from medgan.sources.readers.contents import UNPACK, VOLUME, Content, known_content

HEAD = 540
"""Bytes that are read to detect a format: the longest header with a magic number, NIfTI-2's."""
GZIP = b"\x1f\x8b"
ZIP = b"PK\x03\x04"
BEGINNINGS: Mapping[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "TIFF": (b"II*\x00", b"MM\x00*", b"II+\x00"),
    "NPY": (b"\x93NUMPY",),
}
"""Format -> first bytes of its files. The other formats that are read need a closer look."""
PREFIX = b"DICM"
PREAMBLE = 128  # bytes before the prefix
FIRST_GROUPS = (2, 8)
"""Groups of the first elements: the meta information of a file, or the data set itself."""
EXPLICIT = frozenset(
    (b"AE", b"CS", b"DA", b"DT", b"LO", b"OB", b"PN", b"SH", b"SQ", b"TM", b"UI", b"UL", b"US")
)
"""Value representations of the first elements."""
LONG = frozenset((b"OB", b"SQ"))  # those with a length of four bytes, after two that are 0
BITMAP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # sizes of the second header of a BMP file
DOCUMENTS = frozenset(
    (".docx", ".xlsx", ".pptx", ".odt", ".ods", ".odp", ".epub", ".jar", ".whl", ".kmz", ".pt")
)
"""Names of files that are zip archives, and that nobody unpacks."""
IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".dcm", ".dicom", ".ima"),
        *(".nii", ".nii.gz", ".npy", ".npz", ".gif", ".webp", ".psd", ".eps", ".fits"),
        *(".ppm", ".pgm"),
    )
)
"""Names of image files, which are listed unseen. The content of all others decides."""
MEDIA_DIRECTORY = "DICOMDIR"
"""Index of a medium with DICOM files: in their format, without an image."""
DEVICE = "a device, a pipe or a socket"
INDEX = f"the index of a medium ({MEDIA_DIRECTORY})"
TEXT = "text or a table"
OTHER = "no image"


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case; that of a packed file has two parts."""
    path = Path(name.lower())
    suffix = path.suffix
    return Path(path.stem).suffix + suffix if suffix == ".gz" else suffix


def passed_over(path: Path) -> str | None:
    """Return why a file is no image; None for an image, or a file that cannot be looked into."""
    if path.name.upper() == MEDIA_DIRECTORY:
        return INDEX
    if suffix_of(path.name) in IMAGE_SUFFIXES:
        return None
    try:
        if not path.is_file() and path.exists():  # reading a pipe would block
            return DEVICE
        head = read_head(path)
    except (OSError, RuntimeError):
        return None
    return None if _claims(head) else _kind_of_other(head, path)


def _claims(head: bytes) -> bool:
    """Return whether the content is an image, also packed or in a format that is not read."""
    other = _content(head)
    return bool(_format(head) or _format(_unpacked(head)) or (other and other.is_image))


def _content(head: bytes) -> Content | None:
    """Return the kind of content, of a packed image that of the image."""
    inner = known_content(_unpacked(head))
    return inner if inner and inner.is_image else known_content(head)


def _kind_of_other(head: bytes, path: Path) -> str:
    other = known_content(head)
    if other and other.remedy == UNPACK and path.suffix.lower() not in DOCUMENTS:
        return f"{other.name}; {UNPACK}"
    try:
        head.decode()
    except UnicodeDecodeError as error:
        # The last character may be cut off.
        return OTHER if error.start < len(head) - 4 else TEXT
    return OTHER if b"\x00" in head else TEXT


def remedy_for(path: Path) -> str | None:
    """Return what a file that was given as data is instead, and what to do; None for data."""
    head = read_head(path) if path.is_file() else b""
    other = None if _format(head) else known_content(head)
    return f"{other.name}; {other.remedy}" if other else None


def detect(path: Path, known: Collection[str]) -> str:
    """Return the format of a file, one of `known`. Raises `ImageRefused`."""
    head = read_head(path)
    found = _format(head)
    if found in known:
        return found
    if other := _content(head):
        raise ImageRefused("FORMAT", f"it is {other.name}; {other.remedy}")
    if found:
        raise ImageRefused("FORMAT", f"its content is {found}, not {', '.join(sorted(known))}")
    if path.suffix.lower() == ".img" and path.with_suffix(".hdr").is_file():
        raise ImageRefused("FORMAT", f"it is half of a NIfTI or Analyze pair; {VOLUME}")
    problem = "its content is no known image format" if head else "it is empty"
    raise ImageRefused("UNREADABLE", problem)


def read_head(path: Path) -> bytes:
    """Read the first bytes; more of a gzip file, whose own header may hold a long name."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return head + file.read(4096) if head.startswith(GZIP) else head


def _format(head: bytes) -> str:
    inner = _unpacked(head)
    if is_dicom(inner):
        return "DICOM"
    if inner[344:348] == b"n+1\x00" or inner[4:12] == b"n+2\x00\r\n\x1a\n":
        return "NIfTI"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in BITMAP_HEADERS:
        return "BMP"
    if head.startswith(ZIP):
        name = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return "NPZ" if name.endswith(b".npy") else ""
    return next((name for name, starts in BEGINNINGS.items() if head.startswith(starts)), "")


def _unpacked(head: bytes) -> bytes:
    """Return the first bytes of the content of a gzip file; of another one its own."""
    if head.startswith(GZIP):
        with contextlib.suppress(zlib.error):
            return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD)
    return head


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
