"""A classifier of the unlabelled mix against normals: the baseline of detectors that see the mix.

Positive-unlabelled learning (Elkan, Noto 2008): with A the unlabelled mix and B normals, P(A | x)
rises with P(anomalous | x) although no image is labelled, because the normal part of A cannot be
separated from B. The score is the logit of P(A) averaged over positions; the map is the logit at
each position, at 1/8 of the side, upsampled.
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
from medgan.networks.blocks import enlarged
from medgan.networks.classifier import PatchClassifier
from medgan.ranges import LearningRate, Share, Width

TRAINING_SET = TrainingSet.MIX


@dataclass(frozen=True)
class Config:
    """Settings of `mix_vs_normal`."""

    width: Width = 16
    lr: LearningRate = 1e-3
    weight_decay: Share = 1e-2


class MixVsNormal(nn.Module):
    """A patch classifier, one player."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config = config
        self.classifier = PatchClassifier(spec.channels, config.width)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage with one player."""
        adamw = OptimizerSpec("adamw", self.config.lr, (0.9, 0.999), self.config.weight_decay)
        return {"classification": (Player("classifier", [self.classifier], self.loss, adamw),)}

    def loss(self, batch: Batch) -> LossTerms:
        """Compute the binary cross-entropy: 1 for the mix, 0 for the normals."""
        if batch.unlabelled is None:
            raise ValueError("mix_vs_normal trains on batches with an unlabelled mix")
        images = torch.cat([batch.unlabelled, batch.images])
        logits = self.classifier(images).mean((1, 2, 3))
        targets = (torch.arange(len(images)) < len(batch.unlabelled)).to(logits)
        return {"cross_entropy": F.binary_cross_entropy_with_logits(logits, targets)}

    @torch.inference_mode()
    def score(self, images: Tensor, rng: torch.Generator) -> AnomalyScores:
        """Compute the logit of P(mix), and the upsampled logits of the positions."""
        logits = self.classifier(images)
        return AnomalyScores(logits.mean((1, 2, 3)), enlarged(logits, images.shape[-1]))


def build(config: Config, spec: ImageSpec) -> MixVsNormal:
    """Build an untrained classifier of mix against normal."""
    return MixVsNormal(config, spec)
