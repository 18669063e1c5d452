"""A folder tree whose paths say what the images are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from medgan.errors import UserError
from medgan.sources.files import COPY, FIELDS, FileImages, copies, exclude, given_path, tidy, walk
from medgan.sources.readers.config import ReadingConfig


def _compiled(fields: dict[str, list[str]]) -> dict[str, list[re.Pattern[str]]]:
    strange = sorted(set(fields) - set(FIELDS))
    if strange:
        raise UserError(
            f"the source has a field `{strange[0]}`, which no image has; choose from {', '.join(FIELDS)}"
        )
    compiled = {}
    for name, patterns in fields.items():
        try:
            compiled[name] = [re.compile(pattern) for pattern in patterns]
        except re.error as error:
            raise UserError(
                f"a pattern of the source's field `{name}` is no regular expression ({error}); mend it in the catalog"
            ) from error
        if any(pattern.groups < 1 for pattern in compiled[name]):
            raise UserError(
                f"a pattern of the source's field `{name}` has no (group); put what it shall read in round brackets"
            )
    return compiled


def _first_match(patterns: Iterable[re.Pattern[str]], path: str) -> str | None:
    matches = (pattern.search(path) for pattern in patterns)
    return next((match.group(1) for match in matches if match), None)


@dataclass(frozen=True)
class FolderSource:
    """A folder tree whose paths say what the images are."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    path: str | None = None
    fields: dict[str, list[str]] = field(default_factory=lambda: {"category": [r"([^/]+)/[^/]+$"]})
    """Field -> regular expressions on the POSIX path relative to the folder; group 1 of the first
    that matches is its value.
    By default an image is labelled by the folder that it lies in."""
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    """Field -> value in the path -> value here, such as `split: {valid: val}`."""
    leave_out_copies: bool = False
    """Whether a file with the name and the content of another one is left out, and counted."""
    reading: ReadingConfig = field(default_factory=ReadingConfig)
    """How its files become pictures."""

    def open(self) -> FileImages:
        """Lists the folder. Raises `UserError` where it is missing or holds no images."""
        root = given_path(self.path, "the folder of images")
        patterns = _compiled(self.fields)
        paths = list(walk(root)) if root.is_dir() else []
        if not paths:
            raise UserError(
                f"{root} holds no images (JPEG, PNG, BMP, TIFF, DICOM, NIfTI, NPY or NPZ files); "
                "give the folder that holds them with --params source=PATH"
            )
        said = {
            FIELDS[name]: [_first_match(compiled, path) for path in paths]
            for name, compiled in patterns.items()
        }
        rows = pd.DataFrame({"image_id": paths, "path": paths, "category_raw": None} | said)
        if self.leave_out_copies:
            rows = exclude(rows, rows["path"].isin(copies(root, paths)), COPY)
        return FileImages(root.name, root, tidy(rows, self._values()), self.reading)

    def _values(self) -> dict[str, dict[str, str]]:
        strange = [name for name in self.values if name not in self.fields]
        if strange:
            raise UserError(
                f"the source's `values` are about `{strange[0]}`, which its `fields` do not read; choose from {', '.join(self.fields)}"
            )
        return {FIELDS[name]: names for name, names in self.values.items()}
