"""Find the files of a folder that a table or list names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from medgan.errors import UserError
from medgan.sources.companions import SUFFIX
from medgan.sources.dialects import read_lines
from medgan.sources.forms import plain
from medgan.sources.listing import BY_PATTERN, COPY, Found, copies, find_images, idle
from medgan.sources.rows import Remark

ANYWHERE = "**"  # as the folder of the images: anywhere below the table, found by file name


@dataclass(frozen=True)
class Place:
    """Where the images of a table are: a folder below `root`, or ANYWHERE below it."""

    root: Path
    images: str
    leave_out: Sequence[str] = ()

    def find(self) -> tuple[dict[str, str], dict[str, str], list[Remark]]:
        """Index the files: name -> path below the root of images, path -> reason of the others,
        and remarks.

        A name is the path below the folder, or, with ANYWHERE, the file name, which must be unique.
        Files that match `leave_out` have one too, since a table may list them.
        """
        anywhere = self.images == ANYWHERE
        folder = self.root if anywhere else self.root / self.images
        found = find_images(folder, self.leave_out) if folder.is_dir() else Found()
        left_out = {self.below(path): reason for path, reason in found.left_out.items()}
        by_pattern = [path for path, why in found.left_out.items() if why.startswith(BY_PATTERN)]
        remarks = idle(self.leave_out, found)
        if not anywhere:
            names = (*found.images, *by_pattern)
            return {name: self.below(name) for name in names}, left_out, remarks
        duplicates = copies(self.root, found.images)
        named: dict[str, str] = {}
        for path in found.images:
            name = PurePosixPath(path).name
            if path not in duplicates and named.setdefault(name, path) != path:
                raise UserError(
                    f"{named[name]} and {path} in {self.root} have one name and differ, so a table "
                    "cannot tell them apart; rename one, or leave one out with `leave_out`"
                )
        named = {PurePosixPath(path).name: path for path in by_pattern} | named
        return named, left_out | dict.fromkeys(duplicates, COPY), remarks

    def below(self, name: str) -> str:
        """Return the path below the root of a file in the folder."""
        return name if self.images in (ANYWHERE, ".") else f"{self.images}/{name}"


def locate(
    names: Sequence[str], named: Mapping[str, str], place: Place
) -> tuple[list[str], list[Remark]]:
    """Return the path of each name, also of names that are written otherwise than their files.

    Case, Unicode form, backslashes and a missing suffix do not count where one file fits. Where no
    name fits, folders in front of all of them are left out. Names without a file stay as they are.
    """
    found = _spelled(names, named)
    deepest = max((_key(name).count("/") for name in names), default=0)
    for folders in range(1, deepest + 1):
        if found:
            break
        shorter = {name: "/".join(_key(name).split("/")[folders:]) for name in names}
        of_shorter = _spelled(shorter.values(), named)
        longer = {name: of_shorter[short] for name, short in shorter.items() if short in of_shorter}
        found = longer if len(set(longer.values())) == len(longer) else {}
    otherwise = [name for name in names if name in found and name not in named]
    remarks = []
    if otherwise:
        text = (
            f"{len(otherwise)} names of files are written otherwise in the table (case, folders, "
            "backslashes, suffix) and were found"
        )
        remarks.append(Remark("file names", len(otherwise), text))
    return [found.get(name, place.below(name)) for name in names], remarks


def _spelled(names: Iterable[str], named: Mapping[str, str]) -> dict[str, str]:
    """Return name -> path: of the file of this very name, else of the only one that fits."""
    folded: dict[str, set[str]] = {}
    stems: dict[str, set[str]] = {}
    for name, path in named.items():
        folded.setdefault(_key(name), set()).add(path)
        stems.setdefault(SUFFIX.sub("", _key(name)), set()).add(path)
    found = {}
    for name in names:
        key = _key(name)
        fitting = {named[name]} if name in named else folded.get(key) or stems.get(key, set())
        if len(fitting) == 1:
            found[name] = next(iter(fitting))
    return found


def _key(name: str) -> str:
    parts = PurePosixPath(plain(name).replace("\\", "/")).parts
    return "/".join(part.strip() for part in parts if part not in (".", "/")).casefold()


def read_lists(folder: Path, lists: Mapping[str, str]) -> dict[str, str]:
    """Read one list of file names per part into file name -> part. Raises `UserError`."""
    parts: dict[str, str] = {}
    for part, name in lists.items():
        path = folder / name
        if not path.is_file():
            remedy = f"put the list of {part} images there, or drop `splits`"
            raise UserError(f"{path} does not exist; {remedy}")
        lines = read_lines(path)
        if not lines:
            raise UserError(f"{path} is empty; list the {part} images in it, or drop `splits`")
        for number, text in lines:
            if parts.setdefault(_file(text), part) != part:
                both = f"the list of {parts[_file(text)]} images and in {path} (line {number})"
                raise UserError(f"{text} is both in {both}; correct them")
    return parts


def parts_of(
    paths: Sequence[str], parts: Mapping[str, str]
) -> tuple[list[str | None], list[Remark]]:
    """Return the part of each path by its file name, or by its name without suffix, and a remark
    on names that no path has.

    Raises:
        UserError: paths are of some of the parts, and none of another one.
    """
    found = [parts.get(_file(path)) or parts.get(SUFFIX.sub("", _file(path))) for path in paths]
    for part in dict.fromkeys(parts.values()):
        if part not in found and any(found):
            example = next(name for name, other in parts.items() if other == part)
            raise UserError(
                f"the list of {part} images names no image of the data set (it has `{example}`, for "
                "example); correct the list, or drop it from `splits`"
            )
    named = {name for path in paths for name in (_file(path), SUFFIX.sub("", _file(path)))}
    absent = [name for name in parts if name not in named]
    text = f"{len(absent)} of {len(parts)} names in the official lists are of no image of the table"
    return found, [Remark("listed parts", len(absent), text)] if absent else []


def _file(path: str) -> str:
    return _key(path).rpartition("/")[2]
