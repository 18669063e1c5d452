"""Distance to the nearest normal training images in the features of an untrained network.

The control of every detector that scores by features: the critic of `critic_neighbours` with the
weights that it is initialized with, and the same score and map. What it reaches comes from the
images, the architecture and the nearest neighbors. A trained network that does not exceed it has
not shown that its training adds anything (random features: Jarrett 2009, Saxe 2011).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from medgan.contracts import AnomalyScores, Batch, ImageSpec, Player, TrainingSet
from medgan.networks.blocks import BASE, enlarged
from medgan.networks.memory import FeatureMemory
from medgan.networks.resnet import ResNetEncoder, layer_norm
from medgan.ranges import Count, Width

ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL


@dataclass(frozen=True)
class Config:
    """Settings of `untrained_neighbours`."""

    width: Width = 64
    neighbours: Count = 3
    """k, the training images whose distances are averaged."""


class UntrainedNeighbours(nn.Module):
    """A random critic, and its features of the training images."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.critic = ResNetEncoder(1, config.width, spec.size, spec.channels, layer_norm)
        self.memory = FeatureMemory(self.critic.head.in_features)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return no stages: the model is fitted."""
        return {}

    @torch.no_grad()
    def fit(self, batches: Iterator[Batch]) -> None:
        """Store the features of every training image."""
        self.memory.store(self.critic.features(batch.images) for batch in batches)

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the mean distance to the nearest training images, and where it comes from."""
        features = self.critic.features(images)
        distances, maps = self.memory.distances(features, self.config.neighbours, BASE)
        return AnomalyScores(distances, enlarged(maps, images.shape[-1]))


def build(config: Config, spec: ImageSpec) -> UntrainedNeighbours:
    """Build a random critic without training images."""
    return UntrainedNeighbours(config, spec)
