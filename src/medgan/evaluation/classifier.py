"""The row of a classifier in results.json, from its probabilities on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation.categories import evaluate_categories
from medgan.evaluation.scores import require_finite
from medgan.stats.bootstrap import Metric, estimates
from medgan.stats.classification import accuracy, auroc, calibration, confusion, decision_metrics


def evaluate_classifier(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    groups: NDArray[Any] | Sequence[str],
    group_known: NDArray[Any] | Sequence[bool],
    classes: Sequence[str],
    n_resamples: int = 1000,
    seed: int = 0,
    details: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """One classifier on the test images.

    Accuracy and the confusion matrix are over all classes. Precision, recall, F1 are of
    "anomalous", any class but `normal` (class 0), an image being called anomalous when its most
    probable class is not `normal`; AUROC, Brier score and calibration are of 1 - p(normal).

    Args:
        probabilities: (n, K), rows sum to 1.
        labels: (n,) class indices.
        groups: (n,) patient of each image.
        group_known: (n,) whether it is known; where one is not, intervals are called per image.
        classes: the K names, `normal` first.
        n_resamples: resamples of patients.
        seed: of the resamples and of the training.
        details: what else the row should say.

    Raises:
        UserError: a probability is not finite, or the shapes do not fit.
    """
    probabilities, labels = (
        np.asarray(probabilities, dtype=np.float64),
        np.asarray(labels, dtype=np.int64),
    )
    if probabilities.shape != (len(labels), len(classes)):
        raise UserError(
            f"Probabilities have the shape {probabilities.shape}, but there are {len(labels)} images and {len(classes)} classes."
        )
    require_finite(
        np.isfinite(probabilities).all(1), [f"image {index}" for index in range(len(labels))]
    )
    decisions, groups = probabilities.argmax(1), np.asarray(groups).astype(str)
    anomaly = 1 - probabilities[:, 0]
    found = estimates(_metrics(labels, decisions, anomaly), groups, n_resamples, seed)
    known = bool(np.all(group_known))
    return {
        **{name: estimate.as_dict() for name, estimate in found.items()},
        "n_images": len(labels),
        "n_patients": len(np.unique(groups)) if known else None,
        "interval_unit": "patient" if known else "image",
        "n_seeds": 1,
        "seeds": [seed],
        "classes": list(classes),
        **calibration(np.minimum(labels, 1), np.clip(anomaly, 0, 1), groups, n_resamples, seed),
        "confusion_matrix": confusion(labels, decisions, len(classes)),
        "report": class_report(labels, decisions, classes),
        **_among_anomalies(probabilities, labels, groups, known, classes, n_resamples, seed),
        **(details or {}),
    }


def _among_anomalies(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    groups: NDArray[Any],
    known: bool,
    classes: Sequence[str],
    n_resamples: int,
    seed: int,
) -> dict[str, Any]:
    """Which anomaly, given that there is one: `categories`, from p(category) / (1 - p(normal)) on
    anomalous images; nothing for one.
    """
    if len(classes) < 3:
        return {}
    anomalous = labels > 0
    of_kinds = probabilities[anomalous, 1:]
    total = of_kinds.sum(1, keepdims=True)
    shares = np.divide(
        of_kinds, total, out=np.full_like(of_kinds, 1 / of_kinds.shape[1]), where=total > 0
    )
    group_known = np.full(int(anomalous.sum()), known)
    row = evaluate_categories(
        shares,
        labels[anomalous] - 1,
        groups[anomalous],
        group_known,
        classes[1:],
        n_resamples,
        seed,
    )
    return {"categories": row}


def _metrics(
    labels: NDArray[np.int64], decisions: NDArray[np.int64], anomaly: NDArray[np.float64]
) -> dict[str, Metric]:
    truth, called = np.minimum(labels, 1), np.minimum(decisions, 1)
    binary = decision_metrics(truth, called)
    everything = np.ones(len(labels), dtype=bool)
    return {
        "accuracy": Metric(partial(accuracy, labels, decisions), (everything,)),
        "precision": binary["precision"],
        "recall": binary["sensitivity"],
        "f1": binary["f1"],
        "specificity": binary["specificity"],
        "auroc": Metric(partial(auroc, truth, anomaly), (truth == 1, truth == 0)),
    }


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
