"""List a folder: every file below it is an image, or is left out for a reason."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import pandas as pd

from medgan.errors import UserError
from medgan.files.digest import file_digest
from medgan.sources.companions import companions
from medgan.sources.readers.formats import passed_over
from medgan.sources.rows import EXCLUDED, Remark

COPY = "a copy of another file (same name, same content)"
HIDDEN = "a hidden file or folder"
SYSTEM = "a file of the system"
LINK = "a linked folder (its files are read at their own place)"
CIRCLE = "a linked folder that leads back to itself"
SYSTEM_FILES = frozenset(("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"))
SYSTEM_FOLDERS = frozenset(
    ("__macosx", "@eadir", "$recycle.bin", "system volume information", "lost+found")
)
EXAMPLES = 3


@dataclass(frozen=True)
class Found:
    """The files below a folder, as POSIX paths relative to it."""

    images: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    """Path -> reason. A folder that is not entered ends with a slash."""

    def rows(self) -> pd.DataFrame:
        """Return a row of the source for each file that is left out."""
        rows = pd.DataFrame({"image_id": list(self.left_out)}, dtype=object)
        return rows.assign(path=rows["image_id"], **{EXCLUDED: list(self.left_out.values())})

    def require_images(self, root: Path) -> Found:
        """Return itself. Raises `UserError`, with what is there instead, for no images."""
        if self.images:
            return self
        others = ""
        if self.left_out:
            first = {reason: path for path, reason in reversed(self.left_out.items())}
            counts = Counter(self.left_out.values()).most_common(EXAMPLES)
            listed = "; ".join(f"{count} × {why}, {first[why]}" for why, count in counts)
            others = f" but {len(self.left_out)} other files ({listed})"
        raise UserError(
            f"{root} holds no images{others}; give the folder of JPEG, PNG, BMP, TIFF, DICOM, "
            "NIfTI, NPY or NPZ files"
        )


def find_images(root: Path, leave_out: Sequence[str] = (), guess: bool = False) -> Found:
    """List a folder.

    The name of an image file is believed until the file is read; of all others the first bytes
    decide. Linked files are listed; linked folders only where their content is not listed anyway.

    Args:
        root: the folder.
        leave_out: regular expressions on the path; files that match one are left out.
        guess: whether masks and thumbnails of other images are left out, by their names.

    Raises:
        UserError: a folder that cannot be entered, a name that is not UTF-8, or a wrong pattern.
    """
    found = _Walk(root, _compiled(leave_out)).run()
    others = companions(found.images) if guess else {}
    images = [path for path in found.images if path not in others]
    return Found(images, found.left_out | others)


def idle(patterns: Sequence[str], found: Found) -> list[Remark]:
    """Return a remark on each pattern of `leave_out` that matches nothing: it may be misspelt, and
    what it should leave out is read.
    """
    paths = [*found.images, *found.left_out]
    unused = [text for text in patterns if not any(re.search(text, path) for path in paths)]
    return [
        Remark("leave_out", 0, f"the pattern {text} of `leave_out` matches no file")
        for text in unused
    ]


def _compiled(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    try:
        return [re.compile(pattern) for pattern in patterns]
    except re.error as error:
        raise UserError(
            f"a pattern of the source's `leave_out` is no regular expression ({error}); "
            "correct it in the catalog"
        ) from error


@dataclass(frozen=True)
class _Folder:
    where: Path
    path: str  # below the root, with a slash at the end
    reason: str | None  # why everything in it is left out
    above: tuple[Path, ...]  # where it and its parents really are


class _Walk:
    def __init__(self, root: Path, patterns: list[re.Pattern[str]]) -> None:
        self.root = root.resolve()
        self.patterns = patterns
        self.found = Found()

    def run(self) -> Found:
        waiting = [_Folder(self.root, "", None, (self.root,))]
        while waiting:
            waiting += reversed(self._enter(waiting.pop()))
        return self.found

    def _enter(self, folder: _Folder) -> list[_Folder]:
        """List the files of a folder; return the folders in it."""
        try:
            entries = sorted(os.scandir(folder.where), key=lambda entry: entry.name)
        except OSError as error:
            reason = folder.reason or self._reason_by_name(folder.where.name, folder.path)
            if reason is None:
                raise UserError(
                    f"the folder {folder.where} cannot be entered ({type(error).__name__}); change "
                    "its permissions, or leave it out with the source's `leave_out`"
                ) from None
            self.found.left_out[folder.path] = reason
            return []
        folders = []
        for entry in entries:
            _check_name(entry.name, self.root, folder.path)
            path, where = folder.path + entry.name, Path(entry.path)
            if not _is_folder(entry):
                self._file(where, path, folder.reason)
                continue
            reason = folder.reason or _reason_of_folder(entry.name)
            target = where.resolve() if entry.is_symlink() else folder.above[-1] / entry.name
            if entry.is_symlink() and (reason := reason or self._of_link(target, folder.above)):
                self.found.left_out[f"{path}/"] = reason
                continue
            folders.append(_Folder(where, f"{path}/", reason, (*folder.above, target)))
        return folders

    def _file(self, file: Path, path: str, reason: str | None) -> None:
        reason = reason or self._reason_by_name(file.name, path) or passed_over(file)
        if reason is None:
            self.found.images.append(path)
        else:
            self.found.left_out[path] = reason

    def _of_link(self, target: Path, above: tuple[Path, ...]) -> str | None:
        """Return why a linked folder is not entered."""
        if target in above or self.root.is_relative_to(target):
            return CIRCLE
        outside = not above[-1].is_relative_to(self.root)
        return LINK if outside or self._is_listed(target) else None

    def _is_listed(self, folder: Path) -> bool:
        """Return whether a folder is below the root, and none of its parents is left out."""
        if not folder.is_relative_to(self.root):
            return False
        return not any(map(_reason_of_folder, folder.relative_to(self.root).parts))

    def _reason_by_name(self, name: str, path: str) -> str | None:
        if name.lower() in SYSTEM_FILES or name.startswith("._"):
            return SYSTEM
        if name.startswith("."):
            return HIDDEN
        matching = (pattern.pattern for pattern in self.patterns if pattern.search(path))
        return next((f"leave_out `{pattern}`" for pattern in matching), None)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _reason_of_folder(name: str) -> str | None:
    if name.lower() in SYSTEM_FOLDERS:
        return SYSTEM
    return HIDDEN if name.startswith(".") else None


def _check_name(name: str, root: Path, path: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        problem = f"a file whose name is not UTF-8 ({path + name!a})"
        raise UserError(f"{root} holds {problem}; rename it") from None


def copies(root: Path, paths: Iterable[str]) -> set[str]:
    """Find files with the name and content of another, which is higher up or earlier by name."""
    alike: dict[tuple[str, int], list[str]] = {}
    for path in sorted(paths, key=lambda path: (path.count("/"), path)):
        size = _size(root / path)
        if size is not None:
            alike.setdefault((PurePosixPath(path).name, size), []).append(path)
    found: set[str] = set()
    for group in (group for group in alike.values() if len(group) > 1):
        first: dict[str, str] = {}
        found |= {
            path for path in group if first.setdefault(file_digest(root / path), path) != path
        }
    return found


def _size(file: Path) -> int | None:
    """Return the bytes of a regular file that can be read."""
    readable = os.access(file, os.R_OK) and file.is_file()
    return file.stat().st_size if readable else None
