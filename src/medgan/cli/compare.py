"""The command `medgan compare`: two runs side by side, with the intervals of the differences."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medgan.cli.errors import UserCommand
from medgan.cli.options import chosen, dataset_options
from medgan.cli.results import terminal_width
from medgan.errors import UserError
from medgan.nested import texts

if TYPE_CHECKING:
    import pandas as pd

    from medgan.evaluation.compare_runs import ComparedDetector, RunComparison, RunMetrics
    from medgan.project.environment import Environment
    from medgan.report.tables import Table
    from medgan.stats.bootstrap import Estimate
    from medgan.stats.differences import Difference
    from medgan.tracking.reading import RunArchive, TrackedRun

SCORES = "test_scores.parquet"
LOGGED = f"reports/{SCORES}"
PROVENANCE = ("data_hash", "scale", "git", "lock_hash")
TAGS = ("data_hash", "git", "lock_hash", "env")
LISTED = 10
SETTINGS_SHOWN = 12
EQUAL = 1e-6
"""Largest difference between the AUROC of a table and that of the results of the same run."""


@click.command(cls=UserCommand)
@click.argument("runs", nargs=-1)
@dataset_options
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON.")
def compare(runs: tuple[str, ...], env: str | None, params: str, as_json: bool) -> None:
    """Print two runs side by side, with the intervals of the differences.

    A run is an MLflow run - the first letters of its id, its start (2026-05-01 or 2026-05-01T12:30,
    UTC), its name, latest, previous - or the path of a results.json. Without any, the newest runs
    are listed.
    """
    if runs and len(runs) != 2:
        raise click.UsageError("Give two runs, or none for a list of them.")
    environment = chosen(env, params)
    if not runs:
        newest = _archive(environment).runs()[:LISTED]
        click.echo(json.dumps([_described(run) for run in newest]) if as_json else listing(newest))
        return
    found = comparison(runs[0], runs[1], environment)
    if as_json:
        from medgan.files.documents import to_json

        click.echo(json.dumps(to_json(found), indent=1, allow_nan=False))
    else:
        click.echo(render(found, terminal_width()))


def comparison(first: str, second: str, environment: Environment) -> RunComparison:
    """Compare two runs, each an MLflow run or the path of a results.json.

    Raises:
        UserError: one of them is not there, or they share no detector.
    """
    from medgan.evaluation.compare_runs import compare_runs

    found = compare_runs(_opened(first, environment), _opened(second, environment))
    if not found.detectors:
        raise UserError(
            "The two runs share no detector: compare runs of "
            "`kedro run --pipeline anomaly_evaluation`."
        )
    return found


def _described(run: TrackedRun) -> dict[str, str]:
    started = run.started.isoformat(timespec="seconds")
    return {"id": run.run_id, "started": started, "status": run.status, "name": run.name}


def listing(runs: Sequence[TrackedRun]) -> str:
    """The newest runs, as a table of what `medgan compare` takes."""
    lines = [
        f"{run.run_id[:8]}  {run.started:%Y-%m-%d %H:%M} UTC  {run.status:<8}  {run.name}"
        for run in runs
    ]
    how = "medgan compare A B   takes ids, starts, names, latest, previous, or results.json files."
    return "\n".join(["Runs, newest first:", *lines, "", how])


def _archive(environment: Environment) -> RunArchive:
    from medgan.tracking.reading import RunArchive

    store = environment.tracking()
    return RunArchive.open(store["uri"], store["experiment"], environment.conf.parent)


def _opened(words: str, environment: Environment) -> RunMetrics:
    path = Path(words).expanduser()
    if path.suffix == ".json" or path.is_file():
        return from_results(path)
    archive = _archive(environment)
    return from_mlflow(archive, archive.find(words))


def from_mlflow(archive: RunArchive, run: TrackedRun) -> RunMetrics:
    """A run of `kedro run`: figures, settings and scores of its child runs.

    Raises:
        UserError: it evaluated no detector.
    """
    from medgan.evaluation.compare_runs import RunMetrics

    children = archive.children(run)
    detectors = {
        name: child
        for name, child in children.items()
        if {"auroc", "threshold"} <= child.metrics.keys()
    }
    if not detectors:
        raise UserError(
            f"The run {run.title} evaluated no detector: compare runs of "
            "`kedro run --pipeline anomaly_evaluation`."
        )
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
    from medgan.datasets.documents import read_document
    from medgan.evaluation.compare_runs import RunMetrics

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
    from medgan.evaluation.metrics import DETECTOR
    from medgan.files.documents import from_json
    from medgan.stats.bootstrap import Estimate

    known = {metric.key: logged[metric.key] for metric in DETECTOR if metric.key in logged}
    return from_json(dict[str, Estimate], known)


def _table(data: bytes | None) -> pd.DataFrame | None:
    import pandas as pd

    from medgan.evaluation.compare_runs import COLUMNS

    table = None if data is None else pd.read_parquet(io.BytesIO(data))
    return table if table is not None and set(COLUMNS) <= set(table.columns) else None


def _known(tables: Mapping[str, pd.DataFrame | None]) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in tables.items() if table is not None}


def _gives(table: pd.DataFrame, value: float | None) -> bool:
    """Whether a table has this AUROC, that is, belongs to the same run."""
    import numpy as np

    from medgan.stats.classification import auroc

    found = auroc(table["label"].to_numpy(), table["score"].to_numpy(), np.ones((1, len(table))))[0]
    return value is not None and bool(abs(found - value) <= EQUAL)


def render(comparison: RunComparison, width: int = 100) -> str:
    """Render the comparison as text of at most `width` columns."""
    from medgan.report.tables import print_text

    runs = f"A  {comparison.a}\nB  {comparison.b}\n"
    table = _metric_table(comparison.detectors)
    return print_text([runs, table, *_notes(comparison)], width)


def _metric_table(detectors: Mapping[str, ComparedDetector]) -> Table:
    from medgan.evaluation.metrics import DETECTOR
    from medgan.report.tables import VALUE, Column, Rows, Table

    rows: Rows = []
    for name, found in detectors.items():
        for place, metric in enumerate(DETECTOR):
            compared = found.figures[metric.key]
            change = _change(compared.difference, metric.digits)
            rows.append(["" if place else name, metric.name, compared.a, compared.b, change])
    values = [Column("A", VALUE), Column("B", VALUE), Column("B - A [95 % interval]")]
    return Table([Column("detector"), Column("metric", text=True), *values], rows)


def _change(difference: Difference, digits: int) -> str:
    from medgan.report.text import with_interval

    low, high = difference.low, difference.high
    marked = low is not None and high is not None and (low > 0 or high < 0)
    return f"{with_interval(difference, digits)} {'*' if marked else ' '}"


def _notes(comparison: RunComparison) -> Iterator[str]:
    found = comparison.detectors
    for how in dict.fromkeys(detector.how for detector in found.values()):
        names = [name for name, detector in found.items() if detector.how == how]
        yield f"{'All' if len(names) == len(found) else ', '.join(names)}: {how}."
    intervals = sum(len(detector.figures) for detector in found.values())
    yield (
        f"* the interval leaves out 0. The {intervals} intervals are not corrected for their "
        "number: some leave out 0 by chance."
    )
    for alone, run in ((comparison.only_a, "A"), (comparison.only_b, "B")):
        if alone:
            yield f"Only in {run}: {', '.join(alone)}."
    changed = list(comparison.settings.items())
    if changed:
        yield "What differs between the runs (A, B):"
    for name, (first, second) in changed[:SETTINGS_SHOWN]:
        yield f"  {name}: {first or '-'}, {second or '-'}"
    if len(changed) > SETTINGS_SHOWN:
        yield f"  and {len(changed) - SETTINGS_SHOWN} more settings; --json has them."
