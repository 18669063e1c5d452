"""A folder tree whose paths tell the fields of its images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pandas as pd

from medgan.errors import UserError, require
from medgan.sources.files import FileImages, given_path
from medgan.sources.forms import Text
from medgan.sources.listing import COPY, copies, find_images, idle
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.rows import (
    FIELDS,
    blank_to_none,
    exclude,
    known_fields,
    one_spelling,
    require_some,
    tidy,
)


@dataclass(frozen=True)
class FolderSource:
    """A folder tree whose paths tell the fields of its images."""

    path: str | None = None
    fields: dict[str, list[str]] = field(default_factory=lambda: {"category": [r"([^/]+)/[^/]+$"]})
    """Field -> regular expressions on the POSIX path below the folder; the value is group 1 of the
    first that matches. By default the label is the name of the image's folder."""
    values: dict[str, dict[Text, Text]] = field(default_factory=dict)
    """Field -> value in the path -> value here, such as `split: {valid: val}`."""
    leave_out: list[str] = field(default_factory=list)
    """Regular expressions on the path; files that match one are left out and counted."""
    leave_out_masks: bool = True
    """Whether files that look like masks or thumbnails of other images, by their names, are left
    out and counted."""
    leave_out_copies: bool = False
    """Whether files with the name and content of another are left out and counted."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)  # how files are decoded

    def open(self) -> FileImages:
        """List the folder. Raises `UserError` where it is missing or holds no images."""
        root = given_path(self.path, "the folder of images")
        patterns = compile_fields(self.fields)
        unread = sorted(self.values.keys() - self.fields)
        if unread:
            raise UserError(
                f"the source's `values` are about `{unread[0]}`, which its `fields` do not read; "
                f"choose from {', '.join(self.fields)}"
            )
        require(root.is_dir(), f"{root} is a file; give the folder that holds the images")
        found = find_images(root, self.leave_out, self.leave_out_masks).require_images(root)
        paths = found.images
        patterns = {name: _as_meant(compiled, paths) for name, compiled in patterns.items()}
        columns = {
            FIELDS[name]: [first_match(compiled, path) for path in paths]
            for name, compiled in patterns.items()
        }
        rows = pd.DataFrame({"image_id": paths, "path": paths, "category_raw": None} | columns)
        for column in rows.columns.difference(["image_id", "path", "category_raw"]):
            rows[column] = blank_to_none(rows[column])
        if self.leave_out_copies:
            rows = exclude(rows, rows["path"].isin(copies(root, paths)), COPY)
        rows["image_id"] = rows["image_id"].where(rows["image_id"].notna(), rows["path"])
        rows, spelled = one_spelling(tidy(rows, self.values))
        remarks = [*idle(self.leave_out, found), *spelled]
        origins = {name: _origin(compiled, paths) for name, compiled in patterns.items()}
        known = known_fields(require_some(rows, str(root)), origins)
        rows = pd.concat([rows, found.rows()], ignore_index=True)
        return FileImages(root.name, root, rows, self.reading, (*remarks, *known))


def compile_fields(fields: dict[str, list[str]]) -> dict[str, list[re.Pattern[str]]]:
    """Compile the patterns of fields. Raises `UserError` for unknown fields and bad patterns."""
    compiled = {}
    for name, patterns in fields.items():
        if name not in FIELDS:
            known = ", ".join(FIELDS)
            raise UserError(f"the source has an unknown field `{name}`; choose from {known}")
        try:
            compiled[name] = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            raise UserError(
                f"a pattern of the source's field `{name}` is no regular expression ({error}); "
                "correct it in the catalog"
            ) from error
        if any(pattern.groups < 1 for pattern in compiled[name]):
            raise UserError(
                f"a pattern of the source's field `{name}` has no (group); "
                "put the part that is its value in round brackets"
            )
    return compiled


def first_match(patterns: list[re.Pattern[str]], path: str) -> str | None:
    """Return group 1 of the first pattern that matches the path."""
    matches = (pattern.search(path) for pattern in patterns)
    return next((match.group(1) for match in matches if match), None)


def _as_meant(patterns: list[re.Pattern[str]], paths: list[str]) -> list[re.Pattern[str]]:
    """Read two backslashes as one where the patterns match no path as they are: in single quotes
    YAML leaves both, and then `\\\\d` is no digit.
    """
    once = [pattern.pattern.replace(r"\\", "\\") for pattern in patterns]
    if any(first_match(patterns, path) for path in paths) or not any(
        _matches(text, paths) for text in once
    ):
        return patterns
    return [re.compile(text) for text in once]


def _origin(patterns: list[re.Pattern[str]], paths: list[str]) -> str:
    """Describe the patterns of a field, and why they match nothing where that can be told."""
    texts = [pattern.pattern for pattern in patterns]
    words = f"its pattern{'s' if len(texts) > 1 else ''} {' and '.join(texts)}"
    if any(first_match(patterns, path) for path in paths):
        return words
    for text in texts:
        if _matches(f"(?i){text}", paths):
            return f"{words} (it matches with (?i) in front of it, where case does not count)"
    return words


def _matches(text: str, paths: list[str]) -> bool:
    """Return whether a pattern gives a value for any path."""
    try:
        return any(first_match([re.compile(text)], path) for path in paths)
    except (re.error, IndexError):  # no pattern, or one without a group
        return False
