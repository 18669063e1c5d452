"""A signal during a training: the step is finished and saved, and nothing is done twice."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medgan.contracts import Batch, BatchSource, ImageSpec
from medgan.stats.placements import Placements
from medgan.training import loop, stopping
from medgan.training.checkpoints import CheckpointFolder, TrainingState
from medgan.training.job import TrainingJob, train
from medgan.training.settings import TrainingConfig
from medgan.training.stopping import Stop, StopNow
from medgan.training.validation import HeldOutMetrics
from tests.training.conftest import RandomBatches
from tests.training.test_loop import equal

SIGNALS = [signal.SIGINT, signal.SIGTERM]


class Stopped(Exception):
    """What the handlers of the command raise."""


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Handlers like those of a command."""

    def stop(number: int, _: Any) -> None:
        raise Stopped(number)

    before = {number: signal.signal(number, stop) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


class Signalled(RandomBatches):
    """Batches that send a signal to this process when one of them is drawn."""

    def __init__(self, at: int, number: int) -> None:
        self.at, self.number = at, number

    def draw(self, stage: str, index: int, size: int, *_: object) -> Batch:
        if (stage, index) == ("adversarial", self.at):
            signal.raise_signal(self.number)
        return super().draw(stage, index, size)


def job(
    spec: ImageSpec, batches: BatchSource, judge: Callable[[nn.Module], dict[str, Placements]]
) -> TrainingJob:
    from medgan import models

    config = models.load("dcgan").Config(width=4, latent_dim=4)
    training = TrainingConfig(
        {"adversarial": 6}, batch_size=4, checkpoint_every=100, report_every=1, inspect_every=3
    )
    held_out = HeldOutMetrics(lambda model: judge(model), "val_auroc", {"images": 4})
    return TrainingJob(
        "dcgan", "dcgan", config, spec, batches, training, 0, "data", held_out=held_out
    )


def good(_: nn.Module) -> dict[str, Placements]:
    return {"val_auroc": Placements(np.array([0.4, 0.6]), np.array([0.6, 0.4]))}


def trained(one: TrainingJob, folder: Path) -> list[dict[str, Any]]:
    """Save as the catalog does; the rows of the curves."""
    checkpoints, rows = CheckpointFolder(folder), list[dict[str, Any]]()
    for step in train(one, checkpoints):
        if isinstance(step.state, TrainingState):
            checkpoints.write(step.state)
        rows += step.rows
    return rows


def same_rows(first: list[dict[str, Any]], second: list[dict[str, Any]]) -> bool:
    timeless = [[{**row, "images_per_second": 0} for row in rows] for rows in (first, second)]
    return timeless[0] == timeless[1]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("batch", "step"), [(4, 3), (6, 4), (11, 6)])
def test_f26_a_signal_in_a_step_loses_no_step(
    tmp_path: Path, spec: ImageSpec, number: int, batch: int, step: int
) -> None:
    """Steps 3 and 6 have a validation, which the resumed training makes."""
    rows = trained(job(spec, RandomBatches(), good), tmp_path / "unbroken")
    before = signal.getsignal(number)
    one = job(spec, Signalled(batch, number), good)
    with pytest.raises(Stopped):
        trained(one, tmp_path / "stopped")
    assert signal.getsignal(number) is before
    state = CheckpointFolder(tmp_path / "stopped").latest(one.key)
    assert state is not None
    assert (state.step, state.finished) == (step, False)
    resumed = trained(job(spec, RandomBatches(), good), tmp_path / "stopped")
    ends = [CheckpointFolder(tmp_path / name).latest(one.key) for name in ("unbroken", "stopped")]
    assert ends[1] is not None
    assert ends[1].finished
    assert equal(*ends)  # type: ignore[arg-type]
    assert ends[0].notes == ends[1].notes  # type: ignore[union-attr]
    assert same_rows(rows[step - (step % 3 == 0) :], resumed)


def test_f26_a_validation_is_interrupted_and_made_when_the_training_resumes(
    tmp_path: Path, spec: ImageSpec
) -> None:
    calls = 0

    def slow(model: nn.Module) -> dict[str, Placements]:
        nonlocal calls
        calls += 1
        if calls == 1:
            signal.raise_signal(signal.SIGTERM)
            pytest.fail("the validation goes on")
        return good(model)

    rows = trained(job(spec, RandomBatches(), good), tmp_path / "unbroken")
    one = job(spec, RandomBatches(), slow)
    with pytest.raises(Stopped):
        trained(one, tmp_path / "stopped")
    state = CheckpointFolder(tmp_path / "stopped").latest(one.key)
    assert state is not None
    assert (state.step, state.finished) == (3, False)
    resumed = trained(one, tmp_path / "stopped")
    ends = [CheckpointFolder(tmp_path / name).latest(one.key) for name in ("unbroken", "stopped")]
    assert equal(*ends)  # type: ignore[arg-type]
    assert ends[0].notes == ends[1].notes  # type: ignore[union-attr]
    assert same_rows(rows[2:], resumed)


def test_f26_a_second_signal_and_a_step_that_takes_too_long_end_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop = Stop()
    with pytest.raises(Stopped), stop.listening():
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested
        signal.raise_signal(signal.SIGINT)
        pytest.fail("it goes on")
    monkeypatch.setattr(stopping, "GRACE", 0.05)
    stop = Stop()
    with pytest.raises(Stopped), stop.listening():
        signal.raise_signal(signal.SIGTERM)
        time.sleep(5)
        pytest.fail("it goes on")
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_signals_outside_of_a_step_end_a_block_that_can_be_repeated() -> None:
    stop = Stop()
    with stop.listening():
        with pytest.raises(StopNow), stop.interruptible():
            signal.raise_signal(signal.SIGTERM)
        with pytest.raises(StopNow), stop.interruptible():
            pytest.fail("it begins")
        with pytest.raises(Stopped):
            stop.deliver()


def test_a_training_in_another_thread_leaves_signals_alone() -> None:
    found: list[object] = []

    def listen() -> None:
        with Stop().listening():
            found.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    assert found == [before]


def test_f27_a_checkpoint_is_not_older_than_a_minute(
    monkeypatch: pytest.MonkeyPatch, spec: ImageSpec, batches: BatchSource
) -> None:
    from tests.models.tiny import tiny

    def steps_saved() -> list[int]:
        model = tiny("dcgan", spec)
        config = TrainingConfig({"adversarial": 4}, batch_size=4, report_every=3)
        reports = loop.train(model, batches, config, None, loop.Runtime(torch.device("cpu")))
        return [report.step for report in reports if report.state is not None]

    assert steps_saved() == [4]
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    assert steps_saved() == [1, 2, 3, 4]
