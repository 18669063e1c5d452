"""The training loop of every model.

A model declares stages of players, each with modules and a loss. The loop owns gradients,
optimizers, schedules, averaged weights, precision, checkpoints, validation and weight selection; no
model calls `backward`.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from medgan.contracts import BatchSource, Fitted, Player
from medgan.training.checkpoints import AVERAGE, MODEL, OPTIMIZER, SELECTED, TrainingState
from medgan.training.optimization import (
    WeightAverage,
    optimizer_tensors,
    rate_factor,
    restore_optimizer,
)
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig
from medgan.training.stages import Stage, require_shareable, stages_of
from medgan.training.stopping import Stop, StopNow
from medgan.training.updates import update
from medgan.training.validation import HeldOutMetrics, Selection, Validation, Validator

logger = logging.getLogger(__name__)
CHECKPOINT_SECONDS = 60.0
"""Seconds between checkpoints, where `checkpoint_every` steps take longer."""


@dataclass(frozen=True)
class Progress:
    """Report of the loop, every few steps."""

    stage: str
    step: int
    """Completed steps of all stages."""
    total: int
    """Steps of all stages; the current step if training stops early."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """`<player>/<term>` -> value at this step."""
    validation: Validation | None = None
    """Set every `inspect_every` steps."""
    images_per_second: float = 0.0
    state: TrainingState | None = None
    """A checkpoint, every `checkpoint_every` steps, every CHECKPOINT_SECONDS and at the end. Its
    key is empty: the caller names the training."""
    unvalidated: Mapping[str, float] | None = None
    """The terms of this step, if a signal has interrupted its validation."""


def train(
    model: nn.Module,
    batches: BatchSource,
    config: TrainingConfig,
    resume: TrainingState | None = None,
    runtime: Runtime | None = None,
    held_out: HeldOutMetrics | None = None,
    stop: Stop | None = None,
) -> Iterator[Progress]:
    """Train a model in place, all stages or what is left of them, and report the progress.

    Args:
        model: a `contracts.Model`; if it is `contracts.Fitted` too, it is fitted at the end.
        batches: training batches as a function of their number.
        config: budget and settings.
        resume: the state to resume from. Batches and noise are functions of the step, so the result
            equals that of an uninterrupted training.
        runtime: device and precision; detected if not given.
        held_out: metrics that select among the validations; without them the last weights are
            published.
        stop: where it is requested, the next report has a checkpoint, and the caller ends there.

    Raises:
        StopNow: a signal has come while nothing was to be saved.
        UserError: if a stage has no budget, a loss or gradient is infinite or NaN, the memory of
            the accelerator is full, or several workers cannot share this training.
        WorkerLost: another worker has ended.
    """
    runtime = runtime or Runtime.detect(config.precision)
    require_shareable(config, runtime.workers.share)
    runtime.place(model)
    training = _Training(model, batches, config, runtime, (held_out, stop or Stop()))
    yield from training.run(resume)
    if isinstance(model, Fitted) and runtime.workers.leads:
        yield training.fitted(model)
    model.eval()


class _Training:
    """A running training: everything that a checkpoint has to hold."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        config: TrainingConfig,
        runtime: Runtime,
        outside: tuple[HeldOutMetrics | None, Stop],
    ) -> None:
        self.model, self.batches, self.config, self.runtime = model, batches, config, runtime
        held_out, self.stop = outside
        leads = runtime.workers.leads
        self.held_out = held_out if config.inspect_every else None
        self.unvalidated: Mapping[str, float] | None = None
        self.saved_at = time.monotonic()
        self.stages = stages_of(model, batches, config)
        self.total = self.stages[-1].end if self.stages else 0
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self.validator = (
            Validator(model, batches, runtime, held_out) if config.inspect_every and leads else None
        )
        self.selection = Selection(held_out.criterion if held_out else None)
        if config.compile:  # after the validator has copied the model, which is not compiled
            for module in model.children():
                module.compile()

    def run(self, resume: TrainingState | None) -> Iterator[Progress]:
        """Run the stages, and add checkpoints to their reports."""
        done = self._restore(resume)
        self.runtime.workers.copy(list(self.model.state_dict().values()))
        for stage in self.stages:
            for report in self._run(stage, max(done, stage.first)):
                if self._saves(report):
                    yield replace(report, state=self._state(stage, report))
                    self.saved_at = time.monotonic()
                else:
                    yield report

    def fitted(self, model: Fitted) -> Progress:
        """Fit the trained model, its weights averaged where that is asked for, and judge it once.

        Before, it cannot score: no validation of its stages has held-out metrics, and none selects
        weights.
        """
        if self.average is not None:
            self.model.load_state_dict(self.average.weights)
        self.model.eval()
        with self.stop.interruptible():
            model.fit(map(self.runtime.move, self.batches.epoch(self.config.batch_size)))
            found = self.held_out.compute(self.model) if self.held_out else {}
        areas = {name: placements.area for name, placements in found.items()}
        self.selection.add(self.total, Validation(areas), {}, eligible=False)
        notes = {"planned_steps": self.total, "selection": self.selection.notes()}
        state = TrainingState("", self.total, True, self.model_tensors(), notes)
        return Progress("fit", self.total, self.total, state=state)

    def _saves(self, report: Progress) -> bool:
        """Whether a report has a checkpoint."""
        counted = report.step % self.config.checkpoint_every == 0 or report.step == report.total
        return self.runtime.workers.leads and (counted or self._overdue())

    def _overdue(self) -> bool:
        """Whether a checkpoint cannot wait for its step."""
        late = time.monotonic() - self.saved_at >= CHECKPOINT_SECONDS
        return self.runtime.workers.leads and (self.stop.requested or late)

    def _run(self, stage: Stage, done: int) -> Iterator[Progress]:
        config = self.config
        _set_modes(self.model, stage.players)
        if self.average is not None and done == stage.first > 0:
            # Later stages build on the weights that are published.
            self.model.load_state_dict(self.average.weights)
        images = config.batch_size * config.accumulate
        started, first = time.perf_counter(), done
        for now, terms in self._steps(stage, done):
            paused = time.perf_counter()
            try:
                validation = self._validate(stage, now)
            except StopNow:
                yield Progress(stage.name, now, self.total, unvalidated=_numbers(terms))
                return
            exhausted = (
                validation is not None
                and stage is self.stages[-1]
                and self.selection.exhausted(config.patience)
            )
            if stage.due(config.inspect_every, now):
                exhausted = self.runtime.workers.told(exhausted)
            started += time.perf_counter() - paused  # the speed is that of training alone
            total = now if exhausted else self.total
            reported = (config.report_every, config.checkpoint_every)
            if validation or any(stage.due(every, now) for every in reported):
                speed = (now - first) * images / (time.perf_counter() - started)
                yield Progress(stage.name, now, total, _numbers(terms), validation, speed)
            elif self._overdue():
                yield Progress(stage.name, now, total)
            if now == total:
                return

    def _steps(self, stage: Stage, done: int) -> Iterator[tuple[int, Mapping[str, Tensor | float]]]:
        """Make the steps that are left; begin with the one whose validation was interrupted."""
        if self.unvalidated is not None and stage.first < done <= stage.end:
            terms, self.unvalidated = self.unvalidated, None
            yield done, terms
        for step in range(done, stage.end):
            updated = self._step(stage, step)
            if self.average is not None:
                self.average.update()
            yield step + 1, updated

    def _step(self, stage: Stage, step: int) -> dict[str, Tensor]:
        """Make all updates of all players, each on its own batches."""
        config, terms = self.config, dict[str, Tensor]()
        sized = config.batch_size, self.runtime.workers.share
        done = step - stage.first
        numbers = itertools.count(
            done * sum(player.updates for player in stage.players) * config.accumulate
        )
        factor = rate_factor(config.decay, config.decay_from, done, stage.steps)
        for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = player.optimizer.lr * factor
            for _ in range(player.updates):
                drawn = [
                    self.runtime.move(stage.batch(player, self.batches, number, *sized))
                    for number in itertools.islice(numbers, config.accumulate)
                ]
                losses = update(player, optimizer, drawn, stage.players, self.runtime)
                terms |= {f"{player.name}/{name}": value for name, value in losses.items()}
        return terms

    def _validate(self, stage: Stage, step: int) -> Validation | None:
        """Validate where that is due. Raises `StopNow`, and has changed nothing then."""
        if self.validator is None or not stage.due(self.config.inspect_every, step):
            return None
        weights = self.average.weights if self.average is not None else self.model.state_dict()
        last = stage is self.stages[-1] and not isinstance(self.model, Fitted)
        with self.stop.interruptible():
            validation = self.validator.validate(weights, held_out=last)
        if validation.metrics:
            self.selection.add(step, validation, weights, eligible=last)
        return validation

    def model_tensors(self) -> dict[str, Tensor]:
        """Copy the weights for a checkpoint."""
        return {MODEL + name: value.clone() for name, value in self.model.state_dict().items()}

    def _state(self, stage: Stage, report: Progress) -> TrainingState:
        ended = report.step == report.total and report.unvalidated is None
        finished = ended and not isinstance(self.model, Fitted)
        tensors = self.model_tensors()
        tensors |= {SELECTED + name: value for name, value in self.selection.weights.items()}
        if self.average is not None:
            averaged = self.average.tensors()
            tensors |= {AVERAGE + name: value.clone() for name, value in averaged.items()}
        if not finished:
            for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
                state = optimizer_tensors(optimizer)
                tensors |= {f"{OPTIMIZER}{player.name}.{name}": state[name] for name in state}
        notes = {
            "threads": torch.get_num_threads(),
            "planned_steps": self.total,
            "selection": self.selection.notes(),
            "unvalidated": report.unvalidated,
            **({"augment_share": stage.adversary.share} if stage.adversary else {}),
            **({"privacy": stage.private.card()} if stage.private else {}),
        }
        return TrainingState("", report.step, finished, tensors, notes)

    def _restore(self, resume: TrainingState | None) -> int:
        """Restore a checkpoint and return its step."""
        if resume is None:
            return 0
        self.unvalidated = resume.notes.get("unvalidated")
        self.model.load_state_dict(resume.part(MODEL))
        if self.average is not None:
            self.average.restore(resume.part(AVERAGE))
        self.selection = Selection.restored(
            self.selection.criterion, resume.notes.get("selection", {}), resume.part(SELECTED)
        )
        for stage in self.stages:
            if stage.first < resume.step < stage.end:
                for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
                    restore_optimizer(optimizer, resume.part(f"{OPTIMIZER}{player.name}."))
                if stage.adversary is not None:
                    stage.adversary.share = resume.notes["augment_share"]
        threads = torch.get_num_threads()
        if resume.notes.get("threads", threads) != threads:
            logger.warning(
                "Training resumes with %d threads, and had %s before: its weights will differ "
                "slightly from those of an uninterrupted training.",
                threads,
                resume.notes["threads"],
            )
        return resume.step


def _numbers(terms: Mapping[str, Tensor | float]) -> dict[str, float]:
    return {name: float(value) for name, value in terms.items()}


def _set_modes(model: nn.Module, players: Sequence[Player]) -> None:
    """Put the players into training mode; freeze everything else, and put it into eval mode."""
    model.eval().requires_grad_(False)
    for player in players:
        for module in player.modules:
            module.train().requires_grad_(True)
