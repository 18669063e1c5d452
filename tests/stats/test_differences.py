import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from medgan.errors import UserError
from medgan.stats.bootstrap import Metric
from medgan.stats.classification import auroc
from medgan.stats.differences import (
    delong,
    delong_covariance,
    difference,
    holm,
    midranks,
    p_value,
    paired_bootstrap,
    resampled,
)
from medgan.stats.strata import FIGURES, Decided

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 200)
PATIENTS = np.repeat(np.arange(100), 2).astype(str)
SCORES = LABELS + RNG.normal(0, 1, 200)
BOTH = (LABELS == 1, LABELS == 0)


def area(scores):
    return Metric(lambda weights: auroc(LABELS, scores, weights), BOTH)


def test_a_worse_figure_gives_a_negative_difference_with_both_bounds():
    """`intervals.estimates` takes a figure at or below 0 for one of no width; a difference is not
    such a figure.
    """
    draws = resampled(
        {"good": area(SCORES), "bad": area(SCORES + RNG.normal(0, 3, 200))}, PATIENTS, 400, 0
    )
    found = difference(draws["bad"], draws["good"])
    assert found.low < found.value < found.high < 0
    opposite = difference(draws["good"], draws["bad"])
    assert (opposite.value, opposite.low) == (
        pytest.approx(-found.value),
        pytest.approx(-found.high),
    )
    assert p_value(draws["good"], draws["bad"]) < 1e-3


def test_a_paired_difference_is_narrower_than_its_figures():
    draws = resampled(
        {"one": area(SCORES), "other": area(SCORES + RNG.normal(0, 0.05, 200))}, PATIENTS, 400, 0
    )
    found = difference(draws["one"], draws["other"])
    low, high = np.quantile(draws["one"][1], [0.025, 0.975])
    assert found.high - found.low < (high - low) / 4


def test_p_values_of_equal_figures_are_not_too_small():
    below = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels, scores = np.repeat([0, 1], 60), rng.normal(0, 1, 120)
        decided = Decided(labels, scores, labels)
        half = rng.random(120) < 0.5
        metrics = {
            name: FIGURES["auroc"].metric(decided, mask)
            for name, mask in (("one", half), ("other", ~half))
        }
        draws = resampled(metrics, np.arange(120), 200, seed)
        below += p_value(draws["one"], draws["other"]) < 0.1
    assert 1 <= below <= 13  # 6 expected


def test_no_spread_and_no_difference_is_no_evidence():
    same = (0.5, np.full(10, 0.5))
    assert p_value(same, same) == 1.0
    assert p_value(same, (0.7, np.full(10, 0.7))) == pytest.approx(2 / 11)
    assert difference(same, (float("nan"), np.full(10, np.nan))).value is None


