"""Training on images in memory: from Python, without Kedro, in one call."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from medgan.contracts import BatchSource
from medgan.errors import UserError
from medgan.images.loading import BatchStream, TensorImages
from medgan.training.checkpoints import UNCHANGED, CheckpointFolder, TrainingState, Unchanged
from medgan.training.loop import Progress, train
from medgan.training.settings import TrainingConfig
from medgan.training.validation import Judge

M = TypeVar("M", bound=nn.Module)


def fit(
    model: M,
    images: Tensor,
    steps: int | Mapping[str, int] = 1000,
    labels: Tensor | None = None,
    unlabelled: Tensor | None = None,
    *,
    seed: int = 0,
    judge: Judge | None = None,
    on_progress: Callable[[Progress], Any] = lambda progress: None,
    **training: Any,
) -> M:
    """Trains a model and leaves it with the weights that would be published, in eval mode.

    Args:
        model: as `models.create` makes it.
        images: (N, C, H, W) in [-1, 1]; the normal ones, or all of them with `labels`.
        steps: of every stage, or of each by its name.
        labels: (N,) class indices or (N, K) multi-hot, for a model that is trained with labels.
        unlabelled: (M, C, H, W), the unlabelled mix, for a model that takes one.
        seed: of batches and noise. The initial weights are the model's: `seeding.seeded` decides
            them.
        judge: chooses among the looks that `inspect_every` asks for.
        on_progress: called every few steps.
        training: other fields of `TrainingConfig`, such as `batch_size=32`, `ema_decay=0.995`,
            `precision="bf16"`.

    Raises:
        UserError: training cannot go on, for example because the loss is no longer a number.
    """
    names = model.stages()  # type: ignore[operator]
    config = TrainingConfig(
        dict.fromkeys(names, steps) if isinstance(steps, int) else steps, **training
    )
    mix = np.arange(len(images), len(images) + len(unlabelled)) if unlabelled is not None else None
    everything = TensorImages(images if unlabelled is None else torch.cat([images, unlabelled]))
    batches = BatchStream(
        everything, np.arange(len(images)), seed, None if labels is None else labels.numpy(), mix
    )
    state = None
    for progress in train(model, batches, config, "in memory", judge=judge):
        on_progress(progress)
        state = progress.state or state
    if state is not None:
        model.load_state_dict(state.weights())
    return model.eval()


@dataclass(frozen=True)
class Snapshot:
    """The sample grid of one look."""

    step: int
    images: Tensor
    """(n, C, H, W) in [-1, 1]."""


Chunk = tuple[TrainingState | Unchanged, list[dict[str, Any]], Snapshot | Unchanged]
"""A checkpoint or UNCHANGED, new rows of the curves, and a sample grid or UNCHANGED."""


def stream(
    progress: Iterable[Progress], observe: Callable[[Progress], None], every_seconds: float = 3.0
) -> Iterator[Chunk]:
    """Gathers reports into chunks: one at each checkpoint, and in between one every few seconds, so
    that curves stay live and saves few.
    """
    rows: list[dict[str, Any]] = []
    last = time.monotonic()
    for report in progress:
        observe(report)
        seen = report.look.figures if report.look else {}
        if report.terms:
            looks = {f"look/{name}": value for name, value in seen.items()}
            speed = report.images_per_second
            rows.append(
                {
                    "step": report.step,
                    "stage": report.stage,
                    "images_per_second": speed,
                    **report.terms,
                    **looks,
                }
            )
        samples = report.look.samples if report.look else None
        if (
            report.state is not None
            or samples is not None
            or time.monotonic() - last > every_seconds
        ):
            yield (
                report.state or UNCHANGED,
                rows,
                UNCHANGED if samples is None else Snapshot(report.step, samples),
            )
            rows, last = [], time.monotonic()


def resumed(
    model: nn.Module,
    batches: BatchSource,
    config: TrainingConfig,
    key: str,
    checkpoints: CheckpointFolder,
    observe: Callable[[Progress], None],
    judge: Judge | None = None,
) -> Iterator[Chunk]:
    """Trains what is left of a training; a finished one yields UNCHANGED once and costs nothing."""
    state = checkpoints.latest(key)
    if state is not None and state.finished:
        yield UNCHANGED, [], UNCHANGED
        return
    yield from stream(train(model, batches, config, key, state, judge=judge), observe)


def finished(checkpoints: CheckpointFolder, key: str, name: str) -> TrainingState:
    """The last state of a finished training.

    Raises:
        UserError: it was never started, or stopped before its end.
    """
    state = checkpoints.latest(key)
    if state is None or not state.finished:
        raise UserError(
            f"{name} is not trained for this configuration and data: `kedro run` trains it, or goes on where it stopped."
        )
    return state
