"""What intervals and thresholds promise, held against simulated truth. Quick here; the numbers of
long runs stand in docs/integrity.md.
"""

import numpy as np
import pytest
from scipy.stats import norm

from medgan.stats.bootstrap import estimates
from medgan.stats.classification import Predictions, auroc_of, sensitivity_of
from medgan.stats.differences import auroc_difference
from medgan.stats.thresholds import youden

IMAGES = 5


def clustered(rng, patients, icc, distance):
    """Labels (by patient), scores that share a part of `icc` within a patient, and patients; five
    images each.
    """
    labels, groups = (
        np.repeat(np.arange(patients) % 2, IMAGES),
        np.repeat(np.arange(patients), IMAGES),
    )
    shared = np.repeat(rng.normal(size=patients), IMAGES)
    return (
        labels,
        distance * labels + np.sqrt(icc) * shared + np.sqrt(1 - icc) * rng.normal(size=len(labels)),
        groups,
    )


@pytest.mark.parametrize(("area", "icc"), [(0.85, 0.3), (0.95, 0.5)])
def test_patient_intervals_cover_and_image_intervals_are_too_narrow(area, icc):
    distance, rounds = np.sqrt(2) * norm.ppf(area), 250
    truth = {"auroc": area, "sensitivity": norm.cdf(distance / 2)}
    covered = dict.fromkeys([(unit, name) for unit in ("patient", "image") for name in truth], 0)
    rng = np.random.default_rng(0)
    for seed in range(rounds):
        labels, scores, groups = clustered(rng, 60, icc, distance)
        of = Predictions(labels, scores, (scores > distance / 2).astype(int))
        metrics = {"auroc": auroc_of(of), "sensitivity": sensitivity_of(of)}
        for unit, units in (("patient", groups), ("image", np.arange(len(labels)))):
            found = estimates(metrics, units, 150, seed)
            for name, value in truth.items():
                covered[unit, name] += found[name].low <= value <= found[name].high
    for name in truth:
        assert 0.91 <= covered["patient", name] / rounds <= 0.985, (name, covered)
        assert covered["image", name] / rounds < covered["patient", name] / rounds - 0.04, (
            name,
            covered,
        )


def test_a_frozen_threshold_is_not_optimistic_and_one_from_test_is():
    """Sensitivity + specificity found on 100 test images, minus what the same cut gives of all
    images there could be.
    """
    rng, rounds, distance = np.random.default_rng(0), 2000, 1.2
    labels = np.arange(100) % 2
    optimism = {"validation": [], "test": []}
    for _ in range(rounds):
        validation, test = (rng.normal(distance * labels, 1) for _ in range(2))
        for source, scores in (("validation", validation), ("test", test)):
            cut = youden(labels, scores)
            found = (test[labels == 1] >= cut).mean() + (test[labels == 0] < cut).mean()
            optimism[source].append(found - norm.sf(cut - distance) - norm.cdf(cut))
    assert abs(np.mean(optimism["validation"])) < 0.01
    assert np.mean(optimism["test"]) > 0.04


@pytest.mark.parametrize(("patients", "area"), [(40, 0.8), (40, 0.95), (100, 0.95)])
def test_intervals_of_differences_cover_and_tests_keep_their_size(patients, area):
    """Two detectors with the same AUROC; tables of long runs are in decision 0020."""
    rng, rounds, distance = np.random.default_rng(1), 300, np.sqrt(2) * norm.ppf(area)
    labels, covered, rejected = np.arange(patients) % 2, 0, 0
    for seed in range(rounds):
        shared, first, second = rng.normal(size=(3, patients))
        scores = (distance * labels + np.sqrt(0.5) * (shared + own) for own in (first, second))
        found = auroc_difference(labels, *scores, np.arange(patients), 400, seed)
        covered += found.low <= 0 <= found.high
        rejected += found.p_value < 0.05
    assert covered + rejected == rounds
    assert 0.92 <= covered / rounds <= 0.985
