"""Classifiers: metrics of classes, calibration on validation, contrasts between arms."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    f1_score,
    recall_score,
    roc_auc_score,
)

from medgan.errors import UserError
from medgan.evaluation.categories import ClassifiedImages
from medgan.evaluation.classifier import contrast, corrected, evaluate_classifier
from medgan.evaluation.realism import told_apart
from medgan.stats.calibration import scaled, temperature
from medgan.stats.classification import effect_size

CLASSES = ("normal", "bacterial", "viral")


def classified(rng, count=300, skill=1.5, sharpness=1.0, classes=CLASSES):
    """Images of three patients each, whose true log-odds are divided by `sharpness`."""
    labels = rng.integers(0, len(classes), count)
    logits = rng.normal(size=(count, len(classes))) + skill * np.eye(len(classes))[labels]
    # The posterior of unit normals with this shift is the softmax of `skill` times the values.
    probabilities = scaled(np.exp(skill * logits * sharpness), 1.0)
    groups = np.arange(count) // 3
    return ClassifiedImages(probabilities, labels, groups, np.ones(count, bool), classes)


def test_an_image_may_be_of_several_classes():
    rng = np.random.default_rng(3)
    shown = rng.random((200, 3)) < 0.4
    shown[:, 0] = ~shown[:, 1:].any(1)
    p = np.clip(0.35 * shown + rng.random((200, 3)) * 0.65, 0, 1)
    images = ClassifiedImages(p, shown, np.arange(200) // 2, np.ones(200, bool), CLASSES)
    found = evaluate_classifier(images, 50, validation=images)
    assert found.auroc.value == pytest.approx(roc_auc_score(~shown[:, 0], 1 - p[:, 0]))
    called = p[:, 0] < 0.5
    assert found.metric("accuracy").value == pytest.approx((called != shown[:, 0]).mean())
    matrix = [[(called[shown[:, 0]] == told).sum() for told in (False, True)]]
    assert found.confusion_matrix[0] == tuple(matrix[0])
    assert found.macro.auroc.value == pytest.approx(roc_auc_score(shown, p, average="macro"))
    assert found.macro.metric("f1").value == pytest.approx(
        f1_score(shown, p >= 0.5, average="macro")
    )
    assert found.per_class["viral"].metric("recall").value == pytest.approx(
        recall_score(shown[:, 2], p[:, 2] >= 0.5)
    )
    assert found.report["viral"]["support"] == shown[:, 2].sum()
    assert "several classes" in found.scaled.reason
    assert found.categories is None


def test_metrics_are_those_of_scikit_learn():
    images = classified(np.random.default_rng(0))
    found = evaluate_classifier(images, 50)
    labels, p, called = images.labels, images.probabilities, images.decisions
    assert found.metric("balanced_accuracy").value == pytest.approx(
        balanced_accuracy_score(labels, called)
    )
    assert found.average_precision.value == pytest.approx(
        average_precision_score(labels > 0, 1 - p[:, 0])
    )
    one_vs_rest = np.eye(3)[labels]
    for number, name in enumerate(CLASSES):
        row = found.per_class[name]
        assert row.n_images == (labels == number).sum()
        assert row.auroc.value == pytest.approx(roc_auc_score(one_vs_rest[:, number], p[:, number]))
        assert row.auroc.low < row.auroc.value < row.auroc.high
    macro = found.macro
    assert macro.auroc.value == pytest.approx(roc_auc_score(labels, p, multi_class="ovr"))
    assert macro.average_precision.value == pytest.approx(
        average_precision_score(one_vs_rest, p, average="macro")
    )
    assert macro.metric("f1").value == pytest.approx(f1_score(labels, called, average="macro"))
    assert macro.metric("recall").value == pytest.approx(
        recall_score(labels, called, average="macro")
    )


def test_a_planted_temperature_is_found_on_validation_and_calibrates_the_test_images():
    rng = np.random.default_rng(1)
    validation, test = (classified(rng, count, sharpness=3.0) for count in (3000, 1500))
    assert temperature(validation.probabilities, validation.labels) == pytest.approx(3.0, rel=0.1)
    found = evaluate_classifier(test, 50, validation=validation)
    assert found.scaled.temperature == pytest.approx(3.0, rel=0.1)
    assert found.scaled.n_validation == 3000
    assert found.scaled.expected_calibration_error.value < 0.03
    assert found.expected_calibration_error.value > 0.05
    assert found.scaled.brier.value < found.brier.value
    one_class = ClassifiedImages(
        validation.probabilities[:5], np.zeros(5, int), np.arange(5), np.ones(5, bool), CLASSES
    )
    missing = evaluate_classifier(test, 50, validation=one_class).scaled
    assert missing.temperature is None
    assert "one class" in missing.reason


def test_contrasts_are_differences_with_one_correction():
    rng = np.random.default_rng(2)
    good, poor = classified(rng, 300, 2.0), classified(rng, 300, 0.5)
    poor = ClassifiedImages(
        classified(np.random.default_rng(3), 300, 0.1).probabilities,
        *(good.labels, good.groups, good.group_known, CLASSES),
    )
    found = contrast(good, poor, 300)
    areas = [roc_auc_score(good.labels > 0, 1 - one.probabilities[:, 0]) for one in (good, poor)]
    assert found.difference.value == pytest.approx(areas[0] - areas[1])
    assert found.effect_size == pytest.approx(effect_size(*areas, 200, 100))
    assert found.balanced_accuracy.value == pytest.approx(
        balanced_accuracy_score(good.labels, good.decisions)
        - balanced_accuracy_score(poor.labels, poor.decisions)
    )
    same = contrast(good, good, 300)
    judged = corrected({("gan", "real"): found, ("mixup", "real"): same})
    assert judged["gan", "real"].verdict == "better than real"
    assert judged["gan", "real"].p_holm == pytest.approx(min(1.0, 2 * found.p_value))
    assert judged["mixup", "real"].verdict == "no difference from real shown"
    with pytest.raises(UserError, match="different images"):
        contrast(good, classified(np.random.default_rng(4), 300))


def test_the_effect_size_of_shifted_normals_is_their_shift():
    rng = np.random.default_rng(5)
    n, areas = 200_000, []
    for shift in (1.5, 1.0):
        scores = np.concatenate([rng.normal(size=n), rng.normal(shift, size=n)])
        areas.append(roc_auc_score(np.repeat([0, 1], n), scores))
    assert effect_size(areas[0], areas[1], n, n) == pytest.approx(0.5, abs=0.02)
    assert np.isfinite(effect_size(1.0, 0.5, 20, 20))


def test_synthetic_images_are_told_apart_by_what_differs_and_by_nothing_else():
    rng = np.random.default_rng(6)
    synthetic = np.repeat([False, True], 150)
    patients = np.concatenate([[f"p{n // 3}" for n in range(150)], [f"s{n}" for n in range(150)]])
    # Images of a patient share features of their own, which must not help.
    of_patient = np.repeat(rng.normal(size=(50, 20)), 3, axis=0)
    features = np.concatenate([of_patient, rng.normal(size=(150, 20))])
    alike = told_apart(features, synthetic, patients, 200)
    assert alike.low < 0.5 < alike.high, alike
    shifted = features + 3.0 * synthetic[:, None] * (np.arange(20) == 0)
    apart = told_apart(shifted, synthetic, patients, 200)
    assert apart.value > 0.95
    assert told_apart(features[:12], synthetic[145:157], patients[:12]).value is None
