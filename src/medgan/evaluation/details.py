"""Typed results of the analyses beside the main evaluation of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medgan.evaluation import results
from medgan.files.documents import ALWAYS, to_json
from medgan.stats.bootstrap import Estimate


@dataclass(frozen=True)
class CategoriesResult:
    """Anomaly types told apart by what a detector makes of an image, and by the classifiers."""

    classes: tuple[str, ...]
    labels_used: str
    n_train_of_each: Mapping[str, int]
    rows: Mapping[str, results.AnomalyTypeResult]
    supervised: Mapping[str, results.AnomalyTypeResult]
    reason: str = ""


@dataclass(frozen=True)
class ComponentsResult:
    """Each component of a detector's score, evaluated as a detector of its own."""

    own: str
    weights: Mapping[str, float]
    rows: Mapping[str, results.DetectorResult]


@dataclass(frozen=True)
class PixelThreshold:
    """Where an anomaly map is cut, and the rule that gave the value."""

    rule: str
    value: float
    labels_used: str


@dataclass(frozen=True)
class RegionShare:
    """Mean share of an anomaly map that lies inside a box."""

    region: str
    area: float
    """Share of the image that the box covers: what a map without information has."""
    anomalous: Estimate
    """Of the maps of anomalous test images."""
    normal: Estimate


@dataclass(frozen=True, kw_only=True)
class LocalisationResult(results.Measured):
    """Anomaly maps against masks of the test images."""

    claim: str
    n_images: int
    n_anomalous: int
    n_patients: int | None
    interval_unit: str
    n_marked: int | None = None
    share_of_anomalous_pixels: float | None = None
    chance: Mapping[str, float] = field(default_factory=dict)
    threshold: PixelThreshold | None = None
    location_alone: Mapping[str, Estimate] = field(default_factory=dict)
    per_category: Mapping[str, results.CategoryResult] = field(default_factory=dict)
    region: RegionShare | None = None


@dataclass(frozen=True)
class Projection:
    """How well a projection to the plane keeps neighbours, or why it was not made."""

    trustworthiness: float | None = None
    explained_variance: tuple[float, ...] = ()
    perplexity: float | None = None
    n_neighbors: int | None = None
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The form of the document; a projection that was not made is a missing value."""
        if self.reason:
            return {"value": None, "reason": self.reason}
        known = {key: value for key, value in vars(self).items() if value not in (None, (), "")}
        return to_json(known)


@dataclass(frozen=True)
class ProjectionsResult:
    """The projections of one set of features, by method."""

    n_images: int
    n_features: int
    methods: Mapping[str, Projection]


@dataclass(frozen=True, kw_only=True)
class ExternalResult(results.Measured):
    """The detector of another dataset, with its frozen threshold, on the test images here."""

    claim: str
    trained_on: str | None
    published_key: str | None = None
    n_images: int | None = None
    scored_unit: str | None = None
    n_patients: int | None = None
    interval_unit: str | None = None
    n_anomalous: int | None = None
    threshold: results.FrozenThreshold | None = None
    volume_score: results.VolumeScoring | None = None
    sees_mix: bool | None = None
    labels_used: str | None = None
    confusion_matrix: results.Matrices | None = None
    at_home: Mapping[str, Estimate] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    data: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExternalTest(ExternalResult):
    """A detector of this dataset on the test images of another one."""

    model: str
    tested_on: str


@dataclass(frozen=True)
class ExternalTests:
    """All tests of the detectors of a dataset on other datasets."""

    trained_on: str
    tests: tuple[ExternalTest, ...] = ()


@dataclass(frozen=True, kw_only=True)
class DetectorTest:
    """A detector against the baseline of its family."""

    family: str
    against: str | None
    difference: Estimate
    p_value: float | None = field(default=None, metadata=ALWAYS)
    p_holm: float | None = field(default=None, metadata=ALWAYS)
    verdict: str = field(default="", metadata=ALWAYS)
    auroc: float | None = None
    auroc_of_baseline: float | None = None
    test: str = ""


@dataclass(frozen=True)
class BaselineChoice:
    """The baseline of a family, and what chose it."""

    name: str | None
    validation_auroc: Mapping[str, float | None]
    chosen_by: str = ""
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class DetectorTests:
    """Every detector against its baseline, corrected over all tests."""

    tests: Mapping[str, DetectorTest]
    baselines: Mapping[str, BaselineChoice]
    n_tests: int
    correction: str
    alpha: float
    n_images: int
    n_patients: int | None
    interval_unit: str
    n_resamples: int
