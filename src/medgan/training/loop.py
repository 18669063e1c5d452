"""THE loop: every model, the classifier too, is trained by `train`.

A model states a game: stages of players, each with its modules and its loss. The loop owns
everything else - gradients, optimizers, schedules, averaged weights, precision, checkpoints, looks
and model choice - so that no model calls `backward`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm
from torch.optim import Optimizer

from medgan.contracts import Batch, BatchSource, Fitted, LossTerms, Model, Player
from medgan.errors import UserError
from medgan.training.checkpoints import TrainingState
from medgan.training.optimization import (
    WeightAverage,
    build_optimizer,
    optimizer_tensors,
    rate_factor,
    restore_optimizer,
)
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig
from medgan.training.validation import CHOSEN, Inspector, Judge, Look, Selection

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """What the loop reports every few steps."""

    stage: str
    step: int
    """Steps done over all stages."""
    total: int
    """Steps of all stages; the step itself where training stops early."""
    terms: Mapping[str, float] = field(default_factory=dict)
    """`<player>/<term>` -> value at this step."""
    look: Look | None = None
    """What the model looks like, when it is time for that."""
    images_per_second: float = 0.0
    state: TrainingState | None = None
    """A checkpoint, when it is time for one; the last report always carries it."""


@dataclass(frozen=True)
class Stage:
    """A stage of the game, ready to play."""

    name: str
    players: Sequence[Player]
    optimizers: Sequence[Optimizer]
    first: int
    """Steps done before this stage."""
    steps: int

    @property
    def end(self) -> int:
        """Steps done after this stage."""
        return self.first + self.steps


def train(
    model: nn.Module,
    batches: BatchSource,
    config: TrainingConfig,
    key: str,
    resume: TrainingState | None = None,
    runtime: Runtime | None = None,
    judge: Judge | None = None,
) -> Iterator[Progress]:
    """Plays all stages of a model, or what is left of them, and reports as it goes; the model is
    trained in place.

    Args:
        model: an `nn.Module` that is a `contracts.Model`, and `contracts.Fitted` if it has state to
            compute from the data.
        batches: training batches as a function of their number.
        config: steps of each stage, batch size, averaging, precision, looks.
        key: hash of configuration and data, which names the checkpoints.
        resume: the state to go on from; batches and noise are functions of the step, so the result
            is that of an unbroken run.
        runtime: device and precision; detected where not given.
        judge: figures on held-out images, which choose among the looks; without one the last
            weights count.

    Raises:
        UserError: a stage without a budget, a loss or gradient that is no longer a number, or no
            memory left on the accelerator.
    """
    runtime = runtime or Runtime.detect(config.precision)
    runtime.place(model)
    training = _Training(model, batches, config, key, runtime, judge)
    yield from training.play(resume)
    if isinstance(model, Fitted):
        model.eval()
        model.fit(batches.epoch(config.batch_size))
        total = training.total
        yield Progress(
            "fit",
            total,
            total,
            state=TrainingState(
                key, total, True, training.model_tensors(), {"planned_steps": total}
            ),
        )
    model.eval()


class _Training:
    """One training under way: all that a checkpoint has to hold."""

    def __init__(
        self,
        model: nn.Module,
        batches: BatchSource,
        config: TrainingConfig,
        key: str,
        runtime: Runtime,
        judge: Judge | None,
    ) -> None:
        self.model, self.batches, self.config, self.key, self.runtime = (
            model,
            batches,
            config,
            key,
            runtime,
        )
        self.stages = _stages(model, config)
        self.total = self.stages[-1].end if self.stages else 0
        self.average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
        self.inspector = Inspector(model, batches, runtime, judge) if config.inspect_every else None
        self.selection = Selection(judge.criterion if judge else None)
        if (
            config.compile
        ):  # after the inspector has copied the model: a look is no work for a compiler
            for module in model.children():
                module.compile()

    def play(self, resume: TrainingState | None) -> Iterator[Progress]:
        done = self._restore(resume)
        for stage in self.stages:
            for report in self._play(stage, max(done, stage.first)):
                due = report.step % self.config.checkpoint_every == 0 or report.step == report.total
                yield replace(report, state=self._state(stage, report)) if due else report

    def _play(self, stage: Stage, done: int) -> Iterator[Progress]:
        _set_modes(self.model, stage.players)
        if self.average is not None and done == stage.first > 0:
            self.model.load_state_dict(
                self.average.weights
            )  # later stages build on what will be published
        images = self.config.batch_size * self.config.accumulate
        started, first, looking = time.perf_counter(), done, 0.0
        for step in range(done, stage.end):
            terms = self._step(stage, step)
            if self.average is not None:
                self.average.update()
            now, total = step + 1, self.total
            look = None
            if self._due(self.config.inspect_every, now, stage):
                before = time.perf_counter()
                look = self._look(stage, now)
                looking += time.perf_counter() - before
                if stage is self.stages[-1] and self.selection.exhausted(self.config.patience):
                    total = now
            if look or any(
                self._due(every, now, stage)
                for every in (self.config.report_every, self.config.checkpoint_every)
            ):
                speed = (now - first) * images / (time.perf_counter() - started - looking)
                yield Progress(
                    stage.name,
                    now,
                    total,
                    {name: value.item() for name, value in terms.items()},
                    look,
                    speed,
                )
            if now == total:
                return

    @staticmethod
    def _due(every: int, now: int, stage: Stage) -> bool:
        return every > 0 and (now % every == 0 or now == stage.end)

    def _step(self, stage: Stage, step: int) -> dict[str, Tensor]:
        """Every player's updates, each on batches of its own."""
        config, terms = self.config, dict[str, Tensor]()
        updates = sum(player.updates for player in stage.players)
        draws = iter(
            range(
                (step - stage.first) * updates * config.accumulate,
                (step - stage.first + 1) * updates * config.accumulate,
            )
        )
        factor = rate_factor(config.decay, config.decay_from, step - stage.first, stage.steps)
        for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = player.optimizer.lr * factor
            for _ in range(player.updates):
                drawn = (
                    self.batches.draw(stage.name, next(draws), config.batch_size)
                    for _ in range(config.accumulate)
                )
                losses = update(
                    player,
                    optimizer,
                    [self.runtime.move(batch) for batch in drawn],
                    stage.players,
                    self.runtime,
                )
                terms |= {f"{player.name}/{name}": value for name, value in losses.items()}
        return terms

    def _look(self, stage: Stage, now: int) -> Look | None:
        if self.inspector is None:
            return None
        weights = self.average.weights if self.average is not None else self.model.state_dict()
        last = stage is self.stages[-1]
        look = self.inspector.look(weights, judging=last)
        self.selection.consider(now, look.figures, weights, eligible=last)
        return look

    def model_tensors(self) -> dict[str, Tensor]:
        return {
            f"model.{name}": value.detach().clone()
            for name, value in self.model.state_dict().items()
        }

    def _state(self, stage: Stage, report: Progress) -> TrainingState:
        finished = report.step == report.total and not isinstance(self.model, Fitted)
        tensors = self.model_tensors() | self.selection.tensors()
        if self.average is not None:
            tensors |= {
                f"ema.{name}": value.clone() for name, value in self.average.tensors().items()
            }
        if not finished:
            for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
                tensors |= {
                    f"optimizer.{player.name}.{name}": value
                    for name, value in optimizer_tensors(optimizer).items()
                }
        notes = {
            "threads": torch.get_num_threads(),
            "planned_steps": self.total,
            "selection": self.selection.notes(),
        }
        return TrainingState(self.key, report.step, finished, tensors, notes)

    def _restore(self, resume: TrainingState | None) -> int:
        if resume is None:
            return 0
        self.model.load_state_dict(resume.part("model."))
        if self.average is not None:
            self.average.restore(resume.part("ema."))
        self.selection = Selection.restored(
            self.selection.criterion, resume.notes.get("selection", {}), resume.part(CHOSEN)
        )
        for stage in self.stages:
            if stage.first < resume.step < stage.end:
                for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
                    restore_optimizer(optimizer, resume.part(f"optimizer.{player.name}."))
        threads = torch.get_num_threads()
        if resume.notes.get("threads", threads) != threads:
            logger.warning(
                "Training goes on with %d threads where it had %s: its weights will differ slightly from those of an unbroken run.",
                threads,
                resume.notes["threads"],
            )
        return resume.step


