"""What every reader gives, and how that becomes a picture."""

from __future__ import annotations

import importlib
import re
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.sources.raw import ImageRefused, Picture
from medgan.sources.readers.config import ReadingConfig

IMAGE_PERCENTILES = (0.1, 99.9)
"""Between these the values of an image are shown that brings no window."""
ROWS = 256
"""Rows that are windowed at a time, so that a large image needs little besides itself."""


@dataclass(frozen=True)
class Decoded:
    """One decoded image."""

    values: NDArray[np.generic]
    """(H, W, C), C 1 (grey) or 3 (RGB), upright, in the file's own unit."""
    low: float | None = None
    """Shown black, and `high` shown white; low > high inverts the image. None: the values are uint8
    and shown as they are.
    """
    high: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Keys of `picture.METADATA`."""


class Reader(Protocol):
    """What each reading module exports. Errors other than `ImageRefused` count as UNREADABLE."""

    def frames(self, path: Path, config: ReadingConfig) -> Sequence[int]:
        """Numbers of the images in a file that count one by one, from its header alone; empty where
        the file is one image.
        """
        ...

    def read(self, path: Path, frame: int | None, config: ReadingConfig) -> Decoded:
        """One image of a file; `frame` is one of `frames()`, or None."""
        ...


def check_pixels(width: int, height: int, config: ReadingConfig) -> None:
    """Raises `ImageRefused` for more pixels than are decoded, or none."""
    if width < 1 or height < 1:
        raise ImageRefused("UNREADABLE", f"its header says {width} x {height} pixels")
    if width * height > config.max_pixels:
        raise ImageRefused(
            "TOO_LARGE",
            f"it has {width} x {height} pixels, more than reading.max_pixels = {config.max_pixels}",
        )


def percentile_window(
    values: NDArray[np.generic], percentiles: tuple[float, float] = IMAGE_PERCENTILES
) -> tuple[float, float]:
    """(low, high) percentiles of values of any shape; their range where those are equal. Raises
    `ImageRefused` for NaN and infinity.
    """
    if not values.size:
        raise ImageRefused("UNREADABLE", "it has no pixels")
    numbers: NDArray[Any] = values.astype(np.float32 if values.dtype.itemsize <= 2 else np.float64)
    if not np.isfinite(numbers).all():
        raise ImageRefused("NONFINITE", "it has pixels that are not finite numbers")
    low, high = (float(value) for value in np.percentile(numbers, percentiles))
    return (low, high) if high > low else (float(numbers.min()), float(numbers.max()))


def render(decoded: Decoded) -> Picture:
    """The picture: values linear between `low` (0) and `high` (255), clipped. Raises `ImageRefused`
    for NaN and infinity.
    """
    if decoded.low is None or decoded.high is None:
        return Picture(np.ascontiguousarray(decoded.values, dtype=np.uint8), decoded.metadata)
    pixels = np.empty(decoded.values.shape, np.uint8)
    for start in range(0, len(pixels), ROWS):
        pixels[start : start + ROWS] = _windowed(
            decoded.values[start : start + ROWS], decoded.low, decoded.high
        )
    return Picture(pixels, decoded.metadata)


def _windowed(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.uint8]:
    numbers = values.astype(np.float64)
    span = high - low
    if not (np.isfinite(numbers).all() and np.isfinite(span)):
        raise ImageRefused(
            "NONFINITE", "it has pixels that are not finite numbers, or too large ones"
        )
    scaled = (numbers - low) / span if span else np.zeros_like(numbers)
    grey: NDArray[np.uint8] = np.rint(np.clip(scaled, 0.0, 1.0) * 255.0).astype(np.uint8)
    return grey


T = TypeVar("T")


class Recent(Generic[T]):
    """The last `size` results by key.

    Threads that ask for one key wait for one computation, and at most `size` of them compute at the
    same time, so memory stays flat however many threads read. An error is a result too: a damaged
    volume is not decoded again for each of its slices.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, Future[T]] = OrderedDict()
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(size)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The result for a key, made if it is not at hand. Raises what `make` raises."""
        with self._lock:
            known = self._kept.get(key)
            future = known or Future()
            self._kept[key] = future
            self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        if known is None:
            self._fill(future, make)
        return future.result()

    def _fill(self, future: Future[T], make: Callable[[], T]) -> None:
        try:
            with self._slots:
                future.set_result(make())
        except BaseException as error:  # an interrupt too, or those who wait would wait for ever
            future.set_exception(
                error.with_traceback(None)
            )  # which would keep alive all that the failed attempt had read


def stamp(path: Path) -> tuple[str, int, int, int]:
    """Changes when a file is replaced or written to: path, inode, size and time of change in
    nanoseconds.
    """
    state = path.stat()
    return (str(path), state.st_ino, state.st_size, state.st_mtime_ns)


HEAD = 540
"""Bytes that are looked at: the length of the longest header with a magic number in it, that of
NIfTI-2.
"""
BEGINNINGS: dict[str, tuple[bytes, ...]] = {
    "JPEG": (b"\xff\xd8\xff",),
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "BMP": (b"BM",),
    "TIFF": (b"II*\x00", b"MM\x00*"),
    "NPY": (b"\x93NUMPY",),
    "NPZ": (b"PK\x03\x04",),
}
"""Format -> how its files begin. DICOM and NIfTI have their magic numbers further on."""
OTHER_BEGINNINGS = (
    b"GIF8",
    b"RIFF",
    b"%!PS",
    b"%PDF",
    b"8BPS",
    b"SIMPLE",
    b"P5",
    b"P6",
    b"\x00\x00\x01\x00",
    b"\x1f\x8b",
)
"""How some well-known files begin that are not read."""
GZIP = b"\x1f\x8b"
IMAGE_SUFFIXES = frozenset(
    {
        ".jpg",
        ".jpeg",
        ".jpe",
        ".png",
        ".bmp",
        ".tif",
        ".tiff",
        ".dcm",
        ".dicom",
        ".ima",
        ".nii",
        ".nii.gz",
        ".npy",
        ".npz",
    }
    | {".gif", ".webp", ".psd", ".eps", ".fits", ".ppm", ".pgm"}
)
"""Names of files that claim to be images. Those of other formats are quarantined with the reason
FORMAT, not passed over.
"""
NAMELESS = re.compile(r"\.\d*")
"""Suffixes of files that say nothing: none, or the last part of a DICOM UID."""
MEDIA_DIRECTORY = "DICOMDIR"
"""A table of contents on a medium with DICOM files. It has the form of one, and no image."""


def claims_to_be_image(path: Path) -> bool:
    """Whether a file's name says so; a file without a telling suffix counts where its content is
    DICOM.
    """
    name = path.name.lower()
    suffix = ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return True
    return (
        NAMELESS.fullmatch(suffix or ".") is not None
        and path.name.upper() != MEDIA_DIRECTORY
        and _is_dicom_file(path)
    )


def detect(path: Path, known: frozenset[str]) -> str:
    """The format of a file, one of `known`. Raises `ImageRefused`: FORMAT for other formats,
    UNREADABLE for no format at all.
    """
    head = _head(path)
    found = _format(head)
    if found in known:
        return found
    if found or head.startswith(OTHER_BEGINNINGS):
        raise ImageRefused("FORMAT", f"its content is not {', '.join(sorted(known))}")
    raise ImageRefused(
        "UNREADABLE",
        "it is empty" if not head else "its content is no image format that is known here",
    )


def _format(head: bytes) -> str:
    if head[128:132] == b"DICM":
        return "DICOM"
    if _is_nifti(_unpacked(head) if head.startswith(GZIP) else head):
        return "NIfTI"
    return next(
        (name for name, beginnings in BEGINNINGS.items() if head.startswith(beginnings)), ""
    )


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


RASTER_READERS: Mapping[str, str] = dict.fromkeys(("JPEG", "PNG", "BMP", "TIFF"), "raster")
READERS: Mapping[str, str] = {
    **RASTER_READERS,
    "DICOM": "dicom",
    "NIfTI": "nifti",
    "NPY": "arrays",
    "NPZ": "arrays",
}
"""Format -> module of this package that reads it, a `decoded.Reader`; imported when the first such
file comes.
"""
DEFAULT = ReadingConfig()


def read_picture(
    path: Path | str,
    frame: int | None = None,
    config: ReadingConfig = DEFAULT,
    readers: Mapping[str, str] = READERS,
) -> Picture:
    """The picture of a file, or of one of its frames or slices: uint8 (H, W, 1) grey or (H, W, 3)
    RGB, upright. Raises `ImageRefused`.
    """
    return _safely(lambda: render(decode(Path(path), frame, config, readers)))


def decode(
    path: Path, frame: int | None, config: ReadingConfig, readers: Mapping[str, str] = READERS
) -> Decoded:
    """What `read_picture` shows, before it is brought to 8 bits."""
    return _safely(lambda: _reader(path, readers).read(path, frame, config))


def frames(path: Path | str, config: ReadingConfig = DEFAULT) -> Sequence[int]:
    """Numbers of the images in a file that count one by one, read from its header; empty where it
    is one image. Raises `ImageRefused`.
    """
    return _safely(lambda: _reader(Path(path), READERS).frames(Path(path), config))


def _reader(path: Path, readers: Mapping[str, str]) -> Reader:
    if not path.is_file():
        raise ImageRefused("UNREADABLE", "there is no such file")
    module = readers[detect(path, frozenset(readers))]
    return cast(Reader, importlib.import_module(f"medgan.sources.readers.{module}"))


def _safely(work: Callable[[], T]) -> T:
    """Decoders raise nearly anything on damaged input; whatever they quote of the file stays in
    here.
    """
    try:
        return work()
    except (ImageRefused, UserError):
        raise
    except Exception as error:
        raise ImageRefused("UNREADABLE", f"it cannot be decoded ({type(error).__name__})") from None
