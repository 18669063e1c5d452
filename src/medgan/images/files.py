"""Images that are files under one root, or slices, frames and pages of such files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from medgan.contracts import Refusal
from medgan.images.parallel import in_order
from medgan.images.picture import ImageRefused, Picture
from medgan.images.readers.config import ReadingConfig
from medgan.images.readers.formats import claims_to_be_image
from medgan.images.readers.pseudonyms import secret
from medgan.images.readers.reading import frames, read_picture
from medgan.images.readers.recent import Recent, stamp

FIELDS = {
    "category": "category_raw",
    "image_id": "image_id",
    **{name: name for name in ("group_id", "split", "sex", "age", "site", "view", "date")},
}
"""What a source may say of an image -> its column in `rows()`."""
NUMBER = re.compile(r"[0-9]{3,}")
THREADS = 8
PLUGINS = ("gdcm", "libjpeg", "openjpeg", "rle", "jpeg_ls")
"""Packages that decode compressed DICOM files. A file that was refused without one is another one with it."""
VERSION = 1
"""Raised when the readers give other pixels for the same file."""


class FileImages:
    """Images that are files under one root."""

    def __init__(self, name: str, root: Path, table: pd.DataFrame, reading: ReadingConfig | None = None) -> None:
        self.name = name
        self.root = root
        self._reading = reading or ReadingConfig()
        self._settings = _settings(self._reading)
        self._files = table
        self._rows: pd.DataFrame | None = None
        self._lock = threading.Lock()
        self._checksums: Recent[str] = Recent(THREADS)

    def rows(self) -> pd.DataFrame:
        """One row for each image: image_id, path (relative to the root), category_raw and what else is known.

        A volume or a file of several frames has one row for each image in it: its path is that of the file and a number, and it has the
        columns volume (the file) and slice (the number). Only headers are read. A file whose header cannot be read keeps one row.
        """
        with self._lock:
            if self._rows is None:
                self._rows = self._expanded()
        return self._rows.copy()

    def read(self, path: str) -> Picture:
        """The picture of a row. Raises `ImageRefused`, also for a path that leads out of the root."""
        file, frame = self._place(path)
        return read_picture(file, frame, self._reading)

    def fingerprint(self, path: str) -> str:
        """Names the content of the file, the place of the image in it, and how it is read. Raises `ImageRefused`."""
        file, frame = self._place(path)
        try:
            checksum = self._checksums.get(stamp(file), lambda: _checksum(file))
        except OSError as error:
            raise ImageRefused("UNREADABLE", f"it cannot be opened ({type(error).__name__})") from None
        return "/".join([checksum, *([] if frame is None else [str(frame)]), self._settings])

    def _expanded(self) -> pd.DataFrame:
        if self._reading.frames != "all" and self._reading.slices is None:
            return self._files
        numbers = list(in_order(self._numbers, self._files["path"], THREADS))
        if not any(numbers):
            return self._files
        counts = [max(len(those), 1) for those in numbers]
        rows = self._files.loc[self._files.index.repeat(counts)].reset_index(drop=True)
        rows["slice"] = pd.Series([text for those in numbers for text in _texts(those)], dtype=object)
        rows["volume"] = rows["path"].astype(object).where(rows["slice"].notna(), None)
        for column in ("path", "image_id"):
            rows[column] = (rows[column] + "/" + rows["slice"]).where(rows["slice"].notna(), rows[column])
        return rows

    def _numbers(self, path: str) -> Sequence[int]:
        try:
            return frames(self._file(path), self._reading)
        except ImageRefused:
            return ()

    def _place(self, path: str) -> tuple[Path, int | None]:
        """The file of a row, and the number of the image in it."""
        file, number = path.rpartition("/")[::2]
        if file and NUMBER.fullmatch(number) and self._file(file).is_file():
            return self._file(file), int(number)
        return self._file(path), None

    def _file(self, path: str) -> Path:
        try:
            file = (self.root / path).resolve()
            inside, regular = file.is_relative_to(self.root), not file.exists() or file.is_file() or file.is_dir()
        except (OSError, RuntimeError, ValueError):  # a link that leads to itself, a name that is too long, one with a null byte
            raise ImageRefused("UNREADABLE", "its name or its link leads nowhere") from None
        if not inside:
            raise ImageRefused("OUTSIDE", "it leads out of the folder of the data set")
        if not regular:
            raise ImageRefused("UNREADABLE", "it is no file but a device, or a pipe that would wait for ever")
        return file


def _texts(numbers: Sequence[int]) -> list[str | None]:
    return [f"{number:03d}" for number in numbers] if numbers else [None]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settings(reading: ReadingConfig) -> str:
    """Names how files are read, the key of the pseudonyms included."""
    plugins = [name for name in PLUGINS if importlib.util.find_spec(name)]
    said = repr((VERSION, plugins, sorted((asdict(reading) | {"pseudonym_key": secret(reading)}).items())))
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def walk(root: Path) -> Iterator[str]:
    """Relative POSIX paths of files that claim to be images. Hidden files and folders are passed over, links to folders not followed.

    Raises `Refusal` for a name that is no text: no table could hold it.
    """
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            path = Path(folder) / name
            if not name.startswith(".") and claims_to_be_image(path):
                yield _text(path.relative_to(root).as_posix(), root)


def _text(path: str, root: Path) -> str:
    try:
        path.encode()
    except UnicodeEncodeError:
        raise Refusal(f"{root} holds a file whose name is not UTF-8 ({path!a}); rename it") from None
    return path
