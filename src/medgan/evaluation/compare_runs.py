"""Compare two runs: every metric of every detector in both, and the difference with its interval.

Where both runs scored the same images of the same patients, the difference is paired. Where the
images differ, the patients of each run are resampled by themselves. Where the scores of a run are
not at hand, its stored intervals are combined as those of independent estimates (MOVER, Donner &
Zou 2012):

    d = b - a,   low = d - sqrt((b - low_b)^2 + (high_a - a)^2),   high = d + sqrt((high_b - b)^2 +
    (a - low_a)^2)
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from medgan.evaluation.metrics import DETECTOR
from medgan.evaluation.score_table import patients_in
from medgan.stats.bootstrap import Estimate, Resampled, resampled
from medgan.stats.classification import Predictions
from medgan.stats.differences import Difference, difference

COLUMNS = ("unit", "group_id", "group_known", "label", "category", "score", "called")
PAIRED = "paired: the same images of the same patients, resampled alike for both"
PAIRED_IMAGES = (
    "paired: the same images, resampled alike for both; patients are unknown, so the intervals are "
    "likely too narrow"
)
UNPAIRED = (
    "not paired: the test images differ, so each run is resampled by itself, as if no patient were "
    "in both"
)
COMBINED = (
    "not paired: the scores of a run are not at hand, so the stored intervals are combined as if "
    "independent (MOVER)"
)
ABSENT = "not estimable: one of the runs does not have it"
NOT_THERE = Estimate(None, reason=ABSENT)


@dataclass(frozen=True)
class RunMetrics:
    """What a run says of its detectors."""

    name: str
    metrics: Mapping[str, Mapping[str, Estimate]]
    """Detector to its metrics."""
    scores: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """Detector to its test images, with COLUMNS; without those whose scores were not kept."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings of the run, flat."""


@dataclass(frozen=True)
class ComparedMetric:
    """A metric in both runs, and its value in the second minus that in the first."""

    a: Estimate
    b: Estimate
    difference: Difference


@dataclass(frozen=True)
class ComparedDetector:
    """A detector that both runs have."""

    how: str
    """How the runs are compared, such as PAIRED."""
    n_images: Sequence[int | None]
    """Of both runs; None where the scores are not at hand."""
    n_patients: Sequence[int | None]
    figures: Mapping[str, ComparedMetric]


@dataclass(frozen=True)
class RunComparison:
    """Two runs side by side: the form of `medgan compare --json`."""

    a: str
    b: str
    detectors: Mapping[str, ComparedDetector]
    only_a: Sequence[str]
    """Detectors of the first run alone."""
    only_b: Sequence[str]
    settings: Mapping[str, Sequence[str | None]]
    """Settings that differ, to the values of both runs."""
    n_resamples: int


def compare_runs(
    first: RunMetrics, second: RunMetrics, n_resamples: int = 1000, seed: int = 0
) -> RunComparison:
    """Compare every detector that both runs have; differences are second minus first."""
    shared = [name for name in first.metrics if name in second.metrics]
    return RunComparison(
        first.name,
        second.name,
        {name: _compared(name, first, second, n_resamples, seed) for name in shared},
        sorted(set(first.metrics) - set(second.metrics)),
        sorted(set(second.metrics) - set(first.metrics)),
        differing(first.settings, second.settings),
        n_resamples,
    )


def differing(first: Mapping[str, str], second: Mapping[str, str]) -> dict[str, list[str | None]]:
    """Settings whose values are not equal; None where a run does not have one."""
    return {
        name: [first.get(name), second.get(name)]
        for name in sorted({*first, *second})
        if first.get(name) != second.get(name)
    }


def _compared(
    name: str, first: RunMetrics, second: RunMetrics, n_resamples: int, seed: int
) -> ComparedDetector:
    a, b = (
        run.scores[name].sort_values("unit", ignore_index=True) if name in run.scores else None
        for run in (first, second)
    )
    of_a, of_b = (
        {metric.key: run.metrics[name].get(metric.key, NOT_THERE) for metric in DETECTOR}
        for run in (first, second)
    )
    if a is None or b is None:
        how, differences = COMBINED, {key: mover(of_a[key], of_b[key]) for key in of_a}
    else:
        how = _pairing(a, b)
        drawn = _resampled(a, n_resamples, seed)
        others = _resampled(b, n_resamples, seed + 1 if how == UNPAIRED else seed)
        differences = {key: difference(others[key], drawn[key]) for key in of_a}
    return ComparedDetector(
        how,
        [None if part is None else int(part["unit"].nunique()) for part in (a, b)],
        [None if part is None else patients_in(part) for part in (a, b)],
        {key: ComparedMetric(of_a[key], of_b[key], gap) for key, gap in differences.items()},
    )


def _pairing(a: pd.DataFrame, b: pd.DataFrame) -> str:
    facts = ["unit", "group_id", "label"]
    if not a[facts].astype(str).equals(b[facts].astype(str)):
        return UNPAIRED
    return PAIRED if bool(a["group_known"].all() and b["group_known"].all()) else PAIRED_IMAGES


def _resampled(part: pd.DataFrame, n_resamples: int, seed: int) -> dict[str, Resampled]:
    predictions = Predictions(*(part[name].to_numpy() for name in ("label", "score", "called")))
    statistics = {metric.key: metric.statistic(predictions) for metric in DETECTOR}
    return resampled(statistics, part["group_id"].to_numpy(), n_resamples, seed)


def mover(a: Estimate, b: Estimate) -> Difference:
    """The difference b - a of two independent estimates, from their own intervals."""
    if a.value is None or b.value is None:
        return Difference(None, reason=ABSENT)
    change = b.value - a.value
    if a.low is None or a.high is None or b.low is None or b.high is None:
        return Difference(change, reason="no interval: one of the runs has none")
    below = math.hypot(b.value - b.low, a.high - a.value)
    above = math.hypot(b.high - b.value, a.value - a.low)
    return Difference(change, change - below, change + above)
