"""Figures: saved as PNG, loaded as its bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview

from medgan.catalog.atomic import write_bytes
from medgan.catalog.files import LocalPath

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class FigureDataset(LocalPath, AbstractDataset["Figure | bytes", "bytes | None"]):
    """A matplotlib figure as a PNG file; equal figures give equal files."""

    def __init__(self, *, filepath: str, dpi: int = 120, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)
        self.dpi = dpi

    def load(self) -> bytes | None:
        """The PNG file, or None where it is optional and absent."""
        return None if self.absent() else self.path.read_bytes()

    def save(self, data: Figure | bytes) -> None:
        """Renders and writes a figure; bytes are taken for a PNG file."""
        write_bytes(self.path, data if isinstance(data, bytes) else render(data, self.dpi))

    def preview(self) -> ImagePreview:
        """The picture for kedro-viz."""
        return ImagePreview(base64.b64encode(self.path.read_bytes()).decode())


def render(figure: Figure, dpi: int) -> bytes:
    """The PNG file of a figure, without the date and version that would make equal figures differ."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None})
    return buffer.getvalue()