def _stages(model: nn.Module, config: TrainingConfig) -> list[Stage]:
    if not isinstance(model, Model):
        raise TypeError(f"{type(model).__name__} has no stages()")
    stages: list[Stage] = []
    for name, players in model.stages().items():
        if name not in config.steps:
            raise UserError(
                f"The stage '{name}' has no budget: give it one under `training.steps.{name}`."
            )
        optimizers = [build_optimizer(player.parameters(), player.optimizer) for player in players]
        stages.append(
            Stage(name, players, optimizers, stages[-1].end if stages else 0, config.steps[name])
        )
    return stages


def update(
    player: Player,
    optimizer: Optimizer,
    batches: Sequence[Batch],
    players: Sequence[Player],
    runtime: Runtime,
) -> LossTerms:
    """One update of one player: gradients on for its parameters alone, averaged over the batches,
    and one optimizer step.

    Raises:
        UserError: the loss or its gradient is infinite or not a number, or the accelerator's memory
            is full; nothing has moved then.
    """
    optimizer.zero_grad(set_to_none=True)
    with _only(player, players), _enough_memory(batches):
        parts = [_backward(player, batch, runtime, len(batches)) for batch in batches]
    if not torch.isfinite(
        get_total_norm(p.grad for p in player.parameters() if p.grad is not None)
    ):
        raise _not_a_number(player, "gradient", parts[-1])
    optimizer.step()
    return (
        {name: torch.stack([part[name] for part in parts]).mean() for name in parts[0]}
        if len(parts) > 1
        else parts[0]
    )


