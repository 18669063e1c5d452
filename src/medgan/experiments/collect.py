"""Combine the records of a dataset into one document, docs/results/<dataset>.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medgan.audits.results import AgainstShortcut, Scopes
from medgan.audits.shortcuts import SCOPES, is_no_better, short, within_scope
from medgan.errors import UserError
from medgan.evaluation.details import CategoriesResult, LocalisationResult
from medgan.evaluation.metrics import DETECTOR
from medgan.evaluation.results import ClassifierResult, DetectorResult, Measured, SynthesisResult
from medgan.experiments.differences import N_RESAMPLES, Stacked, differences, stacked
from medgan.experiments.document import Collected, Origin, PooledDetector, Trained, Tried
from medgan.experiments.ensembles import ensembles
from medgan.experiments.plan import FOLD, MIX, PREPARING, SHORTCUTS, Experiment
from medgan.experiments.records import Components, ImageScores, Record, Records, read_records
from medgan.files.documents import from_json, to_json
from medgan.pipelines.arms import ARMS
from medgan.stats.bootstrap import Estimate, estimates, interval, mean_over_trainings
from medgan.stats.classification import area_of
from medgan.stats.differences import auroc_difference
from medgan.stats.pooling import fold_average, over_seeds
from medgan.stats.trainings import mean_of_trainings

T = TypeVar("T")


def collect(root: Path, dataset: str, experiment: Experiment, contamination: float) -> Collected:
    """Combine the records of a dataset; `contamination` is the anomalous share of the unlabelled
    mix of rows that do not set another one.

    Raises:
        UserError: a record is damaged, or the seeds of a row were trained with different settings.
    """
    records = read_records(root, dataset)
    for name, found in records.items():
        _require_alike(dataset, name, found)
    rows = {name: found for name, found in records.items() if name not in experiment.tried}
    averaged = _averaged(rows, ClassifierResult, lambda one: one.evaluation)
    judged = {name: _of_arm(row, rows[name]) for name, row in averaged.items()}
    arms = {**{name: judged[name] for name in ARMS if name in judged}, **judged}
    alike = {
        name: found
        for name, found in rows.items()
        if name in arms or _has_own_images(found[0], experiment)
    }
    joined = ensembles(experiment.ensembles, alike)
    detectors = {**_detectors(rows), **_detectors(joined)}
    return Collected(
        dataset=dataset,
        provenance=_origin([record for found in rows.values() for record in found]),
        detectors=detectors,
        classifiers=arms,
        quality=_averaged(rows, SynthesisResult, lambda one: one.quality),
        experiment=experiment,
        missing=tuple(_missing(experiment, records)),
        differences=differences(detectors, arms, {**alike, **joined}, experiment),
        contamination=_contamination(detectors, experiment, contamination),
        # A chosen score has the components of the row that keeps its own, and another sum each.
        components=_averaged(
            rows, Components, lambda one: None if one.training.score else one.components
        ),
        categories=_averaged(rows, CategoriesResult, lambda one: one.categories),
        localisation=_averaged(rows, LocalisationResult, _located),
        shortcuts=shortcuts(detectors, {**alike, **joined}),
        trained={name: Trained.of(found) for name, found in rows.items()},
        tried={name: Tried.of(found) for name, found in records.items() if name not in rows},
    )


def _require_alike(dataset: str, name: str, found: Sequence[Record]) -> None:
    settings = [(record.training.configuration, record.training.budget) for record in found]
    if any(other != settings[0] for other in settings):
        seeds = ", ".join(str(record.seed) for record in found)
        raise UserError(
            f"{dataset}: the records of {name} (seeds {seeds}) were trained with different "
            "settings: delete those whose settings no longer hold, then `make reproduce` makes "
            "them again."
        )


def _has_own_images(record: Record, experiment: Experiment) -> bool:
    """Whether a row has the images and splits of the experiment."""
    own = set(record.parameters) - set(experiment.parameters)
    return not any(key.startswith(PREPARING) for key in own)


def _averaged(rows: Records, kind: type[T], part: Callable[[Record], Any]) -> dict[str, T]:
    """Average a part of the records over seeds; leave out rows where a seed has none."""
    parts = {name: [part(record) for record in found] for name, found in rows.items()}
    return {
        name: _mean(kind, found)
        for name, found in parts.items()
        if all(isinstance(one, kind) for one in found)
    }


def _mean(kind: type[T], results: Sequence[Any]) -> T:
    return from_json(kind, over_seeds([to_json(one) for one in results]))


def _located(record: Record) -> LocalisationResult | None:
    """Return what masks or a box say of the maps; None without either."""
    found = record.localisation
    return found if found is not None and (found.n_marked or found.region) else None


def _detectors(rows: Records) -> dict[str, PooledDetector]:
    whole = {name: found for name, found in rows.items() if FOLD not in found[0].parameters}
    averaged = _averaged(whole, DetectorResult, lambda one: one.evaluation)
    pooled = {name: _over_trainings(row, rows[name]) for name, row in averaged.items()}
    folds: dict[str, list[Record]] = {}
    for record in (one for name in rows if name not in whole for one in rows[name]):
        folds.setdefault(record.model, []).append(record)
    return pooled | {model: _over_folds(found) for model, found in folds.items()}


def _over_trainings(row: DetectorResult, records: Sequence[Record]) -> PooledDetector:
    """Give the metrics of a row intervals over patients and trainings, where its trainings were
    tested on the same images; so too those of validation.
    """
    metrics = {**row.metrics, **_crossed(row, [record.test_scores for record in records])}
    pooled = PooledDetector(**{**vars(row), "metrics": metrics})
    if row.validation is None:
        return pooled
    found = _crossed(row.validation, [record.validation_scores for record in records])
    validation = replace(row.validation, metrics={**row.validation.metrics, **found})
    return replace(pooled, validation=validation, validation_auroc=validation.auroc)


def _of_arm(row: ClassifierResult, records: Sequence[Record]) -> ClassifierResult:
    """Give the AUROC of an arm an interval over patients and trainings, where its trainings were
    tested on the same images.
    """
    test = stacked(records)
    if test is None or len(test.scores) < 2:
        return row
    images = test.images
    area = mean_of_trainings(images.labels, test.scores, images.groups, N_RESAMPLES)
    found = replace(area, per_seed=row.auroc.per_seed)
    return replace(row, metrics={**row.metrics, "auroc": found})


def _crossed(row: Measured, scores: Sequence[ImageScores | None]) -> dict[str, Estimate]:
    """Average the metrics of a row over trainings; nothing for one training, or other images."""
    each = [one for one in scores if one is not None]
    if len(scores) < 2 or len(each) < len(scores) or len({one.units for one in each}) > 1:
        return {}
    means = {
        metric.key: mean_over_trainings([metric.statistic(one.predictions) for one in each])
        for metric in DETECTOR
    }
    found = estimates(means, each[0].groups, N_RESAMPLES)
    return {key: replace(one, per_seed=row.metric(key).per_seed) for key, one in found.items()}


def _over_folds(records: Sequence[Record]) -> PooledDetector:
    """Average the AUROC of each fold, with an interval over subjects; the other metrics are means.

    `n_images` counts an image once for each repeat of the folds, `n_patients` a subject once.
    """
    ordered = sorted(records, key=lambda one: (one.seed, one.parameters[FOLD]))
    frames = [one.test_scores.frame() for one in ordered if one.test_scores is not None]
    found = fold_average(frames, N_RESAMPLES)
    rows = [one.evaluation for one in ordered if isinstance(one.evaluation, DetectorResult)]
    seeds = tuple(sorted({one.seed for one in ordered}))
    averaged = _mean(PooledDetector, rows)
    return replace(
        averaged,
        n_images=sum(row.n_images for row in rows),
        n_anomalous=sum(row.n_anomalous or 0 for row in rows),
        n_patients=found.n_subjects if found.interval_unit == "patient" else None,
        metrics={**averaged.metrics, "auroc": found.auroc},
        folds=found,
        seeds=seeds,
        n_seeds=len(seeds),
    )


def _origin(records: Sequence[Record]) -> Origin:
    every = [record.provenance for record in records]
    return Origin(
        records=len(every),
        time=max((one.time for one in every), default=None),
        hardware=_distinct(one.hardware for one in every),
        git=_distinct(one.git for one in every),
        lock_hash=_distinct(one.lock_hash for one in every),
        versions=_distinct(one.versions for one in every),
    )


def _distinct(values: Iterable[T]) -> tuple[T, ...]:
    found: list[T] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)


def _missing(experiment: Experiment, records: Records) -> Iterator[str]:
    there = {(record.name, record.seed) for found in records.values() for record in found}
    for seed in experiment.all_seeds():
        named = (name for name in experiment.names(seed) if (name, seed) not in there)
        yield from (f"{name}-{seed}" for name in named)


def _contamination(
    rows: Mapping[str, DetectorResult], experiment: Experiment, share: float
) -> dict[str, tuple[tuple[float, Estimate], ...]]:
    """Return the curves of models with more than one anomalous share."""
    curves: dict[str, list[tuple[float, Estimate]]] = {}
    for name, row in rows.items():
        variant = experiment.variants.get(name)
        if variant is None:
            curves.setdefault(name, []).append((share, row.auroc))
        elif MIX in variant.parameters:
            own = float(variant.parameters[MIX])
            curves.setdefault(variant.model, []).append((own, row.auroc))
    several = {name: points for name, points in curves.items() if len(points) > 1}
    return {name: tuple(sorted(of, key=itemgetter(0))) for name, of in several.items()}


def shortcuts(rows: Mapping[str, DetectorResult], records: Records) -> dict[str, Scopes]:
    """Compare each detector with the best shortcut of its kind, on the same test images.

    The best is picked on the test images, which can only make the detector look worse. Detectors
    that were tested on other images are left out.
    """
    alone = records[SHORTCUTS][0].shortcuts if SHORTCUTS in records else None
    found: dict[str, Scopes] = {}
    for name, row in rows.items():
        test = stacked(records.get(name, ()))
        if alone is not None and test is not None:
            kind = "mix" if row.sees_mix else "one_class"
            scores = alone.arrays(test.images.units)
            named = {key: value for key, value in scores.items() if key.startswith(f"{kind}/")}
            among = {scope: within_scope(scope, named) for scope in SCOPES}
            best = {scope: _against_best(test, of) for scope, of in among.items() if of}
            if best:
                found[name] = Scopes(**best)
    return found


def _against_best(test: Stacked, alone: Mapping[str, NDArray[np.float64]]) -> AgainstShortcut:
    images = test.images
    areas = {name: area_of(images.labels, scores) for name, scores in alone.items()}
    best = max(areas, key=lambda name: areas[name].value)
    gain = auroc_difference(images.labels, test.scores, alone[best], images.groups, N_RESAMPLES)
    return AgainstShortcut(
        shortcut=short(best),
        auroc=interval(areas[best], images.groups, N_RESAMPLES),
        difference=gain,
        no_better=is_no_better(gain),
    )
