"""Recognise image files: by their names when a folder is listed, by their content when read."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Collection
from pathlib import Path

from medgan.sources.raw import ImageRefused

HEAD = 540
"""Bytes that are read to detect a format: the longest header with a magic number, NIfTI-2's."""
GZIP = b"\x1f\x8b"
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
    "NPY": (b"\x93NUMPY",),
    "NPZ": (b"PK\x03\x04",),
}
"""Format -> first bytes of its files. DICOM and NIfTI have their magic numbers further on."""
OTHER_BEGINNINGS = (
    *(b"GIF8", b"RIFF", b"%!PS", b"%PDF", b"8BPS", b"SIMPLE", b"P5", b"P6", b"\x00\x00\x01\x00"),
    GZIP,
)
"""First bytes of well-known formats that are not read."""
IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".dcm", ".dicom", ".ima"),
        *(".nii", ".nii.gz", ".npy", ".npz", ".gif", ".webp", ".psd", ".eps", ".fits"),
        *(".ppm", ".pgm"),
    )
)
"""Names of image files. Those in formats that are not read are quarantined, not skipped."""
NAMELESS = re.compile(r"\.\d*")  # suffixes that tell nothing: none, or the last part of a DICOM UID
MEDIA_DIRECTORY = "DICOMDIR"
"""Index of a medium with DICOM files: in their format, without an image."""


def claims_to_be_image(path: Path) -> bool:
    """Return whether a file has the name of an image, or, without a suffix, DICOM content."""
    name = path.name.lower()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    if not NAMELESS.fullmatch(suffix or ".") or path.name.upper() == MEDIA_DIRECTORY:
        return False
    try:
        return path.is_file() and _is_dicom(read_head(path))  # reading a pipe would block
    except OSError:
        return False


def detect(path: Path, known: Collection[str]) -> str:
    """Return the format of a file, one of `known`. Raises `ImageRefused`."""
    head = read_head(path)
    found = _format(head)
    if found in known:
        return found
    if found or head.startswith(OTHER_BEGINNINGS):
        raise ImageRefused("FORMAT", f"its content is not {', '.join(sorted(known))}")
    problem = "its content is no known image format" if head else "it is empty"
    raise ImageRefused("UNREADABLE", problem)


def read_head(path: Path) -> bytes:
    """Read the first bytes; more of a gzip file, whose own header may hold a long name."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return head + file.read(4096) if head.startswith(GZIP) else head


def _format(head: bytes) -> str:
    if _is_dicom(head):
        return "DICOM"
    inner = head
    if head.startswith(GZIP):
        with contextlib.suppress(zlib.error):
            inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD)
    if inner[344:348] == b"n+1\x00" or inner[4:12] == b"n+2\x00\r\n\x1a\n":
        return "NIfTI"
    return next((name for name, starts in BEGINNINGS.items() if head.startswith(starts)), "")


def _is_dicom(head: bytes) -> bool:
    return head[128:132] == b"DICM"
