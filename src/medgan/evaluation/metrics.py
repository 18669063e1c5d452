"""The metrics of detectors, classifiers and synthetic images, each declared once.

What is declared here is computed by the evaluation and shown by the report, the terminal summary,
the tables, the run comparison, MLflow and the experiments. To add a metric, write its statistic and
declare it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import Estimate, WeightedStatistic, estimates
from medgan.stats.classification import (
    Predictions,
    accuracy_of,
    auroc_of,
    average_precision_of,
    balanced_accuracy_of,
    class_balanced_accuracy_of,
    f1_of,
    macro_of,
    multiclass_auroc_of,
    precision_of,
    sensitivity_of,
    specificity_of,
)

if TYPE_CHECKING:
    from medgan.metrics.features import FeatureSets
    from medgan.metrics.lpips import Unavailable
    from medgan.metrics.pairs import PairMetric
    from medgan.metrics.precision_recall import Neighbours
    from medgan.metrics.quality import QualityMetric

Measure = TypeVar("Measure")
BACKBONE = "classifier of the real training split"


@dataclass(frozen=True)
class Metric(Generic[Measure]):
    """A metric: how it is computed, named and read."""

    key: str
    """Its name in JSON documents."""
    name: str
    statistic: Measure
    higher_is_better: bool = True
    digits: int = 3
    required: bool = False
    """Whether schema 1 promises it: results without it are refused."""
    short: str = ""
    """Its name in the terminal summary; without one, neither that nor the experiments show it."""


PredictionMetric = Metric[Callable[[Predictions], WeightedStatistic]]
QualityMeasure = Callable[["FeatureSets", int, "Neighbours"], Mapping[str, "QualityMetric"]]
PairMeasure = Callable[["PairMetric | Unavailable"], "PairMetric | Unavailable"]
"""The LPIPS metric, or why there is none, to the metric of pairs that is declared."""


AUROC = PredictionMetric("auroc", "AUROC", auroc_of, required=True, short="AUROC")
AVERAGE_PRECISION = PredictionMetric(
    "average_precision", "Average precision", average_precision_of, required=True, short="AP"
)
SENSITIVITY = PredictionMetric(
    "sensitivity", "Sensitivity", sensitivity_of, required=True, short="sens."
)
SPECIFICITY = PredictionMetric(
    "specificity", "Specificity", specificity_of, required=True, short="spec."
)
PRECISION = PredictionMetric("precision", "Precision", precision_of, required=True)
F1 = PredictionMetric("f1", "F1", f1_of, required=True)
ACCURACY = PredictionMetric("accuracy", "Accuracy", accuracy_of)
RECALL = replace(SENSITIVITY, key="recall", name="Recall")

RANKING = (AUROC, AVERAGE_PRECISION)
"""Metrics of the scores."""
DECISION = (SENSITIVITY, SPECIFICITY, PRECISION, F1, ACCURACY)
"""Metrics of the decisions at a threshold."""
DETECTOR = (*RANKING, *DECISION)
HEADLINE = tuple(metric for metric in DETECTOR if metric.short)
BALANCED_ACCURACY = PredictionMetric(
    "balanced_accuracy", "Balanced accuracy", class_balanced_accuracy_of
)
CLASSIFIER = (
    replace(ACCURACY, required=True),
    BALANCED_ACCURACY,
    PRECISION,
    RECALL,
    F1,
    replace(SPECIFICITY, required=False),
    AUROC,
    replace(AVERAGE_PRECISION, required=False),
)
OF_CLASS = (AUROC, AVERAGE_PRECISION, PRECISION, RECALL, F1, SPECIFICITY)
"""Metrics of one class against all others."""
OF_CLASSES = (AUROC, AVERAGE_PRECISION, RECALL, F1)
"""Those whose mean over the classes is a metric too."""
ANOMALY_TYPES = (
    PredictionMetric("auroc", "AUROC", multiclass_auroc_of),
    ACCURACY,
    PredictionMetric("balanced_accuracy", "Balanced accuracy", balanced_accuracy_of),
)


def _fid(sets: FeatureSets, seed: int, neighbours: Neighbours) -> Mapping[str, QualityMetric]:
    from medgan.metrics.fid import domain_fid

    return {"fid_domain": domain_fid(sets, BACKBONE, seed)}


def _kid(sets: FeatureSets, seed: int, neighbours: Neighbours) -> Mapping[str, QualityMetric]:
    from medgan.metrics.kid import domain_kid

    return {"kid_domain": domain_kid(sets, BACKBONE, seed)}


def _overlap(sets: FeatureSets, seed: int, neighbours: Neighbours) -> Mapping[str, QualityMetric]:
    from medgan.metrics.precision_recall import domain_overlap

    found = domain_overlap(sets, BACKBONE, seed, neighbours)
    return {f"{name}_domain": value for name, value in found.items()}


def _copied_share(
    sets: FeatureSets, seed: int, neighbours: Neighbours
) -> Mapping[str, QualityMetric]:
    from medgan.metrics.memorisation import copied_share

    return {"copied_share_domain": copied_share(sets, BACKBONE, seed)}


def _psnr(lpips: PairMetric | Unavailable) -> PairMetric:
    from medgan.metrics.pairs import PSNR

    return PSNR


def _ms_gmsd(lpips: PairMetric | Unavailable) -> PairMetric:
    from medgan.metrics.pairs import MS_GMSD

    return MS_GMSD


PAIRED: Sequence[Metric[PairMeasure]] = (
    Metric("psnr", "PSNR", _psnr),
    Metric("ms_gmsd", "MS-GMSD", _ms_gmsd, higher_is_better=False),
    Metric("lpips", "LPIPS", lambda lpips: lpips, higher_is_better=False),
)
"""Metrics of pairs of images; their keys end with the pairing, that of LPIPS names its backbone."""
FEATURES: Sequence[Metric[QualityMeasure]] = (
    Metric("fid_domain", "Fréchet distance, domain features", _fid, higher_is_better=False),
    Metric("kid_domain", "KID, domain features", _kid, higher_is_better=False),
    Metric("precision_domain", "Precision, domain features", _overlap),
    Metric("recall_domain", "Recall, domain features", _overlap),
    Metric("density_domain", "Density, domain features", _overlap),
    Metric("coverage_domain", "Coverage, domain features", _overlap),
    Metric(
        "copied_share_domain",
        "Suspected training copies, share",
        _copied_share,
        higher_is_better=False,
    ),
)
"""Metrics of sets of features. A statistic that several of them share is computed once."""


def quality_metric(key: str) -> Metric[Any]:
    """The metric of a key of a quality table, such as `lpips_squeeze_nearest`.

    Its name holds the pairing and the backbone: "LPIPS (squeeze), nearest real image". A key that
    is not declared is its own name.
    """
    found = next((metric for metric in FEATURES if metric.key == key), None)
    if found is not None:
        return found
    base, _, pairing = key.rpartition("_")
    stem = next((metric for metric in PAIRED if key.startswith(f"{metric.key}_")), None)
    if stem is None:
        return Metric(key, key, None)
    backbone = base.removeprefix(stem.key).removeprefix("_")
    name = f"{stem.name} ({backbone})" if backbone else stem.name
    return replace(stem, key=key, name=f"{name}, {pairing} real image")


def measured(
    metrics: Sequence[PredictionMetric],
    predictions: Predictions,
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Compute metrics with their 95 % patient intervals, all on the same resamples.

    Args:
        metrics: entries of the registry.
        predictions: n images.
        groups: the patient of each (n,).
        n_resamples: resamples of patients.
        seed: of the resamples.

    Returns:
        Key to estimate, in the order of `metrics`.
    """
    statistics = {metric.key: metric.statistic(predictions) for metric in metrics}
    return estimates(statistics, np.asarray(groups), n_resamples, seed)


def measured_macro(
    metrics: Sequence[PredictionMetric],
    classes: Sequence[Predictions],
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Compute the means of metrics over classes, each against the others; see `measured`."""
    means = {metric.key: macro_of([metric.statistic(of) for of in classes]) for metric in metrics}
    return estimates(means, np.asarray(groups), n_resamples, seed)


def missing(metrics: Sequence[Metric[Any]], reason: str) -> dict[str, Estimate]:
    """Each metric as a missing value with one reason."""
    return {metric.key: Estimate(None, reason=reason) for metric in metrics}
