"""Read the files of a path as the source of the data set reads its own."""

from __future__ import annotations

import difflib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.files.names import printable
from medgan.files.parallel import in_order
from medgan.sources.files import FileImages
from medgan.sources.listing import HIDDEN, SYSTEM, Found
from medgan.sources.listing import find_images as list_folder
from medgan.sources.raw import ImageRefused
from medgan.sources.readers.config import ReadingConfig

Pixels = NDArray[np.uint8]
Prepare = Callable[[Pixels], Pixels]
UNSEEN = frozenset({HIDDEN, SYSTEM})
"""Reasons for which a file has no row of its own."""
Outside = Callable[[Pixels, Pixels], str]
"""Native and prepared pixels to why they are outside the domain, or an empty text."""


@dataclass(frozen=True)
class Entry:
    """One image: a file, or a slice or frame of one."""

    file: str
    """POSIX path relative to the folder that was given; the name of a single file."""
    number: str = ""
    """Number of the slice or frame in its file; empty where the file is one image."""

    @property
    def name(self) -> str:
        """Its name in the source and in messages."""
        return f"{self.file}/{self.number}" if self.number else self.file

    @property
    def shown(self) -> str:
        """Its file in results, which are UTF-8."""
        return printable(self.file)


@dataclass(frozen=True)
class Seen:
    """An entry after it was read: its pixels, or why there are none."""

    entry: Entry
    pixels: NDArray[np.uint8] | None = None
    """(h, w, C), prepared."""
    group: str = ""
    """Equal for images of one volume: its file, or a pseudonym of the DICOM series, which is never
    written.
    """
    code: str = ""
    message: str = ""
    outside: str = ""
    """Why it is outside the domain of the detector."""


@dataclass(frozen=True)
class NewImages:
    """The images at a path."""

    source: FileImages
    entries: list[Entry]
    left_out: Mapping[str, str]
    """Path of a file that is no image -> reason."""
    hidden: Sequence[str]
    """Paths of hidden files and folders, and of those of the system."""

    def batches(
        self, size: int, prepare: Prepare, outside: Outside | None = None
    ) -> Iterator[list[Seen]]:
        """Read every entry in order, several at a time, with few of them in memory."""
        seen = in_order(lambda entry: self._seen(entry, prepare, outside), self.entries)
        while batch := list(islice(seen, size)):
            yield batch

    def _seen(self, entry: Entry, prepare: Prepare, outside: Outside | None) -> Seen:
        volume = entry.shown if entry.number else ""
        try:
            image = self.source.read(entry.name)
            if image.pixels.min() == image.pixels.max():  # as ingestion does
                raise ImageRefused("CONSTANT", "all its pixels are equal")
            pixels = prepare(image.pixels)
            reason = outside(image.pixels, pixels) if outside else ""
        except ImageRefused as refused:
            message = printable(str(refused))
            return Seen(entry, group=volume, code=refused.code, message=message)
        group = volume or str(image.metadata.get("volume", ""))
        return Seen(entry, pixels, group, outside=reason)


def find_images(path: Path, reading: ReadingConfig) -> NewImages:
    """Find the image of a file, or of all files below a folder.

    The pseudonyms of DICOM series use a random key that is not kept, so that they cannot be
    compared with others.

    Raises:
        UserError: there is no such path, or no image in the folder.
    """
    return listed_images(*_files(path), reading)


def listed_images(root: Path, listed: Found, reading: ReadingConfig) -> NewImages:
    """Return the images of a listing of the folder `root`; nothing is looked up in the folder."""
    files = listed.images
    hidden = [name for name, reason in listed.left_out.items() if reason in UNSEEN]
    rows = pd.DataFrame({"image_id": files, "path": files}, dtype=object)
    private = replace(reading, pseudonym_key=secrets.token_hex(16))
    source = FileImages(root.name, root, rows, private)
    found = source.named_rows().reindex(columns=["path", "volume", "slice"])
    entries = [
        Entry(str(volume), number) if isinstance(number, str) else Entry(str(name))
        for name, volume, number in found.itertuples(index=False)
    ]
    left_out = {printable(name): why for name, why in listed.left_out.items()}
    others = {name: why for name, why in left_out.items() if why not in UNSEEN}
    return NewImages(source, entries, others, hidden)


def _files(path: Path) -> tuple[Path, Found]:
    """Return the folder that all paths are relative to, and what is in it."""
    if not path.exists():
        raise UserError(f"There is no file or folder '{path}': {_similar(path)}")
    found = path.resolve()
    if not found.is_dir():
        return found.parent, Found([found.name])
    files = list_folder(found, any_name=True)
    if not files.images:
        first = "; ".join(f"{name}: {why}" for name, why in list(files.left_out.items())[:3])
        raise UserError(
            f"{path} holds no images{f' ({first})' if first else ''}: give a folder with images, "
            "or one file (docs/formats.md)."
        )
    return found, files


def _similar(path: Path) -> str:
    beside = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f"did you mean '{path.parent / close[0]}'?" if close else "give one that exists."
