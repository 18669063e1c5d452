"""A training as a stream of what is worth saving: what a Kedro generator node yields."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from medgan.contracts import BatchSource, Refusal
from medgan.training.checkpoints import UNCHANGED, CheckpointFolder, TrainingState, Unchanged
from medgan.training.loop import Progress, train
from medgan.training.selection import Judge
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class Snapshot:
    """The sample grid of one look."""

    step: int
    images: Tensor
    """(n, C, H, W) in [-1, 1]."""


Chunk = tuple[TrainingState | Unchanged, list[dict[str, Any]], Snapshot | Unchanged]
"""A checkpoint or UNCHANGED, new rows of the curves, and a sample grid or UNCHANGED."""


def stream(progress: Iterable[Progress], observe: Callable[[Progress], None], every_seconds: float = 3.0) -> Iterator[Chunk]:
    """Gathers reports into chunks: one at each checkpoint, and in between one every few seconds, so that curves stay live and saves few."""
    rows: list[dict[str, Any]] = []
    last = time.monotonic()
    for report in progress:
        observe(report)
        seen = report.look.figures if report.look else {}
        if report.terms:
            looks = {f"look/{name}": value for name, value in seen.items()}
            speed = report.images_per_second
            rows.append({"step": report.step, "stage": report.stage, "images_per_second": speed, **report.terms, **looks})
        samples = report.look.samples if report.look else None
        if report.state is not None or samples is not None or time.monotonic() - last > every_seconds:
            yield report.state or UNCHANGED, rows, UNCHANGED if samples is None else Snapshot(report.step, samples)
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
        Refusal: it was never started, or stopped before its end.
    """
    state = checkpoints.latest(key)
    if state is None or not state.finished:
        raise Refusal(f"{name} is not trained for this configuration and data: `kedro run` trains it, or goes on where it stopped.")
    return state
