"""What a data set's configuration may say about its images. Wrong values are refused with the name
of their key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pandas as pd

from medgan.contracts import NORMAL
from medgan.errors import UserError
from medgan.images.labels import findings_of
from medgan.images.resizing import Crop
from medgan.images.transforms import INTENSITY, check_augmentations

AUTO = "auto"
SPLIT_NAMES = (AUTO, "by_patient", "official", "repeated_k_fold")
LEAK_POLICIES = ("fail", "drop_from_train", "report")
SIZES = (16, 512)
PARTS = ("train", "val", "test")
FOLDS, REPEATS = 5, 5
"""Of `repeated_k_fold`."""


def require(holds: bool, message: str) -> None:
    """Raises `UserError` with this message unless the condition holds."""
    if not holds:
        raise UserError(message)


def _one_of(value: str, choices: tuple[str, ...], key: str) -> None:
    require(
        value in choices,
        f"{key} is `{value}`, which does not exist; choose from {', '.join(choices)}",
    )


@dataclass(frozen=True)
class IngestionConfig:
    """The section `ingestion`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    labels: dict[str, str | None] | None = None
    """Label as the source writes it -> category. The category `normal` is label 0, every other one
    label 1; null leaves those images out.
    Without it every label keeps its own name but the one that `normal` names."""
    normal: str = NORMAL
    """The label that means a healthy image, where `labels` is not given."""
    separator: str | None = None
    """What stands between the labels of an image that shows several findings, such as `|`."""
    max_quarantined: float = 0.05
    """Largest share of images that may be unreadable."""

    def __post_init__(self) -> None:
        require(
            self.labels is None or NORMAL in self.labels.values(),
            f"ingestion.labels maps nothing to `{NORMAL}`; say which label of the source means a healthy image",
        )
        require(
            self.separator is None or len(self.separator) > 0,
            "ingestion.separator is empty; give what stands between two labels, or null",
        )
        require(
            0.0 <= self.max_quarantined <= 1.0,
            f"ingestion.max_quarantined is {self.max_quarantined}; it is the share of images that may be left out, from 0 to 1",
        )

    def category(self, label: str) -> str | None:
        """The category of a label; None where its images are left out. Raises KeyError for a label
        that `labels` does not have.
        """
        if self.labels is not None:
            return self.labels[label]
        return NORMAL if label == self.normal else label

    def classes(self, manifest: pd.DataFrame) -> tuple[str, ...]:
        """The categories: `normal`, then the findings in the order of `labels`, or in alphabetical
        order without them.
        """
        declared = findings_of(manifest) if self.labels is None else self.labels.values()
        return (NORMAL, *dict.fromkeys(name for name in declared if name not in (NORMAL, None)))


@dataclass(frozen=True)
class PreprocessingConfig:
    """The section `preprocessing`."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    size: int = 32
    """Side of the stored images in pixels."""
    channels: int = 1
    """1 (grey) or 3 (color)."""
    intensity: str = "standardised"
    """A key of `transforms.INTENSITY`."""
    crop: Crop | None = None
    split: str = AUTO
    """A key of `splits.SPLITTERS`, or `auto`: `repeated_k_fold` under `splits.SMALL_COHORT`
    patients, else `by_patient`.
    """
    fold: int = 0
    """Which fold of `repeated_k_fold` is the test part: 0 to 24, five folds of each of five
    repeats.
    """
    fractions: Mapping[str, float] = field(
        default_factory=lambda: {"train": 0.7, "val": 0.1, "test": 0.2}
    )
    """Shares of the images in train, val and test, for `by_patient`."""
    split_seed: int | None = None
    """Of the split and of who is in the mix; None: the run's own seed. Trainings that share it have
    the same test images.
    """
    contamination: float = 0.5
    """Largest share of anomalous images in the unlabelled mix."""
    on_leak: str = "fail"
    """What happens when a patient or an image stands in two parts of the split: fail,
    drop_from_train or report.
    """

    def __post_init__(self) -> None:
        low, high = SIZES
        require(
            low <= self.size <= high,
            f"preprocessing.size is {self.size}; it is the side of the images in pixels, from {low} to {high}",
        )
        require(
            self.channels in (1, 3),
            f"preprocessing.channels is {self.channels}; choose 1 (grey) or 3 (color)",
        )
        _one_of(self.intensity, tuple(INTENSITY), "preprocessing.intensity")
        _one_of(self.split, SPLIT_NAMES, "preprocessing.split")
        _one_of(self.on_leak, LEAK_POLICIES, "preprocessing.on_leak")
        require(
            0 <= self.fold < FOLDS * REPEATS,
            f"preprocessing.fold is {self.fold}; there are {FOLDS} folds of {REPEATS} repeats, numbered from 0 to {FOLDS * REPEATS - 1}",
        )
        require(
            self.split_seed is None or self.split_seed >= 0,
            f"preprocessing.split_seed is {self.split_seed}; give a whole number from 0, or null for the run's own seed",
        )
        require(
            0.0 <= self.contamination < 1.0,
            f"preprocessing.contamination is {self.contamination}; it is the anomalous share of the mix, from 0 up to but not including 1",
        )
        check_fractions(self.fractions)


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Refuses anything but positive shares of train, val and test that sum to 1."""
    fine = (
        set(fractions) == set(PARTS)
        and all(share > 0 for share in fractions.values())
        and abs(sum(fractions.values()) - 1.0) < 1e-6
    )
    require(
        fine,
        f"preprocessing.fractions is {dict(fractions)}; give {', '.join(PARTS)} positive shares that sum to 1",
    )


@dataclass(frozen=True)
class AugmentationConfig:
    """The section `augmentation`: what this data set's images bear, the one list that every
    pipeline reads.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
    allowed: tuple[str, ...] = ()
    """Keys of `transforms.AUGMENTATIONS`."""

    def __post_init__(self) -> None:
        check_augmentations(self.allowed)

    def of(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Those of the wanted augmentations that are allowed."""
        return tuple(name for name in wanted if name in self.allowed)
