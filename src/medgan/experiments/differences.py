"""Differences of rows on the same test images, with one correction for all of a dataset."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medgan.evaluation.baselines import BASELINES, FAMILY, verdict
from medgan.evaluation.results import ClassifierResult, DetectorResult
from medgan.experiments.document import Comparison
from medgan.experiments.plan import Experiment
from medgan.experiments.records import ImageScores, Record, Records
from medgan.pipelines.arms import compared_with
from medgan.stats.bootstrap import Estimate, Floats
from medgan.stats.classification import effect_size
from medgan.stats.differences import auroc_difference, holm, mean_auroc
from medgan.stats.trainings import difference_of_trainings

ARM_FAMILY = "arms"
OF_SYNTHETIC = "classifier_training.synthetic_"
"""Prefix of parameters that change nothing without synthetic images."""
APART = "not compared: the seeds were tested on different images"
N_RESAMPLES = 1000


class Stacked(NamedTuple):
    """The test images of a row, and their scores in S trainings."""

    images: ImageScores
    scores: Floats
    """(S, n)."""


def differences(
    detectors: Mapping[str, DetectorResult],
    arms: Mapping[str, ClassifierResult],
    records: Records,
    experiment: Experiment,
) -> tuple[Comparison, ...]:
    """Compare rows on the same test images, averaged over seeds; Holm over all comparisons.

    Each detector is compared with the best baseline that sees no more than it does, chosen on
    validation, and an ensemble with that of a baseline; arms with those of `real` and `classical`
    that have the same settings.
    Detectors that failed on validation are not compared.
    """
    pairs = [*_detector_pairs(detectors, records, experiment), *_arm_pairs(arms, experiment)]
    tests = [_compared(*pair, records) for pair in pairs]
    adjusted = holm({number: one.p_value for number, one in enumerate(tests)})
    return tuple(_corrected(one, adjusted.get(number)) for number, one in enumerate(tests))


def best_baseline(
    rows: Mapping[str, DetectorResult], sees_mix: bool, experiment: Experiment, name: str = ""
) -> str | None:
    """Return the best baseline that sees no more, chosen on validation; None where none was run.

    Where `name` is an ensemble, ensembles of one baseline count too.
    """
    known = [model for model in BASELINES[sees_mix] if model in rows]
    if name in experiment.ensembles:
        single = ((one, set(members)) for one, members in experiment.ensembles.items())
        known += [one for one, members in single if one in rows and members & {*known} == members]
    areas = {one: rows[one].validation_auroc for one in known}
    values = {one: area.value if area else None for one, area in areas.items()}
    return max(known, key=lambda one: values[one] or 0.0, default=None)


def _detector_pairs(
    rows: Mapping[str, DetectorResult], records: Records, experiment: Experiment
) -> Iterator[tuple[str, str, str]]:
    """Yield detector, baseline and family. Rows over folds, which have no record of their own, are
    not compared; nor are those whose mix differs from the baseline's, and those that failed.
    """
    for name, row in rows.items():
        baseline = best_baseline(rows, row.sees_mix, experiment, name)
        if name in records and not row.failed and baseline not in (None, name):
            yield name, str(baseline), FAMILY[row.sees_mix]


def _arm_pairs(
    arms: Mapping[str, ClassifierResult], experiment: Experiment
) -> Iterator[tuple[str, str, str]]:
    """Yield pairs of arms with the same settings, such as the same share of real images; those of
    the synthetic images do not count.
    """
    rows = {(experiment.model_of(name), experiment.settings_of(name)): name for name in arms}
    for (model, settings), name in rows.items():
        shared = frozenset(one for one in settings if not one[0].startswith(OF_SYNTHETIC))
        for other in compared_with(model):
            if (other, shared) in rows:
                yield name, rows[other, shared], ARM_FAMILY


def _compared(first: str, second: str, family: str, records: Records) -> Comparison:
    """Compare two rows on the seeds that both have."""
    pair = (records[first], records[second])
    shared = set.intersection(*({record.seed for record in found} for found in pair))
    here = [[record for record in found if record.seed in shared] for found in pair]
    one, other = map(stacked, here)
    results = (record.evaluation for record in here[0])
    seeds = tuple(sorted({seed for result in results if result for seed in result.seeds}))
    if one is None or other is None or one.images.units != other.images.units:
        apart = Estimate(None, reason=APART)
        return Comparison(first, second, family, seeds, None, apart, None, APART)
    images = one.images
    compare = difference_of_trainings if family == ARM_FAMILY else auroc_difference
    found = compare(images.labels, one.scores, other.scores, images.groups, N_RESAMPLES)
    size, gap = len(images.labels), found.estimate
    effect = _effect(images.labels, one.scores, other.scores) if family == ARM_FAMILY else None
    tested = first, second, family, seeds, found.p_value, gap
    return Comparison(*tested, None, gap.reason, size, effect)


def _effect(labels: NDArray[np.int64], first: Floats, second: Floats) -> float:
    """Compute the effect size of two rows (S, n), from their mean AUROCs."""
    one, other = (mean_auroc(labels, scores).value for scores in (first, second))
    positives = int(labels.sum())
    return effect_size(one, other, positives, len(labels) - positives)


def _corrected(test: Comparison, p_holm: float | None) -> Comparison:
    gap = test.difference
    if p_holm is None:
        return replace(test, verdict=gap.reason or "no interval")
    return replace(test, p_holm=p_holm, verdict=verdict(gap, test.second, p_holm))


def stacked(records: Sequence[Record]) -> Stacked | None:
    """Stack the test scores of several trainings; None where they were tested on different
    images.
    """
    scores = [record.test_scores for record in records if record.test_scores is not None]
    if not scores or len({one.units for one in scores}) > 1:
        return None
    return Stacked(scores[0], np.stack([one.scores for one in scores]))
