"""Compare two methods of several trainings each, all tested on the same images.

Trainings are to a test set what readers are in reader studies: a random sample, nested in their
method. The variance of the difference of the mean AUROCs is (Obuchowski & Rockette 1995; Hillis
2014, readers nested in tests)

    var = sum over methods of (MS / S + C2) - 2 C3

with MS the variance between the S trainings of a method, pooled over both, C2 the covariance of two of its trainings
over patients, C3 that of trainings of different methods. MS holds the variance between trainings and
that of what each training makes of each image, so nothing is counted twice. A bootstrap that
resamples trainings and patients counts the second part more than once, and finds too few
differences. The covariances are those over resamples of patients; the degrees of freedom are
Satterthwaite's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.stats.bootstrap import (
    MIN_VALID_SHARE,
    TAIL,
    TOO_FEW_GROUPS,
    Estimate,
    Groups,
    interval,
    resampled,
)
from medgan.stats.classification import area_of
from medgan.stats.differences import Difference, auroc_difference, mean_auroc

LEAST_VARIANCE = 1e-16
LEAST_SLOPE = 1e-3
"""Of the logistic function: an area of nearly 0 or 1 has no symmetric interval on its scale."""


def difference_of_trainings(
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compute the mean AUROC of a first method, scores (S, n), minus that of a second, scores (T,
    n), with its 95 % interval and the p-value of no difference, which inverts it. With one training
    in either, `auroc_difference` compares them.
    """
    rankings = [np.atleast_2d(np.asarray(one, dtype=np.float64)) for one in (first, second)]
    if min(map(len, rankings)) < 2:
        return auroc_difference(labels, first, second, groups, n_resamples, seed)
    found = _Resampled.of(labels, rankings, groups, n_resamples, seed)
    if found.reason:
        return Difference(None, reason=found.reason)
    value = found.mean(0) - found.mean(1)
    spread = _Spread(*found.between(), found.cases(0) + found.cases(1) - 2 * found.shared())
    return _difference(value, spread, found.freedom)


def mean_of_trainings(
    labels: NDArray[Any],
    scores: NDArray[Any],
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Estimate:
    """Compute the mean AUROC of at least two trainings, scores (S, n), with its 95 % interval, for
    other patients and trainings: symmetric on the scale of logits, since near 1 an area has a
    longer tail below.
    """
    found = _Resampled.of(labels, [np.asarray(scores)], groups, n_resamples, seed)
    if found.reason:
        return Estimate(None, reason=found.reason)
    value = found.mean(0)
    slope = value * (1 - value)
    if slope < LEAST_SLOPE:
        return interval(mean_auroc(labels, scores), groups, n_resamples, seed)
    margin = _Spread(*found.between(), found.cases(0)).margin(found.freedom) / slope
    middle = math.log(value / (1 - value))
    low, high = (1 / (1 + math.exp(-middle - side * margin)) for side in (-1, 1))
    return Estimate(value, low, high)


@dataclass(frozen=True)
class _Spread:
    """The variance of a mean or of a difference, in its two parts."""

    trainings: float
    freedom: int
    """Degrees of freedom of that part."""
    cases: float

    @property
    def variance(self) -> float:
        """The sum of both parts; the estimate of the second may be negative."""
        return self.trainings + max(0.0, self.cases)

    def degrees(self, patients: int) -> float:
        """Degrees of freedom of the sum (Satterthwaite 1946), those of the patients given."""
        parts = self.trainings**2 / self.freedom + max(0.0, self.cases) ** 2 / patients
        return self.variance**2 / parts

    def margin(self, patients: int) -> float:
        """Half of the 95 % interval."""
        from scipy.special import stdtrit

        if self.variance <= LEAST_VARIANCE:
            return 0.0
        return float(stdtrit(self.degrees(patients), 1 - TAIL)) * math.sqrt(self.variance)


@dataclass(frozen=True)
class _Resampled:
    """The AUROCs of all trainings, and their covariances over resamples of patients."""

    values: Sequence[NDArray[np.float64]]
    """(S,) of each method."""
    covariance: NDArray[np.float64]
    """Of the trainings of all methods, one method after the other."""
    freedom: int
    """Patients without one for each class."""
    reason: str = ""
    """Why there is nothing."""

    @classmethod
    def of(
        cls,
        labels: NDArray[Any],
        methods: Sequence[NDArray[Any]],
        groups: Groups,
        n_resamples: int,
        seed: int,
    ) -> _Resampled:
        """Resample the patients, alike for all trainings."""
        metrics = {
            (method, number): area_of(labels, scores)
            for method, trainings in enumerate(methods)
            for number, scores in enumerate(trainings)
        }
        found = list(resampled(metrics, groups, n_resamples, seed).values())
        ends = np.cumsum([len(of) for of in methods])[:-1]
        values = np.split(np.array([one.value for one in found]), ends)
        draws = np.stack([one.draws for one in found])
        valid = draws[:, np.isfinite(draws).all(0)]
        reason = next((one.missing for one in found if not np.isfinite(one.value)), "")
        if min(found[0].units) < 2 or valid.shape[1] < MIN_VALID_SHARE * n_resamples:
            reason = reason or TOO_FEW_GROUPS
        fewest = min(found[0].units)
        # Resamples of m patients vary less than patients do.
        covariance = np.zeros((0, 0)) if reason else np.cov(valid) * fewest / (fewest - 1)
        return cls(values, covariance, found[0].freedom, reason)

    def mean(self, method: int) -> float:
        """Of a method."""
        return float(self.values[method].mean())

    def between(self) -> tuple[float, int]:
        """The variance of the means by trainings, pooled over methods, and its degrees of freedom."""
        freedom = sum(len(one) - 1 for one in self.values)
        squares = sum(float(((one - one.mean()) ** 2).sum()) for one in self.values)
        return squares / freedom * sum(1 / len(one) for one in self.values), freedom

    def cases(self, method: int) -> float:
        """C2: the mean covariance of two trainings of a method."""
        start = sum(len(one) for one in self.values[:method])
        own = slice(start, start + len(self.values[method]))
        block = self.covariance[own, own]
        return float(block[~np.eye(len(block), dtype=bool)].mean())

    def shared(self) -> float:
        """C3: the mean covariance of trainings of the two methods."""
        first = len(self.values[0])
        return float(self.covariance[:first, first:].mean())


def _difference(value: float, spread: _Spread, patients: int) -> Difference:
    from scipy.special import stdtr

    margin = spread.margin(patients)
    if margin == 0:
        return Difference(value, value, value, p_value=1.0 if value == 0 else 0.0)
    ratio = -abs(value) / math.sqrt(spread.variance)
    p_value = float(2 * stdtr(spread.degrees(patients), ratio))
    return Difference(value, max(-1.0, value - margin), min(1.0, value + margin), p_value=p_value)
