"""What a training is told, whatever its model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from medgan.images.transforms import check_augmentations

C = TypeVar("C")


@dataclass(frozen=True)
class TrainingConfig:
    """The budget of a training, in steps, so that figures repeat."""

    steps: Mapping[str, int] = field(default_factory=dict)
    """Steps of each stage of the model; a stage that is not played needs none."""
    batch_size: int = 32
    accumulate: int = 1
    """Batches whose gradients are averaged for one update: `batch_size * accumulate` images at the
    memory of `batch_size`.
    """
    ema_decay: float = 0.0
    """Decay of the averaged weights that are looked at and published; 0 takes the weights as they
    are.
    """
    decay: Literal["none", "linear", "cosine"] = "none"
    """How the learning rates fall to 0 over the end of each stage."""
    decay_from: float = 0.5
    """Share of a stage after which they fall."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """`bf16` is autocast, on CPUs as on GPUs."""
    compile: bool = False
    """torch.compile: faster after minutes of warm-up, and in need of a C++ compiler."""
    inspect_every: int = 0
    """Steps between looks at the model as it would be published: sample grid, diversity, model
    choice. 0 never looks.
    """
    criterion: Literal["auto", "aucp", "val_auroc", "last"] = "auto"
    """What chooses among the looks: `auto` takes AUCp where there is an unlabelled mix, else
    validation AUROC, else the last weights.
    """
    patience: int = 0
    """Looks of the last stage without a higher criterion after which training stops; 0 plays all
    steps.
    """
    checkpoint_every: int = 250
    """Steps between checkpoints; a killed training resumes from the last one."""
    report_every: int = 10
    """Steps between rows of the curves."""


@dataclass(frozen=True)
class ModelSettings(Generic[C]):
    """One section of `conf/*/parameters/models`: the method's own settings, and its training."""

    model: C
    training: TrainingConfig = field(default_factory=TrainingConfig)
    augment: tuple[str, ...] = ()
    """What the method changes its training images by, as far as the data set's
    `augmentation.allowed` has it too.
    """

    def __post_init__(self) -> None:
        check_augmentations(self.augment, "a model's `augment`")
