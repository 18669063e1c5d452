"""Settings of the arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from medgan.ranges import Count, InnerShare, LearningRate, Share, ShareBelowOne, Weight
from medgan.training.settings import TrainingConfig


@dataclass(frozen=True)
class ClassifierConfig:
    """Section `classifier_training`. The network is the top-level key `classifier`."""

    lr: LearningRate | None = None
    """None: that of the network, `networks.classifier.RATES`."""
    weight_decay: Share = 1e-4
    label_smoothing: ShareBelowOne = 0.0
    balance: Literal["none", "weights", "sampling"] = "none"
    """Of the classes: `weights` in the loss, or `sampling` each equally often."""
    task: Literal["categories", "anomaly", "findings"] = "categories"
    """`anomaly` makes one class of all categories but `normal`; `findings` tells each finding by
    itself, of images that may show several."""
    weights: str | None = None
    """Weights to start from: `torchvision` searches its download folder, anything else is a path;
    None: random weights."""
    mixup: Weight = 0.2
    """a of Beta(a, a), for the arm `mixup`."""
    synthetic_share: InnerShare | None = None
    """Share of the training images of an arm that is synthetic; None takes all that were drawn."""
    synthetic_prior: Literal["real", "balanced"] = "real"
    """Classes of the synthetic images: the proportions of the real ones, or what rare classes lack.
    """
    pretraining: InnerShare = 0.5
    """Share of the steps on synthetic images, for the arm `synthetic_first`."""
    judged_images: Count = 1000
    """Validation images at each validation (`training.inspect_every`), at most."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
