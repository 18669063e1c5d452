"""Images that are files below one folder, or slices, frames and pages of such files."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import pandas as pd

from medgan.errors import UserError
from medgan.files.digest import digest, file_digest
from medgan.files.parallel import Recent, in_order, stamp
from medgan.sources.raw import ImageRefused, Picture
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import frames, read_picture
from medgan.sources.readers.dicom_metadata import secret
from medgan.sources.readers.formats import claims_to_be_image

NUMBER = re.compile(r"[0-9]{3,}")
THREADS = 8
PLUGINS = ("gdcm", "libjpeg", "openjpeg", "rle", "jpeg_ls")
"""Packages that decode compressed DICOM files: with another set, other files are readable."""
COPY = "a copy of another file (same name, same content)"  # reason for the exclusion of `copies`
VERSION = 1
"""Part of every fingerprint; raise it when the readers decode other pixels from the same file."""


class FileImages:
    """Images below a root folder; the path of a slice or frame is `FILE/NUMBER`."""

    def __init__(
        self, name: str, root: Path, table: pd.DataFrame, reading: ReadingConfig | None = None
    ) -> None:
        self.name = name
        self.root = root
        self._reading = reading or ReadingConfig()
        self._settings = _settings(self._reading)
        self._files = table
        self._rows: pd.DataFrame | None = None
        self._lock = threading.Lock()
        self._checksums: Recent[str] = Recent(THREADS)

    def rows(self) -> pd.DataFrame:
        """List the images: image_id, path (below the root), category_raw and optional fields.

        A volume or file of several frames has one row per image, with the columns volume (its file)
        and slice (its number). Only headers are read; a file with an unreadable header has one row.
        """
        with self._lock:
            if self._rows is None:
                self._rows = self._expanded()
        return self._rows.copy()

    def read(self, path: str) -> Picture:
        """Decode an image. Raises `ImageRefused`, also for a path that leads out of the root."""
        file, frame = self._place(path)
        return read_picture(file, frame, self._reading)

    def fingerprint(self, path: str) -> str:
        """Name file content, image number and reading settings. Raises `ImageRefused`."""
        file, frame = self._place(path)
        try:
            checksum = self._checksums.get(stamp(file), lambda: file_digest(file))
        except OSError as error:
            problem = f"it cannot be opened ({type(error).__name__})"
            raise ImageRefused("UNREADABLE", problem) from None
        return "/".join([checksum, *([] if frame is None else [str(frame)]), self._settings])

    def _expanded(self) -> pd.DataFrame:
        if self._reading.frames != "all" and self._reading.slices is None:
            return self._files
        numbers = list(in_order(self._numbers, self._files["path"], THREADS))
        if not any(numbers):
            return self._files
        slices = pd.Series([[f"{number:03d}" for number in found] for found in numbers])
        rows = self._files.assign(slice=slices.to_numpy()).explode("slice", ignore_index=True)
        inner = rows["slice"].notna()
        rows["slice"] = rows["slice"].astype(object).where(inner, None)
        rows["volume"] = rows["path"].astype(object).where(inner, None)
        for column in ("path", "image_id"):
            rows[column] = (rows[column] + "/" + rows["slice"]).where(inner, rows[column])
        return rows

    def _numbers(self, path: str) -> Sequence[int]:
        try:
            return frames(self._file(path), self._reading)
        except ImageRefused:
            return ()

    def _place(self, path: str) -> tuple[Path, int | None]:
        """Return the file of a row and the number of the image in it."""
        file, number = path.rpartition("/")[::2]
        if file and NUMBER.fullmatch(number) and self._file(file).is_file():
            return self._file(file), int(number)
        return self._file(path), None

    def _file(self, path: str) -> Path:
        try:
            file = (self.root / path).resolve()
            inside = file.is_relative_to(self.root)
            regular = not file.exists() or file.is_file() or file.is_dir()
        except (OSError, RuntimeError, ValueError):  # a link to itself, a long name, a null byte
            raise ImageRefused("UNREADABLE", "its name or its link leads nowhere") from None
        if not inside:
            raise ImageRefused("OUTSIDE", "it leads out of the folder of the data set")
        if not regular:
            raise ImageRefused("UNREADABLE", "it is a device or a pipe, not a file")
        return file


def _settings(reading: ReadingConfig) -> str:
    """Name how files are read, including the key of the pseudonyms."""
    plugins = [name for name in PLUGINS if importlib.util.find_spec(name)]
    return digest([VERSION, plugins, asdict(reading) | {"pseudonym_key": secret(reading)}])


def walk(root: Path) -> Iterator[str]:
    """Iterate over files that claim to be images, as POSIX paths below the root, sorted by folder.

    Skips hidden files and linked folders. Raises `UserError` for a name that is not UTF-8.
    """
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in sorted(files):
            path = Path(folder) / name
            if name.startswith(".") or not claims_to_be_image(path):
                continue
            relative = path.relative_to(root).as_posix()
            try:
                relative.encode()
            except UnicodeEncodeError:
                problem = f"a file whose name is not UTF-8 ({relative!a})"
                raise UserError(f"{root} holds {problem}; rename it") from None
            yield relative


def copies(root: Path, paths: Iterable[str]) -> set[str]:
    """Find files with the name and content of another, which is higher up or earlier by name."""
    alike: dict[tuple[str, int], list[str]] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        alike.setdefault((PurePosixPath(path).name, (root / path).stat().st_size), []).append(path)
    found: set[str] = set()
    for group in (group for group in alike.values() if len(group) > 1):
        first: dict[str, str] = {}
        found |= {
            path for path in group if first.setdefault(file_digest(root / path), path) != path
        }
    return found


def given_path(path: str | None, what: str) -> Path:
    """Resolve an existing path that the user gave. Raises `UserError`."""
    if not path:
        raise UserError(f"no path was given for {what}; give it with --params source=PATH")
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(
            f"{found} does not exist; give the path to {what} with --params source=PATH, "
            "relative to the working directory"
        )
    return found.resolve()
