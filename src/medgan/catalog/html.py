"""HTML pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import AbstractDataset

from medgan.catalog.atomic import write_text
from medgan.catalog.files import LocalPath


class HtmlDataset(LocalPath, AbstractDataset[str, "str | None"]):
    """One self-contained page."""

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)

    def load(self) -> str | None:
        """The page, or None where it is optional and absent."""
        return None if self.absent() else self.path.read_text(encoding="utf-8")

    def save(self, data: str) -> None:
        """Replaces the page."""
        write_text(self.path, data)
