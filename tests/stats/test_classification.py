from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, roc_auc_score, roc_curve

from medgan.stats.bootstrap import estimates, interval
from medgan.stats.classification import (
    NO_IMAGE,
    NO_NORMAL,
    Predictions,
    accuracy_of,
    auroc_of,
    average_precision_of,
    balanced_accuracy_of,
    confusion,
    false_alarms,
    multiclass_auroc_of,
    npv,
    npv_of,
    ppv,
    ppv_of,
    sensitivity_at_specificity,
    sensitivity_of,
    specificity_of,
)
from medgan.stats.roc import GRID, roc_band

RNG = np.random.default_rng(0)
LABELS = (np.arange(200) % 2).astype(int)
SCORES = LABELS + RNG.normal(size=200)
PATIENTS = np.arange(200) // 4


def test_the_curve_is_scikit_learns() -> None:
    false, true, _ = roc_curve(LABELS, SCORES, drop_intermediate=False)
    # Where the curve rises straight up a grid of rates cannot follow, so areas are compared.
    value, low, high = roc_band(LABELS, SCORES, PATIENTS, 50)
    assert np.trapezoid(value, GRID) == pytest.approx(np.trapezoid(true, false), abs=0.01)
    assert (low <= value + 1e-9).mean() > 0.95
    assert (high >= value - 1e-9).mean() > 0.95


def test_copies_of_a_patients_image_do_not_narrow_the_band() -> None:
    labels, scores, patients = (
        np.repeat(column, 9) for column in (LABELS[:60], SCORES[:60], np.arange(60))
    )
    of_patients, of_images = (
        roc_band(labels, scores, groups, 100) for groups in (patients, np.arange(len(labels)))
    )
    widths = [float(np.mean(high - low)) for _, low, high in (of_patients, of_images)]
    assert widths[0] > 2 * widths[1] > 0


def test_curves_of_several_trainings_are_averaged() -> None:
    backwards = np.stack([SCORES, -SCORES])
    value, _, _ = roc_band(LABELS, backwards, PATIENTS, 20)
    one, other = (roc_band(LABELS, scores, PATIENTS, 20)[0] for scores in backwards)
    assert value == pytest.approx((one + other) / 2)


def test_sensitivity_on_the_test_roc_is_that_of_the_lowest_allowed_cut():
    rng = np.random.default_rng(3)
    labels = np.arange(201) % 2
    scores = rng.normal(labels * 2.0, 1).round(1)
    normal = scores[labels == 0]
    allowed = [cut for cut in np.unique(scores) if (normal >= cut).mean() <= 0.05]
    ones = np.ones((1, len(labels)))
    assert sensitivity_at_specificity(0.95, labels, scores, ones)[0] == pytest.approx(
        (scores[labels == 1] >= min(allowed)).mean()
    )
    doubled = np.concatenate([labels, labels]), np.concatenate([scores, scores])
    assert sensitivity_at_specificity(0.95, labels, scores, 2 * ones) == sensitivity_at_specificity(
        0.95, *doubled, np.ones((1, 402))
    )


def decided(labels, decisions):
    return Predictions(labels, decisions, decisions)


def predictive_values(labels, decisions, prevalence, n_resamples=200):
    """The positive and the negative predictive value."""
    of = decided(labels, decisions)
    statistics = {"ppv": ppv_of(of, prevalence), "npv": npv_of(of, prevalence)}
    return estimates(statistics, np.arange(len(labels)), n_resamples).values()


def test_false_alarms_are_per_100_normals_and_bounded_where_there_is_none():
    labels, decisions = np.repeat([0, 1], 50), np.zeros(100, dtype=int)
    decisions[:5] = 1
    groups = np.arange(100)
    assert interval(false_alarms(decided(labels, decisions)), groups, 100).value == 10.0
    none = interval(false_alarms(decided(labels, np.zeros(100))), groups, 100)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(100 * (1 - 0.025 ** (1 / 50)))


def test_predictive_values_by_hand():
    """Sensitivity 0.9, specificity 0.8, one in ten anomalous: PPV 0.09 / (0.09 + 0.18), NPV 0.72 /
    (0.72 + 0.01).
    """
    labels = np.repeat([0, 1], 100)
    decisions = np.concatenate([np.repeat([0, 1], [80, 20]), np.repeat([0, 1], [10, 90])])
    positive, negative = predictive_values(labels, decisions, 0.1, 500)
    assert positive.value == pytest.approx(0.09 / 0.27)
    assert negative.value == pytest.approx(0.72 / 0.73)
    assert positive.low < 1 / 3 < positive.high
    half, _ = predictive_values(labels, decisions, 0.5)
    assert half.value == pytest.approx(90 / 110)


