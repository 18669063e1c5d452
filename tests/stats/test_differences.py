import numpy as np
import pytest

from medgan.errors import UserError
from medgan.stats.bootstrap import Estimate
from medgan.stats.classification import Predictions, auroc, auroc_of
from medgan.stats.differences import (
    Difference,
    Resampled,
    auroc_difference,
    difference,
    holm,
    paired_difference,
    resampled,
)
from medgan.stats.strata import Stratum

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 200)
PATIENTS = np.repeat(np.arange(100), 2).astype(str)
SCORES = LABELS + RNG.normal(0, 1, 200)
WORSE = SCORES + RNG.normal(0, 3, 200)
ALIKE = SCORES + RNG.normal(0, 0.05, 200)


def area(scores):
    return auroc_of(Predictions(LABELS, scores, LABELS))


def constant(value, count=99, units=(30, 30)):
    return Resampled(value, np.full(count, value), units)


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


def leaves_out_zero(found):
    return found.low > 0 or found.high < 0


def test_a_worse_metric_gives_a_negative_difference_with_both_bounds():
    draws = resampled({"good": area(SCORES), "bad": area(WORSE)}, PATIENTS, 400, 0)
    found = difference(draws["bad"], draws["good"])
    assert found.low < found.value < found.high < 0
    opposite = difference(draws["good"], draws["bad"])
    assert (opposite.value, opposite.low, opposite.high, opposite.p_value) == (
        -found.value,
        -found.high,
        -found.low,
        found.p_value,
    )
    assert found.p_value < 1e-3


def test_a_paired_difference_is_narrower_than_its_metrics():
    draws = resampled({"one": area(SCORES), "other": area(ALIKE)}, PATIENTS, 400, 0)
    found = difference(draws["one"], draws["other"])
    low, high = np.quantile(draws["one"].draws, [0.025, 0.975])
    assert found.high - found.low < (high - low) / 4


def test_p_values_of_equal_groups_are_not_too_small():
    below = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels, scores = np.repeat([0, 1], 60), rng.normal(0, 1, 120)
        decided = Predictions(labels, scores, labels)
        half = rng.random(120) < 0.5
        one, other = (Stratum(decided, mask).metric("auroc") for mask in (half, ~half))
        below += paired_difference(one, other, np.arange(120), 200, seed).p_value < 0.1
    assert 1 <= below <= 13  # 6 expected


def test_pairing_narrows_the_interval_and_clusters_widen_it():
    labels, first, second = two_rankings(300, seed=5)
    rng = np.random.default_rng(0)
    paired = auroc_difference(labels, first, second, np.arange(300), 500)
    mixed = np.concatenate([rng.permutation(np.flatnonzero(labels == label)) for label in (0, 1)])
    order = np.concatenate([np.flatnonzero(labels == label) for label in (0, 1)])
    unpaired = second.copy()
    unpaired[order] = second[mixed]
    alone = auroc_difference(labels, first, unpaired, np.arange(300), 500)
    assert paired.high - paired.low < 0.85 * (alone.high - alone.low)
    repeated = [np.repeat(array, 4) for array in (labels, first, second)]
    by_image = auroc_difference(*repeated, np.arange(1200), 500)
    by_patient = auroc_difference(*repeated, np.repeat(np.arange(300), 4), 500)
    assert by_patient.p_value > by_image.p_value
    assert by_patient.estimate.as_dict() == pytest.approx(paired.estimate.as_dict(), abs=0.01)


def test_interval_and_p_value_never_contradict_each_other():
    """Random cohorts: few and many patients, several images each, ties, perfect and equal
    rankings, few and many resamples.
    """
    tested, excluded = 0, 0
    for seed in range(600):
        rng = np.random.default_rng(seed)
        patients, images = int(rng.integers(4, 60)), int(rng.integers(1, 4))
        labels = np.repeat(rng.integers(0, 2, patients), images)
        noise = rng.normal(size=(2, len(labels)))
        first, second = rng.uniform(0, 4, (2, 1)) * labels + noise
        second = second + rng.uniform(0, 2) * first
        style = rng.random(3)
        if style[0] < 0.3:
            first, second = np.round(first), np.round(second)
        if style[1] < 0.1:
            first = labels.astype(float)
        if style[2] < 0.1:
            second = -first
        groups, count = np.repeat(np.arange(patients), images), int(rng.integers(20, 300))
        found = auroc_difference(labels, first, second, groups, count, seed)
        if found.p_value is None:
            assert found.low is None
            assert found.reason
            continue
        tested += 1
        assert -1 <= found.low <= found.value <= found.high <= 1
        assert 0 <= found.p_value <= 1
        assert leaves_out_zero(found) == (found.p_value < 0.05), (seed, found)
        excluded += leaves_out_zero(found)
    assert tested > 500
    assert 0.2 < excluded / tested < 0.8


