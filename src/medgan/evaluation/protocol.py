"""Settings of the evaluation: the section `evaluation` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field

from medgan.errors import UserError
from medgan.evaluation.detector import DECISION_RULES, PATIENT_SCORES, PREVALENCES
from medgan.evaluation.volumes import AUTO, VOLUME_SCORES
from medgan.stats.thresholds import parse_rule

LEAST = {
    "n_resamples": 100,
    "batch_size": 1,
    "heatmap_examples": 1,
    "random_errors": 2,
    "projected_images": 10,
    "category_images": 10,
}
"""The smallest value of each setting."""


@dataclass(frozen=True)
class LabelNoise:
    """How often the labels of the test images are known to be wrong."""

    anomalous: float
    """Share of the images labelled anomalous that are normal."""
    normal: float
    """Share of the images labelled normal that are anomalous."""

    def __post_init__(self) -> None:
        if min(self.anomalous, self.normal) < 0 or self.anomalous + self.normal >= 1:
            raise UserError(
                f"evaluation.label_noise is anomalous: {self.anomalous}, normal: {self.normal}: give shares from 0 on whose sum is under 1."
            )


@dataclass(frozen=True)
class RobustnessConfig:
    """How scores under noise, blur, exposure, JPEG and rotation are looked at."""

    images: int = 200
    """Test images, drawn at random; each is scored once for every perturbation and severity."""
    seconds: float = 120.0
    """A detector that would take longer than this on this machine is left out, saying so."""

    def __post_init__(self) -> None:
        for key, least in (("images", 20), ("seconds", 0)):
            if getattr(self, key) < least:
                raise UserError(
                    f"evaluation.robustness.{key} is {getattr(self, key)}: it has to be {least} or more."
                )


@dataclass(frozen=True)
class EvaluationConfig:
    """How detectors are scored and compared."""

    dataset: str = "phantoms"
    """Name of the data set, for the report."""
    threshold_rule: str = "youden"
    """`youden`, `fpr=<share>`, `conformal=<share>` or `sensitivity=<share>`; the threshold is taken
    from validation and frozen.
    """
    decision_rules: tuple[str, ...] = DECISION_RULES
    """Rules whose decisions stand beside those of `threshold_rule`, each frozen on validation."""
    prevalences: tuple[float, ...] = PREVALENCES
    """Shares of anomalous images for which predictive values are given."""
    patient_score: str = "mean"
    """`mean` or `max`: how the scores of a patient's images become his."""
    volume_score: str = AUTO
    """`mean`, `top10%` or `max`: how the scores of a volume's slices become its own; `auto` takes
    the best on validation, per detector.
    """
    n_resamples: int = 1000
    """Resamples of the bootstrap of patients."""
    batch_size: int = 64
    """Images scored at a time; scores do not depend on it."""
    heatmap_examples: int = 2
    """Images of each kind (hits, misses, false alarms, true normals) in the pictures of the surest
    and of the closest decisions.
    """
    random_errors: int = 20
    """Misses and false alarms drawn at random for a picture of their own."""
    robustness: RobustnessConfig = field(default_factory=RobustnessConfig)
    reference_standard: str | None = None
    """Who labelled the images, and how; None is reported as such."""
    label_noise: LabelNoise | None = None
    """Shares of wrong labels, where they are known."""
    projected_images: int = 1000
    """Images that PCA, t-SNE and UMAP show, at most: training normals, validation and test."""
    category_images: int = 500
    """Training images of each anomalous category from which the kinds of anomalies are learned, at
    most.
    """
    model_from: str | None = None
    """Another data set, whose published models and frozen thresholds are tried on this one's test
    images; given with --params.
    """

    def __post_init__(self) -> None:
        parse_rule(self.threshold_rule)
        for rule in self.decision_rules:
            parse_rule(rule, "evaluation.decision_rules")
        wrong = [share for share in self.prevalences if not 0 < share < 1]
        if wrong:
            raise UserError(
                f"evaluation.prevalences holds {wrong[0]}: a prevalence lies between 0 and 1, as 0.1 for one image in ten."
            )
        if self.patient_score not in PATIENT_SCORES:
            raise UserError(
                f"evaluation.patient_score is '{self.patient_score}': use {' or '.join(PATIENT_SCORES)}."
            )
        if self.volume_score not in VOLUME_SCORES:
            raise UserError(
                f"evaluation.volume_score is '{self.volume_score}': use {', '.join(VOLUME_SCORES[:-1])} or {VOLUME_SCORES[-1]}."
            )
        for key, least in LEAST.items():
            if getattr(self, key) < least:
                raise UserError(
                    f"evaluation.{key} is {getattr(self, key)}: it has to be {least} or more."
                )