@pytest.mark.parametrize("prevalence", [0.01, 0.1, 0.5])
def test_a_perfect_specificity_bounds_the_ppv_by_the_prevalence_and_not_by_1(prevalence):
    labels = np.repeat([0, 1], 40)
    decisions = np.concatenate([np.zeros(40), np.repeat([0, 1], 20)])
    positive, _ = predictive_values(labels, decisions, prevalence)
    half, worst = np.array([0.5]), np.array([0.025 ** (1 / 40)])
    assert (positive.value, positive.high) == (1.0, 1.0)
    assert positive.low == pytest.approx(float(ppv(prevalence, half, worst)[0]))
    _, negative = predictive_values(1 - labels, 1 - decisions, prevalence)
    assert negative.low == pytest.approx(float(npv(prevalence, worst, half)[0]))


def test_where_nothing_is_called_there_is_no_predictive_value():
    positive, negative = predictive_values(np.repeat([0, 1], 5), np.zeros(10), 0.1)
    assert positive.value is None
    assert "anomalous" in positive.reason
    assert negative.value == pytest.approx(0.9)


def kinds(count: int) -> Predictions:
    """Predictions of `count` anomaly types; scores are probabilities (n, count)."""
    rng = np.random.default_rng(count)
    labels = np.arange(150) % count
    raw = rng.random((150, count)) + 0.4 * np.eye(count)[labels]
    scores = raw / raw.sum(1, keepdims=True)
    return Predictions(labels, scores, scores.argmax(1))


@pytest.mark.parametrize("count", [2, 3, 4])
def test_metrics_of_several_types_are_scikit_learns(count: int) -> None:
    of, patients = kinds(count), np.arange(150)
    scores = of.scores[:, 1] if count == 2 else of.scores
    area = roc_auc_score(of.labels, scores, multi_class="ovr", average="macro")
    weights = np.random.default_rng(0).integers(0, 3, (2, 150)).astype(float)
    weighted = [
        roc_auc_score(of.labels, scores, multi_class="ovr", average="macro", sample_weight=each)
        for each in weights
    ]
    found = multiclass_auroc_of(of)
    assert interval(found, patients, 100).value == pytest.approx(area)
    assert found.statistic(weights) == pytest.approx(weighted)
    balanced = balanced_accuracy_of(of)
    assert interval(balanced, patients, 100).value == pytest.approx(
        balanced_accuracy_score(of.labels, of.decisions)
    )
    assert balanced.statistic(weights) == pytest.approx(
        [balanced_accuracy_score(of.labels, of.decisions, sample_weight=w) for w in weights]
    )


def test_a_type_without_images_has_no_metric_and_says_so() -> None:
    of = kinds(3)
    there = of.labels != 2
    without = Predictions(of.labels[there], of.scores[there], of.decisions[there])
    for metric in (multiclass_auroc_of(without), balanced_accuracy_of(without)):
        found = interval(metric, np.arange(there.sum()), 50)
        assert (found.value, found.reason) == (None, NO_IMAGE)


def test_accuracy_is_of_the_classes_where_there_are_several() -> None:
    classes, called = np.arange(60) % 3, (np.arange(60) // 2) % 3
    of = Predictions(classes > 0, np.zeros(60), called > 0, classes, called)
    found = interval(accuracy_of(of), np.arange(60), 50)
    assert found.value == pytest.approx((classes == called).mean())
    binary = replace(of, classes=None, called=None)
    assert interval(accuracy_of(binary), np.arange(60), 50).value == pytest.approx(
        ((classes > 0) == (called > 0)).mean()
    )


@pytest.mark.parametrize(
    "metric", [auroc_of, average_precision_of, partial(ppv_of, prevalence=0.1)]
)
@pytest.mark.parametrize("label", [0, 1])
def test_one_patient_with_all_images_of_a_class_leaves_no_interval(metric, label: int) -> None:
    patients = np.where(label == LABELS, 0, 1 + np.arange(200))
    found = interval(metric(Predictions(LABELS, SCORES, SCORES > 0.5)), patients, 50)
    assert found.value is not None
    assert (found.low, found.high) == (None, None)


def test_what_a_missing_rate_needs_is_said() -> None:
    none = np.zeros(30, dtype=int)
    normal, anomalous = (Predictions(label, SCORES[:30], none) for label in (none, none + 1))
    for metric, of, reason in (
        (sensitivity_of, normal, "not estimable: there is no anomalous image"),
        (specificity_of, anomalous, NO_NORMAL),
        (false_alarms, anomalous, NO_NORMAL),
    ):
        found = interval(metric(of), np.arange(30), 50)
        assert (found.value, found.reason) == (None, reason)


def test_confusion_has_a_row_and_column_for_each_class() -> None:
    found = confusion([0, 0, 1], [0, 1, 0], 3)
    assert np.asarray(found).tolist() == [[1, 1, 0], [1, 0, 0], [0, 0, 0]]
