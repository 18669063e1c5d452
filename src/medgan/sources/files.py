"""Images that are files under one root, or slices, frames and pages of such files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from medgan.errors import UserError
from medgan.files.parallel import in_order
from medgan.sources.raw import ImageRefused, Picture
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.readers.decoding import Recent, claims_to_be_image, frames, read_picture, stamp
from medgan.sources.readers.dicom_metadata import secret

FIELDS = {
    "category": "category_raw",
    "image_id": "image_id",
    **{name: name for name in ("group_id", "split", "sex", "age", "site", "view", "date")},
}
"""What a source may say of an image -> its column in `rows()`."""
NUMBER = re.compile(r"[0-9]{3,}")
THREADS = 8
PLUGINS = ("gdcm", "libjpeg", "openjpeg", "rle", "jpeg_ls")
"""Packages that decode compressed DICOM files. A file that was refused without one is another one
with it.
"""
VERSION = 1
"""Raised when the readers give other pixels for the same file."""


class FileImages:
    """Images that are files under one root."""

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
        """One row for each image: image_id, path (relative to the root), category_raw and what else
        is known.

        A volume or a file of several frames has one row for each image in it: its path is that of
        the file and a number, and it has the columns volume (the file) and slice (the number). Only
        headers are read. A file whose header cannot be read keeps one row.
        """
        with self._lock:
            if self._rows is None:
                self._rows = self._expanded()
        return self._rows.copy()

    def read(self, path: str) -> Picture:
        """The picture of a row. Raises `ImageRefused`, also for a path that leads out of the
        root.
        """
        file, frame = self._place(path)
        return read_picture(file, frame, self._reading)

    def fingerprint(self, path: str) -> str:
        """Names the content of the file, the place of the image in it, and how it is read. Raises
        `ImageRefused`.
        """
        file, frame = self._place(path)
        try:
            checksum = self._checksums.get(stamp(file), lambda: _checksum(file))
        except OSError as error:
            raise ImageRefused(
                "UNREADABLE", f"it cannot be opened ({type(error).__name__})"
            ) from None
        return "/".join([checksum, *([] if frame is None else [str(frame)]), self._settings])

    def _expanded(self) -> pd.DataFrame:
        if self._reading.frames != "all" and self._reading.slices is None:
            return self._files
        numbers = list(in_order(self._numbers, self._files["path"], THREADS))
        if not any(numbers):
            return self._files
        counts = [max(len(those), 1) for those in numbers]
        rows = self._files.loc[self._files.index.repeat(counts)].reset_index(drop=True)
        rows["slice"] = pd.Series(
            [text for those in numbers for text in _texts(those)], dtype=object
        )
        rows["volume"] = rows["path"].astype(object).where(rows["slice"].notna(), None)
        for column in ("path", "image_id"):
            rows[column] = (rows[column] + "/" + rows["slice"]).where(
                rows["slice"].notna(), rows[column]
            )
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
            inside, regular = (
                file.is_relative_to(self.root),
                not file.exists() or file.is_file() or file.is_dir(),
            )
        except (
            OSError,
            RuntimeError,
            ValueError,
        ):  # a link that leads to itself, a name that is too long, one with a null byte
            raise ImageRefused("UNREADABLE", "its name or its link leads nowhere") from None
        if not inside:
            raise ImageRefused("OUTSIDE", "it leads out of the folder of the data set")
        if not regular:
            raise ImageRefused(
                "UNREADABLE", "it is no file but a device, or a pipe that would wait for ever"
            )
        return file


def _texts(numbers: Sequence[int]) -> list[str | None]:
    return [f"{number:03d}" for number in numbers] if numbers else [None]


def _checksum(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _settings(reading: ReadingConfig) -> str:
    """Names how files are read, the key of the pseudonyms included."""
    plugins = [name for name in PLUGINS if importlib.util.find_spec(name)]
    said = repr(
        (VERSION, plugins, sorted((asdict(reading) | {"pseudonym_key": secret(reading)}).items()))
    )
    return hashlib.sha256(said.encode()).hexdigest()[:16]


def walk(root: Path) -> Iterator[str]:
    """Relative POSIX paths of files that claim to be images. Hidden files and folders are passed
    over, links to folders not followed.

    Raises `UserError` for a name that is no text: no table could hold it.
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
        raise UserError(
            f"{root} holds a file whose name is not UTF-8 ({path!a}); rename it"
        ) from None
    return path


OLDEST = 120.0
"""Years; above it an age is a mistake of the record."""
EXCLUDED = "excluded"
"""Column of `rows()`: why an image is left out; missing for one that is used."""
BLANK = frozenset({"", "na", "n/a", "nan", "none", "null", "unknown"})
"""What records write, in any case, for something that they do not know."""
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
UNITS = {"": 1.0, "y": 1.0, "m": 1.0 / 12.0, "w": 7.0 / 365.25, "d": 1.0 / 365.25}
"""Letter after an age, as DICOM writes it -> years."""
_AGE = re.compile(r"(\d+(?:\.\d+)?) *([ymwd]?)", re.IGNORECASE)


def years(text: object) -> float | None:
    """An age in years from `58`, `58.0`, `058Y`, `006M`, `02W` or `3D`; None where it is something
    else or over OLDEST.
    """
    match = _AGE.fullmatch(str(text).strip())
    if match is None:
        return None
    age = float(match[1]) * UNITS[match[2].lower()]
    return age if age <= OLDEST else None


def sex(text: object) -> str | None:
    """F or M from `F`, `female`, `M`, `male` in any case; None where it is something else."""
    return SEXES.get(str(text).strip().lower())


_NOTATION = {"age": years, "sex": sex}
"""Column -> how its values are read."""


