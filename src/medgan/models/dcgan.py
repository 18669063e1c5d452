"""DCGAN with AnoGAN scoring.

Papers: Radford 2015 (networks), Goodfellow 2014 (losses), Schlegl 2017 (AnoGAN: latent search).

For each image x, Adam searches the latent z that minimizes (AnoGAN, eq. 5)

    (1 - l) |x - G(z)|_1 + l |f_D(x) - f_D(G(z))|_1,   l = 0.1

with sums over pixels and over features. The minimum is the score, the map is |x - G(z)|. The
components are the two sums, `reconstruction` and `feature`.

Deviations: `search_steps` shortens AnoGAN's 500 steps, and its learning rates (0.01, then 0.001
after 2/5 and 0.0005 after 3/5 of the steps) follow; `warm_start` starts at the best of that many
random latents, the same for all images. With `encoder: true` the search may also start at E(x) if
that is better: a second stage trains E to minimize mean (z - E(G(z)))^2 on images of the frozen
generator (ziz training of f-AnoGAN, Schlegl 2019, section 2.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from medgan.contracts import (
    AnomalyScores,
    Batch,
    ImageSpec,
    LossTerms,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.gans import GAN
from medgan.losses import ADVERSARIAL, l1_per_image, mse_per_image, residual_map
from medgan.networks.autoencoder import ConvolutionalEncoder
from medgan.networks.blocks import NORMS
from medgan.networks.dcgan import Discriminator, Generator, latents_for, normal_latents
from medgan.ranges import Count, LatentDim, LearningRate, Share, Width

NAME = "DCGAN"
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `dcgan`."""

    latent_dim: LatentDim = 64
    width: Width = 32
    adversarial_loss: Literal["bce", "hinge", "lsgan", "wgan_gp"] = "bce"
    discriminator_norm: Literal["batch", "group"] = "batch"
    """With a gradient penalty `batch` is no norm."""
    lr: LearningRate = 2e-4
    search_steps: Count = 500
    """Adam steps of the latent search for each image."""
    search_lr: LearningRate = 0.01
    feature_share: Share = 0.1
    """l, the share of the feature term."""
    warm_start: Count = 256
    """Random latents among which the search selects its start; 1 is AnoGAN's random start."""
    encoder: bool = False
    """Whether to train E in a stage `encoder` and add E(x) to the candidates of each image."""
    encoder_lr: LearningRate = 1e-3


class DCGAN(GAN):
    """Generator, discriminator, latent search, and the encoder from which it may start."""

    COUNTERPART = "nearest drawn image"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.adversarial = ADVERSARIAL[config.adversarial_loss]
        shape = config.latent_dim, config.width, spec.size, spec.channels
        self.generator = Generator(*shape)
        # Batch norm would couple the images of a gradient penalty.
        coupled = config.discriminator_norm == "batch"
        self.per_image = not coupled and not self.adversarial.gradient_penalty
        without = coupled and self.adversarial.gradient_penalty > 0
        norm = None if without else NORMS[config.discriminator_norm]
        self.discriminator = Discriminator(*shape[1:], norm)
        self.encoder = ConvolutionalEncoder(*shape) if config.encoder else None

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return the stage of discriminator and generator, then that of the encoder if it is on."""
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        stages: dict[str, Sequence[Player]] = {
            "adversarial": self.players(adam, per_image=self.per_image)
        }
        if self.encoder is not None:
            adam = OptimizerSpec("adam", self.config.encoder_lr, (0.9, 0.999))
            stages["encoder"] = (Player("encoder", [self.encoder], self.encoder_loss, adam),)
        return stages

    def encoder_loss(self, batch: Batch) -> LossTerms:
        """Compute the ziz loss of E: mean (z - E(G(z)))^2."""
        assert self.encoder is not None  # noqa: S101
        latents = latents_for(batch, self.config.latent_dim)
        return {"latents": mse_per_image(latents, self.encoder(self.generator(latents))).mean()}

    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute AnoGAN's score and residual map."""
        found, features = self._found(images, rng)
        with torch.inference_mode():
            components = self._residuals(images, features, found)
            maps = residual_map(images, found)
            return AnomalyScores.composed(components, self.score_weights(), maps)

    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """Return G(z) of the latents found (N, C, H, W); as expensive as `score`."""
        return self._found(images, rng)[0]

    def score_weights(self) -> Mapping[str, float]:
        """Return AnoGAN's 1 - l and l."""
        share = self.config.feature_share
        return {"reconstruction": 1 - share, "feature": share}

    def _found(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return G(z) of the latents found, and f_D(x)."""
        self.requires_grad_(False)
        candidates = normal_latents(
            self.config.warm_start, self.config.latent_dim, rng, images.device
        )
        with torch.no_grad():
            start, features = self._start(images, candidates), self.discriminator.features(images)
        latents = self._search(images, features, start)
        with torch.inference_mode():
            return self.generator(latents), features

    def _start(self, images: Tensor, candidates: Tensor) -> Tensor:
        """Select for each image the latent of the nearest G(z): a candidate or E(x)."""
        drawn = self.generator(candidates)
        distances, nearest = torch.cdist(images.flatten(1), drawn.flatten(1), p=1).min(1)
        if self.encoder is None:
            return candidates[nearest]
        encoded = self.encoder(images)
        nearer = l1_per_image(images, self.generator(encoded)) < distances
        return torch.where(nearer[:, None], encoded, candidates[nearest])

    def _search(self, images: Tensor, features: Tensor, start: Tensor) -> Tensor:
        """Minimize eq. 5 for each image: latents (N, latent_dim).

        The loss is a sum over the batch, so the images do not influence each other.
        """
        latents = start.clone().requires_grad_(True)
        steps, rate = self.config.search_steps, self.config.search_lr
        optimizer = torch.optim.Adam([latents], lr=rate)
        for step in range(steps):
            factor = 1.0 if step < 0.4 * steps else 0.1 if step < 0.6 * steps else 0.05
            optimizer.param_groups[0]["lr"] = rate * factor
            optimizer.zero_grad()
            with torch.enable_grad():
                self._objective(images, features, self.generator(latents)).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return latents.detach()

    def _objective(self, images: Tensor, features: Tensor, drawn: Tensor) -> Tensor:
        """Compute eq. 5 for each image, `features` being f_D(x): (N,)."""
        residuals, share = self._residuals(images, features, drawn), self.config.feature_share
        return (1 - share) * residuals["reconstruction"] + share * residuals["feature"]

    def _residuals(self, images: Tensor, features: Tensor, drawn: Tensor) -> Mapping[str, Tensor]:
        """Compute the two sums of eq. 5 for each image, `features` being f_D(x): (N,) each."""
        return {
            "reconstruction": l1_per_image(images, drawn),
            "feature": l1_per_image(features, self.discriminator.features(drawn)),
        }


def build(config: Config, spec: ImageSpec) -> DCGAN:
    """Build an untrained DCGAN."""
    return DCGAN(config, spec)
