"""Published models: versioned folders of weights and a card."""

from __future__ import annotations

import base64
import io
import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from kedro.io import AbstractDataset, AbstractVersionedDataset, DatasetError, Version
from kedro_datasets._typing import ImagePreview, JSONPreview
from PIL import Image

from medgan.datasets.base import LocalPath
from medgan.files.atomic import new_folder, write_bytes
from medgan.models import CARD, PublishedModel
from medgan.training.checkpoints import CheckpointFolder, TrainingState, Unchanged

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from medgan.training.job import SampleGrid


logger = logging.getLogger(__name__)
PAGE = "README.md"


class PublishedDataset(AbstractVersionedDataset[PublishedModel, PublishedModel]):
    """`<filepath>/<version>/<name>/` with weights, card and the card as a page; a new version only
    when the weights changed.
    """

    versioned = True

    def __init__(
        self,
        *,
        filepath: str,
        version: Version | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(PurePosixPath(filepath), version or Version(None, None))
        self.metadata = dict(metadata or {})

    @classmethod
    def _save_wrapper(cls, save_func: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        """Kedro warns where a save makes no new version; here that is the point."""
        wrapper: Callable[[Any, Any], None] = AbstractDataset._save_wrapper.__func__(cls, save_func)  # type: ignore[attr-defined]
        return wrapper

    def load(self) -> PublishedModel:
        """The newest version, or the one asked for. Raises `UserError` where it is damaged."""
        return PublishedModel.read(Path(self._get_load_path()))

    def save(self, data: PublishedModel) -> None:
        """Writes a new version, unless the newest one holds the same model."""
        self._clear_version_cache()
        if self._newest_key() == data.key:
            logger.debug("%s is published already", data.name)
            return
        with new_folder(Path(self._get_save_path())) as folder:
            data.write(folder)
            (folder / PAGE).write_text(page_of(data), encoding="utf-8")
        self._clear_version_cache()

    def preview(self) -> JSONPreview:
        """The card for kedro-viz."""
        return JSONPreview((Path(self._get_load_path()) / CARD).read_text(encoding="utf-8"))

    def _newest_key(self) -> str | None:
        if not self.exists():
            return None
        key: str = json.loads((Path(self._get_load_path()) / CARD).read_text(encoding="utf-8"))[
            "key"
        ]
        return key

    def _exists(self) -> bool:
        return (Path(self._get_load_path()) / CARD).exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "version": self._version}


class PublishedElsewhereDataset(LocalPath, AbstractDataset[None, "PublishedModel | None"]):
    """The newest version of a model that another data set published; None where there is none. Read
    only.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})

    def load(self) -> PublishedModel | None:
        """The model. Raises `UserError` where it is damaged."""
        there = PublishedDataset(filepath=self.path.as_posix())
        return there.load() if there.exists() else None

    def save(self, data: None) -> None:
        """Models of another data set are never written."""
        raise DatasetError("a model of another data set is read only")


def page_of(model: PublishedModel) -> str:
    """The card for a human reader, in Markdown."""
    card = dict(model.card)
    used, limits = card.pop("intended_use", ""), card.pop("limits", [])
    looks, figures = card.pop("looks", []), card.pop("figures", {})
    parts = [
        f"# {model.name}",
        used,
        "## Figures of the published step",
        _markdown_table(figures) or "None were taken: the weights are those after the last step.",
        "## Training",
        _markdown_table(card),
        "## Configuration",
        _markdown_table(
            {
                **model.configuration,
                "image": " x ".join(map(str, model.spec.shape)),
                "classes": ", ".join(model.spec.classes),
            }
        ),
        "## Looks at the training" if looks else "",
        "\n".join(["```", *(json.dumps(look) for look in looks), "```"]) if looks else "",
        "## Limits" if limits else "",
        "\n".join(f"- {limit}" for limit in limits),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_table(values: Mapping[str, Any]) -> str:
    rows = [
        f"| {name} | {value if isinstance(value, str | int | float) else json.dumps(value, default=str)} |"
        for name, value in values.items()
    ]
    return "\n".join(["| | |", "|---|---|", *rows]) if rows else ""


class CheckpointDataset(LocalPath, AbstractDataset["TrainingState | Unchanged", CheckpointFolder]):
    """The checkpoints of one model, in folders named by the hash of configuration and data.

    It loads as a handle, from which a training asks for the state that fits it; nothing has to
    exist for that.
    """

    def __init__(self, *, filepath: str, metadata: Mapping[str, Any] | None = None) -> None:
        super().__init__(filepath, {"optional": True, **(metadata or {})})

    def load(self) -> CheckpointFolder:
        """The folder; reading a state is left to the training that knows its key."""
        return CheckpointFolder(self.path)

    def save(self, data: TrainingState | Unchanged) -> None:
        """Writes a state, the last three kept; UNCHANGED writes nothing."""
        if isinstance(data, TrainingState):
            CheckpointFolder(self.path).write(data)

    def _exists(self) -> bool:
        return any(self.path.glob("*/step-*.safetensors"))


LEAST_SIDE = 64
"""Pixels of an image in a grid, at least: smaller ones are enlarged by a whole factor."""


class SnapshotsDataset(LocalPath, AbstractDataset["SampleGrid | Unchanged", "list[Path]"]):
    """A folder of `step-<number>.png`: the same latents at every look, so that one can watch a
    generator learn.

    A training that starts anew begins before all of them, so files from a new step on are dropped
    with its save.
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
        picture = (
            files[-1].read_bytes()
            if files
            else tiled_png(np.full((1, 8, 8, 1), 255, dtype=np.uint8))
        )
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
