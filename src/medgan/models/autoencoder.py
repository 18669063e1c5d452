"""A small convolutional autoencoder of normal images: the baseline that a GAN detector has to beat.

What it cannot rebuild through its narrow latent is anomalous: the score is the mean squared
residual, the map |x - x'|.
On RSNA this beats published GAN detectors (MedIAnomaly, Cai 2024), with 64 px and a latent of 16.

Components of the score: reconstruction, which is the whole of it; latent |E(x) - E(x')|_1,
GANomaly's score (Akcay 2018, eq. 5) on this encoder. It has no discriminator, so no feature
distance.
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
from medgan.losses import l1_per_image, mse_per_image, residual_map
from medgan.networks.autoencoder import ConvolutionalDecoder, ConvolutionalEncoder

TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `autoencoder`."""

    latent_dim: int = 16
    width: int = 32
    lr: float = 1e-3


class Autoencoder(nn.Module):
    """Encoder and decoder, one player."""

    COUNTERPART = "reconstruction"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.encoder = ConvolutionalEncoder(
            config.latent_dim, config.width, spec.size, spec.channels
        )
        self.decoder = ConvolutionalDecoder(
            config.latent_dim, config.width, spec.size, spec.channels
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage with one player."""
        adam = OptimizerSpec("adam", self.config.lr, (0.9, 0.999))
        return {
            "reconstruction": (
                Player("autoencoder", [self.encoder, self.decoder], self.loss, adam),
            )
        }

    def loss(self, batch: Batch) -> LossTerms:
        """Mean squared residual."""
        return {"reconstruction": mse_per_image(batch.images, self(batch.images)).mean()}

    def forward(self, images: Tensor) -> Tensor:
        """The reconstruction (N, C, H, W)."""
        rebuilt: Tensor = self.decoder(self.encoder(images))
        return rebuilt

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Mean squared residual and residual map."""
        latents = self.encoder(images)
        rebuilt = self.decoder(latents)
        components = {
            "reconstruction": mse_per_image(images, rebuilt),
            "latent": l1_per_image(latents, self.encoder(rebuilt)),
        }
        return AnomalyScores.composed(
            components, self.score_weights(), residual_map(images, rebuilt)
        )

    def score_weights(self) -> Mapping[str, float]:
        """The reconstruction alone."""
        return {"reconstruction": 1.0}

    @torch.inference_mode()
    def counterpart(self, images: Tensor, rng: torch.Generator) -> Tensor:
        """The reconstruction (N, C, H, W)."""
        rebuilt: Tensor = self(images)
        return rebuilt

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """The latents (N, latent_dim)."""
        latents: Tensor = self.encoder(images)
        return latents


def build(config: Config, spec: ImageSpec) -> Autoencoder:
    """An untrained autoencoder."""
    return Autoencoder(config, spec)
