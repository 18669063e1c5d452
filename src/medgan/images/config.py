"""The sections of a data set's configuration about images. Wrong values raise `UserError`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import pandas as pd

from medgan.contracts import NORMAL
from medgan.errors import UserError, require
from medgan.images.labels import findings_of
from medgan.images.resizing import Crop
from medgan.images.transforms import (
    WINDOW,
    WINDOWED,
    Intensity,
    check_augmentations,
    window_side,
)
from medgan.ranges import InnerShare, Range, Seed, Share, ShareBelowOne, require_ranges
from medgan.sources.forms import Text, form, spellings
from medgan.sources.rows import PARTS, is_blank

AUTO = "auto"
SIZES = (16, 512)
FOLDS, REPEATS = 5, 5  # of `repeated_k_fold`


@dataclass(frozen=True)
class IngestionConfig:
    """The section `ingestion`."""

    labels: dict[Text, str | None] | None = None
    """Label in the source -> category; null leaves those images out. The category `normal` is label
    0, every other one label 1. Without it labels keep their names, except the one that `normal`
    names."""
    normal: str = NORMAL  # label of healthy images, where `labels` is not given
    separator: str | None = None
    """Separator of the labels of an image that shows several findings, such as `|`."""
    max_quarantined: Share = 0.05  # largest share of images that may be unreadable

    def __post_init__(self) -> None:
        require_ranges("ingestion", self)
        require(
            self.labels is None or NORMAL in self.labels.values(),
            f"ingestion.labels maps nothing to `{NORMAL}`; map the label of healthy images to it",
        )
        meaning: dict[str, str | None] = {}
        for label, category in (self.labels or {}).items():
            require(
                meaning.setdefault(form(label), category) == category,
                f"ingestion.labels maps `{label}` to `{category}` and another spelling of it to "
                f"`{meaning[form(label)]}`; correct one of them",
            )
        for group in spellings(name for name in meaning.values() if name is not None):
            raise UserError(
                f"the categories `{group[0]}` and `{group[1]}` of ingestion.labels differ only in "
                "how they are written; write them in one way"
            )
        require(self.separator != "", "ingestion.separator is empty; give a separator, or null")

    def category(self, label: str) -> str | None:
        """Return the category of a label, None where it is left out. Raises KeyError if unknown, as
        is one that nobody declared and that may say that there is no label.
        """
        if self.labels is not None:
            return self.labels[label]
        if label == self.normal:
            return NORMAL
        if is_blank(label):
            raise KeyError(label)
        return label

    def classes(self, manifest: pd.DataFrame) -> tuple[str, ...]:
        """Return `normal`, then the findings in the order of `labels`, else alphabetically."""
        declared = findings_of(manifest) if self.labels is None else self.labels.values()
        return (NORMAL, *dict.fromkeys(name for name in declared if name not in (NORMAL, None)))


@dataclass(frozen=True)
class PreprocessingConfig:
    """The section `preprocessing`."""

    size: Annotated[int, Range(*SIZES)] = 32  # side of the stored images in pixels
    channels: Literal[1, 3] = 1  # 1 (gray) or 3 (color)
    intensity: Literal["unit", "standardised", "local"] = "standardised"
    """A key of `transforms.INTENSITY`."""
    window: Annotated[float, Range(0.0, 1.0, low_open=True)] = WINDOW
    """Side of the window of `local` as a share of the image's side."""
    crop: Crop | None = None
    split: Literal["auto", "by_patient", "official", "repeated_k_fold"] = "auto"
    """A key of `splits.SPLITTERS`, or `auto`: `repeated_k_fold` under `splits.SMALL_COHORT`
    patients, else `by_patient`."""
    fold: Annotated[int, Range(0, FOLDS * REPEATS - 1)] = 0
    """Number of the fold of `repeated_k_fold` that is the test part: 0 to 24."""
    fractions: Mapping[str, InnerShare] = field(
        default_factory=lambda: {"train": 0.7, "val": 0.1, "test": 0.2}
    )
    """Shares of the images in train, val and test, for `by_patient`."""
    split_seed: Seed | None = None
    """Seed of the split and the mix; None: the seed of the run. Trainings with the same one have
    the same test images."""
    contamination: ShareBelowOne = 0.5  # largest share of anomalous images in the unlabelled mix
    real_share: Annotated[float, Range(0.0, 1.0, low_open=True)] = 1.0
    """Share of the training split that is used, chosen by the seed of the run; see
    `splits.with_share`."""
    on_leak: Literal["fail", "drop_from_train", "report"] = "fail"
    """What to do with a leaking split."""

    def __post_init__(self) -> None:
        require_ranges("preprocessing", self)
        check_fractions(self.fractions)
        require(
            self.intensity not in WINDOWED or window_side(self.window, self.size) > 1,
            f"preprocessing.window {self.window:g} is one pixel of {self.size}; give a larger share",
        )

    @property
    def scaling(self) -> Intensity:
        """How pixels become numbers in [-1, 1]."""
        return Intensity.of(self.intensity, self.window)


def check_fractions(fractions: Mapping[str, float]) -> None:
    """Raise `UserError` unless train, val and test have positive shares that sum to 1."""
    shares = fractions.values()
    require(
        set(fractions) == set(PARTS) and min(shares) > 0 and abs(sum(shares) - 1.0) < 1e-6,
        f"preprocessing.fractions is {dict(fractions)}; "
        f"give {', '.join(PARTS)} positive shares that sum to 1",
    )


@dataclass(frozen=True)
class AugmentationConfig:
    """The section `augmentation`: the augmentations that keep the labels of this data set."""

    allowed: tuple[str, ...] = ()  # keys of `transforms.AUGMENTATIONS`

    def __post_init__(self) -> None:
        check_augmentations(self.allowed)

    def of(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Return the wanted augmentations that are allowed."""
        return tuple(name for name in wanted if name in self.allowed)
