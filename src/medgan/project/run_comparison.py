"""Two runs of a project, from MLflow or from results.json files, side by side."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medgan.datasets.documents import read_document
from medgan.errors import UserError
from medgan.evaluation.compare_runs import COLUMNS, RunComparison, RunMetrics, compare_runs
from medgan.evaluation.metrics import DETECTOR
from medgan.files.documents import from_json
from medgan.nested import texts
from medgan.project.environment import Environment
from medgan.stats.bootstrap import Estimate
from medgan.stats.classification import auroc
from medgan.tracking.reading import RunArchive, TrackedRun

SCORES = "test_scores.parquet"
LOGGED = f"reports/{SCORES}"
PROVENANCE = ("data_hash", "scale", "git", "lock_hash")
TAGS = ("data_hash", "git", "lock_hash", "env")
EQUAL = 1e-6
"""Largest difference between the AUROC of a table and that of the results of the same run."""


def comparison(first: str, second: str, environment: Environment) -> RunComparison:
    """Compare two runs, each an MLflow run or the path of a results.json.

    Raises:
        UserError: one of them is not there or evaluated no detector, or they share none.
    """
    a, b = (_opened(words, environment) for words in (first, second))
    for run in (a, b):
        if not run.metrics:
            raise UserError(
                f"The run {run.name} evaluated no detector: compare runs of "
                "`kedro run --pipeline anomaly_evaluation`."
            )
    found = compare_runs(a, b)
    if not found.detectors:
        of_each = " and ".join(", ".join(sorted(run.metrics)) for run in (a, b))
        raise UserError(
            f"The two runs share no detector (they evaluated {of_each}): compare runs of the same."
        )
    return found


def archive_of(environment: Environment) -> RunArchive:
    """Open the MLflow runs of a data set. Raises `UserError` where there is no store."""
    store = environment.tracking()
    return RunArchive.open(store["uri"], store["experiment"], environment.conf.parent)


def _opened(words: str, environment: Environment) -> RunMetrics:
    path = Path(words).expanduser()
    if path.suffix == ".json" or path.is_file():
        return from_results(path)
    archive = archive_of(environment)
    return from_mlflow(archive, archive.find(words))


def from_mlflow(archive: RunArchive, run: TrackedRun) -> RunMetrics:
    """A run of `kedro run`: figures, settings and scores of its child runs."""
    children = archive.children(run)
    detectors = {
        name: child
        for name, child in children.items()
        if {"auroc", "threshold"} <= child.metrics.keys()
    }
    tables = {name: _table(archive.artifact(child, LOGGED)) for name, child in detectors.items()}
    settings = {**run.settings, **{name: run.tags[name] for name in TAGS if name in run.tags}}
    for name, child in children.items():
        settings |= {f"{name}.{key}": value for key, value in child.settings.items()}
    return RunMetrics(
        run.title,
        {name: _metrics(child.metrics) for name, child in detectors.items()},
        _known(tables),
        settings,
    )


def from_results(path: Path) -> RunMetrics:
    """A results.json, with the tables of scores beside it where they are of the same run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    results = read_document(path)
    if results is None:
        raise UserError(
            f"There is no results file {path}: give an MLflow run, or the path of a results.json."
        )
    provenance = results.provenance
    known = {name: provenance[name] for name in PROVENANCE if name in provenance}
    settings = texts({"dataset": results.dataset, **known})
    beside = {name: path.parent / name / SCORES for name in results.detectors}
    tables = _known(
        {name: _table(file.read_bytes()) for name, file in beside.items() if file.exists()}
    )
    fitting = {
        name: table
        for name, table in tables.items()
        if _gives(table, results.detectors[name].auroc.value)
    }
    metrics = {name: row.metrics for name, row in results.detectors.items()}
    return RunMetrics(f"{path} ({provenance.get('time', 'no date')})", metrics, fitting, settings)


def _metrics(logged: Mapping[str, Any]) -> dict[str, Estimate]:
    """The metrics of a detector among all that a run has logged."""
    known = {metric.key: logged[metric.key] for metric in DETECTOR if metric.key in logged}
    return from_json(dict[str, Estimate], known)


def _table(data: bytes | None) -> pd.DataFrame | None:
    table = None if data is None else pd.read_parquet(io.BytesIO(data))
    return table if table is not None and set(COLUMNS) <= set(table.columns) else None


def _known(tables: Mapping[str, pd.DataFrame | None]) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in tables.items() if table is not None}


def _gives(table: pd.DataFrame, value: float | None) -> bool:
    """Whether a table has this AUROC, that is, belongs to the same run."""
    found = auroc(table["label"].to_numpy(), table["score"].to_numpy(), np.ones((1, len(table))))[0]
    return value is not None and bool(abs(found - value) <= EQUAL)
