"""A supervised classifier, one player that minimizes cross-entropy.

The arms of `classifier_training` and the domain features are trained with it. It is neither a
detector nor a synthesizer, so it is not in `models.names()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.contracts import Batch, ImageSpec, LossTerms, OptimizerSpec, Player, TrainingSet
from medgan.errors import UserError
from medgan.networks.classifier import CLASSIFIERS
from medgan.ranges import LearningRate, Share

TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of the classifier."""

    network: str = "small"
    """A key of `networks.classifier.CLASSIFIERS`."""
    lr: LearningRate = 1e-3
    weight_decay: Share = 1e-4


class Classifier(nn.Module):
    """A network with one logit per class.

    Raises:
        UserError: if there is no such network.
    """

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if config.network not in CLASSIFIERS:
            raise UserError(
                f"There is no classifier '{config.network}': set `classifier` to one of "
                f"{', '.join(CLASSIFIERS)}."
            )
        self.config = config
        self.network = CLASSIFIERS[config.network](spec.size, spec.channels, len(spec.classes))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage with one player."""
        adamw = OptimizerSpec("adamw", self.config.lr, (0.9, 0.999), self.config.weight_decay)
        return {"classification": (Player("classifier", [self.network], self.loss, adamw),)}

    def loss(self, batch: Batch) -> LossTerms:
        """Compute the cross-entropy of the labels."""
        if batch.labels is None:
            raise ValueError("a classifier trains on labelled batches")
        return {"cross_entropy": F.cross_entropy(self.network(batch.images), batch.labels)}

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Compute class probabilities (N, classes)."""
        return self.network(images).softmax(1)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Compute the input of the last layer (N, D)."""
        return self.network.features(images)  # type: ignore[operator]


def build(config: Config, spec: ImageSpec) -> Classifier:
    """Build an untrained classifier."""
    return Classifier(config, spec)
