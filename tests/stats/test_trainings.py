"""Methods of several trainings: values, and null studies in which arms do not differ."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from medgan.stats.differences import auroc_difference
from medgan.stats.trainings import difference_of_trainings, mean_of_trainings

IMAGES, SEEDS = 3, 3


def study(rng, patients, area, quality, arms=2):
    """Labels, patients, and for each arm the scores (3, n) of three trainings: of three images of a
    patient, with a part that all trainings share, a part of the patient, a part of the training and
    the patient, and a quality of the training that varies by `quality`.
    """
    distance = np.sqrt(2) * norm.ppf(area)
    groups = np.repeat(np.arange(patients), IMAGES)
    labels = groups % 2

    def noise(of_patient):
        shared = np.repeat(rng.normal(size=patients), IMAGES)
        own = rng.normal(size=len(labels))
        return np.sqrt(of_patient) * shared + np.sqrt(1 - of_patient) * own

    base = noise(0.3)
    scores = [
        np.stack(
            [
                (distance + quality * rng.normal()) * labels
                + np.sqrt(0.8) * base
                + np.sqrt(0.2) * noise(0.5)
                for _ in range(SEEDS)
            ]
        )
        for _ in range(arms)
    ]
    return labels, groups, scores


def test_values_are_the_means_of_the_trainings():
    labels, groups, (first, second) = study(np.random.default_rng(0), 60, 0.85, 0.2)
    means = [np.mean([roc_auc_score(labels, one) for one in of]) for of in (first, second)]
    found = difference_of_trainings(labels, first, second, groups, 200)
    assert found.value == pytest.approx(means[0] - means[1])
    assert found.low < found.value < found.high
    assert (found.p_value < 0.05) == (not found.low <= 0 <= found.high)
    area = mean_of_trainings(labels, first, groups, 200)
    assert area.value == pytest.approx(means[0])
    assert 0 < area.low < area.value < area.high < 1


def test_equal_scores_do_not_differ_and_one_training_is_compared_as_before():
    labels, groups, (first, second) = study(np.random.default_rng(1), 40, 0.8, 0.1)
    same = difference_of_trainings(labels, first, first, groups, 200)
    assert same.value == 0
    assert same.p_value == pytest.approx(1.0)
    one = difference_of_trainings(labels, first[:1], second[:1], groups, 200, 3)
    assert one == auroc_difference(labels, first[:1], second[:1], groups, 200, 3)
    nothing = difference_of_trainings(np.zeros(120, int), first, second, groups, 50)
    assert nothing.value is None
    assert nothing.reason


def test_a_real_difference_is_found():
    rng, found = np.random.default_rng(2), 0
    for seed in range(40):
        labels, groups, (first, second) = study(rng, 100, 0.85, 0.1)
        better = first + 0.7 * labels
        found += difference_of_trainings(labels, better, second, groups, 200, seed).p_value < 0.05
    assert found >= 36


def null_studies(rounds, patients, area, quality, n_resamples):
    """Shares of null studies in which a difference is found, and of intervals that hold the truth."""
    rng, rejected, covered, held = np.random.default_rng(1), 0, 0, 0
    distance = np.sqrt(2) * norm.ppf(area)
    # The mean area over trainings of varying quality.
    truth = norm.cdf(
        (distance + quality * norm.ppf((np.arange(2000) + 0.5) / 2000)) / np.sqrt(2)
    ).mean()
    for seed in range(rounds):
        labels, groups, (first, second) = study(rng, patients, area, quality)
        found = difference_of_trainings(labels, first, second, groups, n_resamples, seed)
        area_found = mean_of_trainings(labels, first, groups, n_resamples, seed)
        rejected += found.p_value < 0.05
        covered += found.low <= 0 <= found.high
        held += area_found.low <= truth <= area_found.high
    assert rejected + covered == rounds
    return rejected / rounds, covered / rounds, held / rounds


def test_null_studies_keep_their_size_in_a_short_run():
    size, covered, held = null_studies(150, 60, 0.85, 0.15, 200)
    assert 0.005 <= size <= 0.1
    assert covered == pytest.approx(1 - size)
    assert 0.88 <= held <= 0.99


@pytest.mark.long
@pytest.mark.parametrize(
    ("patients", "area", "quality"),
    [(60, 0.85, 0.0), (60, 0.85, 0.15), (60, 0.85, 0.3), (200, 0.9, 0.15)],
)
def test_of_1000_null_studies_3_to_7_percent_find_a_difference(patients, area, quality):
    size, covered, held = null_studies(1000, patients, area, quality, 400)
    assert 0.03 <= size <= 0.07
    assert 0.93 <= covered <= 0.97
    assert 0.93 <= held <= 0.97
