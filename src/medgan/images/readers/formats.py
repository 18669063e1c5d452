"""What a file is. Its first bytes decide, never its name."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from medgan.images.picture import ImageRefused

HEAD = 540
"""Bytes that are looked at: the length of the longest header with a magic number in it, that of NIfTI-2."""
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
    "NPY": (b"\x93NUMPY",),
    "NPZ": (b"PK\x03\x04",),
}
"""Format -> how its files begin. DICOM and NIfTI have their magic numbers further on."""
OTHER_BEGINNINGS = (b"GIF8", b"RIFF", b"%!PS", b"%PDF", b"8BPS", b"SIMPLE", b"P5", b"P6", b"\x00\x00\x01\x00", b"\x1f\x8b")
"""How some well-known files begin that are not read."""
GZIP = b"\x1f\x8b"
IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".tif", ".tiff", ".dcm", ".dicom", ".ima", ".nii", ".nii.gz", ".npy", ".npz"}
    | {".gif", ".webp", ".psd", ".eps", ".fits", ".ppm", ".pgm"}
)
"""Names of files that claim to be images. Those of other formats are quarantined with the reason FORMAT, not passed over."""
NAMELESS = re.compile(r"\.\d*")
"""Suffixes of files that say nothing: none, or the last part of a DICOM UID."""
MEDIA_DIRECTORY = "DICOMDIR"
"""A table of contents on a medium with DICOM files. It has the form of one, and no image."""


def claims_to_be_image(path: Path) -> bool:
    """Whether a file's name says so; a file without a telling suffix counts where its content is DICOM."""
    name = path.name.lower()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    return NAMELESS.fullmatch(suffix or ".") is not None and path.name.upper() != MEDIA_DIRECTORY and _is_dicom_file(path)


def detect(path: Path, known: frozenset[str]) -> str:
    """The format of a file, one of `known`. Raises `ImageRefused`: FORMAT for other formats, UNREADABLE for no format at all."""
    head = _head(path)
    found = _format(head)
    if found in known:
        return found
    if found or head.startswith(OTHER_BEGINNINGS):
        raise ImageRefused("FORMAT", f"its content is not {', '.join(sorted(known))}")
    raise ImageRefused("UNREADABLE", "it is empty" if not head else "its content is no image format that is known here")


def _format(head: bytes) -> str:
    if head[128:132] == b"DICM":
        return "DICOM"
    if _is_nifti(_unpacked(head) if head.startswith(GZIP) else head):
        return "NIfTI"
    return next((name for name, beginnings in BEGINNINGS.items() if head.startswith(beginnings)), "")


def _is_nifti(head: bytes) -> bool:
    return head[344:348] == b"n+1\x00" or head[4:12] == b"n+2\x00\r\n\x1a\n"


def _unpacked(head: bytes) -> bytes:
    """The first bytes of what a gzip file holds, as far as its first bytes tell."""
    try:
        return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS).decompress(head, HEAD)
    except zlib.error:
        return b""


def _head(path: Path) -> bytes:
    """The first bytes; a gzip file gives more, for its own header may hold a long name."""
    with path.open("rb") as file:
        head = file.read(HEAD)
        return head + file.read(4096) if head.startswith(GZIP) else head


def _is_dicom_file(path: Path) -> bool:
    try:
        if not path.is_file():  # a pipe would wait for ever
            return False
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False
