"""Settings of the evaluation: the section `evaluation` of the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from medgan.contracts import Refusal
from medgan.evaluation.thresholds import parse_rule

LEAST = {"n_boot": 100, "batch_size": 1, "heatmap_examples": 1, "projected_images": 10, "category_images": 10}
"""The smallest value of each setting."""


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
    heatmap_examples: int = 3
    """Images of each kind (hits, misses, false alarms) in the picture of heat maps."""
    projected_images: int = 1000
    """Images that PCA, t-SNE and UMAP show, at most: training normals, validation and test."""
    category_images: int = 500
    """Training images of each anomalous category from which the kinds of anomalies are learned, at most."""

    def __post_init__(self) -> None:
        parse_rule(self.threshold_rule)
        for key, least in LEAST.items():
            if getattr(self, key) < least:
                raise Refusal(f"evaluation.{key} is {getattr(self, key)}: it has to be {least} or more.")
