"""A published model of a project, and how new images are prepared for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medgan.errors import UserError
from medgan.images.config import PreprocessingConfig
from medgan.images.resizing import fit_square
from medgan.images.store import ImageStore, StoreInfo, padded_size
from medgan.images.transforms import prepare
from medgan.models import PublishedModel
from medgan.pipelines.preprocessing.nodes import store_key
from medgan.project.artifacts import Project
from medgan.project.environment import Environment
from medgan.sources.readers.config import ReadingConfig

PREPARATION = ("size", "channels", "intensity", "crop")


@dataclass(frozen=True)
class Published:
    """The newest version of a model."""

    dataset: str
    version: str
    """Name of its folder, a time."""
    published: PublishedModel
    store: ImageStore
    reading: ReadingConfig
    preprocessing: PreprocessingConfig

    def prepared(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Crop and resize an image (H, W, C) as the image store does."""
        info = self.store.info
        return fit_square(image, info.height, info.channels, self.preprocessing.crop)

    @property
    def preparation(self) -> dict[str, Any]:
        """Describe the preprocessing as JSON."""
        settings = asdict(self.preprocessing)
        intensity = {"intensity": str(self.preprocessing.scaling)}
        return {name: settings[name] for name in PREPARATION} | intensity


def network_inputs(pixels: NDArray[np.uint8], info: StoreInfo) -> Tensor:
    """Convert prepared images (n, h, w, C) to inputs (n, C, size, size) of a network."""
    size = padded_size(max(info.height, info.width))
    return prepare(torch.from_numpy(np.array(pixels)), info.scaling, size)


def load_published(
    project: Project, environment: Environment, name: str, command: str, others: Sequence[str]
) -> Mapping[str, Any]:
    """Load the newest version of a model: the fields of `Published`.

    A message names the command that trains it, and those of the others that are trained.

    Raises:
        UserError: the model is not trained, or the model, the stored images and the configuration
            do not belong to each other.
    """
    dataset = environment.dataset()
    if not project.trained(dataset, [name]):
        trained = ", ".join(project.trained(dataset, others))
        besides = f"; trained are {trained}" if trained else ""
        raise UserError(f"{name} is not trained on {dataset}: `{command}` trains it{besides}.")
    published, store = project.published(dataset, name), project.store(dataset)
    check_trained_on(published, store, command)
    preprocessing, manifest = environment.preprocessing(store.info), project.manifest(dataset)
    # The store names its crop in its key only.
    if manifest is not None and store.info.source_key not in (
        "",
        store_key(manifest, preprocessing, store.info.classes),
    ):
        raise environment.changed()
    return {
        "dataset": dataset,
        "version": project.version(dataset, name),
        "published": published,
        "store": store,
        "reading": environment.reading(),
        "preprocessing": preprocessing,
    }


def check_trained_on(model: PublishedModel, store: ImageStore, command: str) -> None:
    """Check that a model was trained on this image store.

    Raises:
        UserError: it was not, so its images were prepared differently.
    """
    if model.card.get("images") != store.key:
        raise UserError(
            f"The stored images have changed since {model.name} was trained: "
            f"`{command}` trains it on them."
        )
