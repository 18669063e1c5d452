"""Differences of two metrics: one bootstrap of patients gives the interval and the p-value.

Both metrics are computed on the same resamples of patients, so what their images have in common
cancels. The interval is the percentile interval with its tails expanded for small numbers of
patients (Hesterberg 2015, What Teachers Should Know About the Bootstrap, section 3.4): tails of
F(sqrt(m / (m - 1)) t) instead of 2.5 %, F being the normal distribution function, t the quantile of
Student's t and m the patients of the smaller class. Beyond the outermost resample the distribution
continues as a normal one, so the correction of many tests is not limited by the number of
resamples. The p-value inverts the interval: it is under 0.05 exactly where the interval leaves
out 0. Coverage and size are in docs/decisions/0020-one-engine-of-differences.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medgan.errors import UserError
from medgan.stats.bootstrap import (
    MIN_VALID_SHARE,
    TAIL,
    TOO_FEW_GROUPS,
    Estimate,
    Floats,
    Groups,
    Name,
    Resampled,
    WeightedStatistic,
    mean_over_trainings,
    resampled,
)
from medgan.stats.classification import area_of

ROUNDING = 1e-12


@dataclass(frozen=True)
class Difference(Estimate):
    """A first metric minus a second, with its 95 % interval."""

    p_value: float | None = None
    """Two-sided, of no difference; None where there is no interval."""

    @property
    def estimate(self) -> Estimate:
        """The difference without its p-value."""
        return Estimate(self.value, self.low, self.high, self.reason)

    def as_dict(self) -> dict[str, Any]:
        """The estimate, and the p-value where there is one."""
        tested = {} if self.p_value is None else {"p_value": self.p_value}
        return {**super().as_dict(), **tested}


def difference(first: Resampled, second: Resampled) -> Difference:
    """Compute the first metric minus the second, with its interval and p-value.

    The difference is paired where both come from one call of `resampled`.
    """
    absent = next((one.missing for one in (first, second) if not np.isfinite(one.value)), None)
    if absent is not None:
        return Difference(None, reason=absent)
    value = _without_rounding(first.value - second.value).item()
    draws = _without_rounding(first.draws - second.draws)
    units = min(first, second, key=lambda one: one.freedom).units
    valid = np.sort(draws[np.isfinite(draws)])
    if min(units) < 2 or len(valid) < MIN_VALID_SHARE * len(draws):
        return Difference(value, reason=TOO_FEW_GROUPS)
    return _Distribution.of(value, valid, units).difference()


def _without_rounding(gaps: Floats | float) -> Floats:
    """Differences with those that are 0 but for rounding as 0."""
    return np.where(np.abs(gaps) > ROUNDING, gaps, 0.0)


def paired_difference(
    first: WeightedStatistic,
    second: WeightedStatistic,
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compute the first metric minus the second, both of the same n images."""
    found = resampled({"first": first, "second": second}, groups, n_resamples, seed)
    return difference(found["first"], found["second"])


def auroc_difference(
    labels: NDArray[Any],
    first: NDArray[Any],
    second: NDArray[Any],
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Difference:
    """Compute the difference of the AUROCs of two rankings of the same n images, labelled 0 or 1:
    scores (n,), or (S, n) of S trainings, which are resampled as the patients are.
    """
    one, other = (mean_auroc(labels, scores) for scores in (first, second))
    return paired_difference(one, other, groups, n_resamples, seed)


def mean_auroc(labels: NDArray[Any], scores: NDArray[Any]) -> WeightedStatistic:
    """The AUROC of scores (n,), or the mean AUROC of S trainings (S, n)."""
    rankings = np.atleast_2d(np.asarray(scores, dtype=np.float64))
    return mean_over_trainings([area_of(labels, ranking) for ranking in rankings])


@dataclass(frozen=True)
class _Distribution:
    """The bootstrap distribution of a difference: the resamples, and a normal tail beyond them."""

    value: float
    draws: Floats
    """Sorted (B,); empty where the difference does not vary over the resamples."""
    spread: float
    """Standard deviation."""
    widening: float
    """sqrt(m / (m - 1))."""
    freedom: int

    @classmethod
    def of(cls, value: float, draws: Floats, units: Sequence[int]) -> _Distribution:
        """The distribution of the sorted draws of a difference that rests on these patients.

        A difference that is not 0 and does not vary gets the exact bound of two shares of 0 or 1
        (see `medgan.stats.bootstrap`) as its margin.
        """
        smallest, freedom = min(units), sum(units) - len(units)
        widening = math.sqrt(smallest / (smallest - 1))
        found = cls(value, draws, float(draws.std(ddof=1)), widening, freedom)
        if found.spread > ROUNDING or value == 0:
            return found
        margin = math.sqrt(2) * (1 - TAIL ** (1 / smallest))
        return replace(found, draws=draws[:0], spread=margin / found.quantile())

    def quantile(self) -> float:
        """Standard deviations between the difference and its bounds."""
        from scipy.special import stdtrit

        return self.widening * float(stdtrit(self.freedom, 1 - TAIL))

    def difference(self) -> Difference:
        """The difference with its interval, and the p-value that inverts it."""
        low = self._bound(self.draws, self.value)
        high = -self._bound(-self.draws[::-1], -self.value)
        return Difference(self.value, low, high, p_value=self._p_value())

    def _bound(self, draws: Floats, value: float) -> float:
        """The lower bound; the upper one is that of the mirrored distribution, mirrored."""
        from scipy.special import ndtr

        quantile = self.quantile()
        rank = int(ndtr(-quantile) * (len(draws) + 1))
        if rank:
            return min(value, float(draws[rank - 1]))
        return float(min([value, max(value - quantile * self.spread, -1.0), *draws[:1]]))

    def _p_value(self) -> float:
        from scipy.special import ndtr, ndtri, stdtr

        if self.value == 0:
            return 1.0
        across = int((self.draws <= 0 if self.value > 0 else self.draws >= 0).sum())
        share = (across + 1) / (len(self.draws) + 1)
        if across == 0:
            share = min(share, float(ndtr(-abs(self.value) / self.spread)))
        return min(1.0, float(2 * stdtr(self.freedom, ndtri(share) / self.widening)))


def holm(p_values: Mapping[Name, float | None]) -> dict[Name, float]:
    """Adjust the p-values of a family of tests (Holm 1979).

    The i-th smallest of m p-values is multiplied by m - i + 1; none gets less than a smaller one.
    Tests without a p-value do not count.

    Raises:
        UserError: a p-value is not between 0 and 1.
    """
    known = {name: value for name, value in p_values.items() if value is not None}
    wrong = [name for name, value in known.items() if not 0 <= value <= 1]
    if wrong:
        raise UserError(
            f"The p-value of {wrong[0]} is {known[wrong[0]]}: p-values lie between 0 and 1."
        )
    order = sorted(known, key=lambda name: known[name])
    raised = [(len(order) - place) * known[name] for place, name in enumerate(order)]
    adjusted = dict(zip(order, np.maximum.accumulate([*raised]).clip(max=1).tolist(), strict=True))
    return {name: adjusted[name] for name in known}
