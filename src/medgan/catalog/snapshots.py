"""Sample grids of a training, one file for each look."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from kedro.io import AbstractDataset
from kedro_datasets._typing import ImagePreview
from PIL import Image

from medgan.catalog.atomic import write_bytes
from medgan.catalog.files import LocalPath
from medgan.training.checkpoints import Unchanged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from medgan.pipelines.jobs import SampleGrid

LEAST_SIDE = 64
"""Pixels of an image in a grid, at least: smaller ones are enlarged by a whole factor."""


class SnapshotsDataset(LocalPath, AbstractDataset["SampleGrid | Unchanged", "list[Path]"]):
    """A folder of `step-<number>.png`: the same latents at every look, so that one can watch a generator learn.

    A training that starts anew begins before all of them, so files from a new step on are dropped with its save.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})

    def load(self) -> list[Path]:
        """The files, in the order of their steps."""
        return sorted(self.path.glob("step-*.png"))

    def save(self, data: SampleGrid | Unchanged) -> None:
        """Writes a grid; UNCHANGED writes nothing."""
        if isinstance(data, Unchanged):
            return
        new = self.file(data.step)
        for later in [path for path in self.load() if path >= new]:
            later.unlink()
        write_bytes(new, tiled_png(data.images))

    def file(self, step: int) -> Path:
        """Where the grid of a step lies."""
        return self.path / f"step-{step:08d}.png"

    def preview(self) -> ImagePreview:
        """The newest grid for kedro-viz, blank for a model that draws nothing."""
        files = self.load()
        picture = files[-1].read_bytes() if files else tiled_png(np.full((1, 8, 8, 1), 255, dtype=np.uint8))
        return ImagePreview(base64.b64encode(picture).decode())


def tiled_png(images: NDArray[np.uint8]) -> bytes:
    """(n, H, W, C) uint8 as one picture, eight in a row or fewer, a pixel between them."""
    count, height, width, channels = images.shape
    columns = min(8, math.ceil(math.sqrt(count)))
    rows = -(-count // columns)
    sheet = np.zeros((rows * (height + 1) - 1, columns * (width + 1) - 1, channels), dtype=np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * (height + 1), number % columns * (width + 1)
        sheet[top : top + height, left : left + width] = image
    factor = max(1, LEAST_SIDE // height)
    enlarged = sheet.repeat(factor, 0).repeat(factor, 1)
    buffer = io.BytesIO()
    Image.fromarray(enlarged.squeeze(-1) if channels == 1 else enlarged).save(buffer, format="PNG")
    return buffer.getvalue()
