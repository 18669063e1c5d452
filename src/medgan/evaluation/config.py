"""Settings of the evaluation: the section `evaluation` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from medgan.contracts import Refusal
from medgan.evaluation.detectors import DECISION_RULES, PREVALENCES
from medgan.evaluation.patients import PATIENT_SCORES
from medgan.evaluation.thresholds import parse_rule


@dataclass(frozen=True)
class EvaluationConfig:
    """How detectors are scored and compared."""

    dataset: str = "phantoms"
    """Name of the data set, for the report."""
    threshold_rule: str = "youden"
    """`youden`, `fpr=<share>`, `conformal=<share>` or `sensitivity=<share>`; the threshold is taken from validation and frozen."""
    decision_rules: tuple[str, ...] = DECISION_RULES
    """Rules whose decisions stand beside those of `threshold_rule`, each frozen on validation."""
    prevalences: tuple[float, ...] = PREVALENCES
    """Shares of anomalous images for which predictive values are given."""
    patient_score: str = "mean"
    """`mean` or `max`: how the scores of a patient's images become his."""
    n_boot: int = 1000
    """Resamples of the bootstrap of patients."""
    batch_size: int = 64
    """Images scored at a time; scores do not depend on it."""
    heatmap_examples: int = 3
    """Images of each kind (hits, misses, false alarms) in the picture of heat maps."""

    def __post_init__(self) -> None:
        parse_rule(self.threshold_rule)
        for rule in self.decision_rules:
            parse_rule(rule, "evaluation.decision_rules")
        wrong = [share for share in self.prevalences if not 0 < share < 1]
        if wrong:
            raise Refusal(f"evaluation.prevalences holds {wrong[0]}: a prevalence lies between 0 and 1, as 0.1 for one image in ten.")
        if self.patient_score not in PATIENT_SCORES:
            raise Refusal(f"evaluation.patient_score is '{self.patient_score}': use {' or '.join(PATIENT_SCORES)}.")
        for key, least in (("n_boot", 100), ("batch_size", 1), ("heatmap_examples", 1)):
            if getattr(self, key) < least:
                raise Refusal(f"evaluation.{key} is {getattr(self, key)}: it has to be {least} or more.")
