"""The metrics of detectors, classifiers and synthetic images, each declared once.

What is declared here is computed by the evaluation and shown by the report, the terminal summary,
the tables, the run comparison, MLflow and the experiments. To add a metric, write its statistic and
declare it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.spaces import DOMAIN, space_name
from medgan.metrics.features import FeatureSets
from medgan.metrics.fid import feature_fid
from medgan.metrics.kid import feature_kid
from medgan.metrics.memorisation import copied_share
from medgan.metrics.precision_recall import Neighbours, feature_overlap
from medgan.metrics.quality import QualityMetric
from medgan.stats.bootstrap import Estimate, WeightedStatistic, estimates
from medgan.stats.classification import (
    Predictions,
    accuracy_of,
    auroc_of,
    average_precision_of,
    balanced_accuracy_of,
    class_balanced_accuracy_of,
    f1_of,
    multiclass_auroc_of,
    precision_of,
    sensitivity_of,
    specificity_of,
)

Measure = TypeVar("Measure")


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
    use: str = ""
    """What it is good for, in one line."""


PredictionMetric = Metric[Callable[[Predictions], WeightedStatistic]]
QualityMeasure = Callable[[FeatureSets, str, int, Neighbours], Mapping[str, QualityMetric]]
"""Features, the network that computed them, a seed and k to metrics by key."""


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


def _one(key: str, measure: Callable[[FeatureSets, str, int], QualityMetric]) -> QualityMeasure:
    """A measure of one metric that takes no k."""
    return lambda sets, backbone, seed, _: {key: measure(sets, backbone, seed)}


_lower = partial(Metric, higher_is_better=False)
PAIRED: Sequence[Metric[None]] = (
    Metric("psnr", "PSNR", None, use="Difference of pixels. Blurred images do well."),
    _lower("ms_gmsd", "MS-GMSD", None, use="Difference of edges."),
    _lower("lpips", "LPIPS", None, use="Difference that people see in photographs."),
)
"""Metrics of pairs of images (`medgan.metrics.pairs.METRICS` and LPIPS); their keys end with the
pairing, that of LPIPS names its backbone.
"""
FEATURES: Sequence[Metric[QualityMeasure]] = (
    _lower(
        "fid",
        "Fréchet distance",
        _one("fid", feature_fid),
        use="Looks and variety in one number, to rank generators at the same N.",
    ),
    _lower(
        "kid",
        "KID",
        _one("kid", feature_kid),
        use="As the Fréchet distance, for small N: real against real is 0 on average.",
    ),
    Metric("precision", "Precision", feature_overlap, use="Whether images look real."),
    Metric("recall", "Recall", feature_overlap, use="Whether images are as varied as real ones."),
    Metric(
        "density",
        "Density",
        feature_overlap,
        use="As precision, without trust in single real outliers.",
    ),
    Metric(
        "coverage",
        "Coverage",
        feature_overlap,
        use="As recall; finds kinds of images that are missing.",
    ),
)
"""Metrics of sets of features, measured in each space; their keys end with that of the space. A
statistic that several of them share is computed once.
"""
COPIES: Metric[QualityMeasure] = _lower(
    "copied_share",
    "Suspected training copies, share",
    _one("copied_share", copied_share),
    use="Finds nearly exact copies. Their absence is no proof of privacy.",
)
"""A metric of the domain features alone."""
DIVERSITY: Metric[None] = _lower(
    "ms_ssim",
    "MS-SSIM of pairs of a class",
    None,
    use="Finds collapse: above real-vs-real, images of a class are too much alike.",
)
TASKS: Sequence[Metric[None]] = (
    Metric(
        "tstr_auroc",
        "AUROC, trained on synthetic, tested on real images",
        None,
        use="Whether a classifier learns from the images what real ones need.",
    ),
    Metric(
        "trts_auroc",
        "AUROC, trained on real, tested on synthetic images",
        None,
        use="Whether images show the class that they were drawn for; silent on variety.",
    ),
)
"""Metrics of generators that draw several classes."""
QUALITY: Sequence[Metric[Any]] = (*PAIRED, DIVERSITY, *FEATURES, COPIES, *TASKS)
"""Metrics of synthetic images."""

RELEASED = Metric("released", "May be released (1: yes)", None, digits=0)
COPY_RATE = _lower("copy_rate", "Suspected training copies, under small changes", None)
MEMBERSHIP = _lower("membership_auc", "Membership attack with the images, AUC", None)
RELEASE: Sequence[Metric[None]] = (RELEASED, COPY_RATE, MEMBERSHIP)
"""Figures of the release gate (`medgan.audits.gate`), of all classes together."""
VALIDATION: Mapping[str, str] = {
    "aucp": "AUCp",
    "val_auroc": "Validation AUROC",
    "diversity": "Diversity",
    "sample_recall": "Recall",
    "sample_coverage": "Coverage",
}
"""Validation metrics of a model in training."""


def quality_metric(key: str) -> Metric[Any]:
    """The metric of a key of a quality table, such as `lpips_squeeze_nearest` or `fid_domain`.

    Its name holds the pairing and the backbone, or the space: "LPIPS (squeeze), nearest real
    image", "KID, domain features". A key that is not declared is its own name.
    """
    alone: dict[str, Metric[Any]] = {one.key: one for one in (DIVERSITY, *TASKS, *RELEASE)}
    alone[f"{COPIES.key}_{DOMAIN}"] = replace(COPIES, key=f"{COPIES.key}_{DOMAIN}")
    if key in alone:
        return alone[key]
    base, _, pairing = key.rpartition("_")
    declared: tuple[Metric[Any], ...] = (*FEATURES, *PAIRED)
    stem = next((one for one in declared if key.startswith(f"{one.key}_")), None)
    if stem is None:
        return Metric(key, key, None)
    if stem in FEATURES:
        space = space_name(key.removeprefix(f"{stem.key}_"))
        return replace(stem, key=key, name=f"{stem.name}, {space} features")
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
    """Compute metrics of n images with their 95 % patient intervals, all on the same resamples: key
    to estimate, in the order of `metrics`.
    """
    statistics = {metric.key: metric.statistic(predictions) for metric in metrics}
    return estimates(statistics, np.asarray(groups), n_resamples, seed)


def missing(metrics: Sequence[Metric[Any]], reason: str) -> dict[str, Estimate]:
    """Each metric as a missing value with one reason."""
    return {metric.key: Estimate(None, reason=reason) for metric in metrics}
