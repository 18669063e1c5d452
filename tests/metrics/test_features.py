import numpy as np
import pytest

from medgan.errors import UserError
from medgan.metrics.features import FeatureSets, checked, halves


def test_halves_are_disjoint_even_and_follow_the_seed():
    first, second = halves(np.arange(101), 3)
    assert (len(first), len(second)) == (50, 51)
    assert sorted([*first, *second]) == list(range(101))
    assert np.array_equal(first, halves(np.arange(101), 3)[0])
    assert not np.array_equal(first, halves(np.arange(101), 4)[0])


@pytest.mark.parametrize("seed", range(5))
def test_no_patient_is_in_both_halves(seed):
    patients = np.random.default_rng(seed).integers(0, 20, 100).astype(str)
    first, second = halves(patients, seed)
    assert not set(patients[first]) & set(patients[second])
    assert len(first) + len(second) == 100
    assert 35 <= len(first) <= 50


def test_one_patient_leaves_one_half_empty():
    sets = FeatureSets(np.zeros((4, 2)), np.zeros((6, 2)), groups=np.zeros(6))
    assert [len(half) for half in sets.halves(0)] == [0, 6]


def test_too_few_and_broken_features_name_the_figure():
    with pytest.raises(
        UserError, match=r"^A metric needs at least 3 images on each side, there are 2"
    ):
        checked(np.zeros((2, 4)), 3, "A metric")
    with pytest.raises(UserError, match=r"^A metric cannot be computed.*not a finite number"):
        checked(np.full((4, 4), np.inf), 3, "A metric")
