"""DCGAN with AnoGAN scoring: S0's "GAN".

Papers: Radford 2015 (networks), Goodfellow 2014 (losses), Schlegl 2017 (AnoGAN: the latent search).

Scoring searches, for each image x, the latent z that minimises

    (1 - l) |x - G(z)|_1 + l |f_D(x) - f_D(G(z))|_1,   l = 0.1
    (AnoGAN eq. 5)

with Adam; the sums run over pixels and over features. The minimum is the score, |x - G(z)| the map.
Its two sums are the components reconstruction and feature; the latent was searched, not encoded, so
there is no latent distance.

Deviations: `search_steps` shortens AnoGAN's 500 steps, its learning-rate drops (0.01, 0.001 after
2/5, 0.0005 after 3/5) move along; `warm_start` begins at the best of that many random latents, the
same ones for every image, instead of at one random latent. With `encoder: true` the search may also
start at E(x), if that is the better start: E minimises mean (z - E(G(z)))^2 on what the frozen
generator draws (f-AnoGAN's ziz training, Schlegl 2019, section 2.2), in a second stage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from medgan.contracts import (
    AnomalyScores,
    Batch,
    ImageSpec,
    LossTerms,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.losses import (
    ADVERSARIAL,
    gradient_penalty,
    l1_per_image,
    mse_per_image,
    pairwise_accuracy,
    residual_map,
)
from medgan.networks.autoencoder import ConvolutionalEncoder
from medgan.networks.dcgan import Discriminator, Generator, draw, latents_for, normal_latents

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `dcgan`."""

    latent_dim: int = 64
    width: int = 32
    adversarial_loss: Literal["bce", "hinge", "lsgan", "wgan_gp"] = "bce"
    lr: float = 2e-4
    search_steps: int = 500
    """Adam steps of the latent search for each image."""
    search_lr: float = 0.01
    feature_share: float = 0.1
    """l, the share of the feature term."""
    warm_start: int = 256
    """Random latents among which the search chooses its start; 1 is AnoGAN's random start."""
    encoder: bool = False
    """Adds the stage `encoder`, and E(x) to the candidates of every image."""
    encoder_lr: float = 1e-3


class DCGAN(nn.Module):
    """Generator and discriminator, the latent search, and the encoder that it may start from."""

    COUNTERPART = "nearest drawn image"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.adversarial = ADVERSARIAL[config.adversarial_loss]
        self.generator = Generator(config.latent_dim, config.width, spec.size, spec.channels)
        self.discriminator = Discriminator(
            config.width,
            spec.size,
            spec.channels,
            batch_norm=self.adversarial.gradient_penalty == 0,
        )
        self.encoder = (
            ConvolutionalEncoder(config.latent_dim, config.width, spec.size, spec.channels)
            if config.encoder
            else None
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """The game of discriminator and generator; then the encoder, if there is one."""
        adam = OptimizerSpec("adam", self.config.lr, (0.5, 0.999))
        game = (
            Player("discriminator", [self.discriminator], self.discriminator_loss, adam),
            Player("generator", [self.generator], self.generator_loss, adam),
        )
        if self.encoder is None:
            return {"adversarial": game}
        faster = OptimizerSpec("adam", self.config.encoder_lr, (0.9, 0.999))
        return {
            "adversarial": game,
            "encoder": (Player("encoder", [self.encoder], self.encoder_loss, faster),),
        }

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """What D minimises on real and on generated images, with the gradient penalty if the loss
        has one.
        """
        with torch.no_grad():
            fake = self.generator(latents_for(batch, self.config.latent_dim))
        real_logits, fake_logits = self.discriminator(batch.images), self.discriminator(fake)
        terms = {
            "adversarial": self.adversarial.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
        }
        if self.adversarial.gradient_penalty:
            penalty = gradient_penalty(self.discriminator, batch.images, fake, batch.rng)
            terms["gradient_penalty"] = self.adversarial.gradient_penalty * penalty
        return terms

    def generator_loss(self, batch: Batch) -> LossTerms:
        """What G minimises on its own images."""
        return {
            "adversarial": self.adversarial.generator(
                self.discriminator(self.generator(latents_for(batch, self.config.latent_dim)))
            )
        }

    def encoder_loss(self, batch: Batch) -> LossTerms:
        """ziz: the latent back from the image that was drawn from it."""
        assert self.encoder is not None  # noqa: S101
        latents = latents_for(batch, self.config.latent_dim)
        return {"latents": mse_per_image(latents, self.encoder(self.generator(latents))).mean()}

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the class it was trained on; `labels` are not used."""
        return draw(self.generator, n, self.config.latent_dim, rng)

    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """AnoGAN's score and residual map."""
        drawn, features = self._found(images, rng)
        with torch.inference_mode():
            return AnomalyScores.composed(
                self._residuals(images, features, drawn),
                self.score_weights(),
                residual_map(images, drawn),
            )

    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """G(z) of the latents that the search ends at (N, C, H, W): as costly as a score."""
        return self._found(images, rng)[0]

    def _found(self, images: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """G(z) of the latents that the search ends at, and f_D(x)."""
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
        """(N, latent_dim): for each image the latent whose image is nearest, of the candidates and
        E(x).
        """
        distances, nearest = torch.cdist(
            images.flatten(1), self.generator(candidates).flatten(1), p=1
        ).min(1)
        if self.encoder is None:
            return candidates[nearest]
        encoded = self.encoder(images)
        nearer = l1_per_image(images, self.generator(encoded)) < distances
        return torch.where(nearer[:, None], encoded, candidates[nearest])

    def _search(self, images: Tensor, features: Tensor, start: Tensor) -> Tensor:
        """(N, latent_dim): one latent for each image. The loss is summed over the batch, so each
        image is searched for itself.
        """
        latents = start.clone().requires_grad_(True)
        steps, rate = self.config.search_steps, self.config.search_lr
        optimizer = torch.optim.Adam([latents], lr=rate)
        for step in range(steps):
            optimizer.param_groups[0]["lr"] = rate * (
                1.0 if step < 0.4 * steps else 0.1 if step < 0.6 * steps else 0.05
            )
            optimizer.zero_grad()
            with torch.enable_grad():
                self._objective(images, features, self.generator(latents)).sum().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return latents.detach()

    def _objective(self, images: Tensor, features: Tensor, drawn: Tensor) -> Tensor:
        """AnoGAN eq. 5 for each image, `features` being f_D(x): (N,)."""
        residuals, weights = self._residuals(images, features, drawn), self.score_weights()
        return (
            weights["reconstruction"] * residuals["reconstruction"]
            + weights["feature"] * residuals["feature"]
        )

    def score_weights(self) -> Mapping[str, float]:
        """AnoGAN's 1 - l and l."""
        return {
            "reconstruction": 1 - self.config.feature_share,
            "feature": self.config.feature_share,
        }

    def _residuals(self, images: Tensor, features: Tensor, drawn: Tensor) -> Mapping[str, Tensor]:
        """The two sums of eq. 5 for each image, `features` being f_D(x): (N,) each."""
        return {
            "reconstruction": l1_per_image(images, drawn),
            "feature": l1_per_image(features, self.discriminator.features(drawn)),
        }


def build(config: Config, spec: ImageSpec) -> DCGAN:
    """An untrained DCGAN."""
    return DCGAN(config, spec)
