"""Settings of the arms."""

from __future__ import annotations

from dataclasses import dataclass, field

from medgan.ranges import LearningRate, Share
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class Arm:
    """What an arm trains on besides the real training images."""

    augmented: bool = False
    """Classical augmentation, as far as the anatomy allows it (`augmentation.allowed`)."""
    synthetic: bool = False
    """Synthetic images of every class from `synthesizer`."""


ARMS = {
    "real": Arm(),
    "classical": Arm(augmented=True),
    "gan": Arm(synthetic=True),
    "gan_classical": Arm(augmented=True, synthetic=True),
}
"""All arms share splits, seed, optimizer, number of steps and batch size."""

SYNTHESIZER = "acgan"
"""The only synthesizer that draws every class."""


@dataclass(frozen=True)
class ClassifierConfig:
    """Section `classifier_training`. The network is the top-level key `classifier`."""

    lr: LearningRate = 1e-3
    weight_decay: Share = 1e-4
    training: TrainingConfig = field(default_factory=TrainingConfig)
