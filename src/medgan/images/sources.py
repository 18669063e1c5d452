"""Where images come from. Every kind is a small configuration whose `open()` gives an `ImageSource`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.images.array_sources import NpzSource
from medgan.images.file_sources import CsvSource, FolderSource
from medgan.images.phantoms import PhantomSource


class ImageSource(Protocol):
    """Images that can be listed and read."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    def rows(self) -> pd.DataFrame:
        """One row for each image: image_id, path, category_raw, and where known group_id, split, sex, age, site, view, date."""
        ...

    def read(self, path: str) -> NDArray[np.uint8]:
        """The pixels of a row's path, (H, W, C) with C 1 or 3. Raises `reading.ImageRefused`; may be called from several threads."""
        ...


class SourceConfig(Protocol):
    """The configuration of one kind of source."""

    def open(self) -> ImageSource:
        """Raises `contracts.Refusal` where the data is missing or not of this kind."""
        ...


SOURCES: dict[str, type[SourceConfig]] = {"folder": FolderSource, "csv": CsvSource, "npz": NpzSource, "phantoms": PhantomSource}
"""Kind -> configuration class."""
