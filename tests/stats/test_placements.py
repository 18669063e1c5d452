"""Placement values: the area of scikit-learn, and the error of a difference over many samples."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from medgan.stats.placements import Placements


def test_the_means_of_both_placements_are_the_area() -> None:
    rng = np.random.default_rng(0)
    positive = rng.random(80) < 0.3
    for decimals in (0, 1, 8):  # with many ties, some, and none
        scores = (rng.normal(size=80) + positive).round(decimals)
        found = Placements.of(positive, scores)
        assert found.area == pytest.approx(roc_auc_score(positive, scores), abs=1e-12)
        assert found.negatives.mean() == pytest.approx(found.area, abs=1e-12)


def test_the_error_of_a_difference_is_its_spread_over_samples() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(90) < 60
    differences, errors = [], []
    for _ in range(1000):
        shared = rng.normal(size=90) + positive
        first, second = (
            Placements.of(positive, shared + 0.3 * rng.normal(size=90)) for _ in range(2)
        )
        differences.append(first.area - second.area)
        errors.append(first.difference_error(second))
    assert np.mean(errors) == pytest.approx(np.std(differences), rel=0.1)


def test_a_score_does_not_differ_from_itself_and_one_image_has_no_spread() -> None:
    positive, scores = np.array([True, False]), np.array([0.2, 0.4])
    found = Placements.of(positive, scores)
    assert found.difference_error(found) == 0
    assert found.difference_error(Placements.of(positive, -scores)) == 0