def _backward(player: Player, batch: Batch, runtime: Runtime, of: int) -> dict[str, Tensor]:
    runtime.seed(
        batch.rng.initial_seed()
    )  # dropout draws from the global generator: it must not remember earlier steps
    with runtime.autocast():
        terms = player.loss(batch)
    loss = torch.stack([term for term in terms.values() if term.requires_grad]).sum()
    detached = {name: value.detach() for name, value in terms.items()}
    if not torch.isfinite(loss):
        raise _not_a_number(player, "loss", detached)
    (loss / of).backward()  # type: ignore[no-untyped-call]
    return detached


def _not_a_number(player: Player, what: str, terms: LossTerms) -> UserError:
    values = ", ".join(f"{name} = {value.item():g}" for name, value in terms.items())
    return UserError(
        f"Training stopped: the {what} of the {player.name} is not a number ({values}); the last good checkpoint is kept, "
        "lower the learning rate or use precision fp32."
    )


@contextmanager
def _enough_memory(batches: Sequence[Batch]) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        size = len(batches[0].images)
        raise UserError(
            f"Training stopped: the accelerator has no memory for batches of {size} images; set `training.batch_size` to "
            f"{max(1, size // 2)} and `training.accumulate` to {2 * len(batches)}. The last checkpoint is kept."
        ) from error


@contextmanager
def _only(player: Player, players: Sequence[Player]) -> Iterator[None]:
    others = [
        parameter for other in players if other is not player for parameter in other.parameters()
    ]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _set_modes(model: nn.Module, players: Sequence[Player]) -> None:
    """Players of the stage learn; everything else, the networks of finished stages with it, stays
    frozen and in eval mode.
    """
    model.eval().requires_grad_(False)
    for player in players:
        for module in player.modules:
            module.train().requires_grad_(True)
