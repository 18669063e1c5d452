"""Registry of image sources: each is a configuration whose `open()` returns an `ImageSource`."""

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
        """Name of the source in messages."""

    def rows(self) -> pd.DataFrame:
        """List the images: image_id, path, category_raw, optionally fields of `rows.FIELDS`, and
        `excluded`, the reason why an image is left out.
        """

    def read(self, path: str) -> Picture:
        """Decode the image of a row's path. Thread-safe. Raises `ImageRefused`."""

    def fingerprint(self, path: str) -> str:
        """Name the content that `read(path)` decodes, without decoding it. Thread-safe."""


class SourceConfig(Protocol):
    """Configuration of one type of source."""

    def open(self) -> ImageSource:
        """Open the source. Raises `UserError` where the data is missing or of another type."""


SOURCES: dict[str, type[SourceConfig]] = {
    "folder": FolderSource,
    "csv": CsvSource,
    "npz": NpzSource,
    "medmnist": MedmnistSource,
    "phantoms": PhantomSource,
}
"""Source type -> configuration class."""
