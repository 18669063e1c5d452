"""The data set's images at their source: read only, opened when a node asks for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset, DatasetError
from pydantic import TypeAdapter, ValidationError

from medgan.contracts import Refusal
from medgan.images.sources import SOURCES, ImageSource, SourceConfig


class ImageSourceDataset(AbstractDataset[None, ImageSource]):
    """A source of one of the kinds in `medgan.images.sources.SOURCES`.

    `location` is the path of the data, relative to the working directory. (Kedro makes keys named `path` relative to the project.)
    The other keys are those of the kind's configuration. Nothing is checked before `check()` or `load()`.
    """

    def __init__(self, kind: str, location: str | None = None, metadata: Mapping[str, Any] | None = None, **fields: Any) -> None:
        self.kind = kind
        self.location = location
        self.fields = fields
        self.metadata = dict(metadata or {})
        self._opened: ImageSource | None = None

    def check(self) -> SourceConfig:
        """The configuration, without touching the data. Raises `Refusal` for an unknown kind, key or value."""
        if self.kind not in SOURCES:
            raise Refusal(
                f"the catalog entry `source` is of the kind `{self.kind}`, which does not exist; choose from {', '.join(SOURCES)}"
            )
        try:
            return TypeAdapter(SOURCES[self.kind]).validate_python({"path": self.location, **self.fields})
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join(str(part) for part in first["loc"])
            raise Refusal(
                f"the catalog entry `source` (kind {self.kind}) has a wrong key or value at `{key}`: {first['msg'].lower()}"
            ) from None

    def load(self) -> ImageSource:
        """Opens the source, once in a run. Raises `Refusal` where the data is missing, damaged or of another kind."""
        if self._opened is None:
            self._opened = self.check().open()
        return self._opened

    def save(self, data: None) -> None:
        """Sources are never written."""
        raise DatasetError("an image source is read only")

    def _describe(self) -> dict[str, Any]:
        return {"kind": self.kind, "location": self.location, **self.fields}
