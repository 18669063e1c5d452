"""Settings that all trainings share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Generic, Literal, Self, TypeVar

from medgan.errors import unknown
from medgan.images.transforms import check_augmentations
from medgan.ranges import (
    Accumulated,
    BatchSize,
    Count,
    CountOrNone,
    Epochs,
    Epsilon,
    InnerShare,
    Positive,
    Range,
    Share,
    ShareBelowOne,
    Steps,
    Weight,
)

C = TypeVar("C")


@dataclass(frozen=True)
class DiscriminatorConfig:
    """What a discriminator sees and how it is held back (`training.adversary`).

    Raises:
        UserError: if `augment` names an unknown augmentation.
    """

    augment: tuple[str, ...] = ()
    """Augmentations of real and generated images, where `augmentation.allowed` has them too."""
    augment_share: Share = 1.0
    """Probability of each for an image; 1 is DiffAugment."""
    augment_target: ShareBelowOne = 0.0
    """Share of pairs that D may rank right before the probability rises (ADA); 0 does not adapt."""
    r1: Weight = 0.0
    """gamma of the R1 penalty."""
    r1_every: Count = 16
    """Steps from one penalty to the next."""
    top_k: Annotated[float, Range(0.0, 1.0, low_open=True)] = 1.0
    """Share of the generated images, the most real ones, from which G learns in the end."""

    def __post_init__(self) -> None:
        check_augmentations(self.augment, "`training.discriminator.augment`")


@dataclass(frozen=True)
class PrivacyConfig:
    """Differential privacy of the weights of a GAN (`training.privacy`)."""

    epsilon: Epsilon = 10.0
    """Largest factor exp(epsilon) by which one image may change the probability of an outcome."""
    delta: InnerShare = 1e-5
    """Probability without that guarantee: below 1 / number of training images."""
    max_grad_norm: Positive = 1.0
    """Norm to which the gradient of an image is clipped."""


@dataclass(frozen=True)
class TrainingConfig:
    """Budget of a training, in steps so that it can be reproduced."""

    steps: Mapping[str, Steps] = field(default_factory=dict)
    """Steps of each stage of the model."""
    batch_size: BatchSize = 32
    accumulate: Accumulated = 1
    """Batches whose gradients are averaged for one update: `batch_size * accumulate` images with
    the memory of `batch_size`."""
    ema_decay: ShareBelowOne = 0.0
    """Decay of the averaged weights that are validated and published; 0 does not average."""
    decay: Literal["none", "linear", "cosine"] = "none"
    """How the learning rates decay to 0 at the end of each stage."""
    decay_from: ShareBelowOne = 0.5
    """Share of a stage after which they decay."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16` is autocast, on CPUs and on GPUs."""
    compile: bool = False
    """torch.compile: faster after minutes of warm-up; needs a C++ compiler."""
    discriminator: DiscriminatorConfig | None = None
    """Of a GAN."""
    privacy: PrivacyConfig | None = None
    """Of a GAN whose discriminator has no batch norm."""
    inspect_every: CountOrNone = 0
    """Steps between validations: sample grid, diversity, weight selection. 0 never validates."""
    criterion: Literal["auto", "aucp", "val_auroc", "last"] = "auto"
    """Metric that selects the weights: `auto` is AUCp for a model that sees an unlabelled mix with
    anomalous images, else `last`, the weights after the last step. `val_auroc` reads labels."""
    patience: CountOrNone = 0
    """Validations of the last stage without a higher criterion after which training stops; 0 never
    stops early."""
    checkpoint_every: Count = 250
    """Steps between checkpoints, or fewer where they take over a minute; a killed training resumes
    from the last one."""
    report_every: Count = 10
    """Steps between rows of the curves."""
    epochs: Mapping[str, Epochs] = field(default_factory=dict)
    """Epochs of stages, in place of their steps; `in_steps` converts them."""

    def in_steps(self, n_images: int) -> Self:
        """Return these settings with the epochs of each stage as steps, rounded up.

        An epoch is as many steps as there are batches in the training images. A network that is
        updated several times a step draws a batch for each update, which does not count.

        Args:
            n_images: training images of the model, without an unlabelled mix.

        Raises:
            UserError: a stage has epochs and is not one of `steps`.
        """
        for stage in self.epochs:
            if stage not in self.steps:
                raise unknown("stage in `training.epochs`:", stage, self.steps)
        images = self.batch_size * self.accumulate
        steps = {stage: math.ceil(n * n_images / images) for stage, n in self.epochs.items()}
        return replace(self, steps={**self.steps, **steps})


@dataclass(frozen=True)
class ComputeConfig:
    """Section `compute`: on how many processes, and which machines."""

    engine: Literal["local", "torchrun", "slurm", "ray"] = "local"
    """Who starts processes: medgan on this machine, torchrun or SLURM, which start this command
    several times, or a Ray cluster, which runs the models of a pipeline at once."""
    address: str | None = None
    """Of a running Ray cluster; None starts one on this machine."""
    workers: Count = 1
    """Processes that share the batches of each training, with `local`; those of torchrun and SLURM
    are counted. With `ray`, models that are trained at once."""


@dataclass(frozen=True)
class ModelSettings(Generic[C]):
    """One section of `conf/*/parameters/models`.

    Raises:
        UserError: if `augment` names an unknown augmentation.
    """

    model: C
    """The `Config` of the model."""
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augment: tuple[str, ...] = ()
    """Augmentations of the method, applied where `augmentation.allowed` has them too."""
    score: Literal["own", "validation"] = "own"
    """Of a detector whose score has components: `own` are the weights of the method, `validation`
    those of `evaluation.score_choice`, which labels of validation images choose."""
    checkpoint: str | None = None
    """A safetensors file of weights that are published in place of a training."""

    def __post_init__(self) -> None:
        check_augmentations(self.augment, "a model's `augment`")
