"""Checksums of what the project writes, and the check that every reader makes.

A file `a.csv` has a hidden `.a.csv.sha256` beside it, a folder has a `SHA256SUMS` in it, both in
the format of `sha256sum`. What has no checksum (written by hand, or by an earlier version) is read
with a warning.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medgan.errors import UserError, chain, disk_error
from medgan.files.digest import file_digest

logger = logging.getLogger(__name__)
MANIFEST = "SHA256SUMS"
REMEDY = "`kedro run` makes it again"
LARGE = 1 << 24
"""Bytes from which a file is hashed once in a process, as long as its stamp stays the same."""
TRIES = 3
"""Times that a file is compared before it counts as damaged: a run may be replacing it."""
_LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")
_known: dict[tuple[str, int, int, int, int], str] = {}
_warned: set[Path] = set()


class DamagedFile(UserError):
    """A file is not what was written, or cannot be read as what it should be."""

    def __init__(self, path: Path | str, problem: str, remedy: str = REMEDY) -> None:
        self.path, self.problem = path, problem
        super().__init__(self.told(remedy))

    def told(self, consequence: str) -> str:
        """Return the sentence with a remedy, or with what a run does about it."""
        return f"{self.path} is damaged ({self.problem}): {consequence}."


def sidecar(path: Path) -> Path:
    """Where the checksum of a file lies."""
    return path.with_name(f".{path.name}.sha256")


def checksum_line(path: Path, name: str) -> str:
    """Compute the line of a file for a list of checksums."""
    return f"{file_digest(path)}  {name}\n"


def checksums_of(path: Path) -> list[str]:
    """Read the lines beside a file; none where there are none, or no sound ones."""
    try:
        return [f"{value}  {name}\n" for value, name in _entries(sidecar(path))]
    except (OSError, DamagedFile):
        return []


def summed(folder: Path) -> str:
    """Compute the checksums of all files of a folder, in the order of their names."""
    return "".join(checksum_line(path, _relative(path, folder)) for path in _files(folder))


@contextmanager
def reading(path: Path, remedy: str = REMEDY, local: bool = True) -> Iterator[None]:
    """Check a file or folder before the block reads it; name it where the block cannot.

    Args:
        path: what is read.
        remedy: how it is made again, the end of the sentence.
        local: whether it lies on this machine; elsewhere only the block's own errors count.

    Raises:
        DamagedFile: its checksum differs, or the block raises anything but an error of the disk.
    """
    try:
        if local:
            require_intact(path)
        yield
    except DamagedFile as error:
        raise DamagedFile(error.path, error.problem, remedy) from error
    except UserError:
        raise
    except Exception as error:
        if any(isinstance(link, UserError) or disk_error(link) for link in chain(error)):
            raise
        root = list(chain(error))[-1]
        named = f"{type(root).__name__} while reading it"
        problem = "it is not JSON" if isinstance(root, json.JSONDecodeError) else named
        raise DamagedFile(path, problem, remedy) from error


def intact(path: Path) -> bool:
    """Whether a file or folder is there and fits its checksums; False where it has none."""
    listed = path / MANIFEST if path.is_dir() else sidecar(path)
    try:
        require_intact(path)
    except DamagedFile:
        return False
    return path.exists() and listed.exists()


def require_intact(path: Path) -> None:
    """Compare a file or folder with its checksums; a missing one is left to whoever opens it.

    Raises:
        DamagedFile: they differ, or a file of a folder is missing or not listed.
    """
    for attempt in range(TRIES):
        try:
            _compare(path)
        except DamagedFile:
            if attempt == TRIES - 1:
                raise
        else:
            return


def _compare(path: Path) -> None:
    folder = path.is_dir()
    listed = path / MANIFEST if folder else sidecar(path)
    if not path.exists():
        return
    if not listed.exists():
        _warn(path)
    elif folder:
        _require_listed(path, _entries(listed))
    elif (_digest(path), path.name) not in _entries(listed):
        raise DamagedFile(path, f"it does not fit its checksum in {listed.name}")


def _warn(path: Path) -> None:
    if path not in _warned:
        _warned.add(path)
        logger.warning("%s has no checksum, so damage to it cannot be seen.", path)


def _require_listed(folder: Path, entries: list[tuple[str, str]]) -> None:
    for value, name in entries:
        if not (folder / name).is_file():
            raise DamagedFile(folder / name, "it is missing")
        if _digest(folder / name) != value:
            raise DamagedFile(folder / name, f"it does not fit its checksum in {MANIFEST}")
    strange = {_relative(file, folder) for file in _files(folder)} - {name for _, name in entries}
    if strange:
        raise DamagedFile(folder, f"{MANIFEST} does not list {min(strange)}")


def _entries(listed: Path) -> list[tuple[str, str]]:
    """Checksums and names in a list of checksums; none for a folder that has no files."""
    try:
        text = listed.read_bytes().decode()
    except UnicodeDecodeError as error:
        raise DamagedFile(listed, "it is no list of checksums") from error
    entries: list[tuple[str, str]] = _LINE.findall(text)
    if "".join(f"{value}  {name}\n" for value, name in entries) != text:
        raise DamagedFile(listed, "it is no list of checksums")
    return entries


def _digest(path: Path) -> str:
    """The checksum of a file; of a large one, that of an earlier call while the file stays."""
    state = path.stat()
    if state.st_size < LARGE:
        return file_digest(path)
    stamp = (str(path), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
    if stamp not in _known:
        _known[stamp] = file_digest(path)
    return _known[stamp]


def _files(folder: Path) -> list[Path]:
    """All files of a folder but hidden ones, which a file manager may have put there."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST and not path.name.startswith(".")
    )


def _relative(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
