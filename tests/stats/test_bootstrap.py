"""Figures against scikit-learn, intervals against simulated coverage."""

import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import ndtr
from sklearn import metrics as reference

from medgan.stats import classification
from medgan.stats.bootstrap import (
    Estimate,
    WeightedStatistic,
    draws,
    estimates,
    interval,
    mean_over_trainings,
    weight_blocks,
)


def auroc(labels, scores):
    return classification.auroc_of(classification.Predictions(labels, scores, scores))


def sample(n=300, groups=90, seed=0, ties=True):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    scores = rng.normal(labels, 1.0)
    return labels, np.round(scores, 1) if ties else scores, rng.integers(0, groups, n).astype(str)


ONES = partial(np.ones, dtype=np.float64)


def bootstrap_weights(groups, n_resamples: int, seed: int):
    return np.concatenate(list(weight_blocks(groups, n_resamples, seed)))


@pytest.mark.parametrize("ties", [True, False])
def test_ranking_figures_equal_scikit_learn(ties):
    labels, scores, _ = sample(ties=ties)
    assert classification.auroc(labels, scores, ONES((1, 300)))[0] == pytest.approx(
        reference.roc_auc_score(labels, scores), abs=1e-12
    )
    assert classification.average_precision(labels, scores, ONES((1, 300)))[0] == pytest.approx(
        reference.average_precision_score(labels, scores), abs=1e-12
    )


def test_weights_count_images_like_scikit_learn():
    labels, scores, groups = sample()
    weights = bootstrap_weights(groups, 3, seed=5)
    for found, row in zip(classification.auroc(labels, scores, weights), weights, strict=True):
        assert found == pytest.approx(
            reference.roc_auc_score(labels, scores, sample_weight=row), abs=1e-12
        )
    for found, row in zip(
        classification.average_precision(labels, scores, weights), weights, strict=True
    ):
        assert found == pytest.approx(
            reference.average_precision_score(labels, scores, sample_weight=row), abs=1e-9
        )


def test_decision_figures_equal_scikit_learn():
    labels, scores, groups = sample()
    decisions = (scores > 0.4).astype(int)
    weights = bootstrap_weights(groups, 2, seed=1)
    expected = {
        classification.sensitivity_of: reference.recall_score,
        classification.specificity_of: partial(reference.recall_score, pos_label=0),
        classification.precision_of: reference.precision_score,
        classification.f1_of: reference.f1_score,
        classification.accuracy_of: reference.accuracy_score,
    }
    of = classification.Predictions(labels, scores, decisions)
    for ours, theirs in expected.items():
        for found, row in zip(ours(of).statistic(weights), weights, strict=True):
            assert found == pytest.approx(
                theirs(labels, decisions, sample_weight=row), abs=1e-12
            ), ours.__name__
    assert classification.confusion(labels, decisions) == tuple(
        map(tuple, reference.confusion_matrix(labels, decisions).tolist())
    )


def test_images_of_a_patient_are_drawn_together_and_as_many_patients_as_there_are():
    groups = np.array(["a", "b", "a", "c", "b", "a"])
    weights = bootstrap_weights(groups, 200, seed=3)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] == weights[:, 5]).all()
    assert (weights[:, [0, 1, 3]].sum(1) == 3).all()
    assert weights[:, 0].mean() == pytest.approx(1, abs=0.2)


def test_resamples_do_not_depend_on_the_order_of_the_images():
    labels, scores, groups = sample(seed=2)
    order = np.random.default_rng(9).permutation(300)
    first = interval(auroc(labels, scores), groups, 300, 4)
    second = interval(auroc(labels[order], scores[order]), groups[order], 300, 4)
    assert first.as_dict() == pytest.approx(second.as_dict(), abs=1e-12)


def clustered(rng, patients=40, images=5):
    """Scores of patients with a common part: sensitivity at 0 is 0.5."""
    shared = np.repeat(rng.normal(0, 1, patients), images)
    groups = np.repeat(np.arange(patients), images).astype(str)
    return (shared + rng.normal(0, 0.3, patients * images) > 0).astype(int), groups


def test_patient_intervals_cover_and_image_intervals_do_not():
    rng = np.random.default_rng(0)
    hits = {"patient": 0, "image": 0}
    rounds = 200
    for seed in range(rounds):
        decisions, groups = clustered(rng)
        labels = np.ones(len(decisions), dtype=int)
        metric = classification.sensitivity_of(
            classification.Predictions(labels, decisions, decisions)
        )
        for unit, units in {"patient": groups, "image": np.arange(len(groups))}.items():
            found = interval(metric, units, 300, seed)
            hits[unit] += found.low <= 0.5 <= found.high
    assert hits["patient"] / rounds >= 0.89
    assert hits["image"] / rounds <= 0.80


def test_a_perfect_figure_has_an_exact_bound_and_not_an_interval_without_width():
    labels, groups = np.repeat([0, 1], 30), np.arange(60).astype(str)
    found = interval(auroc(labels, labels.astype(float)), groups, 200)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / 30))
    worst = interval(auroc(labels, -labels.astype(float)), groups, 200)
    assert (worst.value, worst.low) == (0.0, 0.0)
    assert worst.high == pytest.approx(1 - 0.025 ** (1 / 30))


