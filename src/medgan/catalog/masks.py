"""Masks in the catalog: the folder that a user has them in, and the store beside that of the images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview
from PIL import Image

from medgan.catalog.files import LocalPath
from medgan.catalog.image_store import ImageStoreDataset
from medgan.images.masks import MaskFolder
from medgan.images.store import ImageStore, StorePlan


class MaskFolderDataset(AbstractDataset[None, "MaskFolder | None"]):
    """A folder of mask files, relative to the working directory; None where no `location` is given."""

    def __init__(self, location: str | None = None, metadata: Mapping[str, Any] | None = None) -> None:
        self.location = location
        self.metadata = dict(metadata or {})

    def load(self) -> MaskFolder | None:
        """Lists the folder. Raises `Refusal` where it is missing or holds no masks."""
        return MaskFolder(Path(self.location).expanduser().resolve()) if self.location else None

    def save(self, data: None) -> None:
        """Masks at their source are never written."""
        raise DatasetError("a folder of masks is read only")

    def _describe(self) -> dict[str, Any]:
        return {"location": self.location}


class MaskStoreDataset(LocalPath, AbstractDataset[StorePlan, "ImageStore | None"]):
    """The store of masks, row by row beside that of the images; None where the data set has none."""

    def __init__(self, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)
        self._store = ImageStoreDataset(filepath)

    def load(self) -> ImageStore | None:
        """Opens the store; an empty one is a data set without masks."""
        if self.absent():
            return None
        store = self._store.load()
        return store if len(store) else None

    def save(self, data: StorePlan) -> None:
        """Writes the planned masks, unless those on disk were made from the same ones in the same way."""
        self._store.save(data)

    def preview(self) -> ImagePreview:
        """A contact sheet of masks, or one black pixel where there are none."""
        if self.load() is not None:
            return self._store.preview()
        buffer = io.BytesIO()
        Image.new("L", (1, 1)).save(buffer, format="PNG")
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode())
