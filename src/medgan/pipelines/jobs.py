"""Training as three pipelines share it: a job says what to train on what, `train` and `publish` do it, whichever model it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from medgan import __version__, models
from medgan.contracts import BatchSource, ImageSpec
from medgan.images.store import ImageStore
from medgan.models import PublishedModel
from medgan.plots.curves import training_curves
from medgan.tracking.progress import ProgressBar
from medgan.training.checkpoints import CheckpointFolder
from medgan.training.seeding import digest, seeded
from medgan.training.settings import TrainingConfig
from medgan.training.streaming import Chunk, finished, resumed

INTENDED_USE = "Research on medical images. Not a medical device: not for diagnosis or any decision about a patient."
BOOKKEEPING = {"checkpoint_every", "report_every"}
"""Settings of a training that do not touch its weights."""


@dataclass(frozen=True)
class TrainingJob:
    """One model, the batches it learns from, and its budget."""

    name: str
    """The namespace: a model, an arm, or the feature network."""
    model: str
    """The module of `medgan.models`."""
    config: Any
    """That module's `Config`."""
    spec: ImageSpec
    batches: BatchSource
    training: TrainingConfig
    seed: int
    data: str
    """Hash of the images and of the rows, labels and augmentations that the batches are made of."""
    initial: str = ""
    """What the initial weights are seeded with besides `seed`: jobs with the same word start from the same weights."""
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the checkpoints by everything that decides the weights."""
        budget = {name: value for name, value in asdict(self.training).items() if name not in BOOKKEEPING}
        return digest([self.model, asdict(self.config), asdict(self.spec), budget, self.seed, self.data, self.initial])


def data_hash(images: ImageStore, splits: pd.DataFrame, *others: Any) -> str:
    """Names what a job learns from."""
    return digest([images.key, splits[["row", "split", "role", "category"]].astype(str).to_numpy().tolist(), *others])


def train(job: TrainingJob, checkpoints: CheckpointFolder) -> Iterator[Chunk]:
    """Yields checkpoints (or UNCHANGED) and rows of the curves.

    The checkpoints that are handed in are those that it wrote itself: a killed training goes on from the last of them.
    """
    with seeded(job.seed, job.initial):
        model = models.load(job.model).build(job.config, job.spec)
    yield from resumed(model, job.batches, job.training, job.key, checkpoints, ProgressBar(job.name))


def publish(job: TrainingJob, checkpoints: CheckpointFolder) -> PublishedModel:
    """The finished model with its card: the averaged weights where it keeps them, else the last; no choice is made on any label."""
    state = finished(checkpoints, job.key, job.name)
    card = {
        "name": job.name,
        "medgan": __version__,
        "training": job.key,
        "data": job.data,
        "steps": dict(job.training.steps),
        "published_step": state.step,
        "choice": f"{'averaged ' if job.training.ema_decay else ''}weights after the last step",
        "seed": job.seed,
        **job.card,
        "intended_use": INTENDED_USE,
    }
    return PublishedModel(job.model, asdict(job.config), job.spec, state.weights(), card)


def plot_curves(job: TrainingJob, curves: pd.DataFrame) -> Figure:
    """The losses of every player against the step."""
    return training_curves(curves, job.name)
