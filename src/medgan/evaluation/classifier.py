"""Evaluate a classifier by its probabilities on the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.evaluation import results
from medgan.evaluation.baselines import verdict
from medgan.evaluation.categories import ClassifiedImages, evaluate_categories
from medgan.evaluation.metrics import CLASSIFIER, OF_CLASS, OF_CLASSES, measured
from medgan.evaluation.scores import Images
from medgan.stats.bootstrap import estimates, ratio
from medgan.stats.calibration import calibration, scaled, temperature
from medgan.stats.classification import auroc_of, class_balanced_accuracy_of, effect_size, macro_of
from medgan.stats.differences import auroc_difference, holm, paired_difference

if TYPE_CHECKING:
    from torch import nn

AT_ONCE = 128


def class_probabilities(
    model: nn.Module, images: Images, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute class probabilities (n, K) of the images in `rows` (n,) on the device of a model."""
    import torch

    device = next(model.parameters()).device
    parts = np.split(rows, range(AT_ONCE, len(rows), AT_ONCE))
    found = [model.probabilities(images(part).to(device)).cpu() for part in parts]  # type: ignore[operator]
    return torch.cat(found).double().numpy()


def evaluate_classifier(
    images: ClassifiedImages,
    n_resamples: int = 1000,
    seed: int = 0,
    validation: ClassifiedImages | None = None,
) -> results.ClassifierResult:
    """Evaluate a classifier on the test images.

    Accuracy, balanced accuracy and the confusion matrix are over all classes. Precision, recall and
    F1 are of "anomalous", any class but `normal` (class 0), an image being called anomalous when its
    most probable class is not `normal`; AUROC, average precision, Brier score and calibration are
    of 1 - p(normal). Where an image may be of several classes, a class is called at a probability of
    0.5, and accuracy and the confusion matrix are of "anomalous" too.

    Args:
        images: the test images; the first class is `normal`.
        n_resamples: resamples of patients.
        seed: of the resamples and of the training.
        validation: the validation images, which choose the temperature; None: no temperature.
    """
    predictions, groups = images.predictions, np.asarray(images.groups).astype(str)
    labels = np.asarray(images.labels, dtype=np.int64)
    sure = np.clip(predictions.scores, 0, 1)
    trust = calibration(predictions.labels, sure, groups, n_resamples, seed)
    each = {name: images.of_class(place) for place, name in enumerate(images.classes)}
    means = {
        metric.key: macro_of([metric.statistic(of) for of in each.values()])
        for metric in OF_CLASSES
    }
    macro = estimates(means, groups, n_resamples, seed)
    return results.ClassifierResult(
        metrics=measured(CLASSIFIER, predictions, groups, n_resamples, seed),
        n_images=len(labels),
        n_patients=images.n_patients,
        interval_unit=images.interval_unit,
        n_seeds=1,
        seeds=(seed,),
        classes=tuple(images.classes),
        **vars(trust),
        confusion_matrix=images.matrix,
        report=class_report(labels, images.decisions, images.classes),
        categories=_among_anomalies(images, n_resamples, seed),
        per_class={
            name: results.CategoryResult(
                metrics=measured(OF_CLASS, of, groups, n_resamples, seed),
                n_images=int(of.anomalous.sum()),
            )
            for name, of in each.items()
        },
        macro=results.CategoryResult(metrics=macro, n_images=len(labels)),
        scaled=None if validation is None else _scaled(images, validation, n_resamples, seed),
    )


def _scaled(
    images: ClassifiedImages, validation: ClassifiedImages, n_resamples: int, seed: int
) -> results.TemperatureScaling:
    labels, count = np.asarray(validation.labels, dtype=np.int64), len(validation.labels)
    reason = "not estimable: the validation images are of one class"
    if images.several:
        reason = "not estimable: an image may be of several classes"
    if images.several or len(np.unique(labels)) < 2:
        return results.TemperatureScaling(temperature=None, n_validation=count, reason=reason)
    chosen = temperature(validation.probabilities, labels)
    anomaly = 1 - scaled(images.probabilities, chosen)[:, 0]
    truth, groups = np.minimum(images.labels, 1), np.asarray(images.groups).astype(str)
    trust = calibration(truth, np.clip(anomaly, 0, 1), groups, n_resamples, seed)
    return results.TemperatureScaling(
        temperature=chosen,
        n_validation=count,
        brier=trust.brier,
        expected_calibration_error=trust.expected_calibration_error,
        calibration_curve=trust.calibration_curve,
    )


def contrast(
    first: ClassifiedImages, second: ClassifiedImages, n_resamples: int = 1000, seed: int = 0
) -> results.Contrast:
    """Compare two classifiers on the same test images: the first minus the second, without the
    correction for several contrasts.

    Raises:
        UserError: they were tested on different images.
    """
    groups = np.asarray(first.groups).astype(str)
    if not np.array_equal(first.labels, second.labels):
        raise UserError(
            "Two arms were tested on different images: run 'kedro run --pipeline "
            "classifier_training' again."
        )
    one, other, truth = first.predictions, second.predictions, first.anomalous
    gap = auroc_difference(truth, one.scores, other.scores, groups, n_resamples, seed)
    size = None
    if gap.value is not None:
        areas = [auroc_of(found).value for found in (one, other)]
        size = effect_size(areas[0], areas[1], int(truth.sum()), int((1 - truth).sum()))
    first_balanced, second_balanced = map(class_balanced_accuracy_of, (one, other))
    balanced = paired_difference(first_balanced, second_balanced, groups, n_resamples, seed)
    return results.Contrast(
        difference=gap.estimate,
        p_value=gap.p_value,
        effect_size=size,
        balanced_accuracy=balanced.estimate,
    )


def corrected(
    contrasts: Mapping[tuple[str, str], results.Contrast],
) -> dict[tuple[str, str], results.Contrast]:
    """Correct the p-values of a family of contrasts (first, second) by Holm, and judge each."""
    adjusted, found = holm({pair: one.p_value for pair, one in contrasts.items()}), {}
    for pair, one in contrasts.items():
        p_holm = adjusted.get(pair)
        said = verdict(one.difference, pair[1], p_holm)
        found[pair] = replace(one, p_holm=p_holm, verdict=said)
    return found


def _among_anomalies(
    images: ClassifiedImages, n_resamples: int, seed: int
) -> results.AnomalyTypeResult | None:
    """Which anomaly type, given that there is one: from p(type) / (1 - p(normal)) on anomalous
    images; None for one type.
    """
    if len(images.classes) < 3 or images.several:
        return None
    anomalous = np.asarray(images.labels) > 0
    of_types = np.asarray(images.probabilities, dtype=np.float64)[anomalous, 1:]
    among = ClassifiedImages(
        ratio(of_types, of_types.sum(1, keepdims=True), otherwise=1 / of_types.shape[1]),
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

    named = {"labels": list(range(len(classes))), "target_names": list(classes)}
    return classification_report(labels, decisions, **named, output_dict=True, zero_division=0)
