import numpy as np
import pytest

from medgan.evaluation.differences import difference, p_value, resampled
from medgan.evaluation.figures import auroc
from medgan.evaluation.grouped import FIGURES, Decided
from medgan.evaluation.intervals import Metric

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 2, 200)
PATIENTS = np.repeat(np.arange(100), 2).astype(str)
SCORES = LABELS + RNG.normal(0, 1, 200)
BOTH = (LABELS == 1, LABELS == 0)


def area(scores):
    return Metric(lambda weights: auroc(LABELS, scores, weights), BOTH)


def test_a_worse_figure_gives_a_negative_difference_with_both_bounds():
    """`intervals.estimates` takes a figure at or below 0 for one of no width; a difference is not such a figure."""
    draws = resampled({"good": area(SCORES), "bad": area(SCORES + RNG.normal(0, 3, 200))}, PATIENTS, 400, 0)
    found = difference(draws["bad"], draws["good"])
    assert found.low < found.value < found.high < 0
    opposite = difference(draws["good"], draws["bad"])
    assert (opposite.value, opposite.low) == (pytest.approx(-found.value), pytest.approx(-found.high))
    assert p_value(draws["good"], draws["bad"]) < 1e-3


def test_a_paired_difference_is_narrower_than_its_figures():
    draws = resampled({"one": area(SCORES), "other": area(SCORES + RNG.normal(0, 0.05, 200))}, PATIENTS, 400, 0)
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
        metrics = {name: FIGURES["auroc"].metric(decided, mask) for name, mask in (("one", half), ("other", ~half))}
        draws = resampled(metrics, np.arange(120), 200, seed)
        below += p_value(draws["one"], draws["other"]) < 0.1
    assert 1 <= below <= 13  # 6 expected


def test_no_spread_and_no_difference_is_no_evidence():
    same = (0.5, np.full(10, 0.5))
    assert p_value(same, same) == 1.0
    assert p_value(same, (0.7, np.full(10, 0.7))) == pytest.approx(2 / 11)
    assert difference(same, (float("nan"), np.full(10, np.nan))).value is None
