"""Typed results: what evaluation computes, and what `results.json` (schema 1) holds.

Field names are the keys of the JSON documents. The metrics of a result are keys of its document
too, named as in `medgan.evaluation.metrics`. A missing value is an `Estimate` of None with its
reason. No number is infinite or NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BeforeValidator

from medgan.evaluation.metrics import Metric
from medgan.files.documents import ALWAYS, FLAT, OpenKeys
from medgan.metrics.quality import QualityMetric
from medgan.stats.bootstrap import Estimate
from medgan.stats.calibration import CalibrationBin
from medgan.stats.thresholds import Threshold

Row = TypeVar("Row")
SCHEMA = 1
NOT_STORED = "not in these results: they were made before this metric was added"
FAILED = "failed: validation cannot tell it from chance"
ClassReport = Mapping[str, Any]
"""`sklearn.metrics.classification_report`: scores of each class, and the accuracy."""
Matrix = tuple[tuple[int, ...], ...]
"""Confusion matrix: rows are the true class, columns the decision."""
Matrices = Matrix | tuple[Matrix, ...]
"""One, or those of several seeds."""


def _of_seeds(document: Any) -> Any:
    """Read the thresholds of several seeds, which documents hold as a list."""
    if isinstance(document, Mapping) and isinstance(document["value"], list):
        return {**document, "value": None, "per_seed": document["value"]}
    return document


FrozenThreshold = Annotated[Threshold, BeforeValidator(_of_seeds)]


@dataclass(frozen=True, kw_only=True)
class Measured(OpenKeys):
    """A result that has metrics."""

    metrics: Mapping[str, Estimate] = field(default_factory=dict, metadata=FLAT)

    @classmethod
    def belongs(cls, value: Any) -> bool:
        """A metric is a mapping with a value."""
        return isinstance(value, Mapping) and "value" in value

    def metric(self, metric: Metric[Any] | str) -> Estimate:
        """The value of a metric of the registry, or of a key."""
        key = metric if isinstance(metric, str) else metric.key
        return self.metrics.get(key, Estimate(None, reason=NOT_STORED))

    @property
    def auroc(self) -> Estimate:
        """Area under the ROC curve."""
        return self.metric("auroc")

    @property
    def average_precision(self) -> Estimate:
        """Area under the precision-recall curve, without interpolation."""
        return self.metric("average_precision")

    @property
    def sensitivity(self) -> Estimate:
        """Share of the anomalous images that are called anomalous."""
        return self.metric("sensitivity")

    @property
    def specificity(self) -> Estimate:
        """Share of the normal images that are called normal."""
        return self.metric("specificity")


@dataclass(frozen=True, kw_only=True)
class Decision(Measured):
    """The decisions of one threshold on the test images."""

    threshold: FrozenThreshold
    labels_used: str


@dataclass(frozen=True, kw_only=True)
class OperatingPoint(Measured):
    """Sensitivity and specificity at a threshold that reaches one of them on validation."""

    threshold: FrozenThreshold
    false_alarms_per_100_normals: Estimate | None = None


@dataclass(frozen=True)
class ReadFromTest:
    """Sensitivity at a threshold that the labels of the test images chose."""

    sensitivity_at_95_specificity: Estimate
    remark: str


@dataclass(frozen=True)
class PredictiveValues:
    """Positive and negative predictive value at one prevalence."""

    ppv: Estimate
    npv: Estimate


@dataclass(frozen=True, kw_only=True)
class ValidationMetrics(Measured):
    """Metrics of the validation images, at the threshold that was frozen on them."""

    n_images: int
    n_anomalous: int
    remark: str
    perturbed_auroc: Estimate | None = None
    """As another scanner might have made the images; None in results of earlier versions."""


@dataclass(frozen=True, kw_only=True)
class PatientLevel(Measured):
    """Metrics of patients, each with one score."""

    patient_score: str
    n_patients: int | None = None
    n_anomalous: int | None = None
    threshold: FrozenThreshold | None = None


@dataclass(frozen=True)
class HalfWidth:
    """Half the width of the interval that an AUROC on so many cases has by theory."""

    value: float | None
    n_normal: int
    n_anomalous: int
    unit: str
    reason: str = ""
    per_seed: tuple[float | None, ...] = ()


@dataclass(frozen=True, kw_only=True)
class CategoryResult(Measured):
    """The images of one category and the normal ones, or those of one class and all others."""

    n_images: int


@dataclass(frozen=True, kw_only=True)
class VolumeScoring:
    """How the scores of slices become the score of a volume, and what validation says of it."""

    aggregate: str
    chosen_by: str
    validation_auroc: Mapping[str, Estimate] = field(default_factory=dict)
    n_volumes: int | None = None
    n_anomalous: int | None = None
    slice_count_auroc: Estimate | None = None


@dataclass(frozen=True, kw_only=True)
class DetectorResult(Measured):
    """One detector on the test images."""

    n_images: int
    n_patients: int | None
    interval_unit: str
    n_seeds: int
    seeds: tuple[int, ...]
    threshold: FrozenThreshold
    sees_mix: bool
    labels_used: str
    scored_unit: str = field(default="image", metadata=ALWAYS)
    n_anomalous: int | None = None
    volume_score: VolumeScoring | None = None
    decisions: Mapping[str, Decision] = field(default_factory=dict, metadata=ALWAYS)
    at_95_specificity: OperatingPoint | None = None
    at_95_sensitivity: OperatingPoint | None = None
    read_from_test_roc: ReadFromTest | None = None
    predictive_values: Mapping[str, PredictiveValues] = field(default_factory=dict, metadata=ALWAYS)
    validation: ValidationMetrics | None = None
    validation_auroc: Estimate | None = None
    patient_level: PatientLevel | None = None
    expected_half_width: HalfWidth | None = None
    brier: Estimate | None = None
    confusion_matrix: Matrices | None = None
    report: ClassReport | None = None
    per_category: Mapping[str, CategoryResult] = field(default_factory=dict, metadata=ALWAYS)
    warnings: tuple[str, ...] = field(default=(), metadata=ALWAYS)
    search_steps: int | None = None
    published_step: int | tuple[int, ...] | None = None
    published_key: str | tuple[str, ...] | None = None
    score: str | None = None
    """Component of the score that is evaluated, in a `ComponentsResult`."""

    @property
    def failed(self) -> bool:
        """Whether validation cannot tell the scores from chance, so that those of the test images
        are not to be interpreted; False where validation has no anomalous image.
        """
        area = self.validation_auroc
        return area is not None and area.low is not None and area.low <= 0.5

    @property
    def aggregate(self) -> str:
        """How volumes are scored; the mean where nothing says otherwise."""
        return "mean" if self.volume_score is None else self.volume_score.aggregate


@dataclass(frozen=True)
class Majority:
    """The most frequent anomaly type, and its share."""

    category: str
    share: float


@dataclass(frozen=True, kw_only=True)
class AnomalyTypeResult(Measured):
    """How well anomaly types are told apart on anomalous test images."""

    n_images: int | None = None
    n_patients: int | None = field(default=None, metadata=ALWAYS)
    interval_unit: str = "image"
    classes: tuple[str, ...] = ()
    n_of_each: Mapping[str, int] = field(default_factory=dict)
    chance: Mapping[str, float] = field(default_factory=dict)
    majority: Majority | None = None
    confusion_matrix: Matrices | None = None
    c: float | tuple[float, ...] | None = None
    """Of several seeds where they have chosen different ones, as in `folds`."""
    folds: int | tuple[int, ...] | None = None
    n_train: int | None = None
    labels_used: str | None = None
    detector: str | None = None


@dataclass(frozen=True, kw_only=True)
class TemperatureScaling:
    """Calibration after the logits were divided by the temperature that validation chose."""

    temperature: float | tuple[float, ...] | None
    n_validation: int
    brier: Estimate | None = None
    expected_calibration_error: Estimate | None = None
    calibration_curve: tuple[CalibrationBin, ...] | tuple[tuple[CalibrationBin, ...], ...] = ()
    reason: str = ""
    """Why there is no temperature."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """An arm minus another on the same test images."""

    difference: Estimate
    """In AUROC."""
    p_value: float | None
    p_holm: float | None = None
    """Corrected over all contrasts of the arms of the run."""
    effect_size: float | None = None
    """The difference in standard deviations of the scores of a class (d')."""
    balanced_accuracy: Estimate
    """The difference in balanced accuracy."""
    verdict: str = ""


@dataclass(frozen=True, kw_only=True)
class ClassifierResult(Measured):
    """One classifier on the test images."""

    n_images: int
    n_patients: int | None
    interval_unit: str
    n_seeds: int
    seeds: tuple[int, ...]
    classes: tuple[str, ...] = ()
    brier: Estimate | None = None
    expected_calibration_error: Estimate | None = None
    brier_of_the_share: float | None = None
    calibration_curve: tuple[CalibrationBin, ...] | tuple[tuple[CalibrationBin, ...], ...] = ()
    confusion_matrix: Matrices | None = None
    report: ClassReport | None = None
    categories: AnomalyTypeResult | None = None
    network: str | None = None
    synthetic_images: int | None = None
    title: str | None = None
    """What the arm trains on, for readers."""
    generator: str | None = None
    """Of its synthetic images."""
    per_class: Mapping[str, CategoryResult] = field(default_factory=dict)
    macro: CategoryResult | None = None
    """Means over the classes."""
    scaled: TemperatureScaling | None = None
    task: str = "categories"
    """A key of `classifier_training.batches.TASKS`."""
    contrasts: Mapping[str, Contrast] = field(default_factory=dict)
    """Name of another arm -> this arm minus that one."""


@dataclass(frozen=True)
class SynthesisResult(OpenKeys):
    """The quality of the images of one generator: of all classes together, and of each."""

    overall: Mapping[str, QualityMetric]
    by_class: Mapping[str, Mapping[str, QualityMetric]] = field(default_factory=dict, metadata=FLAT)

    def of(self, name: str) -> Mapping[str, QualityMetric]:
        """The metrics of a class or of `overall`; none where the generator does not draw it."""
        return self.overall if name == "overall" else self.by_class.get(name, {})


@dataclass(frozen=True)
class LeftOut:
    """What stands for every output of a model that the data set is not enough for."""

    reason: str


@dataclass(frozen=True)
class Section(Generic[Row]):
    """A section of the results as the catalog keeps it: its rows, and the hash of their data."""

    data: str
    rows: Mapping[str, Row]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Name of a model or arm that has no row -> reason."""


@dataclass(frozen=True, kw_only=True)
class Results:
    """The results of a dataset: the document `results.json`."""

    dataset: str
    split: str = field(default="test", metadata=ALWAYS)
    provenance: Mapping[str, Any] = field(default_factory=dict, metadata=ALWAYS)
    detectors: Mapping[str, DetectorResult] = field(default_factory=dict, metadata=ALWAYS)
    classifiers: Mapping[str, ClassifierResult] = field(default_factory=dict, metadata=ALWAYS)
    quality: Mapping[str, SynthesisResult] = field(default_factory=dict, metadata=ALWAYS)
    left_out: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Section -> name of a model or arm that the data set is not enough for -> reason."""
    schema: int = field(default=SCHEMA, metadata=ALWAYS)
