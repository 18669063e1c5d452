"""Unpack ZIP files that somebody else has made: no file outside, no link, no more than is allowed."""

from __future__ import annotations

import errno
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from medgan.errors import UserError, disk_error
from medgan.files.atomic import new_folder

CHUNK = 2**20
SHOWN = 80
"""Characters of a name in a sentence."""
ENCRYPTED = 1
"""Bit of the flags of a member."""
READ = frozenset((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
"""Kinds of compression that are read; Python's readers of the others have no bound of memory."""
NO_FILE: Mapping[int | None, str] = {
    errno.EEXIST: "twice, or as a file and as a folder",
    errno.ENOTDIR: "twice, or as a file and as a folder",
    errno.ENAMETOOLONG: "with a name that is too long",
}
"""Number of the error with which a member cannot be made -> how the ZIP file holds it."""


@dataclass(frozen=True)
class Limits:
    """The most that is unpacked."""

    files: int = 20_000
    unpacked: int = 2 * 2**30
    """Bytes of all files together."""


def unpack(archive: IO[bytes], folder: Path, limits: Limits | None = None) -> int:
    """Unpack a ZIP file into a new folder, whole or not at all; return the number of files.

    The sizes that the archive declares are not believed: what is written is counted.

    Raises:
        UserError: the folder exists, or the file is no ZIP, damaged, encrypted, too large, or holds
            links or paths that lead out of the folder.
    """
    limits = limits or Limits()
    if folder.exists():
        raise UserError(f"{folder} exists already: choose another name, or delete it first.")
    try:
        with zipfile.ZipFile(archive) as packed, new_folder(folder) as made:
            return _unpacked(packed, made, limits)
    except Exception as error:  # of zipfile, zlib, bz2, lzma, struct: whatever damage makes of it
        if isinstance(error, UserError) or disk_error(error):
            raise
        raise UserError(
            f"The ZIP file cannot be unpacked ({type(error).__name__}): it is damaged, or no ZIP "
            "file."
        ) from error


def _unpacked(packed: zipfile.ZipFile, folder: Path, limits: Limits) -> int:
    files = [member for member in packed.infolist() if not member.is_dir()]
    if len(files) > limits.files:
        raise UserError(f"The ZIP file holds {len(files)} files, more than {limits.files}.")
    if any(member.flag_bits & ENCRYPTED for member in files):
        raise UserError("The ZIP file is encrypted: pack it again without a password.")
    if any(member.compress_type not in READ for member in files):
        raise UserError("The ZIP file is compressed by another method than deflate: pack it again.")
    left = limits.unpacked
    for member in files:
        with packed.open(member) as source, _new_file(folder, member) as target:
            while block := source.read(CHUNK):
                left -= len(block)
                if left < 0:
                    most = limits.unpacked >> 20
                    raise UserError(f"The ZIP file holds more than {most} MB when unpacked.")
                target.write(block)
    if not files:
        raise UserError("The ZIP file holds no files.")
    return len(files)


def _new_file(folder: Path, member: zipfile.ZipInfo) -> IO[bytes]:
    """Open the file of a member. Raises `UserError` where it cannot be made."""
    place = folder.joinpath(*_inside(member).parts)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        return place.open("xb")
    except OSError as error:
        if error.errno not in NO_FILE:
            raise
        name = member.filename[:SHOWN]
        raise UserError(f"The ZIP file holds {name!r} {NO_FILE[error.errno]}.") from error


def _inside(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member. Raises `UserError` where it leads out, or is a link."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    unsafe = path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])
    if unsafe or not path.parts or stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(
            f"The ZIP file holds {member.filename[:SHOWN]!r}, a link or a path that leads out of it."
        )
    return path
