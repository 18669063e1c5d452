"""Is one ranking better than another on the same images? DeLong's test, a paired bootstrap of
patients, and Holm's correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.stats.bootstrap import (
    LEVEL,
    MIN_VALID_SHARE,
    SINGLE_CLASS,
    TOO_FEW_GROUPS,
    Estimate,
    Floats,
    Metric,
    interval,
    weight_blocks,
)
from medgan.stats.classification import auroc

ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference:
    """The AUROC of a first ranking minus that of a second."""

    estimate: Estimate
    """With its 95 % interval."""
    p_value: float | None
    """Two-sided, of no difference; None where there is no interval, and `estimate.reason` says
    why.
    """

    def as_dict(self) -> dict[str, Any]:
        """The form of results.json, with `p_value`."""
        return {**self.estimate.as_dict(), "p_value": self.p_value}


def midranks(values: Floats) -> Floats:
    """Ranks from 1 (n,); equal values share the mean of theirs (Sun & Xu 2014, algorithm 1)."""
    from scipy.stats import rankdata

    ranks: Floats = rankdata(values)
    return ranks


def delong_covariance(labels: NDArray[Any], scores: NDArray[Any]) -> tuple[Floats, Floats]:
    """AUROCs of k rankings of the same independent images, and their covariance (DeLong 1988, eq. 5
    and 6, by midranks: Sun & Xu 2014).

    Args:
        labels: 0 or 1 (n,), two of each at least.
        scores: (k, n), rising with anomaly.

    Returns:
        (k,) and (k, k).
    """
    scores = np.asarray(scores, dtype=np.float64)
    positive, negative = scores[:, np.equal(labels, 1)], scores[:, np.equal(labels, 0)]
    m, n = positive.shape[1], negative.shape[1]
    together = np.stack([midranks(row) for row in np.concatenate([positive, negative], axis=1)])
    among_positive, among_negative = (
        np.stack([midranks(row) for row in part]) for part in (positive, negative)
    )
    beaten = (together[:, :m] - among_positive) / n
    unbeaten = 1 - (together[:, m:] - among_negative) / m
    return beaten.mean(1), np.atleast_2d(np.cov(beaten)) / m + np.atleast_2d(np.cov(unbeaten)) / n


def delong(labels: NDArray[Any], first: NDArray[Any], second: NDArray[Any]) -> Difference:
    """The difference of two AUROCs on the same images, which have to be independent: one of each
    patient.

    Args:
        labels: 0 or 1 (n,).
        first: scores (n,).
        second: scores (n,).
    """
    counts = [int(np.equal(labels, kind).sum()) for kind in (0, 1)]
    if min(counts) < 2:
        return Difference(
            Estimate(None, reason=SINGLE_CLASS if min(counts) == 0 else TOO_FEW_GROUPS), None
        )
    areas, covariance = delong_covariance(labels, np.stack([first, second]))
    spread = float(np.sqrt(max(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1], 0.0)))
    return _tested(float(areas[0] - areas[1]), spread, None)


def paired_bootstrap(
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    groups: NDArray[Any],
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """The difference of two AUROCs on the same patients, who are resampled whole and alike for
    both.

    Scores are (n,), or (S, n) of S trainings, whose AUROCs are averaged on every resample.

    The p-value is that of difference / SE, SE being the standard deviation over the resamples
    (Robin 2011, pROC), with the degrees of freedom of the interval: it is under 0.05 exactly where
    the interval leaves out 0.
    """
    positive = np.equal(labels, 1)

    def difference(weights: Floats) -> Floats:
        gap: Floats = _mean_auroc(labels, first, weights) - _mean_auroc(labels, second, weights)
        return gap

    found = interval(
        Metric(difference, (positive, ~positive), share=False), groups, n_resamples, seed
    )
    if found.value is None or found.low is None or found.high is None:
        return Difference(found, None)
    groups = np.asarray(groups).astype(str)
    freedom = sum(len(np.unique(groups[mask])) - 1 for mask in (positive, ~positive))
    spread = (found.high - found.low) / 2 / _quantile(freedom)
    return _tested(found.value, spread, freedom)


def _mean_auroc(labels: NDArray[Any], scores: NDArray[Any], weights: Floats) -> Floats:
    areas: Floats = np.mean([auroc(labels, one, weights) for one in np.atleast_2d(scores)], axis=0)
    return areas


def _quantile(freedom: float | None) -> float:
    from scipy.special import ndtri, stdtrit

    wanted = 0.5 + LEVEL / 2
    return float(ndtri(wanted) if freedom is None else stdtrit(freedom, wanted))


def _tested(value: float, spread: float, freedom: float | None) -> Difference:
    from scipy.special import ndtr, stdtr

    margin = _quantile(freedom) * spread
    estimate = Estimate(value, value - margin, value + margin)
    if spread <= ROUNDING:
        return Difference(estimate, 1.0 if abs(value) <= ROUNDING else 0.0)
    statistic = -abs(value) / spread
    return Difference(
        estimate, float(2 * (ndtr(statistic) if freedom is None else stdtr(freedom, statistic)))
    )


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p-values of a family of tests (Holm 1979): the i-th smallest of m times m - i + 1,
    never less than a smaller one's.

    Raises:
        UserError: one is not between 0 and 1.
    """
    wrong = [name for name, value in p_values.items() if not 0 <= value <= 1]
    if wrong:
        raise UserError(
            f"The p-value of {wrong[0]} is {p_values[wrong[0]]}: p-values lie between 0 and 1."
        )
    adjusted: dict[str, float] = {}
    highest = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}


