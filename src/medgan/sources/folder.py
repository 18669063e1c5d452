"""A folder tree whose paths tell the fields of its images."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from medgan.errors import UserError
from medgan.sources.files import COPY, FileImages, copies, given_path, walk
from medgan.sources.readers.config import ReadingConfig
from medgan.sources.rows import FIELDS, exclude, tidy


@dataclass(frozen=True)
class FolderSource:
    """A folder tree whose paths tell the fields of its images."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    fields: dict[str, list[str]] = field(default_factory=lambda: {"category": [r"([^/]+)/[^/]+$"]})
    """Field -> regular expressions on the POSIX path below the folder; the value is group 1 of the
    first that matches. By default the label is the name of the image's folder."""
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field -> value in the path -> value here, such as `split: {valid: val}`."""
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
        paths = list(walk(root)) if root.is_dir() else []
        if not paths:
            raise UserError(
                f"{root} holds no images (JPEG, PNG, BMP, TIFF, DICOM, NIfTI, NPY or NPZ files); "
                "give the folder that holds them with --params source=PATH"
            )
        columns = {
            FIELDS[name]: [first_match(compiled, path) for path in paths]
            for name, compiled in patterns.items()
        }
        rows = pd.DataFrame({"image_id": paths, "path": paths, "category_raw": None} | columns)
        if self.leave_out_copies:
            rows = exclude(rows, rows["path"].isin(copies(root, paths)), COPY)
        return FileImages(root.name, root, tidy(rows, self.values), self.reading)


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
