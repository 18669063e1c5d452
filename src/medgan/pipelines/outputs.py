"""What the pipelines hand on: a folder is described by a dataclass, a file by one of its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

import pandas as pd
from numpy.typing import NDArray

from medgan.audits.data_results import CohortResult, ReferenceStandard
from medgan.audits.results import (
    RandomErrors,
    RobustnessResult,
    ShortcutsResult,
    SubgroupsResult,
    WorstSlices,
)
from medgan.evaluation.details import (
    CategoriesResult,
    ComponentsResult,
    DetectorTests,
    LocalisationResult,
    ProjectionsResult,
)
from medgan.evaluation.results import ClassifierResult, DetectorResult, SynthesisResult
from medgan.images.cropping import CutProfile
from medgan.images.profile import Profile
from medgan.models import PublishedModel
from medgan.training.checkpoints import CheckpointFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Arrays = Mapping[str, NDArray[Any]]
Document = Mapping[str, Any]
Picture = Union[bytes, "Figure"]
"""Drawn by a node; the bytes of a PNG file for the nodes after it."""
CSV = {"suffix": ".csv"}
DETAILED = {"dpi": 150}
UNLOGGED = {"logged_as": ""}


@dataclass(frozen=True)
class DataProfile:
    """The images of a source, counted and shown."""

    data_profile: Profile = field(metadata=UNLOGGED)
    contact_sheet: Picture
    data_profile_figure: Picture
    intensity: Picture
    duplicates: Picture


@dataclass(frozen=True)
class NearDuplicates:
    """Pairs of nearly equal pictures."""

    pairs: pd.DataFrame = field(metadata=UNLOGGED)
    summary: Document = field(metadata=UNLOGGED)
    pairs_figure: Picture


@dataclass(frozen=True)
class Cut:
    """What is cut off on the way to the image store."""

    what_was_cut: CutProfile = field(metadata=UNLOGGED)
    what_was_cut_figure: Picture


@dataclass(frozen=True)
class Training:
    """The state of a training that can be resumed, as the catalog loads it."""

    checkpoints: CheckpointFolder
    curves: pd.DataFrame
    samples: bytes | None
    """The newest sample grid; None for a model that draws nothing."""


@dataclass(frozen=True)
class Trained:
    """A published model: weights, card, and how its training went."""

    model: PublishedModel
    curves: pd.DataFrame = field(metadata={**CSV, **UNLOGGED})
    curves_figure: Picture
    samples: Picture | None = None


@dataclass(frozen=True)
class Synthetic:
    """Synthetic images of one generator, and their quality."""

    synthetic: Arrays
    """`images` (N, H, W, C) uint8 and `labels` (N,)."""
    quality: SynthesisResult
    samples: Picture


@dataclass(frozen=True)
class Classification:
    """A classifier on the test images."""

    evaluation: ClassifierResult
    confusion: Picture
    test_scores: pd.DataFrame


@dataclass(frozen=True)
class Figures:
    """Pictures by model or arm."""

    figures: Mapping[str, Picture]


@dataclass(frozen=True)
class Scores:
    """What a detector makes of images, as far as that is expensive."""

    scores: pd.DataFrame
    """image_id, split, score, score_<component>, key of the validation and test images."""
    maps: Arrays
    """image_id (n,), the columns of `scores`, maps (n, H, W), key."""
    perturbed: Arrays
    """image_id (n,), scores (variants, n), seconds_per_image, reason, key."""
    embeddings: Arrays | None = None
    """image_id (n,), features (n, D), key; None for a detector without an encoder."""
    residuals: Arrays | None = None
    """image_id (n,), residuals (n, 64), key; None for a detector without an encoder."""


@dataclass(frozen=True)
class Evaluation:
    """A detector on the test images."""

    evaluation: DetectorResult
    localisation: LocalisationResult
    scores: pd.DataFrame = field(metadata=UNLOGGED)
    """As `medgan.evaluation.score_table.judged` gives it: every validation and test image with its
    split, label, category, group, score and decision.
    """
    test_scores: pd.DataFrame
    """`medgan.evaluation.compare_runs.COLUMNS`; `medgan compare` pairs two runs by it."""
    confusion: Picture
    histogram: Picture
    components: ComponentsResult | None = None
    components_figure: Picture | None = None


@dataclass(frozen=True)
class Audit:
    """What a reviewer asks of a detector."""

    robustness: RobustnessResult
    subgroups: SubgroupsResult
    random_errors: RandomErrors = field(metadata=UNLOGGED)
    worst_slices: WorstSlices = field(metadata=UNLOGGED)
    robustness_figure: Picture
    subgroups_figure: Picture
    categories: CategoriesResult | None = None
    categories_figure: Picture | None = None


@dataclass(frozen=True)
class Illustrations:
    """What a detector's maps and features look like."""

    heatmaps: Picture = field(metadata=DETAILED)
    heatmaps_closest: Picture = field(metadata=DETAILED)
    heatmaps_random: Picture = field(metadata=DETAILED)
    counterparts: Arrays
    """image_id (n,), counterparts (n, C, H, W), key."""
    plane: Arrays | None = None
    """As in `Features`; None for a detector without an encoder."""
    projections: ProjectionsResult | None = field(default=None, metadata=UNLOGGED)
    projections_figure: Picture | None = None


@dataclass(frozen=True)
class Features:
    """Features of a network that is no detector, and what they look like on a plane."""

    plane: Arrays
    """image_id (n,), an array (n, 2) for each method that ran, facts, key."""
    projections: ProjectionsResult = field(metadata=UNLOGGED)
    """What is to be known of the methods."""
    projections_figure: Picture
    embeddings: Arrays | None = None


@dataclass(frozen=True)
class ShortcutScores:
    """Scores of the test images by what is no disease."""

    shortcut_scores: pd.DataFrame = field(metadata=UNLOGGED)
    shortcut_reasons: Document = field(metadata=UNLOGGED)
    """Why some shortcuts have no score."""


@dataclass(frozen=True)
class Cohort:
    """The images and patients of each part."""

    cohort: CohortResult = field(metadata=UNLOGGED)
    cohort_table: pd.DataFrame = field(metadata=CSV)
    flow: Picture


@dataclass(frozen=True)
class Comparison:
    """All detectors side by side."""

    auroc: Picture
    roc: Picture
    precision_recall: Picture
    detector_tests: DetectorTests
    detector_tests_figure: Picture
    shortcuts: ShortcutsResult
    shortcuts_figure: Picture
    robustness: Picture
    categories: Picture
    reference_standard: ReferenceStandard = field(metadata=UNLOGGED)