Draws = tuple[float, Floats]
"""A figure, and its value under each resample of the patients (n_resamples,); NaN where the images
do not determine it.
"""


def resampled(
    metrics: Mapping[str, Metric], groups: Sequence[str] | NDArray[Any], n_resamples: int, seed: int
) -> dict[str, Draws]:
    """Each figure on the images and on resamples of their patients.

    One set of resamples serves all, so that their differences are paired.
    """
    whole = np.ones((1, len(groups)))
    drawn: dict[str, list[Floats]] = {name: [] for name in metrics}
    for weights in weight_blocks(groups, n_resamples, seed):
        for name, metric in metrics.items():
            drawn[name].append(metric.statistic(weights))
    return {
        name: (float(metric.statistic(whole)[0]), np.concatenate(drawn[name]))
        for name, metric in metrics.items()
    }


def difference(first: Draws, second: Draws) -> Estimate:
    """The first figure minus the second, as `resampled` gives them, with its 95 % percentile
    interval.
    """
    value, draws = first[0] - second[0], first[1] - second[1]
    valid = draws[np.isfinite(draws)]
    if not np.isfinite(value):
        return Estimate(None, reason="not estimable: one of the two figures cannot be had")
    if len(valid) < MIN_VALID_SHARE * len(draws):
        return Estimate(value, reason=TOO_FEW_GROUPS)
    tail = (1 - LEVEL) / 2
    low, high = (float(bound) for bound in np.quantile(valid, [tail, 1 - tail]))
    return Estimate(value, min(low, value), max(high, value))


def p_value(first: Draws, second: Draws) -> float:
    """Two-sided p of no difference: the difference over its bootstrap standard error, against a
    normal distribution (Wald).

    A share of resamples could not be under 1/n_resamples, which Holm's correction over many pairs
    would then never call significant.
    """
    value, draws = first[0] - second[0], first[1] - second[1]
    valid = draws[np.isfinite(draws)]
    spread = float(np.std(valid, ddof=1)) if len(valid) > 1 else 0.0
    if spread == 0.0:
        return 1.0 if value == 0.0 else 2.0 / (len(draws) + 1)
    return math.erfc(abs(value) / spread / math.sqrt(2))
