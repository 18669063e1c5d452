"""Ensembles of trainings: the mean of their scores, each scaled by its validation normals.

An ensemble is made of records, so it costs what its trainings cost, and it is evaluated like any
detector: its threshold is frozen on validation, then the test images are judged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from medgan.contracts import NORMAL
from medgan.evaluation.detector import evaluate, freeze
from medgan.evaluation.protocol import Protocol
from medgan.evaluation.results import DetectorResult
from medgan.experiments.records import ImageScores, Record, Records

ANOMALOUS = "anomalous"


def ensembles(declared: Mapping[str, Sequence[str]], records: Records) -> Records:
    """Make the records of the ensembles (name -> the rows whose trainings it takes) of two
    trainings or more, all of whose rows have scores on the same images.
    """
    found = {}
    for name, rows in declared.items():
        members = [record for row in rows for record in records.get(row, ())]
        images = {_images(record) for record in members}
        whole = len(members) > 1 and all(row in records for row in rows)
        if whole and len(images) == 1 and None not in images:
            found[name] = (_ensemble(name, members),)
    return found


def _images(record: Record) -> tuple[str, str] | None:
    """Identify the images that were scored; None where the scores were not recorded."""
    validation, test = record.validation_scores, record.test_scores
    return None if validation is None or test is None else (validation.units, test.units)


def _ensemble(name: str, members: Sequence[Record]) -> Record:
    first, seeds = members[0], tuple(sorted({one.seed for one in members}))
    rows = [one.evaluation for one in members if isinstance(one.evaluation, DetectorResult)]
    validation, test = _combined(members)
    sees_mix = any(row.sees_mix for row in rows)
    points = freeze(validation, Protocol())
    found = evaluate(test, points, sees_mix)
    row = replace(found, seeds=seeds, n_seeds=len(seeds), per_category={})
    return replace(
        first,
        name=name,
        seed=seeds[0],
        evaluation=row,
        test_scores=_recorded(test, row, first.test_scores),
        validation_scores=_recorded(validation, row, first.validation_scores),
        components=None,
        categories=None,
        quality=None,
    )


def _combined(members: Sequence[Record]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average the scaled scores of the validation and of the test images."""
    pairs = [
        (one.validation_scores, one.test_scores)
        for one in members
        if one.validation_scores is not None and one.test_scores is not None
    ]
    validation = np.mean([_scaled(here, here) for here, _ in pairs], axis=0)
    test = np.mean([_scaled(there, here) for here, there in pairs], axis=0)
    return _table(pairs[0][0], validation), _table(pairs[0][1], test)


def _scaled(images: ImageScores, validation: ImageScores) -> NDArray[np.float64]:
    """Scale scores (n,) so that the validation normals have mean 0 and standard deviation 1."""
    normals = validation.scores[validation.labels == 0]
    return (images.scores - normals.mean()) / max(normals.std(), 1e-12)


def _table(images: ImageScores, scores: NDArray[np.float64]) -> pd.DataFrame:
    category = np.where(images.labels == 1, ANOMALOUS, NORMAL)
    names = np.arange(len(scores)).astype(str)
    return images.frame().assign(score=scores, category=category, image_id=names)


def _recorded(
    table: pd.DataFrame, row: DetectorResult, images: ImageScores | None
) -> ImageScores | None:
    called = row.threshold.decide(table["score"].to_numpy())
    return images and images.with_scores(table["score"].to_numpy(), called)
