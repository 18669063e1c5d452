"""The figures of a ranking and of a decision, each for many rows of weights at once.

`labels` (n,) are 0 (normal) or 1 (anomalous), `scores` (n,) rise with anomaly, `decisions` (n,) are
0 or 1, `weights` (B, n) count the images. Every function returns (B,), NaN where its denominator is
0. Weights of one give the usual figure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import (
    SINGLE_CLASS,
    TAIL,
    Floats,
    Metric,
    interval,
    resolved,
    weight_blocks,
)

Labels = NDArray[Any]


def auroc(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """P(score of an anomalous image > score of a normal one) + P(equal) / 2: the weighted
    Mann-Whitney statistic (Hanley & McNeil 1982).
    """
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    beaten = (
        below[ranked.below] if ranked.untied else (below[ranked.below] + below[ranked.up_to]) / 2
    )
    return _ratio(np.einsum("ib,ib->b", positive, beaten), positive.sum(0) * below[-1])


def average_precision(labels: Labels, scores: NDArray[Any], weights: Floats) -> Floats:
    """Sum over thresholds of precision times the gain in recall, without interpolation; equal
    scores are one threshold.
    """
    ranked = _Ranked.of(labels, scores)
    positive, below = weights.T[ranked.positive], _cumulated(weights.T[ranked.negative])
    lower = _cumulated(positive)
    found = lower[-1] - lower[ranked.first_equal]
    flagged = found + below[-1] - below[ranked.below]
    precision = np.divide(found, flagged, out=np.zeros_like(found), where=flagged > 0)
    return _ratio(np.einsum("ib,ib->b", positive, precision), lower[-1])


def sensitivity_at_specificity(
    wanted: float, labels: Labels, scores: NDArray[Any], weights: Floats
) -> Floats:
    """The highest sensitivity of the cuts whose specificity on these very images is `wanted` or
    more: read from their ROC curve.
    """
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
    """Share of the images called anomalous that are anomalous. It depends on the share of anomalous
    images in the set.
    """
    return _share(np.equal(labels, 1), np.equal(decisions, 1), weights)


def accuracy(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """Share of the images with the right decision; labels and decisions may be any class
    numbers.
    """
    return _share(np.equal(labels, decisions), np.ones(len(labels), dtype=bool), weights)


def f1(labels: Labels, decisions: NDArray[Any], weights: Floats) -> Floats:
    """2 TP / (2 TP + FP + FN)."""
    positive, called = (
        np.equal(labels, 1).astype(np.float64),
        np.equal(decisions, 1).astype(np.float64),
    )
    return _ratio(2 * (weights @ (positive * called)), weights @ positive + weights @ called)


def ranking_metrics(labels: Labels, scores: NDArray[Any]) -> dict[str, Metric]:
    """AUROC and average precision of scores."""
    positive = np.equal(labels, 1)
    both = (positive, ~positive)
    return {
        "auroc": Metric(partial(auroc, labels, np.asarray(scores, dtype=np.float64)), both),
        "average_precision": Metric(
            partial(average_precision, labels, np.asarray(scores, dtype=np.float64)), both
        ),
    }


def decision_metrics(labels: Labels, decisions: NDArray[Any]) -> dict[str, Metric]:
    """Sensitivity, specificity, precision, F1 and accuracy of decisions (0 or 1)."""
    positive, called = np.equal(labels, 1), np.equal(decisions, 1)
    everything = np.ones(len(labels), dtype=bool)
    return {
        "sensitivity": Metric(
            partial(sensitivity, labels, decisions),
            (positive,),
            "not estimable: there is no anomalous image",
        ),
        "specificity": Metric(
            partial(specificity, labels, decisions),
            (~positive,),
            "not estimable: there is no normal image",
        ),
        "precision": Metric(
            partial(precision, labels, decisions),
            (called,),
            "not estimable: no image was called anomalous",
        ),
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
    """Counts: rows are the true class, columns the decision; [[TN, FP], [FN, TP]] for two
    classes.
    """
    cells = np.asarray(labels, dtype=np.int64) * classes + np.asarray(decisions, dtype=np.int64)
    return [
        [int(count) for count in row]
        for row in np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    ]


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


def _share(hits: NDArray[np.bool_], among: NDArray[np.bool_], weights: Floats) -> Floats:
    return _ratio(weights @ (hits & among).astype(np.float64), weights @ among.astype(np.float64))


def _ratio(numerator: Floats, denominator: Floats) -> Floats:
    ratio: Floats = np.divide(
        numerator, denominator, out=np.full(len(denominator), np.nan), where=denominator > 0
    )
    return ratio


NEEDS = "not estimable: it takes normal and anomalous images, some of which are called"


def predictive_values(
    labels: Labels, decisions: NDArray[Any], prevalences: Sequence[float]
) -> dict[str, dict[str, Metric]]:
    """`ppv` and `npv` of decisions (n,) at each prevalence, by its number as text: {"0.01": {"ppv",
    "npv"}}.
    """
    return {
        f"{share:g}": {"ppv": _ppv(labels, decisions, share), "npv": _npv(labels, decisions, share)}
        for share in prevalences
    }


def ppv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """The share of anomalous images among those that are called anomalous; NaN where none is called
    so.
    """
    return _shared(prevalence * sens, (1 - prevalence) * (1 - spec))


def npv(prevalence: float, sens: Floats, spec: Floats) -> Floats:
    """The share of normal images among those that are called normal; NaN where none is called
    so.
    """
    return _shared((1 - prevalence) * spec, prevalence * (1 - sens))


def _shared(right: Floats, wrong: Floats) -> Floats:
    total = right + wrong
    share: Floats = np.divide(right, total, out=np.full(total.shape, np.nan), where=total > 0)
    return share


def _ppv(labels: Labels, decisions: NDArray[Any], prevalence: float) -> Metric:
    return _value(
        labels,
        decisions,
        partial(ppv, prevalence),
        "anomalous",
        by_specificity=_all(labels, decisions, 0),
    )


def _npv(labels: Labels, decisions: NDArray[Any], prevalence: float) -> Metric:
    return _value(
        labels,
        decisions,
        partial(npv, prevalence),
        "normal",
        by_specificity=not _all(labels, decisions, 1),
    )


def _all(labels: Labels, decisions: NDArray[Any], kind: int) -> bool:
    """Whether all images of a class are decided rightly."""
    return bool(np.equal(decisions, kind)[np.equal(labels, kind)].all())


def _value(
    labels: Labels, decisions: NDArray[Any], value: Any, called: str, *, by_specificity: bool
) -> Metric:
    """A predictive value; where it is exactly 0 or 1 its bound follows from that of the
    specificity, or of the sensitivity.
    """
    positive = np.equal(labels, 1)

    def statistic(weights: Floats) -> Floats:
        found = (rate(labels, decisions, weights) for rate in (sensitivity, specificity))
        return value(*found)  # type: ignore[no-any-return]

    def limit(bound: float) -> float:
        once = np.ones((1, len(labels)))
        sens, spec = sensitivity(labels, decisions, once), specificity(labels, decisions, once)
        exact = np.array([bound])
        return float((value(sens, exact) if by_specificity else value(exact, spec))[0])

    return Metric(statistic, (positive, ~positive), f"{NEEDS} {called}", limit=limit)


BINS = 10
NO_PROBABILITIES = "not reported: scores are no probabilities"


def calibration(
    labels: NDArray[Any],
    probabilities: NDArray[Any],
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """How far probabilities (n,) of being anomalous can be trusted, for labels (n,) of 0 and 1 and
    patients (n,).

    Returns:
        `brier` (mean squared error, Brier 1950), `brier_of_the_share` (that of always saying the
        share of anomalous images: a model above it knows less than that number),
        `expected_calibration_error` (Guo 2017; 10 bins of equal width, its bias is upward) and
        `calibration_curve` (for each bin that holds images: `predicted`, `observed` with its
        interval, `n_images`).
    """
    labels, probabilities = (
        np.asarray(labels, dtype=np.float64),
        np.asarray(probabilities, dtype=np.float64),
    )
    everything = np.ones(len(labels), dtype=bool)
    share = float(labels.mean()) if len(labels) else 0.0
    place = np.minimum((probabilities * BINS).astype(np.int64), BINS - 1)

    def brier(weights: Floats) -> Floats:
        squared: Floats = (weights @ (probabilities - labels) ** 2) / weights.sum(1)
        return squared

    def error(weights: Floats) -> Floats:
        inside = np.eye(BINS)[place]
        gap: Floats = np.abs(weights @ (inside * (probabilities - labels)[:, None])).sum(
            1
        ) / weights.sum(1)
        return gap

    tree = {
        "brier": Metric(brier, (everything,)),
        "expected_calibration_error": Metric(error, (everything,)),
    }
    return {
        **resolved(tree, groups, n_resamples, seed),
        "brier_of_the_share": share * (1 - share),
        "calibration_curve": [
            _bin(labels, probabilities, groups, place == number, n_resamples, seed)
            for number in range(BINS)
            if (place == number).any()
        ],
    }


def _bin(
    labels: Floats,
    probabilities: Floats,
    groups: NDArray[Any],
    inside: NDArray[np.bool_],
    n_resamples: int,
    seed: int,
) -> dict[str, Any]:
    chosen = labels[inside]

    def observed(weights: Floats) -> Floats:
        share: Floats = (weights @ chosen) / weights.sum(1)
        return share

    found = interval(
        Metric(observed, (np.ones(len(chosen), dtype=bool),)),
        np.asarray(groups)[inside],
        n_resamples,
        seed,
    )
    return {
        "predicted": float(probabilities[inside].mean()),
        "observed": found.as_dict(),
        "n_images": len(chosen),
    }


GRID = np.linspace(0, 1, 101)
"""False-positive rates."""


def roc_band(
    labels: NDArray[Any],
    scores: NDArray[Any],
    groups: NDArray[Any],
    n_resamples: int = 300,
    seed: int = 0,
) -> tuple[Floats, Floats, Floats]:
    """The curve and its band: sensitivities at the rates of `GRID`, their lower and their upper
    bounds, each (101,).

    Args:
        labels: 0 or 1 (n,), both there.
        scores: (n,), or (S, n) of S trainings.
        groups: the patient of each image (n,).
        n_resamples: resamples of patients; those without both classes are left out.
        seed: of the resamples.
    """
    trainings = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    whole = _sensitivities(labels, trainings, np.ones(len(labels)))
    drawn = [
        _sensitivities(labels, trainings, row)
        for weights in weight_blocks(groups, n_resamples, seed)
        for row in weights
    ]
    band = np.stack([curve for curve in drawn if np.isfinite(curve).all()])
    low, high = np.quantile(band, [TAIL, 1 - TAIL], axis=0)
    return whole, low, high


def _sensitivities(labels: NDArray[Any], trainings: Floats, weights: Floats) -> Floats:
    positive, negative = weights * (labels == 1), weights * (labels == 0)
    if positive.sum() == 0 or negative.sum() == 0:
        return np.full(len(GRID), np.nan)
    curves: Floats = np.mean([_curve(scores, positive, negative) for scores in trainings], axis=0)
    return curves


def _curve(scores: Floats, positive: Floats, negative: Floats) -> Floats:
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)
    true, false = (
        np.append(0.0, np.cumsum(part[order])[last] / part.sum()) for part in (positive, negative)
    )
    curve: Floats = np.interp(GRID, false, true)
    return curve


def standard_error(area: float, positives: int, negatives: int) -> float:
    """Of an area under a ROC curve, images taken as independent (Hanley & McNeil 1982, eq. 1 and 2,
    with their exponential model).
    """
    both_above, both_below = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (
        area * (1 - area)
        + (positives - 1) * (both_above - area**2)
        + (negatives - 1) * (both_below - area**2)
    )
    return math.sqrt(max(spread, 0.0) / (positives * negatives))
