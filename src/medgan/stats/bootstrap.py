"""Metrics with intervals that resample patients, not images.

Images of one patient resemble each other, so an interval that resamples images is too narrow (68-70
% coverage of a nominal 95 % with five images a patient). Here patients are drawn with replacement
(the cluster bootstrap, Field & Welsh 2007), and every resample is a row of weights: how often the
patient of each image was drawn. All resamples of a metric are then a few matrix operations.

The interval of a share (AUROC, sensitivity, ...) is value ± t SE on the logit scale, SE being the
standard deviation over the resamples (Pepe 2003, The Statistical Evaluation of Medical Tests,
section 5.2; Efron & Tibshirani 1993, section 12.3): it stays within 0 and 1 and covers alike on
both sides, where the percentile interval of an AUROC of 0.95 covers 88-90 % with 40 patients. SE is
widened by sqrt(m / (m - 1)) and t has sum(m - 1) degrees of freedom, m being the patients of each
carrier (each class, for an AUROC).

The mean over S trainings varies with the trainings too: every resample draws S - 1 of them with
replacement besides the patients (patients and trainings are crossed; Owen 2007, The pigeonhole
bootstrap). S - 1 rather than S draws give the variance of a mean of S without bias (McCarthy &
Snowden 1985). One training is taken as it is.

A metric that is exactly 0 or 1 does not vary over the resamples. There the bound is exact instead:
if the true value were p, one image of each of m patients would all be right with probability p^m
at most, so p >= 0.025^(1/m). For AUROC, m is the smaller number of patients of the two classes
(disjoint pairs of one patient of each).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
TAIL = (1 - LEVEL) / 2
ROUNDING = 1e-12
BLOCK_ELEMENTS = 250_000
"""Weights in a block: what a core's cache holds."""
MIN_VALID_SHARE = 0.5
SINGLE_CLASS = "not estimable: the images are all of one class"
IMAGE_INTERVALS_ARE = (
    "Patients are unknown: intervals resample images and are likely too narrow; "
    "leakage between splits is unknown."
)
TOO_FEW_GROUPS = "no interval: fewer than two patients or groups carry this metric"

Floats = NDArray[np.float64]
Groups = Sequence[str] | NDArray[Any]
"""The patient (or another group) of each image (n,)."""
Name = TypeVar("Name", bound=Hashable)
Statistic = Callable[[Floats], Floats]
"""Weights (B, n) to the metric under each row, (B,), or (S, B) of S trainings; NaN where a row does
not determine it."""


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval. A missing value is None, with the reason."""

    value: float | None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    per_seed: tuple[float | None, ...] = field(default=(), kw_only=True)
    """The values of the seeds, where the value is their mean."""

    def as_dict(self) -> dict[str, Any]:
        """The form of results.json: value, low, high, or value null and the reason."""
        if self.value is None:
            return {"value": None, "reason": self.reason}
        document: dict[str, Any] = {"value": self.value, "low": self.low, "high": self.high}
        document |= {"reason": self.reason} if self.reason else {}
        return document | ({"per_seed": list(self.per_seed)} if self.per_seed else {})


@dataclass(frozen=True)
class WeightedStatistic:
    """A metric as a function of weights, and the images that it rests on."""

    statistic: Statistic
    carriers: Sequence[NDArray[np.bool_]]
    """Masks (n,); each of these sets of images must not be empty, and must span two groups for an
    interval.
    """
    missing: str = SINGLE_CLASS
    """The reason when a set of carriers is empty."""
    share: bool = True
    """Whether it lies between 0 and 1; a difference does not, and its interval is value ± t SE."""
    limit: Callable[[float], float] = lambda bound: bound
    """The value where the share behind it is at its exact bound; asked where the value is exactly 0
    or 1.
    """
    per: float = 1.0
    """A share is shown per so many: 100 for false positives per 100 normal images."""

    @property
    def value(self) -> float:
        """The metric of the images themselves, the mean over trainings."""
        return float(np.mean(self.statistic(np.ones((1, len(self.carriers[0]))))))


def ratio(numerator: NDArray[Any], denominator: NDArray[Any], otherwise: float = np.nan) -> Floats:
    """Divide arrays, which are broadcast; `otherwise` stands where the denominator is 0."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    found = np.full(numerator.shape, otherwise, dtype=np.float64)
    return np.divide(numerator, denominator, out=found, where=denominator > 0)


def mean_over(
    values: NDArray[Any], among: NDArray[np.bool_] | None = None, missing: str = SINGLE_CLASS
) -> WeightedStatistic:
    """The mean of values (n,) over some of the images (n,), or over all."""
    among = np.ones(len(values), dtype=bool) if among is None else among
    chosen, counted = np.where(among, values, 0.0), among.astype(np.float64)
    return WeightedStatistic(
        lambda weights: ratio(weights @ chosen, weights @ counted), (among,), missing
    )


def mean_over_trainings(trainings: Sequence[WeightedStatistic]) -> WeightedStatistic:
    """Average one metric over trainings that were tested on the same images."""
    narrowest = min(trainings, key=lambda one: min(int(mask.sum()) for mask in one.carriers))
    return replace(
        narrowest,
        statistic=lambda weights: np.stack([one.statistic(weights) for one in trainings]),
    )


def group_index(groups: Groups) -> tuple[NDArray[np.int64], int]:
    """Group number of each image (n,), and the number of groups. Numbers follow the sorted names,
    not the order of the images.
    """
    names, inverse = np.unique(np.asarray(groups).astype(str), return_inverse=True)
    return inverse.reshape(-1).astype(np.int64), len(names)