def test_p_values_do_not_end_at_the_number_of_resamples():
    """A correction over hundreds of pairs needs p-values under 1 / n_resamples."""
    labels, first, _ = two_rankings(300, seed=1)
    found = auroc_difference(labels, first + 3 * labels, -first, np.arange(300), 100)
    assert found.low > 0
    assert found.p_value < 1e-6


def test_a_difference_without_spread_has_an_exact_bound():
    assert difference(constant(0.5), constant(0.5)) == Difference(0.0, 0.0, 0.0, p_value=1.0)
    found = difference(constant(1.0), constant(0.0))
    margin = np.sqrt(2) * (1 - 0.025 ** (1 / 30))
    assert (found.low, found.high) == (pytest.approx(1 - margin), 1.0)
    assert 0 < found.p_value < 1e-6
    few = difference(constant(0.6, units=(2, 2)), constant(0.0, units=(2, 2)))
    assert few.low < 0 < few.high
    assert few.p_value > 0.05


def test_without_a_difference_few_tests_are_significant():
    rejected = 0
    for seed in range(200):
        labels, first, second = two_rankings(120, seed, second=1.2)
        rejected += (
            auroc_difference(labels, first, second, np.arange(120), 100, seed).p_value < 0.05
        )
    assert 2 <= rejected <= 20


def test_a_difference_of_trainings_is_that_of_their_means_and_varies_with_them():
    labels, first, second = two_rankings(200, seed=2)
    stacked = np.stack([first, second])
    found = auroc_difference(labels, stacked, first, np.arange(200), 200)
    areas = [auroc(labels, scores, np.ones((1, 200)))[0] for scores in stacked]
    assert found.value == pytest.approx(np.mean(areas) - areas[0])
    alike = auroc_difference(labels, np.stack([first, first]), first, np.arange(200), 200)
    assert (alike.value, alike.p_value) == (0.0, 1.0)
    of_one = auroc_difference(labels, second, first, np.arange(200), 200)
    assert found.high - found.low > 0.6 * (of_one.high - of_one.low)  # half, were they fixed


def test_trainings_of_the_same_seeds_are_drawn_together():
    labels, first, second = two_rankings(200, seed=3)
    trainings, better = np.stack([first, second]), np.stack([first, second]) + 0.1 * labels
    together = auroc_difference(labels, better, trainings, np.arange(200), 400)
    crossed = auroc_difference(labels, better[::-1], trainings, np.arange(200), 400)
    assert together.value == pytest.approx(crossed.value)
    assert together.high - together.low < 0.5 * (crossed.high - crossed.low)


def test_what_has_no_interval_says_why():
    labels, first, second = two_rankings(60)
    assert auroc_difference(labels, first, first, np.arange(60), 100).p_value == 1.0
    one_class = auroc_difference(np.ones(60), first, first, np.arange(60), 100)
    assert (one_class.value, one_class.p_value) == (None, None)
    assert "one class" in one_class.as_dict()["reason"]
    one_patient = auroc_difference(labels, first, second, np.zeros(60), 100)
    assert (one_patient.low, one_patient.p_value) == (None, None)
    assert "fewer than two patients" in one_patient.reason
    absent = Resampled(float("nan"), np.full(10, np.nan), (5, 5))
    assert difference(constant(0.5, 10), absent).value is None


def test_the_p_value_is_written_where_there_is_one():
    assert Difference(0.1, 0.0, 0.2, p_value=0.05).as_dict() == {
        "value": 0.1,
        "low": 0.0,
        "high": 0.2,
        "p_value": 0.05,
    }
    assert Difference(None, reason="x").as_dict() == {"value": None, "reason": "x"}
    assert Difference(0.1, 0.0, 0.2, p_value=0.05).estimate == Estimate(0.1, 0.0, 0.2)


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
