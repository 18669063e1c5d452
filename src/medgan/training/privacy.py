"""Differentially private training of a GAN: DP-SGD in its discriminator (Abadi 2016, Xie 2018).

Only D sees real images. Each update of D takes every training image with the same probability
(Poisson sampling), clips the joint gradient of an image and its generated partner to a norm, adds
Gaussian noise, and divides by the expected number of images. G learns from D and from labels drawn
uniformly, so the weights of both, averages included, are (epsilon, delta)-differentially private:
adding or removing one image changes the probability of any outcome by a factor of exp(epsilon) at
most, but for delta (Dwork 2014, definition 2.4).

Sampling and noise come from the operating system, not from the seed of the run, which is published;
so a private training cannot be repeated exactly.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from medgan.contracts import Batch, BatchSource, LossTerms, NumberedImages, Player
from medgan.errors import UserError
from medgan.training.optimization import build_optimizer
from medgan.training.settings import PrivacyConfig, TrainingConfig

if TYPE_CHECKING:
    from medgan.training.dp_sgd import PrivateOptimizer

COVERED = (
    "the weights, against adding or removing one training image; for a patient with k images epsilon "
    "is k times as large, and delta more than that; curves, validations and numbers of images are "
    "not covered"
)


@dataclass(frozen=True)
class PrivateDiscriminator:
    """The discriminator of a stage, its batches and what its updates spend."""

    player: Player
    """With a loss to which each image contributes alone."""
    source: NumberedImages
    config: PrivacyConfig
    batch_size: int
    """Expected images of an update."""
    steps: int
    """Its updates in the stage."""
    noise_multiplier: float
    epsilon: float
    """Spent by all its updates."""

    @classmethod
    def of(
        cls,
        training: TrainingConfig,
        player: Player,
        players: Sequence[Player],
        source: BatchSource,
        steps: int,
    ) -> PrivateDiscriminator:
        """Find the noise with which all updates spend `training.privacy.epsilon`.

        Args:
            training: settings with `privacy`.
            player: the discriminator.
            players: all of the stage.
            source: of the training images.
            steps: of the stage.

        Raises:
            UserError: Opacus is missing, or these settings cannot be private.
        """
        try:
            from medgan.training.dp_sgd import epsilon_of, noise_for
        except ModuleNotFoundError as error:
            raise UserError(
                "`training.privacy` needs Opacus: `pip install medgan[privacy]`."
            ) from error
        privacy, updates = training.privacy, steps * player.updates
        assert privacy is not None  # noqa: S101
        assert isinstance(source, NumberedImages)  # noqa: S101
        _check(training, privacy, player, len(source))
        rate = training.batch_size / len(source)
        noise = noise_for(privacy.epsilon, rate, updates, privacy.delta)
        spent = epsilon_of(noise, rate, updates, privacy.delta)
        others = [module for one in players if one is not player for module in one.modules]
        player = replace(player, loss=partial(_separate_loss, player.loss, others))
        return cls(player, source, privacy, training.batch_size, updates, noise, spent)

    @property
    def sample_rate(self) -> float:
        """Probability of an image to be in an update."""
        return self.batch_size / len(self.source)

    def optimizer(self) -> PrivateOptimizer:
        """Build the optimizer of the discriminator."""
        from medgan.training.dp_sgd import PrivateOptimizer

        return PrivateOptimizer(
            build_optimizer(self.player.parameters(), self.player.optimizer),
            self.player.modules,
            _secret(self.player.parameters()[0].device),
            self.noise_multiplier,
            self.config.max_grad_norm,
            self.batch_size,
        )

    def sample(self, number: int) -> Batch:
        """Draw a Poisson sample of the training images for the discriminator.

        The loss of an empty one is NaN, which ends the training at its last checkpoint: at 32
        expected images with a probability of 1e-14.
        """
        rng = _secret()
        chance = torch.rand(len(self.source), generator=rng, dtype=torch.float64)
        chosen = (chance < self.sample_rate).nonzero().flatten()
        return self.source.take(chosen.numpy(), rng, number)

    def blinded(self, batch: Batch) -> Batch:
        """Hide the images and the labels of a batch from a player that is not private."""
        rng, labels = _secret(), batch.labels
        if labels is not None:
            labels = torch.randint(self.source.classes, (len(labels),), generator=rng)
        return replace(batch, images=torch.zeros_like(batch.images), labels=labels, rng=rng)

    def card(self) -> dict[str, Any]:
        """Describe the guarantee for the model card."""
        return {
            "epsilon": self.epsilon,
            "delta": self.config.delta,
            "noise_multiplier": self.noise_multiplier,
            "max_grad_norm": self.config.max_grad_norm,
            "sample_rate": self.sample_rate,
            "steps": self.steps,
            "sampling": "Poisson",
            "accountant": "Opacus, prv",
            "covers": COVERED,
        }


def _separate_loss(
    loss: Callable[[Batch], LossTerms], others: Sequence[nn.Module], batch: Batch
) -> LossTerms:
    """Compute the loss of the discriminator, the generator in eval mode: its batch norm would mix
    the labels of the images, and keep their statistics.
    """
    for module in others:
        module.eval()
    terms = loss(batch)
    for module in others:
        module.train()
    return terms


def _check(training: TrainingConfig, privacy: PrivacyConfig, player: Player, images: int) -> None:
    """Raise `UserError` for settings that cannot be private."""
    if not player.per_image:
        raise UserError(
            "`training.privacy` needs a discriminator whose loss is a mean over single images: take "
            "acgan or dcgan with `model.discriminator_norm: group`, without gradient penalty and "
            "without `class_loss: d2d_ce`."
        )
    options = training.discriminator
    if training.accumulate > 1 or (options and (options.r1 or options.augment_target)):
        raise UserError(
            "`training.privacy` excludes `training.accumulate`, `discriminator.r1` and "
            "`discriminator.augment_target`, which the accountant does not know: leave them out."
        )
    if training.batch_size >= images or privacy.delta * images >= 1:
        raise UserError(
            f"`training.privacy` has {images} training images: give a smaller `training.batch_size` "
            f"and a `delta` below {1 / images:.1e}."
        )


def _secret(device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator that no one can guess."""
    return torch.Generator(device).manual_seed(int.from_bytes(os.urandom(7), "big"))
