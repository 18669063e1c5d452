import numpy as np
import pytest

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets
from medgan.metrics.memorisation import copied_share, copy_threshold, nearest_training


def normal(n, seed, scale=1.0):
    return scale * np.random.default_rng(seed).normal(size=(n, 12))


TRAINING, HELD_OUT = normal(500, 0), normal(300, 1)


def test_planted_copies_are_counted_where_the_mean_does_not_notice():
    fresh = normal(400, 2)
    planted = fresh.copy()
    planted[:20] = TRAINING[:20] + normal(20, 3, 0.05)
    honest, copying = (
        copied_share(FeatureSets(made, HELD_OUT, training=TRAINING), "network")
        for made in (fresh, planted)
    )
    assert honest.value < 0.01
    assert copying.value == pytest.approx(0.05, abs=0.005)
    assert copying.low > honest.value
    assert copying.median_ratio == pytest.approx(1, abs=0.05)
    assert (copying.n, copying.n_real, copying.n_training, copying.features) == (
        400,
        300,
        500,
        12,
    )
    assert copying.real_vs_real < 0.01


def test_a_generator_of_copies_is_all_suspected():
    found = copied_share(FeatureSets(TRAINING[:50].copy(), HELD_OUT, training=TRAINING), "network")
    assert (found.value, found.high) == (1, 1)
    assert found.low > 0.9
    assert found.median_ratio == pytest.approx(0, abs=1e-6)


def test_no_suspect_has_an_interval_all_the_same():
    found = copied_share(FeatureSets(normal(200, 2, 3.0), HELD_OUT, training=TRAINING), "network")
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 200))


def test_the_threshold_is_nine_tenths_of_the_first_percentile():
    assert copy_threshold(np.arange(101.0)) == pytest.approx(0.9)
    assert nearest_training(np.array([[0.0, 3], [4, 0]]), np.zeros((1, 2))) == pytest.approx([3, 4])


def test_without_training_images_or_with_few_held_out_there_is_a_reason():
    with pytest.raises(UserError, match="training images were not given"):
        copied_share(FeatureSets(normal(20, 2), HELD_OUT), "network")
    with pytest.raises(UserError, match="takes 100 of them, there are 99"):
        copied_share(FeatureSets(normal(20, 2), HELD_OUT[:99], training=TRAINING), "network")
    with pytest.raises(UserError, match="of one patient"):
        copied_share(
            FeatureSets(normal(20, 2), HELD_OUT, groups=np.zeros(300), training=TRAINING), "network"
        )