def two_rankings(n=400, seed=0, second=1.0):
    """Labels, and two rankings that share part of their noise."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    shared = rng.normal(size=n)
    return (
        labels,
        1.2 * labels + shared + rng.normal(size=n),
        second * labels + shared + rng.normal(size=n),
    )


def by_definition(labels, scores):
    """DeLong 1988, eq. 5 and 6, pair by pair."""
    positive, negative = scores[:, labels == 1], scores[:, labels == 0]
    psi = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (
        positive[:, :, None] == negative[:, None, :]
    )
    covariance = np.cov(psi.mean(2)) / positive.shape[1] + np.cov(psi.mean(1)) / negative.shape[1]
    return psi.mean((1, 2)), covariance


def test_delong_worked_by_hand():
    """Two anomalous, two normal images.

    First ranking: 2 and 4 against 1 and 3; of four pairs three are right. V10 = (1/2, 1), V01 = (1,
    1/2), each of variance 1/8, so the variance of the area is 1/8/2 + 1/8/2 = 1/8. The second turns
    both orders round: the covariance is -1/8, the variance of the difference 1/8 + 1/8 + 2/8 = 1/2.
    """
    labels = np.array([1, 1, 0, 0])
    scores = np.array([[2.0, 4.0, 1.0, 3.0], [4.0, 2.0, 3.0, 1.0]])
    areas, covariance = delong_covariance(labels, scores)
    assert areas.tolist() == [0.75, 0.75]
    assert covariance == pytest.approx(np.array([[0.125, -0.125], [-0.125, 0.125]]))
    found = delong(labels, *scores)
    assert (found.estimate.value, found.p_value) == (0.0, 1.0)
    assert found.estimate.high == pytest.approx(1.959964 * np.sqrt(0.5))


@pytest.mark.parametrize("ties", [False, True])
def test_the_fast_algorithm_equals_the_definition(ties):
    labels, first, second = two_rankings(150)
    scores = np.round(np.stack([first, second]), 0 if ties else 9)
    areas, covariance = delong_covariance(labels, scores)
    expected_areas, expected = by_definition(labels, scores)
    assert areas == pytest.approx(expected_areas, abs=1e-12)
    assert covariance == pytest.approx(expected, abs=1e-12)
    assert areas == pytest.approx([roc_auc_score(labels, row) for row in scores], abs=1e-12)
    z = (areas[0] - areas[1]) / np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert delong(labels, *scores).p_value == pytest.approx(2 * norm.sf(abs(z)))


def test_midranks_share_the_mean_of_equal_values():
    assert midranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [3.5, 1.0, 3.5, 2.0]


def test_delong_and_the_bootstrap_agree_on_independent_images():
    labels, first, second = two_rankings(400, seed=3, second=0.9)
    exact, resampled = (
        delong(labels, first, second),
        paired_bootstrap(labels, first, second, np.arange(400), 2000, 1),
    )
    assert resampled.estimate.value == pytest.approx(exact.estimate.value, abs=1e-12)
    assert resampled.estimate.low == pytest.approx(exact.estimate.low, abs=0.006)
    assert resampled.estimate.high == pytest.approx(exact.estimate.high, abs=0.006)
    assert resampled.p_value == pytest.approx(exact.p_value, abs=0.02)


def test_pairing_narrows_the_interval_and_clusters_widen_it():
    labels, first, second = two_rankings(300, seed=5)
    rng = np.random.default_rng(0)
    paired = paired_bootstrap(labels, first, second, np.arange(300), 500)
    mixed = np.concatenate([rng.permutation(np.flatnonzero(labels == kind)) for kind in (0, 1)])
    order = np.concatenate([np.flatnonzero(labels == kind) for kind in (0, 1)])
    unpaired = second.copy()
    unpaired[order] = second[mixed]
    alone = paired_bootstrap(labels, first, unpaired, np.arange(300), 500)
    assert paired.estimate.high - paired.estimate.low < 0.85 * (
        alone.estimate.high - alone.estimate.low
    )
    repeated = [np.repeat(array, 4) for array in (labels, first, second)]
    by_image = paired_bootstrap(*repeated, np.arange(1200), 500)
    by_patient = paired_bootstrap(*repeated, np.repeat(np.arange(300), 4), 500)
    assert by_patient.p_value > by_image.p_value
    assert by_patient.estimate.as_dict() == pytest.approx(paired.estimate.as_dict(), abs=0.01)


def test_the_p_value_is_under_5_percent_exactly_where_the_interval_leaves_out_zero():
    for seed in range(12):
        labels, first, second = two_rankings(120, seed, second=0.6)
        for found in (
            delong(labels, first, second),
            paired_bootstrap(labels, first, second, np.arange(120), 200, seed),
        ):
            assert (found.p_value < 0.05) == (found.estimate.low > 0 or found.estimate.high < 0)


def test_without_a_difference_few_tests_are_significant():
    rejected = {"delong": 0, "bootstrap": 0}
    for seed in range(200):
        labels, first, second = two_rankings(120, seed, second=1.2)
        rejected["delong"] += delong(labels, first, second).p_value < 0.05
        rejected["bootstrap"] += (
            paired_bootstrap(labels, first, second, np.arange(120), 100, seed).p_value < 0.05
        )
    assert 2 <= rejected["delong"] <= 20
    assert 2 <= rejected["bootstrap"] <= 20


def test_equal_rankings_do_not_differ_and_one_class_cannot():
    labels, first, _ = two_rankings(60)
    assert delong(labels, first, first).p_value == 1.0
    assert paired_bootstrap(labels, first, first, np.arange(60), 100).p_value == 1.0
    for found in (
        delong(np.ones(60), first, first),
        paired_bootstrap(np.ones(60), first, first, np.arange(60), 100),
    ):
        assert (found.estimate.value, found.p_value) == (None, None)
        assert "one class" in found.as_dict()["reason"]


def test_holm_worked_by_hand():
    """Four tests: 0.01 x 4 = 0.04; 0.02 x 3 = 0.06; 0.022 x 2 = 0.044, but never less than 0.06;
    0.3 x 1.
    """
    found = holm({"c": 0.022, "a": 0.01, "d": 0.3, "b": 0.02})
    assert found == pytest.approx({"c": 0.06, "a": 0.04, "d": 0.3, "b": 0.06})
    assert list(found) == ["c", "a", "d", "b"]
    assert holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}
    with pytest.raises(UserError, match="p-value of a"):
        holm({"a": float("nan")})
