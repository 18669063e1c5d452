"""Training jobs: what to train on which data, for models, classifier arms and feature networks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from medgan import __version__, models
from medgan.contracts import BatchSource, ImageSpec, ScoreChoice
from medgan.errors import UserError
from medgan.files.digest import digest
from medgan.images.transforms import as_uint8, crop_padding
from medgan.models import PublishedModel
from medgan.training.checkpoints import (
    MODEL,
    UNCHANGED,
    CheckpointFolder,
    TrainingState,
    Unchanged,
)
from medgan.training.crew import crew
from medgan.training.pretrained import GivenWeights, PretrainedWeights
from medgan.training.progress import LiveView
from medgan.training.runtime import Runtime, seeded
from medgan.training.settings import ComputeConfig, TrainingConfig
from medgan.training.stopping import Stop, StopNow
from medgan.training.validation import HeldOutMetrics, Selection
from medgan.training.workers import Workers
from medgan.words import NOT_A_MEDICAL_DEVICE

if TYPE_CHECKING:
    from torch import Tensor, nn

    from medgan.training.loop import Progress


LIMITS = (
    "It knows images like its training images: other scanners, hospitals, ages or diseases need a "
    "test of their own.",
    "The validation metrics above may have selected the weights and are no estimate of its "
    "performance: results.json and the report have the metrics on test images.",
    "Its training images may be recognizable in its samples, and recoverable from its weights: "
    "share it as you would share them.",
)
CRITERIA = {"aucp": "AUCp", "val_auroc": "validation AUROC"}
LABELS_USED = {"aucp": "none", "val_auroc": "checkpoint"}
BOOKKEEPING = {"checkpoint_every", "report_every", "epochs"}
"""Settings of a training that do not change its weights; epochs do as steps."""
SAVE_EVERY = 3.0
"""Seconds between two outputs without a checkpoint: curves stay live, and saves are few."""


@dataclass(frozen=True)
class TrainingJob:
    """One model, its training batches and its budget."""

    name: str
    """Namespace: a model, an arm, or the feature network."""
    model: str
    """Module of `medgan.models`."""
    config: Any
    """`Config` of that module."""
    spec: ImageSpec
    batches: BatchSource
    training: TrainingConfig
    seed: int
    data: str
    """Hash of the images, and of the rows, labels and augmentations of the batches."""
    initial: str = ""
    """Seeds the initial weights together with `seed`: equal values, equal initial weights."""
    held_out: HeldOutMetrics | None = None
    """Metrics that select the weights; None selects the last weights."""
    card: Mapping[str, Any] = field(default_factory=dict)
    """Entries of the model card."""
    choose_score: Callable[[nn.Module], ScoreChoice] | None = None
    """Chooses the weights of the components of the published detector's score."""
    pretrained: PretrainedWeights | None = None
    """Weights of the frozen network of a `contracts.Pretrained` model."""
    given: GivenWeights | None = None
    """Weights that are published in place of a training."""

    @property
    def key(self) -> str:
        """Hash of everything that determines the weights; names the checkpoints."""
        return digest(list(self.settings.values()))

    def build(self) -> nn.Module:
        """Build the untrained model; equal seeds, equal weights."""
        with seeded(self.seed, self.initial):
            model: nn.Module = models.load(self.model).build(self.config, self.spec)
        if self.pretrained is not None:
            model.load_pretrained(self.pretrained.read())  # type: ignore[operator]
        return model

    @property
    def settings(self) -> dict[str, Any]:
        """Everything that determines the weights, in the order in which the key is made of it."""
        budget = asdict(self.training)
        judge, frozen = self.held_out, self.pretrained
        return {
            "name": self.model,
            "model": asdict(self.config),
            "image": asdict(self.spec),
            "training": {
                name: value
                for name, value in budget.items()
                if name not in BOOKKEEPING and value is not None
            },
            "seed": self.seed,
            "data (images, splits, augmentations)": self.data,
            "initial": self.initial,
            "validation": [judge.criterion, dict(judge.about)] if judge else None,
            **({"pretrained": frozen.sha256} if frozen else {}),
            **({"given": self.given.sha256} if self.given else {}),
        }


@dataclass(frozen=True)
class SampleGrid:
    """Samples of a generator at one step, from the same latents at every step."""

    step: int
    images: NDArray[np.uint8]
    """(n, H, W, C), at the size of the stored images."""


class TrainingStep(NamedTuple):
    """What a training has to save."""

    state: TrainingState | Unchanged
    """A checkpoint."""
    rows: list[dict[str, Any]]
    """New rows of the curves."""
    grid: SampleGrid | Unchanged


@dataclass(frozen=True)
class HelpedTraining:
    """A training as its helpers are sent it: without what only the leader does."""

    job: TrainingJob
    state: TrainingState | None

    def help(self, workers: Workers) -> None:
        """Take part in all updates."""
        from medgan.training import loop

        job, runtime = self.job, Runtime.detect(self.job.training.precision, workers)
        for _ in loop.train(job.build(), job.batches, job.training, self.state, runtime):
            pass


