"""Training and publishing one model. The same two functions serve all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from medgan import __version__, models
from medgan.images.loading import BatchStream, StoredImages
from medgan.images.splits import training_rows
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.plots.curves import training_curves
from medgan.tracking.progress import ProgressBar
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.seeding import digest, seeded
from medgan.training.settings import ModelSettings
from medgan.training.streaming import Chunk, finished, resumed

INTENDED_USE = "Research on medical images. Not a medical device: not for diagnosis or any decision about a patient."


def train_model(
    name: str, images: ImageStore, splits: pd.DataFrame, settings: ModelSettings[Any], seed: int, checkpoints: CheckpointFolder
) -> Iterator[Chunk]:
    """Trains a model on its part of the training split; yields checkpoints (or UNCHANGED) and rows of its curves.

    The checkpoints that are handed in are those it wrote itself: a killed training goes on from the last of them.
    """
    module = models.load(name)
    chosen = training_rows(splits, module.TRAINING_SET, images.spec.classes)
    batches = BatchStream(StoredImages(images), chosen.rows, seed, chosen.labels, chosen.unlabelled_rows)
    with seeded(seed, name):
        model = module.build(settings.model, images.spec)
    key = _training_key(name, images, splits, settings, seed)
    yield from resumed(model, batches, settings.training, key, checkpoints, ProgressBar(name))


def publish_model(
    name: str, images: ImageStore, splits: pd.DataFrame, settings: ModelSettings[Any], seed: int, checkpoints: CheckpointFolder
) -> PublishedModel:
    """The finished model with its card: the averaged weights where it keeps them, else the last; no choice is made on any label."""
    key = _training_key(name, images, splits, settings, seed)
    state = finished(checkpoints, key, name)
    training_set = models.load(name).TRAINING_SET
    card = {
        "model": name,
        "medgan": __version__,
        "training": key,
        "images": images.key,
        "training_set": training_set.value,
        "training_images": len(training_rows(splits, training_set, images.spec.classes).rows),
        "steps": dict(settings.training.steps),
        "published_step": state.step,
        "choice": "averaged weights at the last step" if settings.training.ema_decay else "weights at the last step",
        "seed": seed,
        "intended_use": INTENDED_USE,
    }
    return PublishedModel(name, asdict(settings.model), images.spec, state.weights(), card)


def plot_curves(name: str, curves: pd.DataFrame) -> Figure:
    """The losses of every player against the step."""
    return training_curves(curves, name)


def _training_key(name: str, images: ImageStore, splits: pd.DataFrame, settings: ModelSettings[Any], seed: int) -> str:
    """Names a training by everything that decides its weights; where checkpoints fall and what is reported does not."""
    budget = {key: value for key, value in asdict(settings.training).items() if key not in {"checkpoint_every", "report_every"}}
    parts = splits[["row", "split", "role", "category"]].astype(str).to_numpy().tolist()
    return digest([name, images.key, digest(parts), asdict(settings.model), budget, seed])
