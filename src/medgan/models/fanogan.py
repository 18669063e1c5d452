"""f-AnoGAN: a Wasserstein GAN of normal images, then an encoder that finds an image's latent in one
pass.

Paper: Schlegl 2019. Stage 1 is WGAN-GP (Gulrajani 2017) with penalty 10 and n_critic 5, Adam 1e-4
(0, 0.9). Stage 2 trains E alone, G and D frozen and in eval mode, by RMSProp 5e-5, to minimize
(izi_f)

    MSE(x, G(E(x))) + k * MSE(f_D(x), f_D(G(E(x)))),   k = 1
      (eq. 3)

with means over all elements. The same sum is the score, |x - G(E(x))| the map. E ends in tanh. The
latent distance mean (E(x) - E(G(E(x))))^2, which Schlegl reports beside the score, is a term that
is logged and not minimized.

Components of the score: reconstruction and feature, the two terms of eq. 3; latent, that latent
distance.

Deviations: `width` and `n_critic` are smaller in the CPU budgets, and their learning rates larger
(named in the configuration file).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

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
    mse_per_image,
    pairwise_accuracy,
    residual_map,
)
from medgan.networks.dcgan import draw, latents_for
from medgan.networks.resnet import ResNetEncoder, ResNetGenerator, batch_norm, layer_norm

TRAINING_SET = TrainingSet.NORMAL
WGAN_GP = ADVERSARIAL["wgan_gp"]
WATCHED = 8
"""Images of a batch on which the latent distance is logged."""


@dataclass(frozen=True)
class Config:
    """Settings of `fanogan`."""

    latent_dim: int = 128
    width: int = 64
    lr: float = 1e-4
    encoder_lr: float = 5e-5
    n_critic: int = 5
    kappa: float = 1.0
    """k, the weight of the feature residual."""


class FAnoGAN(nn.Module):
    """Generator, critic and encoder."""

    COUNTERPART = "reconstruction"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.generator = ResNetGenerator(config.latent_dim, config.width, spec.size, spec.channels)
        self.discriminator = ResNetEncoder(1, config.width, spec.size, spec.channels, layer_norm)
        self.encoder = nn.Sequential(
            ResNetEncoder(config.latent_dim, config.width, spec.size, spec.channels, batch_norm),
            nn.Tanh(),
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """The game of critic and generator, then the encoder alone."""
        adam = OptimizerSpec("adam", self.config.lr, (0.0, 0.9))
        rmsprop = OptimizerSpec("rmsprop", self.config.encoder_lr)
        return {
            "adversarial": (
                Player(
                    "discriminator",
                    [self.discriminator],
                    self.discriminator_loss,
                    adam,
                    updates=self.config.n_critic,
                ),
                Player("generator", [self.generator], self.generator_loss, adam),
            ),
            "encoder": (Player("encoder", [self.encoder], self.encoder_loss, rmsprop),),
        }

    def discriminator_loss(self, batch: Batch) -> LossTerms:
        """E[D(G(z))] - E[D(x)] + 10 * penalty (Gulrajani 2017, eq. 3)."""
        with torch.no_grad():
            fake = self.generator(latents_for(batch, self.config.latent_dim))
        real_logits, fake_logits = self._critic(batch.images), self._critic(fake)
        return {
            "wasserstein": WGAN_GP.discriminator(real_logits, fake_logits),
            "accuracy": pairwise_accuracy(real_logits, fake_logits),
            "gradient_penalty": WGAN_GP.gradient_penalty
            * gradient_penalty(self._critic, batch.images, fake, batch.rng),
        }

    def generator_loss(self, batch: Batch) -> LossTerms:
        """-E[D(G(z))]."""
        return {
            "wasserstein": WGAN_GP.generator(
                self._critic(self.generator(latents_for(batch, self.config.latent_dim)))
            )
        }

    def encoder_loss(self, batch: Batch) -> LossTerms:
        """izi_f, eq. 3; the latent distance mean (E(x) - E(G(E(x))))^2 is only watched."""
        drawn = self.generator(self.encoder(batch.images))
        return {
            "reconstruction": mse_per_image(batch.images, drawn).mean(),
            "features": self.config.kappa * self._feature_residual(batch.images, drawn).mean(),
            "latent_distance": self._latent_distance(batch.images[:WATCHED]),
        }

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """(n, C, H, W) images of the class it was trained on; `labels` are not used."""
        return draw(self.generator, n, self.config.latent_dim, rng)

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """G(E(x)): (N, C, H, W)."""
        drawn: Tensor = self.generator(self.encoder(images))
        return drawn

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Eq. 3 for each image, and the residual |x - G(E(x))|."""
        encoded = self.encoder(images)
        drawn = self.generator(encoded)
        components = {
            "reconstruction": mse_per_image(images, drawn),
            "feature": self._feature_residual(images, drawn),
            "latent": mse_per_image(encoded, self.encoder(drawn)),
        }
        return AnomalyScores.composed(components, self.score_weights(), residual_map(images, drawn))

    def score_weights(self) -> Mapping[str, float]:
        """Eq. 3: 1 and kappa."""
        return {"reconstruction": 1.0, "feature": self.config.kappa}

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The latents E(x): (N, latent_dim)."""
        latents: Tensor = self.encoder(images)
        return latents

    def _critic(self, images: Tensor) -> Tensor:
        logits: Tensor = self.discriminator(images)
        return logits.squeeze(1)

    def _feature_residual(self, images: Tensor, drawn: Tensor) -> Tensor:
        return mse_per_image(
            self.discriminator.features(images), self.discriminator.features(drawn)
        )

    @torch.no_grad()
    def _latent_distance(self, images: Tensor) -> Tensor:
        """In eval mode, as E scores: a pass that is only watched must leave the statistics of batch
        norm alone.
        """
        self.encoder.eval()
        latents = self.encoder(images)
        distance = mse_per_image(latents, self.encoder(self.generator(latents))).mean()
        self.encoder.train()
        return distance


def build(config: Config, spec: ImageSpec) -> FAnoGAN:
    """An untrained f-AnoGAN."""
    return FAnoGAN(config, spec)
