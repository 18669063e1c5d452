"""The figures of a ranking and of a decision, each for many rows of weights at once.

`labels` (n,) are 0 (normal) or 1 (anomalous), `scores` (n,) rise with anomaly, `decisions` (n,) are 0 or 1, `weights` (B, n) count the
images. Every function returns (B,), NaN where its denominator is 0. Weights of one give the usual figure.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.intervals import SINGLE_CLASS, Floats, Metric

Labels = NDArray[Any]


def auroc(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """P(score of an anomalous image > score of a normal one) + P(equal) / 2: the weighted Mann-Whitney statistic (Hanley & McNeil 1982)."""
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    beaten = below[ranked.below] if ranked.untied else (below[ranked.below] + below[ranked.up_to]) / 2
    return _ratio(np.einsum("ib,ib->b", positive, beaten), positive.sum(0) * below[-1])


def average_precision(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """Sum over thresholds of precision times the gain in recall, without interpolation; equal scores are one threshold."""
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    lower = _cumulated(positive)
    found = lower[-1] - lower[ranked.first_equal]
    flagged = found + below[-1] - below[ranked.below]
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    return _ratio(np.einsum("ib,ib->b", positive, precision), lower[-1])


def sensitivity_at_specificity(wanted: float, labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """The highest sensitivity of the cuts whose specificity on these very images is `wanted` or more: read from their ROC curve."""
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    allowed = (1 - wanted) * below[-1] + 1e-9
    return _ratio((positive * (below[-1] - below[ranked.below] <= allowed)).sum(0), positive.sum(0))


def sensitivity(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """Share of the anomalous images that are called anomalous (recall)."""
    return _share(np.equal(decisions, 1), np.equal(labels, 1), weights)


def specificity(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """Share of the normal images that are called normal."""
    return _share(np.equal(decisions, 0), np.equal(labels, 0), weights)


def precision(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """Share of the images called anomalous that are anomalous. It depends on the share of anomalous images in the set."""
    return _share(np.equal(labels, 1), np.equal(decisions, 1), weights)


def accuracy(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """Share of the images with the right decision; labels and decisions may be any class numbers."""
    return _share(np.equal(labels, decisions), np.ones(len(labels), dtype=bool), weights)


def f1(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN)."""
    positive, called = np.equal(labels, 1).astype(np.float64), np.equal(decisions, 1).astype(np.float64)
    return _ratio(2 * (weights @ (positive * called)), weights @ positive + weights @ called)


def ranking_metrics(labels: Labels, scores: NDArray[Any]) -> dict[str, Metric]:
    """AUROC and average precision of scores."""
    positive = np.equal(labels, 1)
    both = (positive, ~positive)
    return {
        "auroc": Metric(partial(auroc, labels, np.asarray(scores, dtype=np.float64)), both),
        "average_precision": Metric(partial(average_precision, labels, np.asarray(scores, dtype=np.float64)), both),
    }


def decision_metrics(labels: Labels, decisions: NDArray[Any]) -> dict[str, Metric]:
    """Sensitivity, specificity, precision, F1 and accuracy of decisions (0 or 1)."""
    positive, called = np.equal(labels, 1), np.equal(decisions, 1)
    everything = np.ones(len(labels), dtype=bool)
    return {
        "sensitivity": Metric(partial(sensitivity, labels, decisions), (positive,), "not estimable: there is no anomalous image"),
        "specificity": Metric(partial(specificity, labels, decisions), (~positive,), "not estimable: there is no normal image"),
        "precision": Metric(partial(precision, labels, decisions), (called,), "not estimable: no image was called anomalous"),
        "f1": Metric(partial(f1, labels, decisions), (positive,), SINGLE_CLASS),
        "accuracy": Metric(partial(accuracy, labels, decisions), (everything,)),
    }


def false_alarms(labels: Labels, decisions: NDArray[Any]) -> Metric:
    """Normal images that are called anomalous, of 100 normal ones."""
    normal = np.equal(labels, 0)

    def rate(weights: Floats) -> Floats:
        return _share(np.equal(decisions, 1), normal, weights)

    return Metric(rate, (normal,), "not estimable: there is no normal image", per=100.0)


def confusion(labels: Labels, decisions: NDArray[Any], classes: int = 2) -> list[list[int]]:
    """Counts: rows are the true class, columns the decision; [[TN, FP], [FN, TP]] for two classes."""
    cells = np.asarray(labels, dtype=np.int64) * classes + np.asarray(decisions, dtype=np.int64)
    return [[int(count) for count in row] for row in np.bincount(cells, minlength=classes**2).reshape(classes, classes)]


@dataclass(frozen=True)
class _Ranked:
    """Anomalous and normal images in ascending order of their scores, and where the first fall among the second."""

    positive: NDArray[np.int64]
    negative: NDArray[np.int64]
    below: NDArray[np.int64]
    """For each anomalous image, how many normal ones score less."""
    up_to: NDArray[np.int64]
    """For each anomalous image, how many normal ones score less or the same."""
    first_equal: NDArray[np.int64]
    """For each anomalous image, how many anomalous ones score less."""
    untied: bool

    @classmethod
    def of(cls, labels: Labels, scores: NDArray[Any]) -> _Ranked:
        scores, anomalous = np.asarray(scores), np.equal(labels, 1)
        order = np.argsort(scores, kind="stable")
        positive, negative = order[anomalous[order]], order[~anomalous[order]]
        below, up_to = (np.searchsorted(scores[negative], scores[positive], side) for side in ("left", "right"))
        first_equal = np.searchsorted(scores[positive], scores[positive], "left")
        return cls(positive, negative, below, up_to, first_equal, bool((below == up_to).all()))


def _cumulated(weights: Floats) -> Floats:
    """(n + 1, B): the weight of the first 0, 1, ... n images."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_], weights: Floats) -> Floats:
    return _ratio(weights @ (hits & among).astype(np.float64), weights @ among.astype(np.float64))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    ratio: Floats = np.divide(numerator, denominator, out=np.full(len(denominator), np.nan), where=denominator > 0)
    return ratio
