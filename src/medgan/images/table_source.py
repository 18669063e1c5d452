"""A table with a row for each image, beside the folder that the images lie in."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pandas as pd

from medgan.contracts import Refusal
from medgan.images.files import FIELDS, FileImages, walk
from medgan.images.paths import given_path
from medgan.images.readers.config import ReadingConfig


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
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """How its files become pictures."""

    def open(self) -> FileImages:
        """Reads the table. Raises `Refusal` where a file, a column or any image file is missing."""
        given = given_path(self.path, "the table of images")
        table = given / self.table if given.is_dir() else given
        read = _read_table(table)
        self._check_columns(read, table)
        rows = pd.DataFrame({FIELDS[name]: read[column] for name, column in self.columns.items()})
        rows["path"] = [f"{self.images}/{self.filename.format(image_id=image_id)}" for image_id in rows["image_id"]]
        _check_files(rows["path"].tolist(), table, self.images)
        return FileImages(table.parent.name, table.parent, rows, self.reading)

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
    there = set(walk(table.parent / images))
    listed = {path.removeprefix(f"{images}/") for path in paths}
    missing, extra = sorted(listed - there), sorted(there - listed)
    if missing:
        raise Refusal(
            f"{len(missing)} of {len(listed)} images that {table} lists are missing in {images}/ (for example {missing[0]}), "
            f"and {len(extra)} files there are not listed; complete the folder, or mend the table or the source's `filename`"
        )
