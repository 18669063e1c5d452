"""Unpack ZIP files that somebody else has made: no file outside, no link, no more than is allowed."""

from __future__ import annotations

import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from medgan.errors import UserError
from medgan.files.atomic import new_folder

CHUNK = 2**20


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
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError) as error:
        raise UserError(
            f"The ZIP file cannot be unpacked ({type(error).__name__}): it is damaged, encrypted, or "
            "no ZIP file."
        ) from error


def _unpacked(packed: zipfile.ZipFile, folder: Path, limits: Limits) -> int:
    files = [member for member in packed.infolist() if not member.is_dir()]
    if len(files) > limits.files:
        raise UserError(f"The ZIP file holds {len(files)} files, more than {limits.files}.")
    left = limits.unpacked
    for member in files:
        place = folder.joinpath(*_inside(member).parts)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            raise UserError(f"The ZIP file holds {member.filename!r} twice.")
        with packed.open(member) as source, place.open("wb") as target:
            while block := source.read(CHUNK):
                left -= len(block)
                if left < 0:
                    most = limits.unpacked >> 20
                    raise UserError(f"The ZIP file holds more than {most} MB when unpacked.")
                target.write(block)
    if not files:
        raise UserError("The ZIP file holds no files.")
    return len(files)


def _inside(member: zipfile.ZipInfo) -> PurePosixPath:
    """Return the path of a member. Raises `UserError` where it leads out, or is a link."""
    path = PurePosixPath(member.filename.replace("\\", "/"))
    unsafe = path.is_absolute() or ".." in path.parts or ":" in path.parts[0]
    if unsafe or stat.S_ISLNK(member.external_attr >> 16):
        raise UserError(
            f"The ZIP file holds {member.filename!r}, a link or a path that leads out of it."
        )
    return path
