"""The metrics of a ranking and of a decision, each for many rows of weights at once.

`labels` (n,) are 0 (normal) or 1 (anomalous), `scores` (n,) rise with anomaly, `decisions` (n,) are
0 or 1, `weights` (B, n) count the images. Every statistic returns (B,), NaN where its denominator
is 0. Weights of one give the usual value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import Floats, WeightedStatistic, mean_over, ratio

Labels = NDArray[Any]
NO_NORMAL = "not estimable: there is no normal image"
NO_IMAGE = "not estimable: an anomaly type has no test image"


def auroc(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """P(score of an anomalous image > score of a normal one) + P(equal) / 2: the weighted
    Mann-Whitney statistic (Hanley & McNeil 1982).
    """
    return _auroc(_Ranked.of(labels, scores), weights)


def _auroc(ranked: _Ranked, weights: Floats) -> Floats:
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    beaten = below[ranked.below]
    if not ranked.untied:
        beaten = (beaten + below[ranked.up_to]) / 2
    return ratio(np.einsum("ib,ib->b", positive, beaten), positive.sum(0) * below[-1])


def average_precision(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """Sum over thresholds of precision times the gain in recall, without interpolation; equal
    scores are one threshold.
    """
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    lower = _cumulated(positive)
    found = lower[-1] - lower[ranked.first_equal]
    flagged = found + below[-1] - below[ranked.below]
    precision = ratio(found, flagged, otherwise=0.0)
    return ratio(np.einsum("ib,ib->b", positive, precision), lower[-1])


def sensitivity_at_specificity(
    wanted: float, labels: Labels, scores: NDArray[Any], weights: Floats
) -> Floats:
    """The highest sensitivity of the cuts whose specificity on these very images is `wanted` or
    more: read from their ROC curve.
    """
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    allowed = (1 - wanted) * below[-1] + 1e-9
    return ratio((positive * (below[-1] - below[ranked.below] <= allowed)).sum(0), positive.sum(0))


@dataclass(frozen=True)
class Predictions:
    """Scores and decisions of n images, each (n,).

    `labels` and `decisions` are 0 (normal) or 1 (anomalous). `classes` and `called` are class
    numbers, where there are more than two classes.
    """

    labels: NDArray[Any]
    scores: NDArray[Any]
    decisions: NDArray[Any]
    classes: NDArray[Any] | None = None
    called: NDArray[Any] | None = None

    @property
    def anomalous(self) -> NDArray[np.bool_]:
        """The anomalous images (n,)."""
        return np.equal(self.labels, 1)

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """The images that are called anomalous (n,)."""
        return np.equal(self.decisions, 1)


def area_of(labels: Labels, scores: NDArray[Any]) -> WeightedStatistic:
    """AUROC of scores (n,)."""
    ranked = _Ranked.of(labels, scores)  # once, not for each block of weights
    anomalous = np.equal(labels, 1)
    return WeightedStatistic(partial(_auroc, ranked), (anomalous, ~anomalous))


def auroc_of(of: Predictions) -> WeightedStatistic:
    """AUROC of the scores."""
    return area_of(of.labels, of.scores)


def average_precision_of(of: Predictions) -> WeightedStatistic:
    """Average precision of the scores."""
    statistic = partial(average_precision, of.labels, of.scores)
    return WeightedStatistic(statistic, (of.anomalous, ~of.anomalous))


def sensitivity_of(of: Predictions) -> WeightedStatistic:
    """Share of the anomalous images that are called anomalous (recall)."""
    return mean_over(of.flagged, of.anomalous, "not estimable: there is no anomalous image")


def specificity_of(of: Predictions) -> WeightedStatistic:
    """Share of the normal images that are called normal."""
    return mean_over(~of.flagged, ~of.anomalous, NO_NORMAL)


def precision_of(of: Predictions) -> WeightedStatistic:
    """Share of the images called anomalous that are anomalous. It depends on the share of anomalous
    images in the set.
    """
    return mean_over(of.anomalous, of.flagged, "not estimable: no image was called anomalous")


def f1_of(of: Predictions) -> WeightedStatistic:
    """2 TP / (2 TP + FP + FN)."""
    found = (of.anomalous & of.flagged).astype(np.float64)
    called = of.anomalous.astype(np.float64) + of.flagged

    def score(weights: Floats) -> Floats:
        return ratio(2 * (weights @ found), weights @ called)

    return WeightedStatistic(score, (of.anomalous,))


def accuracy_of(of: Predictions) -> WeightedStatistic:
    """Share of the images with the right decision, over all classes."""
    labels = of.labels if of.classes is None else of.classes
    decisions = of.decisions if of.called is None else of.called
    return mean_over(np.equal(labels, decisions))


def false_alarms(of: Predictions) -> WeightedStatistic:
    """Normal images that are called anomalous, of 100 normal ones."""
    return replace(mean_over(of.flagged, ~of.anomalous, NO_NORMAL), per=100.0)


def multiclass_auroc_of(of: Predictions) -> WeightedStatistic:
    """AUROC of scores (n, K) of K classes: that of the second where there are two, else the mean of
    each class against the others. `labels` and `decisions` are class numbers.
    """
    each = [np.equal(of.labels, kind) for kind in range(of.scores.shape[1])]
    kinds = range(len(each)) if len(each) > 2 else (1,)
    mean = macro_of([area_of(each[kind], of.scores[:, kind]) for kind in kinds], NO_IMAGE)
    return replace(mean, carriers=each)


def balanced_accuracy_of(of: Predictions) -> WeightedStatistic:
    """Mean over the K classes of the share that is decided rightly; 1 / K for a guess, whatever the
    mix. `scores` are (n, K), `labels` and `decisions` are class numbers.
    """
    right, kinds = np.equal(of.labels, of.decisions), range(of.scores.shape[1])
    return macro_of([mean_over(right, np.equal(of.labels, kind)) for kind in kinds], NO_IMAGE)


def class_balanced_accuracy_of(of: Predictions) -> WeightedStatistic:
    """Mean over the classes of `classes` of the share that `called` names rightly."""
    if of.classes is None or of.called is None:
        raise ValueError("balanced accuracy needs classes and what was called")
    right = np.equal(of.classes, of.called)
    kinds = np.unique(of.classes)
    return macro_of([mean_over(right, np.equal(of.classes, kind)) for kind in kinds])


def macro_of(
    statistics: Sequence[WeightedStatistic],
    missing: str = "not estimable: a class has no test image",
) -> WeightedStatistic:
    """Average statistics of the same images, such as those of several classes."""

    def mean(weights: Floats) -> Floats:
        return np.mean([one.statistic(weights) for one in statistics], axis=0)

    carriers = [mask for one in statistics for mask in one.carriers]
    return WeightedStatistic(mean, carriers, missing)


def effect_size(first: float, second: float, positives: int, negatives: int) -> float:
    """Compute the difference of two AUROCs in standard deviations of the scores of a class, the
    difference of d' = sqrt(2) Phi^-1(AUROC) of the binormal model with equal spreads (Green & Swets
    1966).

    An area of 0 or 1 counts as half a pair of images away from it.
    """
    from scipy.special import ndtri

    margin = 0.5 / (positives * negatives)
    one, other = ndtri(np.clip([first, second], margin, 1 - margin))
    return float(math.sqrt(2) * (one - other))


def sensitivity_at_specificity_of(of: Predictions, wanted: float) -> WeightedStatistic:
    """Sensitivity at a specificity, both read from the ROC curve of these very images."""
    statistic = partial(sensitivity_at_specificity, wanted, of.labels, of.scores)
    return WeightedStatistic(statistic, (of.anomalous, ~of.anomalous))


def confusion(
    labels: Labels, decisions: NDArray[Any], classes: int = 2
) -> tuple[tuple[int, ...], ...]:
    """Counts: rows are the true class, columns the decision; [[TN, FP], [FN, TP]] for two
    classes.
    """
    cells = np.asarray(labels, dtype=np.int64) * classes + np.asarray(decisions, dtype=np.int64)
    counted = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    return tuple(tuple(row) for row in counted.tolist())


@dataclass(frozen=True)
class _Ranked:
    """Anomalous and normal images in ascending order of their scores, and where the first fall
    among the second.
    """

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
        below, up_to = (
            np.searchsorted(scores[negative], scores[positive], side) for side in ("left", "right")
        )
        first_equal = np.searchsorted(scores[positive], scores[positive], "left")
        return cls(positive, negative, below, up_to, first_equal, bool((below == up_to).all()))


def _cumulated(weights: Floats) -> Floats:
    """(n + 1, B): the weight of the first 0, 1, ... n images."""
    sums = np.zeros((len(weights) + 1, weights.shape[1]))
    np.cumsum(weights, axis=0, out=sums[1:])
    return sums


NEEDS = "not estimable: it takes normal and anomalous images, some of which are called"


def ppv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """Share of anomalous images among those called anomalous; NaN where none is called so."""
    right, wrong = prevalence * sens, (1 - prevalence) * (1 - spec)
    return ratio(right, right + wrong)


def npv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """Share of normal images among those called normal; NaN where none is called so."""
    right, wrong = (1 - prevalence) * spec, prevalence * (1 - sens)
    return ratio(right, right + wrong)


def ppv_of(of: Predictions, prevalence: float) -> WeightedStatistic:
    """Positive predictive value at a prevalence."""
    by_specificity = not of.flagged[~of.anomalous].any()
    return _predictive(of, partial(ppv, prevalence), "anomalous", by_specificity=by_specificity)


def npv_of(of: Predictions, prevalence: float) -> WeightedStatistic:
    """Negative predictive value at a prevalence."""
    by_specificity = not of.flagged[of.anomalous].all()
    return _predictive(of, partial(npv, prevalence), "normal", by_specificity=by_specificity)


def _predictive(
    of: Predictions,
    value: Callable[[Floats, Floats], Floats],
    called: str,
    *,
    by_specificity: bool,
) -> WeightedStatistic:
    """A predictive value; where it is exactly 0 or 1 its bound follows from that of the
    specificity, or of the sensitivity.
    """
    sensitive, specific = sensitivity_of(of).statistic, specificity_of(of).statistic

    def rates(weights: Floats) -> tuple[Floats, Floats]:
        return sensitive(weights), specific(weights)

    def limit(bound: float) -> float:
        sens, spec = rates(np.ones((1, len(of.labels))))
        exact = np.array([bound])
        return float((value(sens, exact) if by_specificity else value(exact, spec))[0])

    return WeightedStatistic(
        lambda weights: value(*rates(weights)),
        (of.anomalous, ~of.anomalous),
        f"{NEEDS} {called}",
        limit=limit,
    )
