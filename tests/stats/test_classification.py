from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from medgan.stats.bootstrap import estimates, interval
from medgan.stats.classification import (
    GRID,
    Predictions,
    false_alarms,
    npv,
    npv_of,
    ppv,
    ppv_of,
    roc_band,
    sensitivity_at_specificity,
)

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
