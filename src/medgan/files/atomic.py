"""Files and folders that appear whole or not at all: written aside, flushed to the disk, renamed.

A killed writer leaves a hidden `.NAME.PID-*.partial`; `remove_leftovers` clears those of processes
that are gone. A writer that is asked to seal adds the checksums of `medgan.files.integrity`.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from medgan.files.integrity import MANIFEST, checksum_line, checksums_of, sidecar, summed
from medgan.files.processes import exists

_PARTIAL = re.compile(r"\..*\.(\d+)-[^.]*\.partial")
_ASIDE = re.compile(r"\.(.*)\.old")
_TRIES = 3
"""Times that a folder is put in its place: a reader may have put the old one back meanwhile."""


@contextmanager
def new_file(path: Path, sealed: bool = False) -> Iterator[Path]:
    """A path to write to; it becomes `path` when the block ends without an exception, and vanishes
    otherwise.

    Args:
        path: the file.
        sealed: write its checksum beside it. At any moment the checksum fits the file: while the
            file is replaced, the old and the new one are both listed.
    """
    with _scratch(path, _empty_file) as temporary:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        flush(temporary)
        if not sealed:
            _replace(temporary, path)
            return
        new = checksum_line(temporary, path.name)
        old = [line for line in checksums_of(path) if line != new]
        write_text(sidecar(path), "".join([new, *old]))
        _replace(temporary, path)
        if old:
            write_text(sidecar(path), new)


@contextmanager
def new_folder(path: Path, sealed: bool = False) -> Iterator[Path]:
    """A folder to fill; it becomes `path`, in the place of what was there, when the block ends
    without an exception.

    Args:
        path: the folder.
        sealed: write the checksums of its files into it.
    """
    with scratch_folder(path) as temporary:
        yield temporary
        if sealed:
            seal(temporary)
        publish_folder(temporary, path)


@contextmanager
def scratch_folder(path: Path) -> Iterator[Path]:
    """An empty folder beside `path`, removed at the end unless `publish_folder` has moved it."""
    with _scratch(path, tempfile.mkdtemp) as temporary:
        yield temporary


def seal(folder: Path) -> None:
    """Write the checksums of all files of a folder into it."""
    (folder / MANIFEST).write_text(summed(folder), encoding="utf-8")


def publish_folder(temporary: Path, path: Path) -> None:
    """Flush a folder to the disk, and rename it to `path`, in the place of what was there.

    A folder cannot take the place of another in one step: `recovered` puts the old one back where
    a process was killed between the two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    old = _aside(path)
    for file in temporary.rglob("*"):
        flush(file)
    temporary.chmod(0o777 & ~_umask())
    flush(temporary)
    for attempt in range(_TRIES):
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.replace(old)
        try:
            temporary.replace(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == _TRIES - 1:
                recovered(path)
                raise
        else:
            break
    flush(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def recovered(path: Path) -> Path:
    """The folder itself, put back first where a save was killed just after it was set aside."""
    old = _aside(path)
    if old.exists() and not path.exists():
        old.replace(path)
    return path


def remove_leftovers(folder: Path) -> None:
    """Remove what killed writers have left in a folder and below; put back what they set aside.

    Files of other processes that are alive stay. Nothing else may write there from this process.
    """
    for path in sorted(folder.rglob(".*"), reverse=True):
        if aside := _ASIDE.fullmatch(path.name):
            recovered(path.with_name(aside[1]))
        if not (aside or _abandoned(path)):
            continue
        _discard(path)
        if path.parent != folder:
            with suppress(OSError):  # not empty: more than a version that was never saved
                path.parent.rmdir()


def _abandoned(path: Path) -> bool:
    """Whether a hidden file is a write that nobody will finish, or the checksum of no file."""
    if partial := _PARTIAL.fullmatch(path.name):
        writer = int(partial[1])  # this process has no unfinished writes of its own
        return writer == os.getpid() or not exists(writer)
    name = path.name.removeprefix(".").removesuffix(".sha256")
    return path == sidecar(path.with_name(name)) and not path.with_name(name).exists()


def write_bytes(path: Path, data: bytes, sealed: bool = False) -> None:
    """Replace a file; see `new_file`."""
    with new_file(path, sealed) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str, sealed: bool = False) -> None:
    """Replace a text file, in UTF-8; see `new_file`."""
    write_bytes(path, text.encode(), sealed)


def remove(path: Path) -> None:
    """Delete a file, if it is there, and its checksum."""
    path.unlink(missing_ok=True)
    sidecar(path).unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Flush a file, or the entry of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _scratch(path: Path, make: Callable[..., str]) -> Iterator[Path]:
    """A new file or folder beside `path`, removed at the end if it is still there.

    Errors of the disk name `path`, not the scratch file, which nobody knows.
    """
    try:
        _make_folder(path.parent)
        prefix = f".{path.name}.{os.getpid()}-"
        temporary = Path(make(dir=path.parent, prefix=prefix, suffix=".partial"))
        try:
            yield temporary
        finally:
            _discard(temporary)
    except OSError as error:
        hidden = error.filename is None or ".partial" in str(error.filename)
        if error.errno is None or not hidden:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


def _make_folder(folder: Path) -> None:
    """Make a folder, unless it is there. Raises NotADirectoryError where a file is in its place."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        problem = os.strerror(errno.ENOTDIR)
        raise NotADirectoryError(errno.ENOTDIR, problem, str(folder)) from error


def _empty_file(**place: object) -> str:
    handle, name = tempfile.mkstemp(**place)  # type: ignore[call-overload]
    os.close(handle)
    return str(name)


def _replace(temporary: Path, path: Path) -> None:
    temporary.replace(path)
    flush(path.parent)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def _discard(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _umask() -> int:
    """The umask of this process: mkstemp ignores it, and what others shall read must not stay
    private.
    """
    current = os.umask(0o022)
    os.umask(current)
    return current
