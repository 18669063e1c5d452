"""Outputs of the pipelines: a dataclass describes a folder, each of its fields a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

import pandas as pd
from numpy.typing import NDArray

from medgan.audits.arms import ArmsAudit
from medgan.audits.data_results import CohortResult, ReferenceStandard
from medgan.audits.privacy import PrivacyResult
from medgan.audits.release import ReleaseVerdict
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
from medgan.evaluation.domain import DomainLimits
from medgan.evaluation.realism import RealismResult
from medgan.evaluation.results import ClassifierResult, DetectorResult, SynthesisResult
from medgan.evaluation.saliency import SaliencyResult
from medgan.images.cropping import CutProfile
from medgan.images.profile import Profile
from medgan.models import PublishedModel
from medgan.sources.medigan.drawing import SourceCard
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
    """Profile of the images of a source, with figures."""

    data_profile: Profile = field(metadata=UNLOGGED)
    contact_sheet: Picture
    data_profile_figure: Picture
    intensity: Picture
    duplicates: Picture


@dataclass(frozen=True)
class NearDuplicates:
    """Verified near-duplicates, with the summary of the search."""

    pairs: pd.DataFrame = field(metadata=UNLOGGED)
    summary: Document = field(metadata=UNLOGGED)
    pairs_figure: Picture


@dataclass(frozen=True)
class Cut:
    """What cropping and resizing change on the way to the image store."""

    what_was_cut: CutProfile = field(metadata=UNLOGGED)
    what_was_cut_figure: Picture


@dataclass(frozen=True)
class Training:
    """Resumable state of a training, as the catalog loads it."""

    checkpoints: CheckpointFolder
    curves: pd.DataFrame
    samples: bytes | None
    """The newest sample grid; None for a model that draws nothing."""


@dataclass(frozen=True)
class Trained:
    """Published model: weights, card and training curves."""

    model: PublishedModel
    curves: pd.DataFrame = field(metadata={**CSV, **UNLOGGED})
    curves_figure: Picture
    samples: Picture | None = None


@dataclass(frozen=True)
class RealImages:
    """What all generators are compared with: features of real images, and how alike they are."""

    statistics: Arrays
    """`<part>/<name>`: features (n, D) of a space or values of pairs, and the `key` of each part."""


@dataclass(frozen=True)
class Synthetic:
    """Synthetic images of one generator, and their quality."""

    synthetic: Arrays
    """`images` (N, H, W, C) uint8 and `labels` (N,)."""
    quality: SynthesisResult
    samples: Picture
    source: SourceCard | None = field(default=None, metadata=UNLOGGED)
    """Where the images of others come from."""
    interpolations: Picture | None = None
    """None for a generator that does not decode latents."""
    class_rows: Picture | None = None
    """None for a generator of one class."""
    beside_real: Picture | None = None
    """None without a network of domain features."""
    origin: Document | None = field(default=None, metadata=UNLOGGED)
    """`training_split`: the digest of the images that the generator has learned from; None for a
    generator that has seen no image of the data set, and in sets of earlier versions.
    """


@dataclass(frozen=True)
class Release:
    """Verdict of the release gate on one generator, and what it rests on."""

    verdict: ReleaseVerdict = field(metadata=UNLOGGED)
    privacy: PrivacyResult = field(metadata=UNLOGGED)
    closest_figure: Picture
    copies: pd.DataFrame | None = field(default=None, metadata={**CSV, **UNLOGGED})
    """image (its place among the synthetic ones), similarity, distance_ratio, nearest (id of the
    training image), mirrored, flagged; None where copies were not searched.
    """
    check: Arrays | None = None
    """`medgan.audits.release.CopyCheck.arrays`; it holds training images."""


@dataclass(frozen=True)
class Judged:
    """Verdict on one generator, with its privacy."""

    verdict: ReleaseVerdict
    privacy: PrivacyResult


@dataclass(frozen=True)
class SampleGrids:
    """What is shown of every generator, by name; a kind leaves out those that have none."""

    figures: Mapping[str, Picture]
    """The first images of each class."""
    closest: Mapping[str, Picture] = field(default_factory=dict)
    """Synthetic images beside their nearest training images."""
    releases: Mapping[str, Judged] = field(default_factory=dict, metadata=UNLOGGED)
    interpolations: Mapping[str, Picture] = field(default_factory=dict)
    class_rows: Mapping[str, Picture] = field(default_factory=dict)
    beside_real: Mapping[str, Picture] = field(default_factory=dict)


@dataclass(frozen=True)
class Classification:
    """Evaluation of a classifier on the test images."""

    evaluation: ClassifierResult
    confusion: Picture
    test_scores: pd.DataFrame
    probabilities: Arrays | None = None
    """image_id (n,), split (n,), probabilities (n, K) of the validation and test images; None in
    evaluations of earlier versions.
    """
    domain: DomainLimits | None = field(default=None, metadata=UNLOGGED)
    domain_reference: Arrays | None = None
    """`medgan.evaluation.domain.Domain.reference`."""

    subgroups: SubgroupsResult | None = field(default=None, metadata=UNLOGGED)


@dataclass(frozen=True)
class ArmSaliency:
    """Where an arm looks on some test images."""

    saliency: SaliencyResult = field(metadata=UNLOGGED)
    saliency_figure: Picture


@dataclass(frozen=True)
class ImagesTogether:
    """Real and synthetic images in one space of features."""

    realism: RealismResult
    projection: Picture
    page: str
    """The same as an interactive HTML page."""


@dataclass(frozen=True)
class ArmsComparison:
    """All arms on the test images."""

    roc: Picture
    reliability: Picture
    audit: ArmsAudit = field(metadata=UNLOGGED)
    confusion_matrices: Mapping[str, Picture]
    saliency: Mapping[str, Picture]
    """Empty without captum."""
    projection: Picture | None = None
    page: str | None = None
    """Real and synthetic images together, an interactive HTML page."""


@dataclass(frozen=True)
class Scores:
    """Arrays of a detector that are expensive to compute."""

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
    perturbed_validation: Arrays | None = None
    """image_id (n,), scores (n,), reason, key; None in scores of earlier versions."""


@dataclass(frozen=True)
class Evaluation:
    """Evaluation of a detector on the test images."""

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
    domain: DomainLimits | None = field(default=None, metadata=UNLOGGED)
    """None in evaluations of earlier versions."""
    domain_reference: Arrays | None = None
    """`medgan.evaluation.domain.Domain.reference`."""


@dataclass(frozen=True)
class Audit:
    """Audits of a detector."""

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
    """Figures of the anomaly maps and features of a detector."""

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
    """Features of a network that is not a detector, and their projections."""

    plane: Arrays
    """image_id (n,), an array (n, 2) for each method that ran, facts, key."""
    projections: ProjectionsResult = field(metadata=UNLOGGED)
    """Quality of each projection method."""
    projections_figure: Picture
    embeddings: Arrays | None = None


@dataclass(frozen=True)
class ShortcutScores:
    """Scores of the test images by the shortcut baselines."""

    shortcut_scores: pd.DataFrame = field(metadata=UNLOGGED)
    shortcut_reasons: Document = field(metadata=UNLOGGED)
    """Why some shortcuts have no score."""


@dataclass(frozen=True)
class Cohort:
    """Cohort: images and patients of each part of the split."""

    cohort: CohortResult = field(metadata=UNLOGGED)
    cohort_table: pd.DataFrame = field(metadata=CSV)
    flow: Picture


@dataclass(frozen=True)
class Comparison:
    """Comparison of all detectors."""

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
