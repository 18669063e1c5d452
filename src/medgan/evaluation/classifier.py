"""Evaluate a classifier by its probabilities on the test images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.categories import ClassifiedImages, evaluate_categories
from medgan.evaluation.metrics import CLASSIFIER, measured
from medgan.evaluation.results import AnomalyTypeResult, CalibrationBin, ClassifierResult
from medgan.stats.calibration import calibration
from medgan.stats.classification import Predictions, confusion


def evaluate_classifier(
    images: ClassifiedImages, n_resamples: int = 1000, seed: int = 0
) -> ClassifierResult:
    """Evaluate a classifier on the test images.

    Accuracy and the confusion matrix are over all classes. Precision, recall and F1 are of
    "anomalous", any class but `normal` (class 0), an image being called anomalous when its most
    probable class is not `normal`; AUROC, Brier score and calibration are of 1 - p(normal).

    Args:
        images: the test images; the first class is `normal`.
        n_resamples: resamples of patients.
        seed: of the resamples and of the training.
    """
    labels = np.asarray(images.labels, dtype=np.int64)
    decisions, groups = images.decisions, np.asarray(images.groups).astype(str)
    anomaly = 1 - np.asarray(images.probabilities, dtype=np.float64)[:, 0]
    truth, called = np.minimum(labels, 1), np.minimum(decisions, 1)
    predictions = Predictions(truth, anomaly, called, labels, decisions)
    trust = calibration(truth, np.clip(anomaly, 0, 1), groups, n_resamples, seed)
    return ClassifierResult(
        metrics=measured(CLASSIFIER, predictions, groups, n_resamples, seed),
        n_images=len(labels),
        n_patients=images.n_patients,
        interval_unit=images.interval_unit,
        n_seeds=1,
        seeds=(seed,),
        classes=tuple(images.classes),
        brier=trust.brier,
        expected_calibration_error=trust.expected_calibration_error,
        brier_of_the_share=trust.brier_of_the_share,
        calibration_curve=tuple(CalibrationBin(*each) for each in trust.curve),
        confusion_matrix=confusion(labels, decisions, len(images.classes)),
        report=class_report(labels, decisions, images.classes),
        categories=_among_anomalies(images, n_resamples, seed),
    )


def _among_anomalies(
    images: ClassifiedImages, n_resamples: int, seed: int
) -> AnomalyTypeResult | None:
    """Which anomaly type, given that there is one: from p(type) / (1 - p(normal)) on anomalous
    images; None for one type.
    """
    if len(images.classes) < 3:
        return None
    anomalous = np.asarray(images.labels) > 0
    of_types = np.asarray(images.probabilities, dtype=np.float64)[anomalous, 1:]
    total = of_types.sum(1, keepdims=True)
    even = np.full_like(of_types, 1 / of_types.shape[1])
    among = ClassifiedImages(
        np.divide(of_types, total, out=even, where=total > 0),
        np.asarray(images.labels, dtype=np.int64)[anomalous] - 1,
        np.asarray(images.groups).astype(str)[anomalous],
        np.full(int(anomalous.sum()), bool(np.all(images.group_known))),
        images.classes[1:],
    )
    return evaluate_categories(among, n_resamples, seed)


def class_report(
    labels: NDArray[np.int64], decisions: NDArray[np.int64], classes: Sequence[str]
) -> dict[str, Any]:
    """Precision, recall, F1 and support of each class, macro and weighted, as scikit-learn names
    them; 0 where a class is never called.
    """
    from sklearn.metrics import classification_report  # 1.5 s that other commands need not wait for

    report: dict[str, Any] = classification_report(
        labels,
        decisions,
        labels=list(range(len(classes))),
        target_names=list(classes),
        output_dict=True,
        zero_division=0,
    )
    return report
