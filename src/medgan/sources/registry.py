"""Where images come from. Every kind is a small configuration whose `open()` gives an
`ImageSource`.
"""

from __future__ import annotations

from typing import Protocol

import pandas as pd

from medgan.sources.arrays import NpzSource
from medgan.sources.folder import FolderSource
from medgan.sources.medmnist import MedmnistSource
from medgan.sources.phantoms import PhantomSource
from medgan.sources.raw import Picture
from medgan.sources.table import CsvSource


class ImageSource(Protocol):
    """Images that can be listed and read."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def rows(self) -> pd.DataFrame:
        """One row for each image: image_id, path, category_raw, and where known group_id, split,
        sex, age, site, view, date.

        A text in `excluded` is the reason why an image is left out; it is missing, or the column
        is, for the images that are used.
        """
        ...

    def read(self, path: str) -> Picture:
        """The picture of a row's path. Raises `ImageRefused`; may be called from several
        threads.
        """
        ...

    def fingerprint(self, path: str) -> str:
        """Names the content that `read(path)` decodes, without decoding it: equal fingerprints read
        as equal pictures.

        Raises `ImageRefused`; may be called from several threads.
        """
        ...


class SourceConfig(Protocol):
    """The configuration of one kind of source."""

    def open(self) -> ImageSource:
        """Raises `contracts.UserError` where the data is missing or not of this kind."""
        ...


SOURCES: dict[str, type[SourceConfig]] = {
    "folder": FolderSource,
    "csv": CsvSource,
    "npz": NpzSource,
    "medmnist": MedmnistSource,
    "phantoms": PhantomSource,
}
"""Kind -> configuration class."""
