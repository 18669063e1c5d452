"""Which files a table means, which of them are missing, and which files it does not know."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import pandas as pd

from medgan.contracts import Refusal
from medgan.images.files import walk
from medgan.images.records import exclude

ANYWHERE = "**"
"""As the folder of the images: anywhere below the table, found by their names."""
COPY = "a copy of another file (same name, same content)"


def copies(root: Path, paths: Iterable[str]) -> set[str]:
    """The paths whose files have the name and the content of a file that lies less deep, or is first in the alphabet."""
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
    """(name as a table writes it -> path below the root, paths of copies) of the image files in the folder `images`.

    In a folder a name is the path below it; ANYWHERE it is the file's own name. Raises `Refusal` where two files share one.
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
            raise Refusal(f"{named[name]} and {path} in {root} have one name and differ, so a table cannot tell them apart; rename one")
        named[name] = path
    return named, twice


def with_paths(rows: pd.DataFrame, names: list[str], root: Path, images: str) -> pd.DataFrame:
    """Rows with the path of each image, and a row with the reason of its exclusion for each file that is not listed."""
    named, twice = files_by_name(root, images)
    prefix = "" if images in (ANYWHERE, ".") else f"{images}/"
    listed = rows.assign(path=[named.get(name, f"{prefix}{name}") for name in names])
    unlisted = sorted({*named.values(), *twice} - set(listed["path"]))
    extra = pd.DataFrame({"path": unlisted}, dtype=object)
    extra = exclude(extra, [True] * len(extra), pd.Series([COPY if path in twice else "not listed" for path in unlisted], dtype=object))
    return pd.concat([exclude(listed, [False] * len(listed), ""), extra], ignore_index=True) if len(extra) else listed


def check_missing(rows: pd.DataFrame, root: Path, table: str, on_missing: str) -> pd.DataFrame:
    """Rows whose files are all there, or the missing ones left out where `on_missing` says so.

    Raises:
        Refusal: files are missing; counts both what is listed and missing, and what is there and not listed.
    """
    reasons = rows.reindex(columns=["excluded"])["excluded"]
    missing = reasons.isna() & ~rows["path"].map(lambda path: (root / path).is_file()).astype(bool)
    if on_missing == "leave_out":
        return exclude(rows, missing, "listed, and its file is missing")
    if missing.any():
        raise Refusal(
            f"{int(missing.sum())} of {int(reasons.isna().sum())} images that {table} lists are missing "
            f"(for example {rows.loc[missing, 'path'].iloc[0]}), and {int((reasons == 'not listed').sum())} files there are not listed; "
            "complete the folder, mend the table or the source's `file`, or set its `on_missing` to leave_out"
        )
    return rows
