import numpy as np
import pytest
from scipy.linalg import sqrtm

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets
from medgan.metrics.fid import feature_fid, frechet_distance, statistics


def features(n, dimension=8, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, dimension)) @ rng.normal(size=(dimension, dimension)) + shift


def by_square_root(a, b):
    """The formula as it is printed."""
    first, second = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(first @ second))
    return np.square(a.mean(0) - b.mean(0)).sum() + np.trace(first + second - 2 * root)


def test_it_equals_the_matrix_square_root():
    a, b = features(200, seed=1), features(150, shift=0.5, seed=2)
    assert frechet_distance(statistics(a), statistics(b)) == pytest.approx(
        by_square_root(a, b), rel=1e-6
    )


def test_fewer_images_than_features():
    a, b = features(6, 20, seed=1), features(9, 20, 0.3, seed=2)
    assert frechet_distance(statistics(a), statistics(b)) == pytest.approx(
        by_square_root(a, b), rel=1e-4
    )


def test_a_feature_that_never_varies_adds_nothing_but_its_shift():
    a, b = features(200, seed=1), features(150, shift=0.5, seed=2)
    dead = np.column_stack([a, np.zeros(len(a))]), np.column_stack([b, np.full(len(b), 2.0)])
    assert np.linalg.matrix_rank(np.cov(dead[0], rowvar=False)) == 8  # Cholesky cannot factor it
    assert frechet_distance(*map(statistics, dead)) == pytest.approx(
        frechet_distance(statistics(a), statistics(b)) + 4
    )


def test_it_is_0_for_itself_symmetric_and_the_squared_shift():
    a, b = features(50), features(60, seed=3)
    assert frechet_distance(statistics(a), statistics(a)) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(statistics(a), statistics(b)) == pytest.approx(
        frechet_distance(statistics(b), statistics(a))
    )
    assert frechet_distance(statistics(a), statistics(a + 2)) == pytest.approx(4 * 8)


def test_too_few_or_broken_features_are_refused():
    with pytest.raises(UserError, match="at least 2"):
        statistics(features(1))
    broken = features(5)
    broken[2, 3] = np.nan
    with pytest.raises(UserError, match="not a finite number"):
        statistics(broken)


def test_the_numbers_stand_beside_the_value():
    real, fake = features(100, seed=1), features(40, shift=3.0, seed=1)
    found = feature_fid(FeatureSets(fake, real), "network")
    assert (found.n, found.n_real, found.n_real_vs_real) == (40, 40, 40)
    assert (found.drawn_from, found.features, found.backbone) == ((40, 100), 8, "network")
    assert 0 < found.real_vs_real < found.value
    by_patient = FeatureSets(fake, real, np.repeat(np.arange(4), [40, 30, 20, 10]))
    assert feature_fid(by_patient, "network").n < 40


@pytest.mark.parametrize(("synthetic", "real"), [(400, 120), (120, 400)])
def test_images_of_the_same_distribution_are_as_far_as_real_ones(synthetic, real):
    """Whatever the numbers of images: the distance of finite sets is not 0."""
    ratios = []
    for seed in range(8):
        drawn = features(synthetic + real, 32, seed=seed)
        found = feature_fid(FeatureSets(drawn[:synthetic], drawn[synthetic:]), "network")
        ratios.append(found.value / found.real_vs_real)
    assert np.mean(ratios) == pytest.approx(1, abs=0.05)
