"""The files of a user's path as images: read as the source of the data set reads its own."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import Refusal
from medgan.images.files import FileImages, walk
from medgan.images.parallel import in_order
from medgan.images.picture import ImageRefused
from medgan.images.readers.config import ReadingConfig
from medgan.scoring.preparing import not_constant

Prepare = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Entry:
    """One image: a file, or a slice or frame of one."""

    file: str
    """POSIX path relative to the folder that was given; the name of a single file."""
    number: str = ""
    """Of the slice or frame in its file; empty where the file is one image."""

    @property
    def name(self) -> str:
        """What the source and messages call it."""
        return f"{self.file}/{self.number}" if self.number else self.file


@dataclass(frozen=True)
class Seen:
    """An entry after it was read: its pixels, or why there are none."""

    entry: Entry
    pixels: NDArray[np.uint8] | None = None
    """(h, w, C), prepared."""
    group: str = ""
    """Equal for images of one volume: its file, or a pseudonym of the DICOM series, which is never written."""
    code: str = ""
    message: str = ""


@dataclass(frozen=True)
class NewImages:
    """What lies at a path."""

    source: FileImages
    entries: list[Entry]

    def read(self, prepare: Prepare) -> Iterator[Seen]:
        """Every entry in order, several read at a time, few of them in memory."""
        return in_order(lambda entry: self._seen(entry, prepare), self.entries)

    def _seen(self, entry: Entry, prepare: Prepare) -> Seen:
        try:
            picture = self.source.read(entry.name)
            pixels = prepare(not_constant(picture.pixels))
        except ImageRefused as refused:
            return Seen(entry, group=_file_volume(entry), code=refused.code, message=str(refused))
        return Seen(entry, pixels, _file_volume(entry) or str(picture.metadata.get("volume", "")))


def _file_volume(entry: Entry) -> str:
    return entry.file if entry.number else ""


def find_images(path: Path, reading: ReadingConfig) -> NewImages:
    """The images of a file, or of all files below a folder that claim to be images.

    DICOM series are told apart by pseudonyms of a key that is made up here and forgotten, so that none can be compared with others.

    Raises:
        Refusal: there is no such path, or no image in the folder.
    """
    root, files = _files(path)
    rows = pd.DataFrame({"image_id": files, "path": files}, dtype=object)
    source = FileImages(path.name, root, rows, replace(reading, pseudonym_key=secrets.token_hex(16)))
    return NewImages(source, [_entry(row) for row in source.rows().to_dict("records")])


def _entry(row: dict[Any, Any]) -> Entry:
    number = row.get("slice")
    return Entry(str(row["volume"]), str(number)) if isinstance(number, str) else Entry(str(row["path"]))


def _files(path: Path) -> tuple[Path, list[str]]:
    """The folder that all paths are relative to, and the paths."""
    if not path.exists():
        raise Refusal(f"There is no file or folder '{path}': {_similar(path)}")
    found = path.resolve()
    if not found.is_dir():
        _require_text(found.name)
        return found.parent, [found.name]
    files = list(walk(found))
    if not files:
        raise Refusal(
            f"{path} holds no images: files are found by their names (.png, .jpg, .dcm, .nii.gz and others, see docs/formats.md); "
            "give a folder with images, or one file."
        )
    return found, files


def _require_text(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise Refusal(f"The name of the file {name!a} is not UTF-8: rename it.") from None


def _similar(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "give one that exists."
