"""The uint8 image store: all images of a data set, decoded and resized once, read in batches.

A folder with `images.u8` (raw bytes, row-major (n, H, W, C)) and `index.json`. Reading through
`preadv` into a fresh buffer keeps resident memory at the size of a batch. numpy and torch only.
"""

from __future__ import annotations

import hashlib
import json
import os
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import ImageSpec
from medgan.errors import UserError
from medgan.files.atomic import new_folder, recovered
from medgan.files.digest import digest
from medgan.files.integrity import DamagedFile, reading
from medgan.images.transforms import Intensity

PIXELS = "images.u8"
INDEX = "index.json"
SMALLEST = 32  # side of the smallest images that networks are built for
REMEDY = "`kedro run --pipeline preprocessing` makes it again"


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds. `sha256` of the pixels is filled in when it is written."""

    count: int
    height: int
    width: int
    channels: int
    intensity: str  # a key of `transforms.INTENSITY`: how networks see these pixels
    classes: tuple[str, ...]  # categories of the data set, `normal` first
    sha256: str = ""
    source_key: str = ""  # names what the store was made from; equal keys make equal stores
    window: float | None = None  # of an intensity that uses one

    @property
    def scaling(self) -> Intensity:
        """How pixels become numbers in [-1, 1]."""
        return Intensity(self.intensity, self.window)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return (self.height, self.width, self.channels)

    @property
    def image_bytes(self) -> int:
        """Bytes of one image."""
        return self.height * self.width * self.channels


@dataclass(frozen=True)
class StorePlan:
    """A store to be written. `images` iterates over its images, and is called only if needed."""

    info: StoreInfo
    images: Callable[[], Iterable[NDArray[np.uint8]]]


def padded_size(side: int) -> int:
    """Return the smallest power of two, at least 32, that an image of this side fits into."""
    return max(SMALLEST, 1 << (side - 1).bit_length())


class ImageStore:
    """An open store."""

    def __init__(self, folder: Path, info: StoreInfo) -> None:
        self.folder = folder
        self.info = info
        self._descriptor = os.open(folder / PIXELS, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    def __reduce__(self) -> tuple[type[ImageStore], tuple[Path, StoreInfo]]:
        """Open it again in another process."""
        return type(self), (self.folder, self.info)

    @classmethod
    def open(cls, folder: Path | str) -> ImageStore:
        """Open a store, once its checksums are compared; a large one is hashed once in a process.

        Raises `UserError` where it is missing, damaged or cut short.
        """
        folder = recovered(Path(folder))
        if not (folder / INDEX).exists():
            raise UserError(f"{folder} is no image store: {REMEDY}.")
        with reading(folder, REMEDY):
            fields = json.loads((folder / INDEX).read_text(encoding="utf-8"))
            info = StoreInfo(**{**fields, "classes": tuple(fields["classes"])})
            size, expected = (folder / PIXELS).stat().st_size, info.count * info.image_bytes
            if size != expected:
                raise DamagedFile(folder, f"it has {size} bytes of {expected}")
            return cls(folder, info)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name pixels, shape, intensity and classes."""
        fields = asdict(self.info)
        del fields["source_key"]
        return digest({name: value for name, value in fields.items() if value is not None})

    @property
    def spec(self) -> ImageSpec:
        """What a model is built from, with the padded size."""
        info = self.info
        return ImageSpec(padded_size(max(info.height, info.width)), info.channels, info.classes)

    def __len__(self) -> int:
        return self.info.count

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Read images by row, in order: uint8 (n, H, W, C). Raises IndexError."""
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= self.info.count):
            raise IndexError(f"rows {rows.min()}..{rows.max()} of {self.info.count} images")
        images = np.empty((len(rows), *self.info.image_shape), dtype=np.uint8)
        buffer, size = images.reshape(-1).data, self.info.image_bytes
        firsts = np.flatnonzero(np.diff(rows, prepend=-2) != 1)  # of each run of successive rows
        runs = pairwise([*firsts.tolist(), len(rows)])
        for (first, last), start in zip(runs, (rows[firsts] * size).tolist(), strict=True):
            self._fill(buffer[first * size : last * size], start)
        return images

    def _fill(self, buffer: memoryview, offset: int) -> None:
        filled = 0
        while filled < len(buffer):
            count = os.preadv(self._descriptor, [buffer[filled:]], offset + filled)
            if not count:
                raise DamagedFile(self.folder, "it is cut short", REMEDY)
            filled += count


def write_store(
    folder: Path | str, images: Iterable[NDArray[np.uint8]], info: StoreInfo
) -> StoreInfo:
    """Write uint8 (H, W, C) images as a store, whole or not at all, in place of an older one.

    Returns `info` with the checksum. Raises ValueError for images that do not match it.
    """
    with new_folder(Path(folder), sealed=True) as work:
        written = replace(info, sha256=_write_pixels(work / PIXELS, images, info))
        (work / INDEX).write_text(json.dumps(asdict(written), indent=1), encoding="utf-8")
    return written


def _write_pixels(path: Path, images: Iterable[NDArray[np.uint8]], info: StoreInfo) -> str:
    checksum, count = hashlib.sha256(), 0

    def checked() -> Iterable[bytes]:
        nonlocal count
        for image in images:
            if image.shape != info.image_shape or image.dtype != np.uint8:
                given = f"image {count} is {image.dtype} {image.shape}"
                raise ValueError(f"{given}, the store holds uint8 {info.image_shape}")
            data = image.tobytes()
            checksum.update(data)
            count += 1
            yield data

    with path.open("wb") as file:
        file.writelines(checked())
    if count != info.count:
        raise ValueError(f"{count} images for a store of {info.count}")
    return checksum.hexdigest()
