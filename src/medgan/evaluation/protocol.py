"""Settings of the evaluation: the section `evaluation` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from medgan.errors import UserError
from medgan.evaluation.volumes import AUTO, VOLUME_SCORES
from medgan.ranges import InnerShare, Range, ShareBelowOne, require_ranges
from medgan.stats.thresholds import Conformal, FalsePositiveRate, Rule, Youden, parse_rule

PATIENT_SCORES = ("mean", "max")
"""How the scores of a patient's images become one. The maximum rises with the number of images,
which may tell the label by itself.
"""
RULE = Youden()
RULES: tuple[Rule, ...] = (RULE, FalsePositiveRate(0.05), Conformal(0.05))
PREVALENCES = (0.01, 0.1, 0.5)


@dataclass(frozen=True)
class Protocol:
    """How a detector is evaluated: the rules that are frozen on validation, and the resampling."""

    rule: Rule = RULE
    """Gives the threshold of the main decisions."""
    decision_rules: tuple[Rule, ...] = RULES
    """Rules whose decisions are shown beside."""
    prevalences: tuple[float, ...] = PREVALENCES
    """Shares of anomalous images for which predictive values are given."""
    patient_score: str = "mean"
    """One of PATIENT_SCORES."""
    volume_score: str = AUTO
    """One of VOLUME_SCORES; `auto` lets validation choose."""
    n_resamples: int = 1000
    """Resamples of patients."""
    seed: int = 0
    """Of the resamples, and of the training that made the detector."""


@dataclass(frozen=True)
class LabelNoise:
    """How often the labels of the test images are known to be wrong."""

    anomalous: ShareBelowOne
    """Share of the images labelled anomalous that are normal."""
    normal: ShareBelowOne
    """Share of the images labelled normal that are anomalous."""

    def __post_init__(self) -> None:
        require_ranges("evaluation.label_noise", self)
        if self.anomalous + self.normal >= 1:
            raise UserError(
                f"evaluation.label_noise is anomalous: {self.anomalous}, normal: {self.normal}: "
                "give shares from 0 on whose sum is under 1."
            )


@dataclass(frozen=True)
class RobustnessConfig:
    """How the scores are tested under noise, blur, exposure, JPEG and rotation."""

    images: Annotated[int, Range(20, 1_000_000)] = 200
    """Test images, drawn at random; each is scored once for every perturbation and severity."""
    seconds: Annotated[float, Range(0.0, 1e6)] = 120.0
    """A detector that would take longer than this on this machine is left out, saying so."""

    def __post_init__(self) -> None:
        require_ranges("evaluation.robustness", self)


@dataclass(frozen=True)
class Region:
    """A box where findings are expected: its name, and the shares of height and width outside."""

    name: str
    top: ShareBelowOne
    left: ShareBelowOne
    bottom: ShareBelowOne
    right: ShareBelowOne

    def __post_init__(self) -> None:
        require_ranges("evaluation.region", self)
        if self.top + self.bottom >= 1 or self.left + self.right >= 1:
            raise UserError(
                "evaluation.region has no area: give a top and bottom, and a left and right, whose "
                "sums are under 1."
            )


@dataclass(frozen=True)
class EvaluationConfig:
    """How detectors are scored and compared."""

    dataset: str = "phantoms"
    """Name of the dataset, for the report."""
    threshold_rule: str = str(RULE)
    """`youden`, `fpr=<share>`, `conformal=<share>` or `sensitivity=<share>`; the threshold is taken
    from validation and frozen.
    """
    decision_rules: tuple[str, ...] = tuple(map(str, RULES))
    """Rules whose decisions stand beside those of `threshold_rule`, each frozen on validation."""
    prevalences: tuple[InnerShare, ...] = PREVALENCES
    """Shares of anomalous images for which predictive values are given."""
    patient_score: str = "mean"
    """`mean` or `max`: how the scores of a patient's images become one."""
    volume_score: str = AUTO
    """`mean`, `top10%` or `max`: how the scores of a volume's slices become its own; `auto` takes
    the best on validation, per detector.
    """
    n_resamples: Annotated[int, Range(100, 100_000)] = 1000
    """Resamples of the bootstrap of patients."""
    batch_size: Annotated[int, Range(1, 4096)] = 64
    """Images scored at a time; scores do not depend on it."""
    heatmap_examples: Annotated[int, Range(1, 100)] = 2
    """Images of each outcome (true and false positives and negatives) in the pictures of the most
    confident and of the closest decisions.
    """
    random_errors: Annotated[int, Range(2, 1000)] = 20
    """False negatives and false positives drawn at random for a picture of their own."""
    robustness: RobustnessConfig = field(default_factory=RobustnessConfig)
    reference_standard: str | None = None
    """Who labelled the images, and how; None is reported as such."""
    label_noise: LabelNoise | None = None
    """Shares of wrong labels, where they are known."""
    region: Region | None = None
    """Box of the organ, where all images show it in one place: the share of the anomaly maps inside
    is measured.
    """
    projected_images: Annotated[int, Range(10, 100_000)] = 1000
    """Images that PCA, t-SNE and UMAP show, at most: training normals, validation and test."""
    category_images: Annotated[int, Range(10, 1_000_000)] = 500
    """Training images of each anomalous category from which anomaly types are learned, at most."""
    model_from: str | None = None
    """Another dataset, whose published models and frozen thresholds are tried on the test images
    of this one; given with --params.
    """

    def protocol(self, seed: int = 0) -> Protocol:
        """The part that decides the metrics of a detector, with its rules parsed."""
        return Protocol(
            parse_rule(self.threshold_rule),
            tuple(parse_rule(rule, "evaluation.decision_rules") for rule in self.decision_rules),
            self.prevalences,
            self.patient_score,
            self.volume_score,
            self.n_resamples,
            seed,
        )

    def __post_init__(self) -> None:
        self.protocol()
        require_ranges("evaluation", self)
        choices = {"patient_score": PATIENT_SCORES, "volume_score": VOLUME_SCORES}
        for name, (*others, last) in choices.items():
            value = getattr(self, name)
            if value not in (*others, last):
                use = f"use {', '.join(others)} or {last}"
                raise UserError(f"evaluation.{name} is '{value}': {use}.")
