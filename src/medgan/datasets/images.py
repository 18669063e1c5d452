"""Sources of images, masks, and the store of prepared images, which is written only when its images
would change.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import ImagePreview
from PIL import Image
from pydantic import ConfigDict, TypeAdapter, ValidationError

from medgan.datasets.base import LocalPath
from medgan.datasets.parts import png, preview_of, tiled_png
from medgan.errors import UserError
from medgan.images.masks import MaskFolder
from medgan.images.store import ImageStore, StorePlan, write_store
from medgan.sources.folder import FolderSource
from medgan.sources.medigan.packages import Home
from medgan.sources.neutral_ids import secret, stored_key
from medgan.sources.registry import SOURCES, ImageSource, SourceConfig
from medgan.sources.table import CsvSource

logger = logging.getLogger(__name__)
PREVIEW = 36
"""Images of the preview."""


class ImageStoreDataset(LocalPath, AbstractDataset[StorePlan, ImageStore]):
    """The folder of a `medgan.images.store.ImageStore`."""

    def load(self) -> ImageStore:
        """Opens the store, once its checksums are compared. Raises `UserError` where it is missing
        or damaged.
        """
        return ImageStore.open(self.path)

    def save(self, data: StorePlan) -> None:
        """Writes the planned images, unless the store on disk was made from the same images in the
        same way.
        """
        if not self._holds(data):
            write_store(self.path, data.images(), data.info)

    def _holds(self, plan: StorePlan) -> bool:
        try:
            return (
                bool(plan.info.source_key)
                and self.path.exists()
                and ImageStore.open(self.path).info.source_key == plan.info.source_key
            )
        except UserError as error:
            logger.warning("%s", error)
            return False

    def preview(self) -> ImagePreview:
        """A contact sheet of images spread over the store, as base64 PNG."""
        store = self.load()
        picked = np.linspace(0, len(store) - 1, PREVIEW).astype(np.int64)
        return preview_of(tiled_png(store.read(picked)))


class ImageSourceDataset(AbstractDataset[None, ImageSource]):
    """A source of one of the kinds in `medgan.sources.registry.SOURCES`.

    `location` is the path of the data, relative to the working directory. (Kedro makes keys named
    `path` relative to the project.) The other keys are those of the kind's configuration. Nothing
    is checked before `check()` or `load()`.
    """

    def __init__(
        self,
        kind: str,
        location: str | None = None,
        metadata: Mapping[str, object] | None = None,
        **fields: Any,
    ) -> None:
        self.kind = kind
        self.location = location
        self.fields = fields
        self.metadata = dict(metadata or {})
        self.key_file: Path | None = None
        """Key of the neutral ids of a run, where neither environment nor `reading` has one."""
        self._opened: ImageSource | None = None

    def check(self) -> SourceConfig:
        """The configuration, without touching the data. Raises `UserError` for an unknown kind, key
        or value.
        """
        if self.kind not in SOURCES:
            raise UserError(
                f"the catalog entry `source` is of the kind `{self.kind}`, which does not exist; choose from {', '.join(SOURCES)}"
            )
        kind: Any = SOURCES[self.kind]
        adapter: Any = TypeAdapter(dict[str, kind], config=ConfigDict(extra="forbid"))
        given = {"source": {"path": self.location, **self.fields}}
        try:
            checked: dict[str, SourceConfig] = adapter.validate_python(given)
            return checked["source"]
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(map(str, first["loc"][1:]))
            raise UserError(
                f"the catalog entry `source` (kind {self.kind}) has a wrong key or value at `{key}`: {first['msg'].lower()}"
            ) from None

    def load(self) -> ImageSource:
        """Opens the source, once in a run. Raises `UserError` where the data is missing, damaged or
        of another kind.
        """
        if self._opened is None:
            self._opened = self._keyed(self.check()).open()
        return self._opened

    def _keyed(self, config: SourceConfig) -> SourceConfig:
        """With the stored key in `reading`, where there is none: the one key of all pseudonyms."""
        if self.key_file is None or not isinstance(config, FolderSource | CsvSource):
            return config
        if secret(config.reading) is not None:
            return config
        key = stored_key(self.key_file)
        return replace(config, reading=replace(config.reading, pseudonym_key=key))

    def save(self, data: None) -> None:
        """Sources are never written."""
        raise DatasetError("an image source is read only")

    def _describe(self) -> dict[str, object]:
        return {"kind": self.kind, "location": self.location, **self.fields}


class MaskFolderDataset(AbstractDataset[None, "MaskFolder | None"]):
    """A folder of mask files, relative to the working directory; None where no `location` is
    given.
    """

    def __init__(
        self, location: str | None = None, metadata: Mapping[str, object] | None = None
    ) -> None:
        self.location = location
        self.metadata = dict(metadata or {})

    def load(self) -> MaskFolder | None:
        """Lists the folder. Raises `UserError` where it is missing or holds no masks."""
        return MaskFolder(Path(self.location).expanduser().resolve()) if self.location else None

    def save(self, data: None) -> None:
        """Masks at their source are never written."""
        raise DatasetError("a folder of masks is read only")

    def _describe(self) -> dict[str, object]:
        return {"location": self.location}


class MaskStoreDataset(ImageStoreDataset):
    """The store of masks, row by row beside that of the images; None where the data set has
    none.
    """

    def load(self) -> ImageStore | None:  # type: ignore[override]
        """Opens the store; an empty one is a data set without masks."""
        store = None if self.absent() else super().load()
        return store if store is not None and len(store) else None

    def preview(self) -> ImagePreview:
        """A contact sheet of masks, or one black pixel where there are none."""
        blank = Image.new("L", (1, 1))
        return preview_of(png(blank)) if self.load() is None else super().preview()


class MediganDataset(LocalPath, AbstractDataset[None, Home]):
    """Downloaded packages, their checksums, and the environment in which they run. Nothing has to
    exist: `medgan.sources.medigan.drawing.draw` fills it.
    """

    def load(self) -> Home:
        """Load the folder."""
        return Home(self.path)

    def save(self, data: None) -> None:
        """Refuse: packages are kept where they are used first."""
        raise DatasetError("packages of medigan are kept when they are used first")

    def _exists(self) -> bool:
        return True
