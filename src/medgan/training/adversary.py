"""What a discriminator sees and how it is held back, for every GAN with one.

Nothing here is part of a model: the losses of the players are wrapped, and hooks of the modules of
the discriminator change what enters it and what comes out while such a loss is computed.

- Augmentation (DiffAugment, Zhao 2020): the real and the generated images pass the same random and
  differentiable changes before D, in the updates of both players, so that G does not learn them.
  Adaptive (ADA, Karras 2020): the probability of a change follows how well D separates.
- R1 (Mescheder 2018, eq. 9), lazy (Karras 2020): gamma/2 E |grad D(x)|^2 on real images, every few
  steps with as many times the weight.
- Top-k (Sinha 2020): the generated images of a batch that D rejects most surely have no gradient.

Deviations: ADA's target is on the accuracy of pairs (`losses.pairwise_accuracy`), which needs no
threshold and so works for a Wasserstein critic, not on the mean sign of D(x); its probability may
go from 0 to 1 in a quarter of the stage. The share of top-k falls linearly during the first half of
the stage.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, LossTerms, Player
from medgan.errors import UserError
from medgan.losses import r1_penalty
from medgan.sharing import own, whole
from medgan.training.augmentation import augmented
from medgan.training.settings import DiscriminatorConfig

ADAPTIVE_SPEED = 4.0
"""Changes of the probability from 0 to 1 in a stage, at most."""


@dataclass
class Adversary:
    """The discriminator of a stage."""

    config: DiscriminatorConfig
    player: Player
    draws: int
    """Batches of a step of the stage."""
    steps: int
    """Of the stage."""
    share: float = 0.0
    """Probability of each augmentation for an image."""

    @classmethod
    def of(
        cls, config: DiscriminatorConfig, players: Sequence[Player], accumulate: int, steps: int
    ) -> Adversary:
        """Find the discriminator among the players of a stage.

        Raises:
            UserError: `top_k` for a generator that is trained together with another network.
        """
        judge = next(player for player in players if player.critic is not None)
        if config.top_k < 1 and any(len(one.modules) > 1 for one in players if one is not judge):
            raise UserError(
                "`training.discriminator.top_k` is for a generator that is trained alone; this one "
                "is trained with an encoder, which learns from real images: leave it out."
            )
        draws = sum(player.updates for player in players) * accumulate
        share = 0.0 if config.augment_target else config.augment_share
        return cls(config, judge, draws, steps, share)

    def applied(self, player: Player) -> Player:
        """Return a player of the stage with the loss that the options give it."""
        return replace(player, loss=partial(self.loss, player))

    def loss(self, player: Player, batch: Batch) -> LossTerms:
        """Compute the loss of a player, its discriminator changed while it is computed."""
        with self._changed(player, batch):
            if player is not self.player:
                return player.loss(batch)
            terms = {**player.loss(batch), **self._penalty(batch)}
        if self.config.augment_target:
            terms["augment_share"] = torch.tensor(self.share)
            self._adapt(float(terms["accuracy"]))
        return terms

    def _penalty(self, batch: Batch) -> dict[str, Tensor]:
        every = self.config.r1_every
        if not self.config.r1 or batch.step // self.draws % every:
            return {}
        assert self.player.critic is not None  # noqa: S101
        return {"r1": self.config.r1 / 2 * every * r1_penalty(self.player.critic, batch.images)}

    def _adapt(self, accuracy: float) -> None:
        speed = ADAPTIVE_SPEED / (self.steps * self.player.updates)
        step = math.copysign(speed, accuracy - self.config.augment_target)
        self.share = min(max(self.share + step, 0.0), 1.0)

    @contextmanager
    def _changed(self, player: Player, batch: Batch) -> Iterator[None]:
        with ExitStack() as hooks:
            for module in self.player.modules:
                if self.config.augment:
                    hooks.enter_context(module.register_forward_pre_hook(self._augment))
                if self.config.top_k < 1 and player is not self.player:
                    progress = batch.step / (self.draws * self.steps)
                    kept = 1 - (1 - self.config.top_k) * min(1.0, 2 * progress)
                    hooks.enter_context(module.register_forward_hook(partial(_keep_best, kept)))
            yield

    def _augment(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Change the images among the inputs of D, all of them alike, and no latents."""
        images = [value for value in inputs if value.ndim == 4]
        if not images:
            return inputs
        changed = iter(
            augmented(torch.cat(images, 1), self.config.augment, self.share).chunk(len(images), 1)
        )
        return tuple(next(changed) if value.ndim == 4 else value for value in inputs)


def _keep_best(share: float, module: nn.Module, inputs: Any, output: Any) -> None:
    """Zero the gradients of all logits but the highest ones, and scale theirs up as if the loss
    were a mean over them alone.
    """
    logits: Tensor = output[0] if isinstance(output, tuple) else output
    ranked = whole(logits.detach().flatten(1).mean(1) if logits.ndim > 1 else logits.detach())
    kept = max(1, round(share * len(ranked)))
    weights = torch.zeros_like(ranked)
    weights[ranked.topk(kept).indices] = len(ranked) / kept
    weights = own(weights).view(-1, *[1] * (logits.ndim - 1))
    logits.register_hook(lambda gradient: gradient * weights)  # type: ignore[no-untyped-call]
