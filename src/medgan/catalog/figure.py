"""Figures: saved as PNG, loaded as its bytes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview
from PIL import Image, UnidentifiedImageError

from medgan.catalog.atomic import write_bytes
from medgan.catalog.files import LocalPath
from medgan.plots.drawing import Drawing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KEY = "Key"
"""The text in a PNG file that names the drawing it shows."""


class FigureDataset(LocalPath, AbstractDataset["Figure | Drawing | bytes", "bytes | None"]):
    """A matplotlib figure as a PNG file; equal figures give equal files."""

    def __init__(self, *, filepath: str, dpi: int = 120, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, metadata)
        self.dpi = dpi

    def load(self) -> bytes | None:
        """The PNG file, or None where it is optional and absent."""
        return None if self.absent() else self.path.read_bytes()

    def save(self, data: Figure | Drawing | bytes) -> None:
        """Renders and writes a figure; bytes are taken for a PNG file. A drawing that the file shows already is not made again."""
        if isinstance(data, bytes):
            write_bytes(self.path, data)
        elif not isinstance(data, Drawing):
            write_bytes(self.path, render(data, self.dpi))
        elif shown_key(self.path) != (key := f"{data.key}-{self.dpi}"):
            write_bytes(self.path, render(data.draw(), self.dpi, key))

    def preview(self) -> ImagePreview:
        """The picture for kedro-viz."""
        return ImagePreview(base64.b64encode(self.path.read_bytes()).decode())


def render(figure: Figure, dpi: int, key: str | None = None) -> bytes:
    """The PNG file of a figure, without the date and version that would make equal figures differ."""
    buffer = io.BytesIO()
    named = {} if key is None else {KEY: key}
    figure.savefig(buffer, format="png", dpi=dpi, bbox_inches="tight", metadata={"Software": None, **named})
    return buffer.getvalue()


def shown_key(path: Path) -> str | None:
    """The key of the drawing that a whole PNG file shows; None where there is no such file or no key in it."""
    try:
        with Image.open(path) as picture:
            picture.verify()
            key = picture.info.get(KEY)
    except (OSError, SyntaxError, UnidentifiedImageError):
        return None
    return key if isinstance(key, str) else None
