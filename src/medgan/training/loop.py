"""THE loop: every model, the classifier too, is trained by `train`.

A model states a game: stages of players, each with its modules and its loss. The loop owns everything else - gradients, optimisers,
averaged weights, precision, checkpoints - so that no model calls `backward`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.contracts import Batch, BatchSource, Fitted, LossTerms, Model, Player, Refusal
from medgan.training.checkpoints import TrainingState
from medgan.training.ema import WeightAverage
from medgan.training.optimizers import build_optimizer, optimizer_tensors, restore_optimizer
from medgan.training.runtime import Runtime
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class Progress:
    """What the loop reports every few steps."""

    stage: str
    step: int
    """Steps done over all stages."""
    total: int
    terms: Mapping[str, float] = field(default_factory=dict)
    """`<player>/<term>` -> value at this step."""
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


def train(
    model: nn.Module,
    batches: BatchSource,
    config: TrainingConfig,
    key: str,
    resume: TrainingState | None = None,
    runtime: Runtime | None = None,
) -> Iterator[Progress]:
    """Plays all stages of a model, or what is left of them, and reports as it goes; the model is trained in place.

    Args:
        model: an `nn.Module` that is a `contracts.Model`, and `contracts.Fitted` if it has state to compute from the data.
        batches: training batches as a function of their number.
        config: steps of each stage, batch size, averaging, precision.
        key: hash of configuration and data, which names the checkpoints.
        resume: the state to go on from; batches and noise are functions of the step, so the result is that of an unbroken run.
        runtime: device and precision; detected where not given.

    Raises:
        Refusal: a stage without a budget, or a loss that is no longer a number.
    """
    runtime = runtime or Runtime.detect(config.precision)
    runtime.place(model)
    stages = _stages(model, config)
    total = sum(stage.steps for stage in stages)
    average = WeightAverage(model, config.ema_decay) if config.ema_decay else None
    done = _restore(model, average, stages, resume)
    for stage in stages:
        for progress in _play(model, stage, batches, config, runtime, average, max(done, stage.first), total):
            finished = progress.step == total and not isinstance(model, Fitted)
            due = progress.step % config.checkpoint_every == 0 or progress.step == total
            yield _with_state(progress, model, average, stage, key, finished) if due else progress
    if isinstance(model, Fitted):
        model.eval()
        model.fit(batches.epoch(config.batch_size))
        yield _with_state(Progress("fit", total, total), model, None, None, key, finished=True)
    model.eval()


def _stages(model: nn.Module, config: TrainingConfig) -> list[Stage]:
    if not isinstance(model, Model):
        raise TypeError(f"{type(model).__name__} has no stages()")
    stages: list[Stage] = []
    for name, players in model.stages().items():
        if name not in config.steps:
            raise Refusal(f"The stage '{name}' has no budget: give it one under `training.steps.{name}`.")
        optimizers = [build_optimizer(player.parameters(), player.optimizer) for player in players]
        stages.append(Stage(name, players, optimizers, sum(stage.steps for stage in stages), config.steps[name]))
    return stages


def _play(
    model: nn.Module,
    stage: Stage,
    batches: BatchSource,
    config: TrainingConfig,
    runtime: Runtime,
    average: WeightAverage | None,
    done: int,
    total: int,
) -> Iterator[Progress]:
    _set_modes(model, stage.players)
    updates = sum(player.updates for player in stage.players)
    started, first = time.perf_counter(), done
    for step in range(done, stage.first + stage.steps):
        terms: dict[str, Tensor] = {}
        draws = iter(range((step - stage.first) * updates, (step - stage.first + 1) * updates))
        for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
            for _ in range(player.updates):
                batch = runtime.move(batches.draw(stage.name, next(draws), config.batch_size))
                losses = update(player, optimizer, batch, stage.players, runtime)
                terms |= {f"{player.name}/{name}": value for name, value in losses.items()}
        if average is not None:
            average.update()
        now = step + 1
        if now % config.report_every == 0 or now % config.checkpoint_every == 0 or now == stage.first + stage.steps:
            speed = (now - first) * config.batch_size / (time.perf_counter() - started)
            yield Progress(stage.name, now, total, {name: value.item() for name, value in terms.items()}, speed)


def update(player: Player, optimizer: Optimizer, batch: Batch, players: Sequence[Player], runtime: Runtime) -> LossTerms:
    """One update of one player: gradients on for its parameters alone, backward of the sum of its terms, one optimiser step.

    Raises:
        Refusal: the loss is infinite or not a number; nothing has moved then.
    """
    torch.manual_seed(batch.rng.initial_seed())  # dropout draws from the global generator: it must not remember earlier steps
    with _only(player, players):
        with runtime.autocast():
            terms = player.loss(batch)
        loss = torch.stack([term for term in terms.values() if term.requires_grad]).sum()
        if not torch.isfinite(loss):
            values = ", ".join(f"{name} = {value.item():g}" for name, value in terms.items())
            raise Refusal(
                f"Training stopped: the loss of the {player.name} is not a number ({values}); the last good checkpoint is kept, "
                "lower the learning rate or use precision fp32."
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return {name: value.detach() for name, value in terms.items()}


@contextmanager
def _only(player: Player, players: Sequence[Player]) -> Iterator[None]:
    others = [parameter for other in players if other is not player for parameter in other.parameters()]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def _set_modes(model: nn.Module, players: Sequence[Player]) -> None:
    """Players of the stage learn; everything else, the networks of finished stages with it, stays frozen and in eval mode."""
    model.eval().requires_grad_(False)
    for player in players:
        for module in player.modules:
            module.train().requires_grad_(True)


def _restore(model: nn.Module, average: WeightAverage | None, stages: Sequence[Stage], resume: TrainingState | None) -> int:
    if resume is None:
        return 0
    model.load_state_dict(resume.part("model."))
    if average is not None:
        average.restore(resume.part("ema."))
    for stage in stages:
        if stage.first < resume.step < stage.first + stage.steps:
            for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
                restore_optimizer(optimizer, resume.part(f"optimizer.{player.name}."))
    return resume.step


def _with_state(
    progress: Progress, model: nn.Module, average: WeightAverage | None, stage: Stage | None, key: str, finished: bool
) -> Progress:
    tensors = {f"model.{name}": value.detach().clone() for name, value in model.state_dict().items()}
    if average is not None:
        tensors |= {f"ema.{name}": value.clone() for name, value in average.tensors().items()}
    if stage is not None and not finished:
        for player, optimizer in zip(stage.players, stage.optimizers, strict=True):
            tensors |= {f"optimizer.{player.name}.{name}": value for name, value in optimizer_tensors(optimizer).items()}
    state = TrainingState(key, progress.step, finished, tensors, {"threads": torch.get_num_threads()})
    return Progress(progress.stage, progress.step, progress.total, progress.terms, progress.images_per_second, state)
