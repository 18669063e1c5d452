"""Images in files: a folder tree that says things by its names, or a CSV table beside a folder."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.images.paths import given_path
from medgan.images.reading import IMAGE_SUFFIXES, ImageRefused, read_image

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

    def read(self, path: str) -> NDArray[np.uint8]:
        """(H, W, C). Raises `ImageRefused`, also for a path that leads out of the root."""
        file = (self.root / path).resolve()
        if not file.is_relative_to(self.root):
            raise ImageRefused("OUTSIDE", "it leads out of the folder of the data set")
        return read_image(file)


def _walk(root: Path) -> Iterator[str]:
    """Relative POSIX paths of files that claim to be images. Hidden files and folders are passed over, links to folders not followed."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in IMAGE_SUFFIXES:
                yield (Path(folder) / name).relative_to(root).as_posix()


def _compiled(fields: dict[str, list[str]]) -> dict[str, list[re.Pattern[str]]]:
    strange = sorted(set(fields) - set(FIELDS))
    if strange:
        raise Refusal(f"the source has a field `{strange[0]}`, which no image has; choose from {', '.join(FIELDS)}")
    compiled = {}
    for name, patterns in fields.items():
        try:
            compiled[name] = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            raise Refusal(f"a pattern of the source's field `{name}` is no regular expression ({error}); mend it in the catalog") from error
        if any(pattern.groups < 1 for pattern in compiled[name]):
            raise Refusal(f"a pattern of the source's field `{name}` has no (group); put what it shall read in round brackets")
    return compiled


def _first_match(patterns: Iterable[re.Pattern[str]], path: str) -> str | None:
    matches = (pattern.search(path) for pattern in patterns)
    return next((match.group(1) for match in matches if match), None)


@dataclass(frozen=True)
class FolderSource:
    """A folder tree whose paths say what the images are."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    fields: dict[str, list[str]] = field(default_factory=lambda: {"category": [r"([^/]+)/[^/]+$"]})
    """Field -> regular expressions on the POSIX path relative to the folder; group 1 of the first that matches is its value.
    By default an image is labelled by the folder that it lies in."""

    def open(self) -> FileImages:
        """Lists the folder. Raises `Refusal` where it is missing or holds no images."""
        root = given_path(self.path, "the folder of images")
        patterns = _compiled(self.fields)
        paths = list(_walk(root)) if root.is_dir() else []
        if not paths:
            raise Refusal(
                f"{root} holds no images (JPEG, PNG, BMP or TIFF files); give the folder that holds them with --params source=PATH"
            )
        said = {FIELDS[name]: [_first_match(compiled, path) for path in paths] for name, compiled in patterns.items()}
        return FileImages(root.name, root, pd.DataFrame({"image_id": paths, "path": paths, "category_raw": None} | said))


@dataclass(frozen=True)
class CsvSource:
    """A CSV table with one row for each image, and the folder that the images lie in."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    columns: dict[str, str]
    """Field -> column of the table; `image_id` and `category` are needed."""
    path: str | None = None
    """The table, or the folder that holds it as `table`."""
    table: str = "metadata.csv"
    images: str = "images"
    """Folder of the images, relative to the table."""
    filename: str = "{image_id}.jpg"
    """File of an image in that folder."""

    def open(self) -> FileImages:
        """Reads the table. Raises `Refusal` where a file, a column or any image file is missing."""
        given = given_path(self.path, "the table of images")
        table = given / self.table if given.is_dir() else given
        read = _read_table(table)
        self._check_columns(read, table)
        rows = pd.DataFrame({FIELDS[name]: read[column] for name, column in self.columns.items()})
        rows["path"] = [f"{self.images}/{self.filename.format(image_id=image_id)}" for image_id in rows["image_id"]]
        _check_files(rows["path"].tolist(), table, self.images)
        return FileImages(table.parent.name, table.parent, rows)

    def _check_columns(self, read: pd.DataFrame, table: Path) -> None:
        wanted = {"image_id", "category"} | set(self.columns)
        strange = sorted(wanted - set(FIELDS)) + sorted(wanted - set(self.columns))
        if strange:
            raise Refusal(f"the source's `columns` are about {', '.join(FIELDS)}, and need image_id and category; look at `{strange[0]}`")
        missing = sorted(set(self.columns.values()) - set(read.columns))
        if missing:
            raise Refusal(f"{table} has no column `{missing[0]}`; it has {', '.join(map(str, read.columns))}: mend the source's `columns`")


def _read_table(table: Path) -> pd.DataFrame:
    if not table.is_file():
        raise Refusal(f"{table} does not exist; give the table or its folder with --params source=PATH")
    try:
        read = pd.read_csv(table, dtype=str)
    except (ValueError, OSError) as error:
        raise Refusal(f"{table} cannot be read as CSV ({type(error).__name__}); mend or replace it") from error
    if not len(read):
        raise Refusal(f"{table} lists no images; give a table with a row for each image")
    return read


def _check_files(paths: list[str], table: Path, images: str) -> None:
    there = set(_walk(table.parent / images))
    listed = {path.removeprefix(f"{images}/") for path in paths}
    missing, extra = sorted(listed - there), sorted(there - listed)
    if missing:
        raise Refusal(
            f"{len(missing)} of {len(listed)} images that {table} lists are missing in {images}/ (for example {missing[0]}), "
            f"and {len(extra)} files there are not listed; complete the folder, or mend the table or the source's `filename`"
        )