def train(
    job: TrainingJob, checkpoints: CheckpointFolder, compute: ComputeConfig | None = None
) -> Iterator[TrainingStep]:
    """Train a model, or resume its training from the last checkpoint.

    Args:
        job: what to train on which data.
        checkpoints: of this training, whatever the number of its workers was.
        compute: on how many workers; one if not given.

    Yields:
        A step at each checkpoint and sample grid, and every few seconds in between. A finished
        training yields once, without anything to save.

    Raises:
        UserError: another training is half done, and has other settings.
        WorkerLost: a worker has ended before the training.
    """
    from medgan.training import loop

    state = checkpoints.latest(job.key)
    if state is not None and state.finished:
        yield TrainingStep(UNCHANGED, [], UNCHANGED)
        return
    if job.given is not None:
        yield TrainingStep(_given(job, job.given), [], UNCHANGED)
        return
    if state is None:
        checkpoints.require_no_other(job.name, job.settings)
    model, stop = job.build(), Stop()
    shared = compute if compute and model.stages() else ComputeConfig()  # type: ignore[operator]
    with crew(shared) as workers, stop.listening():
        if workers.share.count > 1:
            alone = replace(job, held_out=None, choose_score=None, card={})
            workers.told(HelpedTraining(alone, state))
        runtime = Runtime.detect(job.training.precision, workers)
        settings = job.batches, job.training, state, runtime
        try:
            yield from _saved(job, loop.train(model, *settings, job.held_out, stop), stop)
        except StopNow:
            stop.deliver()


def _given(job: TrainingJob, weights: GivenWeights) -> TrainingState:
    """The state of a training whose weights are given."""
    import torch

    with torch.device("meta"):
        expected = models.load(job.model).build(job.config, job.spec).state_dict()
    tensors = weights.read(job.name, {name: value.shape for name, value in expected.items()})
    return TrainingState(
        *(job.key, 0, True, {MODEL + name: value for name, value in tensors.items()}),
        {"planned_steps": 0, "given": weights.sha256},
        job.settings,
    )


def _saved(job: TrainingJob, reports: Iterator[Progress], stop: Stop) -> Iterator[TrainingStep]:
    """What is to be saved of the reports; ends after the checkpoint that a signal has asked for."""
    observe, rows, saved = LiveView(job.name), list[dict[str, Any]](), time.monotonic()
    for report in reports:
        observe(report)
        if report.terms:
            rows.append(_row(report))
        samples = report.validation.samples if report.validation else None
        state = report.state and replace(report.state, key=job.key, settings=job.settings)
        if state or samples is not None or time.monotonic() - saved > SAVE_EVERY:
            yield TrainingStep(
                state or UNCHANGED,
                rows,
                UNCHANGED if samples is None else _grid(report.step, samples, job),
            )
            rows, saved = [], time.monotonic()
        if state and stop.requested:
            stop.deliver()


def _row(report: Progress) -> dict[str, Any]:
    """Flatten a report to a row of the curves."""
    metrics = report.validation.metrics if report.validation else {}
    return {
        "step": report.step,
        "stage": report.stage,
        "images_per_second": report.images_per_second,
        **report.terms,
        **{f"validation/{name}": value for name, value in metrics.items()},
    }


def _grid(step: int, samples: Tensor, job: TrainingJob) -> SampleGrid:
    height, width = job.card.get("image_size", (job.spec.size, job.spec.size))
    return SampleGrid(step, as_uint8(crop_padding(samples, height, width)))


def publish(job: TrainingJob, checkpoints: CheckpointFolder) -> PublishedModel:
    """Return the trained model with its card.

    Its weights are those that the criterion selected, else the averaged ones, else the last.

    Raises:
        UserError: if the training was never started, or has not finished.
    """
    state = checkpoints.latest(job.key)
    if state is None or not state.finished:
        raise UserError(
            f"{job.name} is not trained for this configuration and data: `kedro run` trains it, or "
            "resumes its training."
        )
    card = {
        "name": job.name,
        "medgan": __version__,
        "training": job.key,
        "data": job.data,
        "seed": job.seed,
        **job.card,
        **({"given": job.given.sha256} if job.given else {"budget": asdict(job.training)}),
        **({"privacy": state.notes["privacy"]} if "privacy" in state.notes else {}),
        **_selected(job, state),
        "intended_use": NOT_A_MEDICAL_DEVICE,
        "limits": LIMITS,
    }
    published = PublishedModel(job.model, asdict(job.config), job.spec, state.weights(), card)
    return published if job.choose_score is None else _scored(published, job.choose_score)


def _scored(
    published: PublishedModel, choose: Callable[[nn.Module], ScoreChoice]
) -> PublishedModel:
    """Publish a detector with the score that validation chooses."""
    choice = choose(published.build().to(Runtime.detect().device))
    labels = "score" if choice.validation_auroc else published.card["labels_used"]
    card = {**published.card, "score": asdict(choice), "labels_used": labels}
    return replace(published, card=card, score_weights=choice.weights)


def _selected(job: TrainingJob, state: TrainingState) -> dict[str, Any]:
    """Describe the published step, the reason of its selection, and its metrics."""
    selection = Selection.restored(None, state.notes.get("selection", {}), {})
    validations, planned = selection.validations, state.notes["planned_steps"]
    weights = "averaged weights" if job.training.ema_decay else "weights"
    if "given" in state.notes:
        step, labels, metrics = state.step, "unknown: weights given", {}
        why = f"weights given, SHA-256 {state.notes['given'][:16]}"
    elif selection.chosen is None or job.held_out is None:
        step, labels = state.step, "none"
        metrics = validations[-1] if validations else {}
        why = f"{weights} after the last step"
    else:
        criterion, about = str(job.held_out.criterion), job.held_out.about
        metrics, best = validations[selection.chosen], validations[int(selection.best or 0)]
        step, labels = int(metrics["step"]), LABELS_USED[criterion]
        images = ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in about.items())
        why = (
            f"{weights} of the latest validation with {CRITERIA[criterion]} within one standard "
            f"error of their difference from the best, {best[criterion]:.3f} at step "
            f"{best['step']:.0f} ({images})"
        )
        if state.step < planned:
            why += f"; training stopped early, after {state.step} of {planned} steps"
    return {
        "published_step": step,
        "planned_steps": planned,
        "choice": why,
        "labels_used": labels,
        "figures": {name: value for name, value in metrics.items() if name != "step"},
        "looks": validations,
    }
