import numpy as np
import pytest

from medgan.errors import UserError
from medgan.metrics import kid
from medgan.metrics.features import FeatureSets, halves
from medgan.metrics.kid import distances_of_halves, feature_kid, kernel_distance


def normal(n, dimension=1, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, dimension)) + shift


def uniform(n, shift=0.0, seed=0):
    return np.random.default_rng(seed).uniform(-1, 1, (n, 1)) + shift


def cubic(a, b):
    return (a @ b / len(a) + 1) ** 3


def by_pairs(first, second):
    """The formula as it is printed, pair by pair."""

    def within(xs):
        return np.mean([cubic(a, b) for i, a in enumerate(xs) for j, b in enumerate(xs) if i != j])

    return (
        within(first) + within(second) - 2 * np.mean([cubic(a, b) for a in first for b in second])
    )


def between_normals(shift):
    """MMD^2 of N(0, 1) and N(shift, 1) under (xy + 1)^3: the squared differences of the first three
    moments, weighted 3, 3, 1.
    """
    return 3 * shift**2 + 3 * shift**4 + (shift**3 + 3 * shift) ** 2


def between_uniforms(shift):
    """The same for U(-1, 1)."""
    return 3 * shift**2 + 3 * shift**4 + (shift**3 + shift) ** 2


def test_single_precision_changes_it_by_far_less_than_its_standard_error():
    first, second = (
        normal(400, 64, shift, seed).astype(np.float32) for shift, seed in ((0.5, 1), (0.55, 2))
    )
    found = kernel_distance(first, second)
    precise = kernel_distance(first.astype(np.float64), second.astype(np.float64))
    assert found.value != precise.value  # the products were of single precision
    assert found.value == pytest.approx(precise.value, abs=1e-5 * precise.standard_error)
    assert found.standard_error == pytest.approx(precise.standard_error, rel=1e-5)


def test_features_whose_products_overflow_single_precision_are_multiplied_in_double():
    first, second = (normal(5, 8, seed=seed).astype(np.float32) * 1e20 for seed in (1, 2))
    assert np.isfinite(kernel_distance(first, second).value)


def test_it_is_the_formula_and_the_jackknife_pair_by_pair(monkeypatch):
    monkeypatch.setattr(kid, "BLOCK", 4)
    first, second = normal(9, 5, seed=1), normal(7, 5, 0.4, seed=2)
    found = kernel_distance(first, second)
    assert found.value == pytest.approx(by_pairs(first, second))
    left_out = (
        np.array([by_pairs(np.delete(first, i, 0), second) for i in range(9)]),
        np.array([by_pairs(first, np.delete(second, i, 0)) for i in range(7)]),
    )
    variance = sum(
        (len(part) - 1) / len(part) * np.square(part - part.mean()).sum() for part in left_out
    )
    assert found.standard_error == pytest.approx(np.sqrt(variance))
    swapped = kernel_distance(second, first)
    assert (swapped.value, swapped.standard_error) == pytest.approx(
        (found.value, found.standard_error)
    )


@pytest.mark.parametrize(
    ("draw", "between"), [(normal, between_normals), (uniform, between_uniforms)]
)
def test_it_estimates_the_closed_form_without_bias(draw, between):
    values = np.array(
        [
            kernel_distance(draw(60, seed=2 * i), draw(40, shift=0.5, seed=2 * i + 1)).value
            for i in range(300)
        ]
    )
    assert abs(values.mean() - between(0.5)) < 3 * values.std() / np.sqrt(300)


def test_two_standard_errors_hold_the_truth():
    found = [
        kernel_distance(uniform(60, seed=2 * i), uniform(40, shift=0.5, seed=2 * i + 1))
        for i in range(300)
    ]
    held = np.mean(
        [abs(one.value - between_uniforms(0.5)) < 1.96 * one.standard_error for one in found]
    )
    assert 0.90 < held < 0.99


@pytest.mark.parametrize("n", [10, 80])
def test_one_distribution_has_0_on_average_at_any_number(n):
    found = [
        kernel_distance(normal(n, 4, seed=2 * i), normal(n, 4, seed=2 * i + 1)) for i in range(300)
    ]
    values = np.array([one.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(len(values))
    assert (values < 0).mean() > 0.3
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) > 0.95 * values.std()


def test_a_set_against_itself_is_not_above_0_and_another_one_stands_out():
    real = normal(50, 6)
    assert kernel_distance(real, real).value < 0
    far = kernel_distance(real, normal(50, 6, 1.0, seed=1))
    assert far.value > 5 * far.standard_error


def test_too_few_are_refused():
    with pytest.raises(UserError, match="A kernel distance needs at least 3"):
        kernel_distance(normal(2), normal(9))


def test_halves_have_the_distance_of_two_sets():
    real = normal(23, 5)
    deals = [halves(np.arange(23), seed)[0] for seed in range(4)]
    expected = [kernel_distance(real[first], np.delete(real, first, 0)).value for first in deals]
    assert distances_of_halves(real, deals) == pytest.approx(expected)
    with pytest.raises(UserError, match="at least 3 images on each side, there are 2"):
        distances_of_halves(real, [*deals, np.array([4, 9])])


def test_the_floor_and_the_numbers_stand_beside_the_value():
    found = feature_kid(FeatureSets(normal(30, 6, 1.0, seed=1), normal(101, 6)), "network")
    assert (
        found.n,
        found.n_real,
        found.n_floor,
        found.features,
        found.backbone,
    ) == (30, 101, (50, 51), 6, "network")
    assert found.draws == 100
    assert abs(found.real_vs_real) < 0.3 * found.std_real_vs_real
    assert 0 < found.percentile_95_real_vs_real < found.value


def test_halves_of_few_patients_are_further_apart_than_halves_of_images():
    patients = np.repeat(np.arange(20), 10)
    real = 0.7 * normal(20, 6, seed=3)[patients] + normal(200, 6, seed=4)
    by_patient, by_image = (
        feature_kid(FeatureSets(normal(30, 6), real, groups), "network")
        for groups in (patients, None)
    )
    assert by_patient.real_vs_real > 5 * abs(by_image.real_vs_real)
