"""Training as three pipelines share it: a job says what to train on what, `train` and `publish` do
it, whichever model it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.contracts import BatchSource, ImageSpec
from medgan.files.digest import digest
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.training.checkpoints import CheckpointFolder, TrainingState, Unchanged
from medgan.training.fit import Snapshot, finished, resumed
from medgan.training.progress import LiveView
from medgan.training.runtime import seeded
from medgan.training.settings import TrainingConfig
from medgan.training.validation import Judge, Selection

INTENDED_USE = "Research on medical images. Not a medical device: not for diagnosis or any decision about a patient."
LIMITS = (
    "It knows images like its training images: other scanners, hospitals, ages or diseases need a test of their own.",
    "Figures above that chose among the weights are no measure of them: results.json and the report have those on test images.",
    "Its training images may be recognisable in what it draws, and recoverable from its weights: share it as you would share them.",
)
CRITERIA = {"aucp": "AUCp", "val_auroc": "validation AUROC"}
LABELS_USED = {"aucp": "none", "val_auroc": "checkpoint"}
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
    """What the initial weights are seeded with besides `seed`: jobs with the same word start from
    the same weights.
    """
    judge: Judge | None = None
    """What chooses among the weights; None takes the last."""
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names the checkpoints by everything that decides the weights."""
        budget = {
            name: value for name, value in asdict(self.training).items() if name not in BOOKKEEPING
        }
        judged = [self.judge.criterion, dict(self.judge.about)] if self.judge else None
        return digest(
            [
                self.model,
                asdict(self.config),
                asdict(self.spec),
                budget,
                self.seed,
                self.data,
                self.initial,
                judged,
            ]
        )


@dataclass(frozen=True)
class SampleGrid:
    """What a generator drew at one step of its training, from the same latents as at every
    other.
    """

    step: int
    images: NDArray[np.uint8]
    """(n, H, W, C), at the size of the stored images."""


Outputs = tuple[TrainingState | Unchanged, list[dict[str, Any]], SampleGrid | Unchanged]


def train(job: TrainingJob, checkpoints: CheckpointFolder) -> Iterator[Outputs]:
    """Yields checkpoints (or UNCHANGED), rows of the curves, and sample grids (or UNCHANGED).

    The checkpoints that are handed in are those that it wrote itself: a killed training goes on
    from the last of them.
    """
    with seeded(job.seed, job.initial):
        model = models.load(job.model).build(job.config, job.spec)
    for state, rows, snapshot in resumed(
        model, job.batches, job.training, job.key, checkpoints, LiveView(job.name), job.judge
    ):
        yield state, rows, _grid(snapshot, job) if isinstance(snapshot, Snapshot) else snapshot


def _grid(snapshot: Snapshot, job: TrainingJob) -> SampleGrid:
    height, width = job.card.get("image_size", (job.spec.size, job.spec.size))
    return SampleGrid(snapshot.step, as_uint8(crop_padding(snapshot.images, height, width)))


def publish(job: TrainingJob, checkpoints: CheckpointFolder) -> PublishedModel:
    """The finished model with its card: the weights that the job's criterion chose, else the
    averaged ones, else the last.
    """
    state = finished(checkpoints, job.key, job.name)
    card = {
        "name": job.name,
        "medgan": __version__,
        "training": job.key,
        "data": job.data,
        "seed": job.seed,
        **job.card,
        "budget": asdict(job.training),
        **_choice(job, state),
        "intended_use": INTENDED_USE,
        "limits": LIMITS,
    }
    return PublishedModel(job.model, asdict(job.config), job.spec, state.weights(), card)


def _choice(job: TrainingJob, state: TrainingState) -> dict[str, Any]:
    """Which step is published, why, and what was seen at it."""
    selection = Selection.restored(None, state.notes.get("selection", {}), {})
    looks, planned = selection.looks, state.notes["planned_steps"]
    early = (
        f"; training stopped early, after {state.step} of {planned} steps"
        if state.step < planned
        else ""
    )
    kind = "averaged " if job.training.ema_decay else ""
    if selection.chosen is None or job.judge is None:
        step, why, labels = state.step, f"{kind}weights after the last step", "none"
        figures = looks[-1] if looks else {}
    else:
        figures = looks[selection.chosen]
        criterion = str(job.judge.criterion)
        step, labels = int(figures["step"]), LABELS_USED[criterion]
        judged = ", ".join(
            f"{value} {name.replace('_', ' ')}" for name, value in job.judge.about.items()
        )
        best = looks[int(selection.best or 0)]
        why = (
            f"{kind}weights of the latest look with {CRITERIA[criterion]} within one standard error of the best, "
            f"{best[criterion]:.3f} ± {best.get(f'{criterion}_se', 0.0):.3f} at step {best['step']:.0f} ({judged}){early}"
        )
    return {
        "published_step": step,
        "planned_steps": planned,
        "choice": why,
        "labels_used": labels,
        "figures": {name: value for name, value in figures.items() if name != "step"},
        "looks": looks,
    }
