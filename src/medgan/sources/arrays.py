"""Images in arrays: NPZ files in the layout of MedMNIST."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.files.digest import file_digest
from medgan.sources.files import given_path
from medgan.sources.raw import ImageRefused, Ints, Picture, Pixels
from medgan.sources.rows import PARTS

MAX_BYTES = 64 * 2**30  # largest unpacked size of a file that is loaded
MAX_RATIO = 100
"""Largest unpacked size as a multiple of the file, from SMALL bytes on; images compress to a tenth
at best, and a file that was made to fill the memory to a thousandth."""
SMALL = 2**27


@dataclass(frozen=True)
class ArrayImages:
    """Images in memory, part by part; the path of an image is `part/index`."""

    name: str
    images: dict[str, Pixels]
    labels: dict[str, list[str]]
    checksum: str

    def rows(self) -> pd.DataFrame:
        """List the images: image_id, path, category_raw, split."""
        records = [
            (f"{part}/{index:06d}", label, part)
            for part, labels in self.labels.items()
            for index, label in enumerate(labels)
        ]
        rows = pd.DataFrame(records, columns=["path", "category_raw", "split"])
        return rows.assign(image_id=rows["path"])

    def read(self, path: str) -> Picture:
        """Return the image of a row."""
        part, _, index = path.partition("/")
        try:
            image: Pixels = self.images[part][int(index)]
        except (KeyError, ValueError, IndexError) as error:
            raise ImageRefused("UNREADABLE", "there is no such image in the file") from error
        return Picture(image if image.ndim == 3 else image[:, :, None])

    def fingerprint(self, path: str) -> str:
        """Name the content of the file and the place of the image in it."""
        return f"{self.checksum}/{path}"


@dataclass(frozen=True)
class NpzSource:
    """An NPZ file: {train,val,test}_images uint8 (n, H, W[, 3]), {train,val,test}_labels (n,)."""

    path: str | None = None
    names: dict[int, str] = field(default_factory=dict)
    """Number in the file -> label; a number without a name is its own label."""

    def open(self) -> ArrayImages:
        """Load the file. Raises `UserError` where it is missing, damaged or of another layout."""
        path = given_path(self.path, "the NPZ file")
        arrays = load_arrays(path)
        images = checked_images(arrays, path)
        labels = {
            part: [
                self.names.get(number, str(number))
                for number in checked_labels(arrays, part, path, 1)[:, 0].tolist()
            ]
            for part in images
        }
        return ArrayImages(path.stem, images, labels, file_digest(path))


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Load *_images and *_labels of an NPZ file, without pickles. Raises `UserError`."""
    if not path.is_file():
        raise UserError(f"{path} is a folder; give an NPZ file with --params source=PATH")
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
        if unpacked > MAX_BYTES:
            raise UserError(
                f"{path} would unpack to {unpacked >> 30} GiB, more than {MAX_BYTES >> 30}, "
                "and was not loaded; check where it came from"
            )
        if unpacked > max(SMALL, MAX_RATIO * path.stat().st_size):
            raise UserError(
                f"{path} would unpack to {unpacked >> 20} MiB, more than {MAX_RATIO} times its size, "
                "and was not loaded; check where it came from"
            )
        with np.load(path, allow_pickle=False) as file:
            return {
                name: file[name] for name in file.files if name.endswith(("_images", "_labels"))
            }
    except UserError:
        raise
    except Exception as error:  # a damaged archive raises nearly anything
        raise UserError(
            f"{path} cannot be read as an NPZ file ({type(error).__name__}): it is damaged or no "
            "NPZ; fetch it again"
        ) from error


def checked_images(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, Pixels]:
    """Return part -> images, uint8 (n, H, W[, 3]). Raises `UserError` for none or others."""
    found = {part: arrays.get(f"{part}_images", np.empty(0)) for part in PARTS}
    found = {part: images for part, images in found.items() if len(images)}
    if not found:
        raise UserError(
            f"{path} holds no images under train_images, val_images or test_images; "
            "give a file in the layout of MedMNIST"
        )
    for part, images in found.items():
        gray_or_rgb = images.ndim == 3 or (images.ndim == 4 and images.shape[3] in (1, 3))
        if images.dtype != np.uint8 or not gray_or_rgb:
            raise UserError(
                f"{part}_images in {path} is {images.dtype} {images.shape}; "
                "give uint8 (n, H, W) or (n, H, W, 3)"
            )
    return found


def checked_labels(
    arrays: Mapping[str, NDArray[Any]], part: str, path: Path, columns: int | None = None
) -> Ints:
    """Return the labels (n, K) of a part, K = `columns` where given. Raises `UserError`."""
    count = len(arrays[f"{part}_images"])
    labels = arrays.get(f"{part}_labels", np.empty(0))
    table = labels[:, None] if labels.ndim == 1 and columns == 1 else labels
    fits = table.ndim == 2 and len(table) == count and columns in (None, table.shape[1])
    if not fits or labels.dtype.kind not in "iub":
        what = "one whole number" if columns == 1 else "a row of whole numbers"
        raise UserError(
            f"{part}_labels in {path} is {labels.dtype} {labels.shape}; "
            f"it needs {what} for each of {count} images"
        )
    return table.astype(np.int64)
