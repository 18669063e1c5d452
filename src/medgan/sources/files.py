"""Images that are files below one folder, or slices, frames and pages of such files."""

from __future__ import annotations

import importlib.util
import os
import re
import threading
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from medgan.errors import UserError
from medgan.files.digest import digest, file_digest
from medgan.files.parallel import Recent, in_order, stamp
from medgan.sources.listing import AS_PARAMETER
from medgan.sources.neutral_ids import PROCESS_KEY, neutral, secret
from medgan.sources.raw import ImageRefused, Picture
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import frames, read_picture
from medgan.sources.readers.formats import remedy_for
from medgan.sources.rows import Remark, exclusions

NUMBER = re.compile(r"[0-9]{3,}")
THREADS = 8
PLUGINS = ("gdcm", "libjpeg", "openjpeg", "rle", "jpeg_ls")
"""Packages that decode compressed DICOM files: with another set, other files are readable."""
VERSION = 5
"""Part of every fingerprint; raise it when the readers decode other pixels, or refuse other files."""


class FileImages:
    """Images below a root folder; the path of a slice or frame is `FILE/NUMBER`."""

    def __init__(
        self,
        name: str,
        root: Path,
        table: pd.DataFrame,
        reading: ReadingConfig | None = None,
        remarks: Sequence[Remark] = (),
    ) -> None:
        self.name = name
        self.root = root
        self.remarks = tuple(remarks)
        self._reading = reading or ReadingConfig()
        self._settings = _settings(self._reading)
        self._files = table
        self._rows: pd.DataFrame | None = None
        self._lock = threading.Lock()
        self._checksums: Recent[str] = Recent(THREADS)
        self.key = secret(self._reading)
        """Key of the neutral ids, PROCESS_KEY where it is None."""

    def rows(self) -> pd.DataFrame:
        """List the images: image_id, path (below the root), category_raw and optional fields.

        A volume or file of several frames has one row per image, with the columns volume (the id of
        its file) and slice (its number). Only headers are read; a file with an unreadable header
        has one row. Ids of images, volumes and patients are neutral: only `path` names the file.
        """
        return neutral(self.named_rows(), self.key or PROCESS_KEY)

    def named_rows(self) -> pd.DataFrame:
        """List the images as `rows` does, with the ids of the source and the path of a volume."""
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
        wanted = self._files["path"].where(exclusions(self._files).isna(), "")
        numbers = list(in_order(self._numbers, wanted, THREADS))
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
            return frames(self._file(path), self._reading) if path else ()
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
            raise ImageRefused("OUTSIDE", f"it leads out of {self.root.name}; copy it there")
        if not regular:
            raise ImageRefused("UNREADABLE", "it is a device or a pipe, not a file")
        return file


def _settings(reading: ReadingConfig) -> str:
    """Name how files are read, including the key of the pseudonyms."""
    plugins = [name for name in PLUGINS if importlib.util.find_spec(name)]
    return digest([VERSION, plugins, asdict(reading) | {"pseudonym_key": secret(reading)}])


def given_path(path: str | None, what: str, how: str = AS_PARAMETER) -> Path:
    """Resolve an existing path that the user gave; `how` says in errors how to give another one.

    Raises:
        UserError: no path, nothing there, or an archive (an NPZ file is none).
    """
    if not path:
        raise UserError(f"no path was given for {what}; give it {how}")
    found = Path(os.path.expanduser(path))  # noqa: PTH111  # an unknown ~user stays as it is
    if not found.exists():
        raise UserError(
            f"{found} does not exist; give the path to {what} {how}, relative to the working "
            "directory"
        )
    if remedy := remedy_for(found):
        raise UserError(f"{found} is {remedy}, and give {what} {how}")
    return found.resolve()
