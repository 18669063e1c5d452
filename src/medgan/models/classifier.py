"""The supervised classifier of the arms and of the domain features: one player that minimises
cross-entropy.

It is neither a detector nor a synthesizer, so it is no namespace of its own; the arms of
`classifier_training` are.
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

TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of the classifier."""

    network: str = "small"
    """A key of `networks.classifier.CLASSIFIERS`."""
    lr: float = 1e-3
    weight_decay: float = 1e-4


class Classifier(nn.Module):
    """A network with one logit for each class."""

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if config.network not in CLASSIFIERS:
            raise UserError(
                f"There is no classifier '{config.network}': set `classifier` to one of {', '.join(CLASSIFIERS)}."
            )
        self.config = config
        self.network = CLASSIFIERS[config.network](spec.size, spec.channels, len(spec.classes))

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """One stage with one player."""
        adamw = OptimizerSpec("adamw", self.config.lr, (0.9, 0.999), self.config.weight_decay)
        return {"classification": (Player("classifier", [self.network], self.loss, adamw),)}

    def loss(self, batch: Batch) -> LossTerms:
        """Cross-entropy of the labels."""
        if batch.labels is None:
            raise ValueError("a classifier trains on labelled batches")
        return {"cross_entropy": F.cross_entropy(self.network(batch.images), batch.labels)}

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """(N, classes), each row summing to 1."""
        logits: Tensor = self.network(images)
        return logits.softmax(1)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """(N, D), what the last layer sees."""
        features: Tensor = self.network.features(images)  # type: ignore[operator]
        return features


def build(config: Config, spec: ImageSpec) -> Classifier:
    """An untrained classifier."""
    return Classifier(config, spec)