def test_f41_a_single_class_is_not_estimable_and_says_why():
    found = estimates(
        {"auroc": auroc(np.ones(10, dtype=int), np.arange(10.0))},
        np.arange(10).astype(str),
        100,
    )
    assert found["auroc"].as_dict() == {
        "value": None,
        "reason": "not estimable: the images are all of one class",
    }
    none = np.zeros(10, dtype=int)
    nobody = classification.precision_of(
        classification.Predictions(np.repeat([0, 1], 5), none, none)
    )
    assert interval(nobody, np.arange(10)).as_dict() == {
        "value": None,
        "reason": "not estimable: no image was called anomalous",
    }


def test_one_patient_has_a_figure_but_no_interval():
    labels = np.array([0, 0, 1, 1])
    found = interval(
        auroc(labels, np.array([0.0, 2.0, 1.0, 3.0])),
        np.array(["a", "b", "c", "c"]),
        100,
    )
    assert (found.value, found.low) == (0.75, None)
    assert "fewer than two patients" in found.as_dict()["reason"]


def test_without_skill_the_interval_covers_one_half():
    rng = np.random.default_rng(7)
    covered = 0
    for seed in range(60):
        labels, groups = rng.integers(0, 2, 120), np.arange(120)
        found = interval(auroc(labels, rng.normal(size=120)), groups, 200, seed)
        covered += found.low <= 0.5 <= found.high
    assert 50 <= covered <= 60


def test_2000_resamples_of_624_images_take_well_under_a_second():
    labels, scores, groups = sample(624, 300)
    start = time.perf_counter()
    of = classification.Predictions(labels, scores, scores)
    both = classification.auroc_of(of), classification.average_precision_of(of)
    estimates(dict(enumerate(both)), groups, 2000)
    assert time.perf_counter() - start < 1.0


def test_a_block_boundary_changes_nothing(monkeypatch):
    _, _, groups = sample(80, 30)
    whole = bootstrap_weights(groups, 50, 1)
    assert whole.shape == (50, 80)
    monkeypatch.setattr("medgan.stats.bootstrap.BLOCK_ELEMENTS", 80 * 7)
    assert (bootstrap_weights(groups, 50, 1) == whole).all()


def test_an_unknown_value_keeps_its_reason_and_a_known_one_its_bounds():
    assert Estimate(0.5, 0.4, 0.6).as_dict() == {"value": 0.5, "low": 0.4, "high": 0.6}
    nan = WeightedStatistic(
        lambda weights: np.full(len(weights), np.nan), (np.ones(4, dtype=bool),), "why"
    )
    assert interval(nan, np.arange(4), 100).as_dict() == {"value": None, "reason": "why"}


def test_a_difference_is_no_share_and_is_not_cut_at_zero():
    rng = np.random.default_rng(0)
    values = rng.normal(-0.2, 0.1, 50)
    mean = WeightedStatistic(
        lambda weights: (weights @ values) / weights.sum(1), (np.ones(50, dtype=bool),), share=False
    )
    found = interval(mean, np.arange(50), 1000)
    assert found.value == pytest.approx(values.mean())
    assert found.high - found.value == pytest.approx(
        2.01 * values.std(ddof=1) / np.sqrt(50), rel=0.1
    )
    with pytest.raises(ValueError, match="share=False"):
        interval(WeightedStatistic(mean.statistic, mean.carriers), np.arange(50), 100)


@pytest.mark.parametrize("trainings", [2, 3, 10])
def test_the_mean_over_trainings_has_the_standard_error_of_their_values(trainings):
    values = np.random.default_rng(trainings).normal(size=(trainings, 1))
    both = (np.arange(40) < 20, np.arange(40) >= 20)
    constant = [
        WeightedStatistic(lambda weights, one=one: np.full(len(weights), one[0]), both)
        for one in values
    ]
    mean = mean_over_trainings(constant)
    drawn = draws({"mean": mean}, np.arange(40), 50_000, 0)["mean"]
    assert mean.value == pytest.approx(values.mean())
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.02)
    assert drawn.std() == pytest.approx(values.std(ddof=1) / np.sqrt(trainings), rel=0.02)


def test_intervals_over_trainings_cover_what_those_of_patients_alone_do_not():
    rng = np.random.default_rng(5)
    labels, covered = np.arange(200) % 2, {"crossed": 0, "patients alone": 0}
    truth = ndtr(1 / np.sqrt(2 * 1.09 + 0.5**2))
    for _ in range(150):
        skills = 1.0 + 0.5 * rng.normal(size=(10, 1))
        scores = skills * labels + rng.normal(size=200) + 0.3 * rng.normal(size=(10, 200))
        crossed = mean_over_trainings([auroc(labels, one) for one in scores])
        fixed = replace(crossed, statistic=lambda w, of=crossed.statistic: of(w).mean(0))
        found = estimates({"crossed": crossed, "patients alone": fixed}, np.arange(200), 200)
        for name, one in found.items():
            covered[name] += one.low <= truth <= one.high
    assert covered["crossed"] >= 138
    assert covered["patients alone"] < 128
