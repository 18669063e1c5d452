"""Distance to the nearest normal training images in the features of a WGAN-GP critic.

The critic and its generator are those of f-AnoGAN's first stage (Schlegl 2019): Gulrajani 2017 with
penalty 10, n_critic 5 and Adam 1e-4 (0, 0.9). After it, the features f_D of all training normals
are stored, f_D being the last residual output of the critic. The score is the mean Euclidean
distance to the k nearest of them (k nearest neighbors, Ramaswamy 2000, with the mean of Angiulli,
Pizzuti 2002; on deep features: Bergman 2020), each feature z-scored by the training normals, and
divided by the root of their number. Unlike f-AnoGAN, it needs no encoder and no reconstruction.

Map: at each of the 4x4 positions of f_D the root mean squared difference from the same neighbors,
interpolated to the size of the image: it decomposes the distances that make the score, and is
coarse.

Deviations: those of `fanogan`. `untrained_neighbours` is the same with an untrained critic, and has
to be beaten before the training can be said to add anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from medgan.contracts import (
    AnomalyScores,
    Batch,
    ImageSpec,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.gans import Adversaries
from medgan.losses import ADVERSARIAL
from medgan.networks.blocks import BASE, enlarged
from medgan.networks.memory import FeatureMemory
from medgan.networks.resnet import ResNetEncoder, ResNetGenerator, layer_norm
from medgan.ranges import Count, CriticSteps, LatentDim, LearningRate, Width

ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `critic_neighbours`."""

    latent_dim: LatentDim = 128
    width: Width = 64
    lr: LearningRate = 1e-4
    n_critic: CriticSteps = 5
    neighbours: Count = 3
    """k, the training images whose distances are averaged."""


class CriticNeighbours(Adversaries):
    """Generator, critic, and the critic's features of the training images."""

    TERM = "wasserstein"

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, self.adversarial = config, ADVERSARIAL["wgan_gp"]
        shape = config.width, spec.size, spec.channels
        self.generator = ResNetGenerator(config.latent_dim, *shape)
        self.discriminator = ResNetEncoder(1, *shape, layer_norm)
        self.memory = FeatureMemory(self.discriminator.head.in_features)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return the stage of critic and generator."""
        adam = OptimizerSpec("adam", self.config.lr, (0.0, 0.9))
        return {"adversarial": self.players(adam, self.config.n_critic)}

    @torch.no_grad()
    def fit(self, batches: Iterator[Batch]) -> None:
        """Store f_D of every training image."""
        self.memory.store(self.discriminator.features(batch.images) for batch in batches)

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the mean distance to the nearest training images, and where it comes from."""
        features = self.discriminator.features(images)
        distances, maps = self.memory.distances(features, self.config.neighbours, BASE)
        return AnomalyScores(distances, enlarged(maps, images.shape[-1]))

    def critic(self, images: Tensor) -> Tensor:
        """Compute the logits (N,) of D."""
        return self.discriminator(images).squeeze(1)


def build(config: Config, spec: ImageSpec) -> CriticNeighbours:
    """Build an untrained model without training images."""
    return CriticNeighbours(config, spec)