def weight_blocks(groups: Groups, n_resamples: int, seed: int) -> Iterator[Floats]:
    """How often each image is drawn when its group is drawn with replacement: (n_resamples, n), in
    blocks (b, n) that fit into memory.
    """
    inverse, count = group_index(groups)
    rng = np.random.default_rng([seed, crc32(b"patient bootstrap")])
    rows = max(1, BLOCK_ELEMENTS // max(1, len(inverse)))
    for start in range(0, n_resamples, rows):
        size = min(rows, n_resamples - start)
        drawn = rng.integers(0, count, (size, count)) + count * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        # An image's weights lie side by side: sorting images is cheap.
        yield np.ascontiguousarray(counts.T, dtype=np.float64)[inverse].T


def draws(
    metrics: Mapping[Name, WeightedStatistic], groups: NDArray[Any], n_resamples: int, seed: int
) -> dict[Name, Floats]:
    """Compute each metric on the same resamples (n_resamples,) of patients and trainings."""
    blocks = [
        [metric.statistic(weights) for metric in metrics.values()]
        for weights in weight_blocks(groups, n_resamples, seed)
    ]
    joined = (np.concatenate(parts, axis=-1) for parts in zip(*blocks, strict=True))
    return {
        name: _resampled_trainings(values, seed)
        for name, values in zip(metrics, joined, strict=True)
    }


def _resampled_trainings(values: Floats, seed: int) -> Floats:
    """Values (S, B) of S trainings to the means (B,) of S - 1 that are drawn with replacement, the
    same ones for all metrics of S trainings; values (B,) as they are.
    """
    if values.ndim == 1:
        return values
    trainings, count = values.shape
    drawn = max(trainings - 1, 1)
    rng = np.random.default_rng([seed, crc32(b"trainings")])
    times = rng.multinomial(drawn, np.full(trainings, 1 / trainings), size=count).T
    return (times * values).sum(0) / drawn


@dataclass(frozen=True)
class Resampled:
    """A metric on the images, and on every resample of their patients."""

    value: float
    draws: Floats
    """(n_resamples,); NaN where a resample does not determine the metric."""
    units: tuple[int, ...]
    """Patients of each set of images that the metric rests on, such as each class."""
    missing: str = SINGLE_CLASS
    """The reason where there is no value."""

    @property
    def freedom(self) -> int:
        """Degrees of freedom."""
        return sum(self.units) - len(self.units)


def resampled(
    metrics: Mapping[Name, WeightedStatistic],
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[Name, Resampled]:
    """Compute metrics of the same n images on the images and on resamples of their patients.

    One set of resamples serves all metrics, so differences between them are paired.
    """
    groups = np.asarray(groups).astype(str)
    drawn = draws(metrics, groups, n_resamples, seed)
    return {
        name: Resampled(
            metric.value,
            drawn[name],
            tuple(len(np.unique(groups[mask])) for mask in metric.carriers),
            metric.missing,
        )
        for name, metric in metrics.items()
    }


def estimates(
    metrics: Mapping[Name, WeightedStatistic],
    groups: Groups,
    n_resamples: int = 1000,
    seed: int = 0,
) -> dict[Name, Estimate]:
    """Compute each metric of the same n images with its 95 % interval. One seed gives the same
    resamples to all methods on the same patients.
    """
    found = {name: Estimate(None, reason=metric.missing) for name, metric in metrics.items()}
    known = {name: one for name, one in metrics.items() if all(map(np.any, one.carriers))}
    drawn = resampled(known, groups, n_resamples, seed) if known else {}
    return found | {name: estimate(known[name], one) for name, one in drawn.items()}


def interval(
    metric: WeightedStatistic, groups: Groups, n_resamples: int = 1000, seed: int = 0
) -> Estimate:
    """One metric with its 95 % interval."""
    return estimates({"metric": metric}, groups, n_resamples, seed)["metric"]


def estimate(metric: WeightedStatistic, found: Resampled) -> Estimate:
    """Compute a metric with its 95 % interval, t times the standard error, from its resamples."""
    from scipy.special import stdtrit

    value, smallest = found.value, min(found.units)
    if not np.isfinite(value):
        return Estimate(None, reason=metric.missing)
    valid = found.draws[np.isfinite(found.draws)]
    if smallest < 2 or len(valid) < MIN_VALID_SHARE * len(found.draws):
        return Estimate(metric.per * value, reason=TOO_FEW_GROUPS)
    widened = valid.std(ddof=1) * np.sqrt(smallest / (smallest - 1))
    margin = float(stdtrit(found.freedom, 1 - TAIL) * widened)
    if not metric.share:
        return Estimate(value, value - margin, value + margin)
    value, low, high = (metric.per * one for one in _share(value, margin, smallest, metric))
    return Estimate(value, low, high)


def _share(
    value: float, margin: float, units: int, metric: WeightedStatistic
) -> tuple[float, float, float]:
    if not -ROUNDING <= value <= 1 + ROUNDING:
        raise ValueError(
            f"A share is {value}: a metric that can leave 0 to 1 is "
            "WeightedStatistic(..., share=False)."
        )
    exact = float(TAIL ** (1 / units))
    if value >= 1 - ROUNDING:
        return 1.0, metric.limit(exact), 1.0
    if value <= ROUNDING:
        return 0.0, 0.0, metric.limit(1 - exact)
    middle, margin = np.log(value / (1 - value)), margin / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-bound))) for bound in (middle - margin, middle + margin))
    return value, min(low, value), max(high, value)
