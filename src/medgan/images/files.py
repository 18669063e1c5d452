"""Images that are files under one root."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from medgan.images.picture import ImageRefused, Picture
from medgan.images.reading import IMAGE_SUFFIXES, read_image

FIELDS = {
    "category": "category_raw",
    "image_id": "image_id",
    **{name: name for name in ("group_id", "split", "sex", "age", "site", "view", "date")},
}
"""What a source may say of an image -> its column in `rows()`."""


class FileImages:
    """Images that are files under one root."""

    def __init__(self, name: str, root: Path, table: pd.DataFrame) -> None:
        self.name = name
        self.root = root
        self._table = table

    def rows(self) -> pd.DataFrame:
        """One row for each image: image_id, path (relative to the root), category_raw and what else is known."""
        return self._table.copy()

    def read(self, path: str) -> Picture:
        """The picture of a row. Raises `ImageRefused`, also for a path that leads out of the root."""
        return Picture(read_image(self._file(path)))

    def fingerprint(self, path: str) -> str:
        """SHA-256 of the file's content. Raises `ImageRefused` where it cannot be read."""
        try:
            with self._file(path).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise ImageRefused("UNREADABLE", f"it cannot be opened ({type(error).__name__})") from error

    def _file(self, path: str) -> Path:
        file = (self.root / path).resolve()
        if not file.is_relative_to(self.root):
            raise ImageRefused("OUTSIDE", "it leads out of the folder of the data set")
        return file


def walk(root: Path) -> Iterator[str]:
    """Relative POSIX paths of files that claim to be images. Hidden files and folders are passed over, links to folders not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield (Path(folder) / name).relative_to(root).as_posix()
