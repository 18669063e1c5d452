"""Settings of the evaluation: the section `evaluation` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from medgan.contracts import Refusal
from medgan.evaluation.thresholds import parse_rule


@dataclass(frozen=True)
class EvaluationConfig:
    """How detectors are scored and compared."""

    dataset: str = "phantoms"
    """Name of the data set, for the report."""
    threshold_rule: str = "youden"
    """`youden` or `fpr=<share>`; the threshold is taken from validation and frozen."""
    n_boot: int = 1000
    """Resamples of the bootstrap of patients."""
    batch_size: int = 64
    """Images scored at a time; scores do not depend on it."""
    heatmap_examples: int = 2
    """Images of each kind (hits, misses, false alarms, true normals) in the pictures of the surest and of the closest decisions."""
    random_errors: int = 20
    """Misses and false alarms drawn at random for a picture of their own."""
    model_from: str | None = None
    """Another data set, whose published models and frozen thresholds are tried on this one's test images; given with --params."""

    def __post_init__(self) -> None:
        parse_rule(self.threshold_rule)
        for key, least in (("n_boot", 100), ("batch_size", 1), ("heatmap_examples", 1), ("random_errors", 2)):
            if getattr(self, key) < least:
                raise Refusal(f"evaluation.{key} is {getattr(self, key)}: it has to be {least} or more.")
