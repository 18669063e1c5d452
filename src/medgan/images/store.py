"""The uint8 image store: every image of a data set, decoded and resized once, read in whole
batches.

A folder with `images.u8` (raw bytes, row-major (n, H, W, C)) and `index.json`. Reading goes through
`preadv` into a fresh buffer, which keeps resident memory at the size of the batch. numpy and torch
only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.contracts import ImageSpec
from medgan.errors import UserError

PIXELS = "images.u8"
INDEX = "index.json"
SMALLEST = 32


@dataclass(frozen=True)
class StoreInfo:
    """What a store holds. `sha256` is that of its pixels, filled in when it is written."""

    count: int
    height: int
    width: int
    channels: int
    intensity: str
    """A key of `transforms.INTENSITY`: how these pixels are shown to a network."""
    classes: tuple[str, ...]
    """Categories of the data set, `normal` first."""
    sha256: str = ""
    source_key: str = ""
    """Names what the store was made from; equal keys make equal stores."""

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
    """A store that is not written yet. `images` gives its images in order; it is called only if no
    equal store is there.
    """

    info: StoreInfo
    images: Callable[[], Iterable[NDArray[np.uint8]]]


def padded_size(side: int) -> int:
    """The smallest power of two, 32 at least, that an image of this side fits into."""
    return max(SMALLEST, 1 << (side - 1).bit_length())


class ImageStore:
    """An open store."""

    def __init__(self, folder: Path, info: StoreInfo) -> None:
        self.folder = folder
        self.info = info
        self._descriptor = os.open(folder / PIXELS, os.O_RDONLY)
        weakref.finalize(self, os.close, self._descriptor)

    @classmethod
    def open(cls, folder: Path | str) -> ImageStore:
        """Opens the store in `folder`. Raises `UserError` where it is missing, damaged or cut
        short.
        """
        folder = Path(folder)
        try:
            info = _info_from(json.loads((folder / INDEX).read_text(encoding="utf-8")))
            size = (folder / PIXELS).stat().st_size
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"{folder} is no image store ({type(error).__name__}); `kedro run --pipeline preprocessing` makes it anew"
            ) from error
        if size != info.count * info.image_bytes:
            expected = info.count * info.image_bytes
            raise UserError(
                f"the image store {folder} has {size} bytes of {expected}; delete it and run `kedro run --pipeline preprocessing`"
            )
        return cls(folder, info)

    @property
    def key(self) -> str:
        """16 hexadecimal digits that name pixels, shape, intensity and classes."""
        fields = {name: value for name, value in asdict(self.info).items() if name != "source_key"}
        return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def spec(self) -> ImageSpec:
        """What a model is built from; its size is the padded one."""
        return ImageSpec(
            padded_size(max(self.info.height, self.info.width)),
            self.info.channels,
            self.info.classes,
        )

    def __len__(self) -> int:
        return self.info.count

    def read(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The images of these rows, in their order: uint8 (n, H, W, C). Raises IndexError for a row
        outside the store.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if rows.size and (rows.min() < 0 or rows.max() >= self.info.count):
            raise IndexError(
                f"rows {rows.min()}..{rows.max()} of an image store with {self.info.count} images"
            )
        images = np.empty((len(rows), *self.info.image_shape), dtype=np.uint8)
        for first, last in _runs(rows):
            self._fill(
                images[first:last].reshape(-1).data, int(rows[first]) * self.info.image_bytes
            )
        return images

    def _fill(self, buffer: memoryview, offset: int) -> None:
        filled = 0
        while filled < len(buffer):
            count = os.preadv(self._descriptor, [buffer[filled:]], offset + filled)
            if not count:
                raise UserError(
                    f"the image store {self.folder} is cut short; delete it and run `kedro run --pipeline preprocessing`"
                )
            filled += count


def _runs(rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Slices of `rows` whose images lie one after another in the file."""
    if not len(rows):
        return []
    breaks = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
    return list(zip([0, *breaks], [*breaks, len(rows)], strict=True))


def _info_from(fields: dict[str, Any]) -> StoreInfo:
    return StoreInfo(**{**fields, "classes": tuple(fields["classes"])})


def write_store(
    folder: Path | str, images: Iterable[NDArray[np.uint8]], info: StoreInfo
) -> StoreInfo:
    """Writes uint8 (H, W, C) images as the store in `folder`, whole or not at all; an older store
    there is replaced.

    Returns `info` with the checksum. Raises ValueError when the images do not match `info`.
    """
    folder = Path(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        written = replace(info, sha256=_write_pixels(work / PIXELS, images, info))
        _write_synced(work / INDEX, json.dumps(asdict(written), indent=1).encode())
        _swap(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return written


def _write_pixels(path: Path, images: Iterable[NDArray[np.uint8]], info: StoreInfo) -> str:
    checksum, count = hashlib.sha256(), 0
    with path.open("wb") as file:
        for image in images:
            if image.shape != info.image_shape or image.dtype != np.uint8:
                raise ValueError(
                    f"image {count} is {image.dtype} {image.shape}, the store holds uint8 {info.image_shape}"
                )
            data = image.tobytes()
            checksum.update(data)
            file.write(data)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    if count != info.count:
        raise ValueError(f"{count} images for a store of {info.count}")
    return checksum.hexdigest()


def _write_synced(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _swap(work: Path, folder: Path) -> None:
    """Puts `work` in the place of `folder`."""
    work.chmod(0o755)
    old = work.with_name(work.name + "-old")
    if folder.exists():
        folder.rename(old)
    work.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
