"""Settings of the arms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from medgan.errors import UserError
from medgan.ranges import Count, InnerShare, LearningRate, Share, ShareBelowOne, Weight
from medgan.training.pretrained import PretrainedWeights
from medgan.training.settings import TrainingConfig

SEARCHED = "torchvision"


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

    def rate_of(self, network: str) -> float:
        """Return the learning rate of a network of this name."""
        from medgan.networks.classifier import FINE_TUNING, RATE, RATES

        return self.lr or (FINE_TUNING if self.weights else RATES.get(network, RATE))

    def pretrained(self, network: str) -> PretrainedWeights | None:
        """Find the weights that a network starts from.

        Raises:
            UserError: there are none.
        """
        from medgan.networks.classifier import DIVIDED

        if self.weights is None:
            return None
        if network not in DIVIDED:
            raise UserError(
                f"classifier_training.weights is {self.weights}, and there are no pretrained weights "
                f"of '{network}': set `classifier` to one of {', '.join(DIVIDED)}, or leave it out."
            )
        given = None if self.weights == SEARCHED else self.weights
        return PretrainedWeights.find(network, given, "classifier_training.weights")
