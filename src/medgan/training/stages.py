"""Stages of a training: their players, optimizers, budgets and batches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torch.optim import Optimizer

from medgan.contracts import STAGE_OF_LABEL, WHOLE, Batch, BatchSource, Model, Player, Share
from medgan.errors import UserError
from medgan.training.adversary import Adversary
from medgan.training.optimization import build_optimizer
from medgan.training.privacy import PrivateDiscriminator
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class Stage:
    """A training stage with its optimizers."""

    name: str
    players: Sequence[Player]
    optimizers: Sequence[Optimizer]
    first: int
    """Completed steps before this stage."""
    steps: int
    adversary: Adversary | None = None
    """What `training.discriminator` makes of its discriminator."""
    private: PrivateDiscriminator | None = None

    @property
    def end(self) -> int:
        """Completed steps after this stage."""
        return self.first + self.steps

    def batch(
        self,
        player: Player,
        batches: BatchSource,
        number: int,
        size: int,
        share: Share = WHOLE,
    ) -> Batch:
        """Draw a share of a batch for an update of a player."""
        if self.private is None:
            return batches.draw(self.name, number, size, share)
        if player.critic is not None:
            return self.private.sample(number)
        return self.private.blinded(batches.draw(self.name, number, size))

    def due(self, every: int, step: int) -> bool:
        """Return whether something happens at `step` that happens every few steps and at the end.

        `every=0` is never.
        """
        return every > 0 and (step % every == 0 or step == self.end)


def stages_of(model: nn.Module, batches: BatchSource, config: TrainingConfig) -> list[Stage]:
    """Return the stages of a model, their discriminators treated as the settings say.

    Raises:
        UserError: a stage has no budget, or a setting is for other models.
    """
    if not isinstance(model, Model):
        raise TypeError(f"{type(model).__name__} has no stages()")
    stages: list[Stage] = []
    for name, players in model.stages().items():
        budget, _, _ = name.partition(STAGE_OF_LABEL)  # each label has that of its stage
        found = config.steps.get(name, config.steps.get(budget))
        if found is None:
            raise UserError(
                f"The stage '{budget}' has no budget: give it one under `training.steps.{budget}`."
            )
        first, steps = stages[-1].end if stages else 0, found
        optimizers = [build_optimizer(player.parameters(), player.optimizer) for player in players]
        private = adversary = None
        for place, judge in enumerate(players):
            if judge.critic is not None and config.privacy is not None:
                private = PrivateDiscriminator.of(config, judge, players, batches, steps)
                optimizers[place] = private.optimizer()
        played = [private.player if private and player.critic else player for player in players]
        if config.discriminator is not None and any(player.critic for player in played):
            adversary = Adversary.of(config.discriminator, played, config.accumulate, steps)
            played = [adversary.applied(player) for player in played]
        stages.append(Stage(name, played, optimizers, first, steps, adversary, private))
    _require_discriminator(config, stages)
    return stages


def require_shareable(config: TrainingConfig, share: Share) -> None:
    """Check that several workers can share the batches of a training.

    Raises:
        UserError: they cannot.
    """
    if share.count == 1:
        return
    if config.batch_size % share.count:
        raise UserError(
            f"`training.batch_size` is {config.batch_size}, which {share.count} workers cannot "
            "share evenly: give a multiple of their number."
        )
    if config.privacy is not None or config.compile:
        name = "compile" if config.compile else "privacy"
        raise UserError(f"`training.{name}` is for one worker: set `compute.workers` to 1.")


def _require_discriminator(config: TrainingConfig, stages: Sequence[Stage]) -> None:
    """Raise `UserError` where settings of a discriminator would do nothing, or not enough."""
    options = {"discriminator": config.discriminator, "privacy": config.privacy}
    given = next((name for name, value in options.items() if value is not None), None)
    judged = [any(player.critic is not None for player in stage.players) for stage in stages]
    if given is not None and not any(judged):
        raise UserError(f"`training.{given}` is for a model with a discriminator: leave it out.")
    if config.privacy is not None and not all(judged):
        raise UserError(
            "`training.privacy` is for a model that trains a GAN alone: this one has other stages, "
            "which see images too."
        )
