"""Files and folders that appear whole or not at all: written aside, flushed to the disk, then
renamed (fault F25).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A path to write to; it becomes `path` when the block ends without an exception, and vanishes
    otherwise.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        _publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to fill; it becomes `path`, in the place of what was there, when the block ends
    without an exception.

    A folder cannot take the place of another in one step: `recovered` puts the old one back where
    a process was killed between the two.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.", suffix=".partial"))
    old = _aside(path)
    try:
        yield temporary
        for file in temporary.rglob("*"):
            _flush(file)
        temporary.chmod(0o777 & ~_umask())
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            path.replace(old)
        temporary.replace(path)
        _flush(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def recovered(path: Path) -> Path:
    """The folder itself, put back first where a save was killed just after it was set aside."""
    old = _aside(path)
    if old.exists() and not path.exists():
        old.replace(path)
    return path


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.old")


def write_bytes(path: Path, data: bytes) -> None:
    """Replaces a file."""
    with new_file(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Replaces a text file, in UTF-8."""
    write_bytes(path, text.encode())


def _publish(temporary: Path, path: Path) -> None:
    temporary.chmod(0o666 & ~_umask())
    _flush(temporary)
    temporary.replace(path)
    _flush(path.parent)


def _flush(path: Path) -> None:
    """Flushes a file, or the entry of a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _umask() -> int:
    """The umask of this process: mkstemp ignores it, and what others shall read must not stay
    private.
    """
    current = os.umask(0o022)
    os.umask(current)
    return current
