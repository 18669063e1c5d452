"""The image store as a catalog entry: written only when its images would change, and looked at in kedro-viz."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview
from PIL import Image

from medgan.catalog.files import LocalPath
from medgan.contracts import Refusal
from medgan.images.store import ImageStore, StorePlan, write_store

PREVIEW = (4, 8)
"""Rows and columns of the preview."""


class ImageStoreDataset(LocalPath, AbstractDataset[StorePlan, ImageStore]):
    """The folder of a `medgan.images.store.ImageStore`."""

    def __init__(self, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> ImageStore:
        """Opens the store. Raises `Refusal` where it is missing or damaged."""
        return ImageStore.open(self.path)

    def save(self, data: StorePlan) -> None:
        """Writes the planned images, unless the store on disk was made from the same images in the same way."""
        if not self._holds(data):
            write_store(self.path, data.images(), data.info)

    def _holds(self, plan: StorePlan) -> bool:
        try:
            return bool(plan.info.source_key) and ImageStore.open(self.path).info.source_key == plan.info.source_key
        except Refusal:
            return False

    def preview(self) -> ImagePreview:
        """A contact sheet of images spread over the store, as base64 PNG."""
        store = self.load()
        rows, columns = PREVIEW
        picked = store.read(np.linspace(0, len(store) - 1, rows * columns).astype(np.int64))
        height, width, channels = store.info.image_shape
        sheet = picked.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
        sheet = sheet.reshape(rows * height, columns * width, channels)
        buffer = io.BytesIO()
        Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet).save(buffer, format="PNG")
        return ImagePreview(base64.b64encode(buffer.getvalue()).decode())
