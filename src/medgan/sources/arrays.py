"""Images in arrays: an NPZ file in the layout of MedMNIST."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.sources.files import given_path
from medgan.sources.raw import ImageRefused, Picture

PARTS = ("train", "val", "test")
SIZE_CAP = 64 * 2**30
"""Largest unpacked size of a file, in bytes, that is loaded."""


class ArrayImages:
    """Images in memory, part by part; the path of an image is `part/index`."""

    def __init__(
        self,
        name: str,
        images: dict[str, NDArray[np.uint8]],
        labels: dict[str, list[str]],
        checksum: str,
    ) -> None:
        self.name = name
        self._images = images
        self._labels = labels
        self._checksum = checksum

    def rows(self) -> pd.DataFrame:
        """One row for each image: image_id, path, category_raw, split."""
        parts = [
            pd.DataFrame(
                {
                    "path": [f"{part}/{index:06d}" for index in range(len(labels))],
                    "category_raw": labels,
                    "split": part,
                }
            )
            for part, labels in self._labels.items()
        ]
        rows = pd.concat(parts, ignore_index=True)
        return rows.assign(image_id=rows["path"])

    def read(self, path: str) -> Picture:
        """The picture of a row."""
        part, _, index = path.partition("/")
        try:
            image: NDArray[np.uint8] = self._images[part][int(index)]
        except (KeyError, ValueError, IndexError) as error:
            raise ImageRefused("UNREADABLE", "there is no such image in the file") from error
        return Picture(image if image.ndim == 3 else image[:, :, None])

    def fingerprint(self, path: str) -> str:
        """Names the file and the place of the image in it."""
        return f"{self._checksum}/{path}"


@dataclass(frozen=True)
class NpzSource:
    """An NPZ file with {train,val,test}_images (n, H, W[, 3]) uint8 and {train,val,test}_labels
    (n,) or (n, 1).
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    names: dict[int, str] = field(default_factory=dict)
    """Number in the file -> label; a number without a name is its own label."""

    def open(self) -> ArrayImages:
        """Loads the file. Raises `UserError` where it is missing, damaged or of another layout."""
        path = given_path(self.path, "the NPZ file")
        arrays = load_arrays(path)
        images = checked_images(arrays, path)
        labels = {part: self._named(_checked_labels(arrays, part, path)) for part in images}
        return ArrayImages(path.stem, images, labels, checksum(path))

    def _named(self, labels: NDArray[np.int64]) -> list[str]:
        return [self.names.get(int(label), str(int(label))) for label in labels]


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays *_images and *_labels of an NPZ file, without pickles. Raises `UserError` for what
    is too large, damaged or no NPZ.
    """
    if not path.is_file():
        raise UserError(
            f"{path} is a folder, and an NPZ file was expected; give the file with --params source=PATH"
        )
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > SIZE_CAP:
            raise UserError(
                f"{path} would unpack to {unpacked >> 30} GiB, more than {SIZE_CAP >> 30}; it is left alone, look at where it came from"
            )
        with np.load(path, allow_pickle=False) as file:
            return {
                name: file[name] for name in file.files if name.endswith(("_images", "_labels"))
            }
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything
        raise UserError(
            f"{path} cannot be read as an NPZ file ({type(error).__name__}): it is damaged or no NPZ; fetch it again"
        ) from error


def checked_images(arrays: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[np.uint8]]:
    """Part -> its images, uint8 (n, H, W[, 3]). Raises `UserError` where there are none, or of
    another kind.
    """
    parts = [part for part in PARTS if f"{part}_images" in arrays and len(arrays[f"{part}_images"])]
    if not parts:
        raise UserError(
            f"{path} holds no images under train_images, val_images or test_images; give a file in the layout of MedMNIST"
        )
    return {part: _checked_part(arrays[f"{part}_images"], part, path) for part in parts}


def _checked_part(images: NDArray[Any], part: str, path: Path) -> NDArray[np.uint8]:
    if images.dtype != np.uint8 or not (
        images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
    ):
        raise UserError(
            f"{part}_images in {path} is {images.dtype} {images.shape}; uint8 (n, H, W) or (n, H, W, 3) is read"
        )
    return images


def _checked_labels(arrays: dict[str, NDArray[Any]], part: str, path: Path) -> NDArray[np.int64]:
    count = len(arrays[f"{part}_images"])
    labels = arrays.get(f"{part}_labels", np.empty(0))
    if labels.size != count or labels.shape[:1] != (count,) or labels.dtype.kind not in "iub":
        raise UserError(
            f"{part}_labels in {path} is {labels.dtype} {labels.shape}; it needs one whole number for each of {count} images"
        )
    return labels.reshape(-1).astype(np.int64)


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
