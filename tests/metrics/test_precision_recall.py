from math import prod

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from medgan.errors import UserError
from medgan.metrics import precision_recall
from medgan.metrics.features import DRAWS, FeatureSets
from medgan.metrics.precision_recall import Neighbours, feature_overlap, overlap


def normal(n, dimension=16, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dimension)) + shift


def modes(n, centres, seed=0):
    """Points around far centres on an axis, in turn."""
    points = normal(n, 4, seed=seed)
    points[:, 0] += 100.0 * np.resize(centres, n)
    return points


def by_the_formulas(real, fake, neighbours):
    """As the papers print them, ball by ball."""

    def balls(points, k):
        return np.sort(cdist(points, points), axis=1)[:, k]  # column 0 is the point itself

    real_balls, fake_balls = balls(real, neighbours.precision), balls(fake, neighbours.precision)
    wide = balls(real, neighbours.density)
    precision = np.mean(
        [
            any(np.linalg.norm(y - x) <= r for x, r in zip(real, real_balls, strict=True))
            for y in fake
        ]
    )
    recall = np.mean(
        [
            any(np.linalg.norm(x - y) <= r for y, r in zip(fake, fake_balls, strict=True))
            for x in real
        ]
    )
    density = sum(
        np.linalg.norm(y - x) <= r for y in fake for x, r in zip(real, wide, strict=True)
    ) / (neighbours.density * len(fake))
    coverage = np.mean(
        [any(np.linalg.norm(y - x) <= r for y in fake) for x, r in zip(real, wide, strict=True)]
    )
    return precision, recall, density, coverage


@pytest.mark.parametrize("neighbours", [Neighbours(), Neighbours(precision=5, density=2)])
def test_it_is_the_formulas(neighbours, monkeypatch):
    monkeypatch.setattr(precision_recall, "BLOCK", 7)
    real, fake = normal(30, 6), normal(20, 6, 0.7, seed=1)
    found = overlap(real, fake, neighbours)
    assert (found.precision, found.recall, found.density, found.coverage) == pytest.approx(
        by_the_formulas(real, fake, neighbours)
    )
    assert 0 < found.precision < 1
    assert 0 < found.coverage < 1


def test_identical_sets_and_disjoint_sets():
    real = normal(100)
    same = overlap(real, real.copy())
    assert (same.precision, same.recall, same.coverage) == (1, 1, 1)
    assert same.density == pytest.approx(
        6 / 5, abs=0.03
    )  # each image is in its own ball and, on average, in k others
    far = overlap(real, real + 1000)
    assert (far.precision, far.recall, far.density, far.coverage) == (0, 0, 0, 0)


@pytest.mark.parametrize(("dimension", "k"), [(2, 5), (32, 5), (8, 2)])
def test_one_distribution_has_the_expected_density_and_coverage(dimension, k):
    """Naeem 2020, section 3.3: density 1 and coverage 1 - (N - 1)...(N - k) / ((2N - 1)...(2N -
    k)), whatever the distribution.
    """
    n = 60
    found = [
        overlap(
            normal(n, dimension, seed=2 * i), normal(n, dimension, seed=2 * i + 1), Neighbours(3, k)
        )
        for i in range(60)
    ]
    density, coverage = (
        np.array([one.density for one in found]),
        np.array([one.coverage for one in found]),
    )
    expected = 1 - prod(n - i for i in range(1, k + 1)) / prod(2 * n - i for i in range(1, k + 1))
    assert abs(density.mean() - 1) < 3.5 * density.std() / np.sqrt(60)
    assert abs(coverage.mean() - expected) < 3.5 * coverage.std() / np.sqrt(60)


def test_a_generator_that_drops_a_mode_keeps_its_precision_and_loses_recall_and_coverage():
    real, all_modes, one_mode = (
        modes(200, (0, 1)),
        modes(200, (0, 1), seed=1),
        modes(200, (0,), seed=2),
    )
    whole, dropped = overlap(real, all_modes), overlap(real, one_mode)
    assert dropped.precision == pytest.approx(whole.precision, abs=0.05)
    assert dropped.recall < 0.55 < 0.85 < whole.recall
    assert dropped.coverage < 0.55 < 0.9 < whole.coverage


def test_an_outlier_among_real_images_lifts_precision_and_not_density():
    """Naeem 2020, figure 3: one real outlier has a ball that reaches over everything."""
    real, fake = normal(100, seed=1), normal(100, shift=3.0, seed=2)
    outlier = real.copy()
    outlier[0] = 12.0
    before, after = overlap(real, fake), overlap(outlier, fake)
    assert before.precision < 0.1
    assert after.precision > 0.9
    assert after.density < 0.3
    assert after.coverage < 0.1


def test_an_outlier_among_synthetic_images_lifts_recall_and_not_coverage():
    real, fake = normal(100, seed=1), normal(100, shift=3.0, seed=2)
    outlier = fake.copy()
    outlier[0] = -12.0
    before, after = overlap(real, fake), overlap(real, outlier)
    assert before.recall < 0.1
    assert after.recall > 0.9
    assert after.coverage == pytest.approx(before.coverage, abs=0.02)


def test_real_images_are_held_against_real_ones_with_the_same_numbers():
    sets = FeatureSets(normal(40, shift=0.5, seed=1), normal(201, seed=2))
    figures = feature_overlap(sets, "network")
    assert set(figures) == {"precision", "recall", "density", "coverage"}
    assert [figures[name].k for name in ("precision", "recall", "density", "coverage")] == [
        3,
        3,
        5,
        5,
    ]
    for figure in figures.values():
        assert (figure.n, figure.n_real, figure.n_real_vs_real, figure.drawn_from) == (
            40,
            40,
            40,
            (40, 201),
        )
        assert (figure.draws, figure.backbone, figure.features) == (DRAWS, "network", 16)
        assert figure.std > 0
    assert figures == feature_overlap(sets, "network")
    many = feature_overlap(FeatureSets(normal(900, shift=0.5, seed=1), sets.real), "network")
    assert many["recall"].n == 100


def test_a_generator_as_good_as_real_images_reaches_the_floor():
    for figure in feature_overlap(
        FeatureSets(normal(200, 6, seed=1), normal(400, 6, seed=2)), "network"
    ).values():
        assert figure.value == pytest.approx(figure.real_vs_real, abs=0.08)


def test_patients_are_in_one_half_only():
    """Twenty pictures of each of ten patients: halves by image would show real images as covering
    each other.
    """
    patients = np.repeat(np.arange(10), 20)
    real = 50 * normal(10, seed=3)[patients] + normal(200, seed=4)
    synthetic = normal(200, seed=5)
    by_patient = feature_overlap(FeatureSets(synthetic, real, patients), "network")["coverage"]
    by_image = feature_overlap(FeatureSets(synthetic, real), "network")["coverage"]
    assert by_patient.real_vs_real < 0.1 < 0.8 < by_image.real_vs_real


def test_too_few_images_and_no_balls_are_refused():
    with pytest.raises(UserError, match="at least 6 images on each side, there are 5"):
        feature_overlap(FeatureSets(normal(5), normal(50)), "network")
    with pytest.raises(UserError, match=r"synthesis\.neighbours\.precision is 0; .* from 1 to"):
        Neighbours(precision=0)
