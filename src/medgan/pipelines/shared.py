"""Node functions that two or more pipelines share."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan import __version__
from medgan.errors import ModelLeftOut
from medgan.evaluation.embeddings import described_images, features_of
from medgan.evaluation.protocol import EvaluationConfig
from medgan.evaluation.results import LeftOut
from medgan.files.digest import digest
from medgan.images.loading import StoredImages
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.pipelines.outputs import Arrays, Trained, Training
from medgan.plots.training import training_curves
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.job import TrainingJob, TrainingStep, publish, train
from medgan.training.runtime import Runtime
from medgan.training.settings import ComputeConfig

logger = logging.getLogger(__name__)
Plan = Callable[..., TrainingJob]
FORM = 3
"""Raised with every change in what is stored, so that older files are not misread."""


class Earlier(Protocol):
    """Outputs of the last run, read on demand."""

    def __call__(self, kind: str, model: str = "") -> Any | None:
        """Return an output of a model; None where there is none."""
        ...


def reused(
    earlier: Arrays | None, decided_by: list[Any], make: Callable[[], Mapping[str, Any]]
) -> Arrays:
    """Return the earlier arrays where nothing that decides them has changed, else new ones.

    Args:
        earlier: what the last run returned, or None.
        decided_by: JSON-like; the version of medgan is added.
        make: makes the arrays.

    Returns:
        The arrays, and `key`.
    """
    key = digest([FORM, *decided_by, __version__])
    if earlier is not None and str(earlier["key"]) == key:
        return earlier
    return {**make(), "key": np.array(key)}


def train_model(
    plan: Plan, name: str, earlier: Earlier, compute: ComputeConfig, *inputs: Any
) -> Iterator[TrainingStep]:
    """Train the job `plan(name, *inputs)`; resume an earlier training. Yield nothing for a model
    that is left out.
    """
    job = _planned(plan, name, *inputs)
    if isinstance(job, LeftOut):
        logger.warning("%s is left out: %s.", name, job.reason)
        return
    checkpoints: CheckpointFolder = earlier("training", name).checkpoints  # type: ignore[union-attr]
    yield from train(job, checkpoints, compute)


def publish_model(plan: Plan, name: str, training: Training, *inputs: Any) -> Trained | LeftOut:
    """Publish the selected weights of a finished training, with its curves."""
    job = _planned(plan, name, *inputs)
    if isinstance(job, LeftOut):
        return job
    curves = training_curves(training.curves, job.name)
    return Trained(publish(job, training.checkpoints), training.curves, curves, training.samples)


def _planned(plan: Plan, name: str, *inputs: Any) -> TrainingJob | LeftOut:
    """Plan a job; say why a model is left out that the data, or another model, is missing for."""
    missing = next((one for one in inputs if isinstance(one, LeftOut)), None)
    if missing is not None:
        return missing
    try:
        return plan(name, *inputs)
    except ModelLeftOut as error:
        return LeftOut(str(error))


@dataclass(frozen=True)
class EvaluationData:
    """Inputs of every evaluation of a detector."""

    images: ImageStore
    splits: pd.DataFrame
    config: EvaluationConfig
    seed: int

    def rows(self, *parts: str) -> pd.DataFrame:
        """image_id, split and row of the images of some parts of the split; no labels."""
        return self.splits.loc[self.splits["split"].isin(parts), ["image_id", "split", "row"]]


def embed(published: PublishedModel, data: EvaluationData, earlier: Arrays | None) -> Arrays:
    """Describe the images of `described_images` by a network; no label of validation or test is
    read.

    Returns:
        image_id (n,), features (n, D), key.
    """
    chosen = described_images(data.splits, data.config.category_images, data.seed)
    names, rows = chosen["image_id"].astype(str).tolist(), chosen["row"].to_numpy(dtype=np.int64)

    def make() -> dict[str, Any]:
        device = Runtime.detect().device
        network: Any = published.build().to(device)
        stored, size = StoredImages(data.images), data.config.batch_size
        features = features_of(network, stored, rows, names, size, str(device))
        return {"image_id": np.array(names), "features": features}

    decided_by = [published.key, data.images.key, names, rows.tolist()]
    return reused(earlier, ["features", *decided_by], make)


def of_images(arrays: Arrays, name: str, image_ids: Iterable[object]) -> NDArray[Any]:
    """Return the rows of an array that belong to these images; `image_id` names its rows."""
    places = pd.Index(arrays["image_id"].astype(str)).get_indexer(list(map(str, image_ids)))
    if (places < 0).any():
        raise KeyError(f"some of {len(places)} images are not in the array {name}")
    found: NDArray[Any] = arrays[name][places]
    return found
