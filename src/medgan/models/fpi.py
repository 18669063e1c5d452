"""Foreign patch interpolation: a detector that learns from synthetic anomalies (Tan 2020).

In a rectangle of a normal image x, the same rectangle of another normal image y is blended in,
x' = (1 - a) x + a y with a from U(0.05, 0.95). A U-Net A estimates a at each pixel, 0 outside the
rectangle, and minimizes the binary cross-entropy (eq. 3)

    mean -a log A(x') - (1 - a) log(1 - A(x'))

The map is A(x) of the undisturbed image, the score its mean. Sides of a rectangle are from U(0.1,
0.4) of the side of the image, its center is anywhere; both images are training normals.

Deviations: a U-Net instead of a wide residual network; the partner of an image is another image of
the batch, not of the whole training set; the center keeps no distance from the borders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
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
from medgan.networks.unet import UNet
from medgan.ranges import LearningRate, Share, Width
from medgan.sharing import own, rows, whole

NAME = "FPI"
ON_REQUEST = True
TRAINING_SET = TrainingSet.NORMAL
FACTORS = 0.05, 0.95
"""Bounds of a."""


@dataclass(frozen=True)
class Config:
    """Settings of `fpi`."""

    width: Width = 16
    smallest: Share = 0.1
    """Bounds of the sides of a rectangle, as shares of the side of the image."""
    largest: Share = 0.4
    lr: LearningRate = 1e-3


class FPI(nn.Module):
    """A U-Net that finds what is foreign, one player."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.network = UNet(spec.channels, 1, config.width)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage with one player."""
        adam = OptimizerSpec("adam", self.config.lr, (0.9, 0.999))
        return {"interpolation": (Player("network", [self.network], self.loss, adam),)}

    def loss(self, batch: Batch) -> LossTerms:
        """Compute the binary cross-entropy of the estimated factors."""
        factors = self._factors(batch)
        partners = own(whole(batch.images).roll(1, 0))
        blended = torch.lerp(batch.images, partners, factors)
        logits = self.network(blended)
        return {"factor": F.binary_cross_entropy_with_logits(logits.float(), factors)}

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the estimated factor of each pixel, and its mean."""
        maps = self.network(images).sigmoid()
        return AnomalyScores(maps.mean((1, 2, 3)), maps)

    def _factors(self, batch: Batch) -> Tensor:
        """Draw a rectangle for each image: a inside, 0 outside, (N, 1, H, W)."""
        count, size = len(batch.images), batch.images.shape[-1]
        drawn = own(torch.rand(5, rows(count), 1, generator=batch.rng), 1)
        sides = self.config.smallest + drawn[:2] * (self.config.largest - self.config.smallest)
        pixels = (torch.arange(size) + 0.5) / size
        lines, columns = ((pixels - drawn[2:4]).abs() <= sides / 2).float()
        low, high = FACTORS
        factors = low + (high - low) * drawn[4]
        inside = lines[:, None, :, None] * columns[:, None, None, :]
        return (factors[:, :, None, None] * inside).to(batch.images.device)


def build(config: Config, spec: ImageSpec) -> FPI:
    """Build an untrained detector."""
    return FPI(config, spec)