def tidy(rows: pd.DataFrame, values: Mapping[str, Mapping[str, str]]) -> pd.DataFrame:
    """Rows with their values renamed as `values` (column -> old -> new) says, and then ages in
    years and sexes as F and M.
    """
    tidied = rows.copy()
    for column, names in values.items():
        tidied[column] = tidied[column].map(lambda value, names=names: names.get(value, value))
    for column, read in _NOTATION.items():
        if column in tidied:
            tidied[column] = pd.Series(
                [read(value) for value in tidied[column]], index=tidied.index, dtype=object
            )
    return tidied


def known(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column with None for every value that says nothing (BLANK)."""
    text = column.astype(object)
    return text.where(text.notna() & ~text.astype(str).str.strip().str.lower().isin(BLANK), None)


def exclude(
    rows: pd.DataFrame, chosen: Sequence[bool] | pd.Series[Any], reasons: str | pd.Series[Any]
) -> pd.DataFrame:
    """Rows with a reason in EXCLUDED for the chosen ones; a reason that is there already stays."""
    before = rows.reindex(columns=[EXCLUDED])[EXCLUDED].astype(object)
    mask = pd.Series(chosen, index=rows.index, dtype=bool) & before.isna()
    return rows.assign(**{EXCLUDED: before.mask(mask, reasons)})


def require_some(rows: pd.DataFrame, what: str) -> pd.DataFrame:
    """The rows as they are. Raises `UserError` where every one is left out, with the counts of the
    reasons.
    """
    if EXCLUDED in rows and rows[EXCLUDED].notna().all():
        counts = ", ".join(
            f"{count} {reason}" for reason, count in rows[EXCLUDED].value_counts().items()
        )
        raise UserError(
            f"all {len(rows)} images of {what} are left out ({counts}); look at the source in the catalog"
        )
    return rows


ANYWHERE = "**"
"""As the folder of the images: anywhere below the table, found by their names."""
COPY = "a copy of another file (same name, same content)"


def copies(root: Path, paths: Iterable[str]) -> set[str]:
    """The paths whose files have the name and the content of a file that lies less deep, or is
    first in the alphabet.
    """
    alike: dict[tuple[str, int], list[str]] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        alike.setdefault((PurePosixPath(path).name, (root / path).stat().st_size), []).append(path)
    return {path for group in alike.values() if len(group) > 1 for path in _repeated(root, group)}


def _repeated(root: Path, paths: list[str]) -> list[str]:
    seen, found = set(), []
    for path in paths:
        with (root / path).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in seen:
            found.append(path)
        seen.add(digest)
    return found


def files_by_name(root: Path, images: str) -> tuple[dict[str, str], set[str]]:
    """(name as a table writes it -> path below the root, paths of copies) of the image files in the
    folder `images`.

    In a folder a name is the path below it; ANYWHERE it is the file's own name. Raises `UserError`
    where two files share one.
    """
    if images != ANYWHERE:
        prefix = "" if images == "." else f"{images}/"
        return {name: f"{prefix}{name}" for name in walk(root / images)}, set()
    paths = list(walk(root))
    twice = copies(root, paths)
    named: dict[str, str] = {}
    for path in (path for path in paths if path not in twice):
        name = PurePosixPath(path).name
        if name in named:
            raise UserError(
                f"{named[name]} and {path} in {root} have one name and differ, so a table cannot tell them apart; rename one"
            )
        named[name] = path
    return named, twice


def with_paths(rows: pd.DataFrame, names: list[str], root: Path, images: str) -> pd.DataFrame:
    """Rows with the path of each image, and a row with the reason of its exclusion for each file
    that is not listed.
    """
    named, twice = files_by_name(root, images)
    prefix = "" if images in (ANYWHERE, ".") else f"{images}/"
    listed = rows.assign(path=[named.get(name, f"{prefix}{name}") for name in names])
    unlisted = sorted({*named.values(), *twice} - set(listed["path"]))
    extra = pd.DataFrame({"path": unlisted}, dtype=object)
    extra = exclude(
        extra,
        [True] * len(extra),
        pd.Series([COPY if path in twice else "not listed" for path in unlisted], dtype=object),
    )
    return (
        pd.concat([exclude(listed, [False] * len(listed), ""), extra], ignore_index=True)
        if len(extra)
        else listed
    )


def check_missing(rows: pd.DataFrame, root: Path, table: str, on_missing: str) -> pd.DataFrame:
    """Rows whose files are all there, or the missing ones left out where `on_missing` says so.

    Raises:
        UserError: files are missing; counts both what is listed and missing, and what is there and
            not listed.
    """
    reasons = rows.reindex(columns=["excluded"])["excluded"]
    missing = reasons.isna() & ~rows["path"].map(lambda path: (root / path).is_file()).astype(bool)
    if on_missing == "leave_out":
        return exclude(rows, missing, "listed, and its file is missing")
    if missing.any():
        raise UserError(
            f"{int(missing.sum())} of {int(reasons.isna().sum())} images that {table} lists are missing "
            f"(for example {rows.loc[missing, 'path'].iloc[0]}), and {int((reasons == 'not listed').sum())} files there are not listed; "
            "complete the folder, mend the table or the source's `file`, or set its `on_missing` to leave_out"
        )
    return rows


def given_path(path: str | None, what: str) -> Path:
    """The existing file or folder that a user named, relative to the working directory. Raises
    `UserError`.
    """
    if not path:
        raise UserError(
            f"no path was given to {what}; say where the data is with --params source=PATH"
        )
    found = Path(path).expanduser()
    if not found.exists():
        raise UserError(
            f"{found} does not exist; give the path to {what} with --params source=PATH, relative to the working directory"
        )
    return found.resolve()
