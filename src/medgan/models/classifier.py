"""A supervised classifier, one player that minimizes cross-entropy.

The arms of `classifier_training` and the domain features are trained with it. It is neither a
detector nor a synthesizer, so it is not in `models.names()`.

Options: label smoothing (Szegedy 2016, section 7), class weights, mixup (Zhang 2018: images and
labels are blended with a weight from Beta(a, a), one for each batch), a stage of pretraining on
other images, and weights of torchvision to start from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.contracts import (
    CLASSIFICATION,
    PRETRAINING,
    Batch,
    ImageSpec,
    LossTerms,
    OptimizerSpec,
    Player,
    TrainingSet,
)
from medgan.errors import UserError
from medgan.networks.classifier import CLASSIFIERS
from medgan.ranges import LearningRate, Share, ShareBelowOne, Weight
from medgan.sharing import own, rows, whole

TRAINING_SET = TrainingSet.LABELLED


@dataclass(frozen=True)
class Config:
    """Settings of the classifier."""

    network: str = "small"
    """A key of `networks.classifier.CLASSIFIERS`."""
    lr: LearningRate = 1e-3
    weight_decay: Share = 1e-4
    label_smoothing: ShareBelowOne = 0.0
    """Share of each label that is spread over all classes."""
    class_weights: tuple[Weight, ...] = ()
    """Weight of each class in the loss, of its images alone where an image may be of several; empty:
    all alike."""
    mixup: Weight = 0.0
    """a of Beta(a, a); 0 blends no images."""
    pretraining: bool = False
    """Whether there is a stage `pretraining`, on images of its own, before `classification`."""
    several: bool = False
    """Whether an image may be of several classes: labels are multi-hot, and the probability of each
    class is a sigmoid of its own."""


class Classifier(nn.Module):
    """A network with one logit per class.

    Raises:
        UserError: if there is no such network.
    """

    class_weights: Tensor | None

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        if config.network not in CLASSIFIERS:
            raise UserError(
                f"There is no classifier '{config.network}': set `classifier` to one of "
                f"{', '.join(CLASSIFIERS)}."
            )
        self.config = config
        self.network = CLASSIFIERS[config.network](spec.size, spec.channels, len(spec.classes))
        weights = torch.tensor(config.class_weights) if config.class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return one stage with one player, or two of the same player."""
        adamw = OptimizerSpec("adamw", self.config.lr, (0.9, 0.999), self.config.weight_decay)
        player = Player("classifier", [self.network], self.loss, adamw)
        first = {PRETRAINING: (player,)} if self.config.pretraining else {}
        return {**first, CLASSIFICATION: (player,)}

    def load_pretrained(self, tensors: Mapping[str, Tensor]) -> None:
        """Set all weights but those of the last layer, by torchvision's names."""
        self.network.load(tensors)

    def loss(self, batch: Batch) -> LossTerms:
        """Compute the cross-entropy of the labels."""
        if batch.labels is None:
            raise ValueError("a classifier trains on labelled batches")
        if self.config.mixup:
            return {"cross_entropy": self._mixed(batch, batch.labels)}
        return {"cross_entropy": self._cross_entropy(self.network(batch.images), batch.labels)}

    def _mixed(self, batch: Batch, labels: Tensor) -> Tensor:
        """Compute the loss of blended images: the blend of the losses of both labels."""
        seed = int(torch.randint(2**31, (), generator=batch.rng))
        share = float(np.random.default_rng(seed).beta(self.config.mixup, self.config.mixup))
        order = torch.randperm(rows(len(labels)), generator=batch.rng).to(labels.device)
        images, others = (own(whole(one)[order]) for one in (batch.images, labels))
        logits = self.network(share * batch.images + (1 - share) * images)
        first, second = (self._cross_entropy(logits, of) for of in (labels, others))
        return share * first + (1 - share) * second

    def _cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing, weights = self.config.label_smoothing, self.class_weights
        if self.config.several:
            soft = labels * (1 - smoothing) + smoothing / 2
            return F.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights)
        if weights is not None:  # their sum over the batch divides the loss
            logits, labels = whole(logits), whole(labels)
        return F.cross_entropy(logits, labels, weights, label_smoothing=smoothing)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Compute class probabilities (N, classes)."""
        return self.normalized(self.network(images))

    def normalized(self, logits: Tensor) -> Tensor:
        """Convert logits (N, classes) to probabilities."""
        return logits.sigmoid() if self.config.several else logits.softmax(1)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Compute features (N, D), the mean of the last feature map over positions."""
        return self.network.features(images)


def build(config: Config, spec: ImageSpec) -> Classifier:
    """Build an untrained classifier."""
    return Classifier(config, spec)
