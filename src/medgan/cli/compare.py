"""`medgan compare A B`: two runs side by side, with the intervals of the differences."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from medgan.datasets.documents import read_document
from medgan.errors import UserError
from medgan.evaluation.compare_runs import COLUMNS, RunFigures, compare_runs
from medgan.evaluation.results import DETECTOR_FIGURES, validate
from medgan.nested import texts
from medgan.report.text import FIGURE_NAMES, number, with_interval
from medgan.stats.classification import auroc
from medgan.tracking.reading import RunArchive, TrackedRun

SCORES = "test_scores.parquet"
LOGGED = f"reports/{SCORES}"
PROVENANCE = ("data_hash", "scale", "git", "lock_hash")
TAGS = ("data_hash", "git", "lock_hash", "env")
NAMES = {**FIGURE_NAMES, "f1": "F1"}
LISTED = 10
SETTINGS_SHOWN = 12
EQUAL = 1e-6
"""How far the AUROC of a table may lie from that of the results beside it, and still be theirs."""


def compare(first: str, second: str, root: Path, env: str | None) -> dict[str, Any]:
    """The comparison of two runs, each an MLflow run or the path of a results.json.

    Raises:
        UserError: one of them is not there, or they share no detector.
    """
    archive = _Archive(root, env)
    found = compare_runs(_opened(first, archive), _opened(second, archive))
    if not found["detectors"]:
        raise UserError(
            "The two runs share no detector: compare runs of `kedro run --pipeline anomaly_evaluation`."
        )
    return found


def listing(root: Path, env: str | None) -> str:
    """The newest runs, as a table of what `medgan compare` takes."""
    runs = _Archive(root, env).open().runs()[:LISTED]
    lines = [
        f"{run.run_id[:8]}  {run.started:%Y-%m-%d %H:%M} UTC  {run.status:<8}  {run.name}"
        for run in runs
    ]
    how = "medgan compare A B   takes ids, starts, names, latest, previous, or results.json files."
    return "\n".join(["Runs, newest first:", *lines, "", how])


class _Archive:
    """The MLflow store of a data set, opened when it is needed."""

    def __init__(self, root: Path, env: str | None) -> None:
        self._root, self._env = root, env

    def open(self) -> RunArchive:
        from kedro.config import OmegaConfigLoader
        from omegaconf.resolvers import oc

        loader = OmegaConfigLoader(
            str(self._root / "conf"),
            env=self._env,
            base_env="base",
            default_run_env="local",
            config_patterns={"tracking": ["tracking*", "tracking*/**"]},
            merge_strategy={"globals": "soft", "tracking": "soft"},
            custom_resolvers={"oc.env": oc.env},
        )
        config = loader["tracking"]
        uri = os.environ.get("MLFLOW_TRACKING_URI") or str(config["uri"])
        return RunArchive.open(uri, str(config["experiment"]), self._root)


def _opened(words: str, archive: _Archive) -> RunFigures:
    path = Path(words).expanduser()
    if path.suffix == ".json" or path.is_file():
        return from_results(path)
    opened = archive.open()
    return from_mlflow(opened, opened.find(words))


def from_mlflow(archive: RunArchive, run: TrackedRun) -> RunFigures:
    """A run of `kedro run`: figures, settings and scores of its child runs.

    Raises:
        UserError: it evaluated no detector.
    """
    children = archive.children(run)
    detectors = {
        name: child
        for name, child in children.items()
        if {"auroc", "threshold"} <= child.metrics.keys()
    }
    if not detectors:
        raise UserError(
            f"The run {run.title} evaluated no detector: compare runs of `kedro run --pipeline anomaly_evaluation`."
        )
    tables = {name: _table(archive.artifact(child, LOGGED)) for name, child in detectors.items()}
    settings = {**run.settings, **{name: run.tags[name] for name in TAGS if name in run.tags}}
    for name, child in children.items():
        settings |= {f"{name}.{key}": value for key, value in child.settings.items()}
    return RunFigures(
        run.title,
        {name: child.metrics for name, child in detectors.items()},
        _known(tables),
        settings,
    )


def from_results(path: Path) -> RunFigures:
    """A results.json, with the tables of scores beside it where they are of the same run.

    Raises:
        UserError: there is none, or it is damaged.
    """
    document = read_document(path)
    if document is None:
        raise UserError(
            f"There is no results file {path}: give an MLflow run, or the path of a results.json."
        )
    validate(document)
    rows, provenance = document["detectors"], document["provenance"]
    settings = texts(
        {
            "dataset": document["dataset"],
            **{name: provenance[name] for name in PROVENANCE if name in provenance},
        }
    )
    beside = {name: path.parent / name / SCORES for name in rows}
    tables = _known(
        {name: _table(file.read_bytes()) for name, file in beside.items() if file.exists()}
    )
    fitting = {
        name: table
        for name, table in tables.items()
        if _gives(table, rows[name]["auroc"].get("value"))
    }
    return RunFigures(f"{path} ({provenance.get('time', 'no date')})", rows, fitting, settings)


def _table(data: bytes | None) -> pd.DataFrame | None:
    table = None if data is None else pd.read_parquet(io.BytesIO(data))
    return table if table is not None and set(COLUMNS) <= set(table.columns) else None


def _known(tables: Mapping[str, pd.DataFrame | None]) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in tables.items() if table is not None}


def _gives(table: pd.DataFrame, value: float | None) -> bool:
    """Whether a table has this AUROC, that is, belongs to the same run."""
    found = auroc(table["label"].to_numpy(), table["score"].to_numpy(), np.ones((1, len(table))))[0]
    return value is not None and bool(abs(found - value) <= EQUAL)


def render(comparison: Mapping[str, Any], width: int = 100) -> str:
    """The comparison as text of at most `width` columns."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=False,
        color_system=None,
        legacy_windows=False,
    )
    for renderable in _renderables(comparison):
        console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _renderables(comparison: Mapping[str, Any]) -> Iterator[Any]:
    from rich import box
    from rich.table import Table

    yield f"A  {comparison['a']}\nB  {comparison['b']}\n"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("detector", "figure"):
        table.add_column(name, overflow="fold")
    for name in ("A", "B", "B - A [95 % interval]"):
        table.add_column(name, justify="right", no_wrap=True, min_width=5)
    for name, found in comparison["detectors"].items():
        for place, figure in enumerate(DETECTOR_FIGURES):
            cells = found["figures"][figure]
            change = _signed(cells["difference"])
            table.add_row(
                "" if place else name,
                NAMES.get(figure, figure),
                number(cells["a"]),
                number(cells["b"]),
                change,
            )
        table.add_section()
    yield table
    yield from _notes(comparison)


def _signed(figure: Mapping[str, Any]) -> str:
    text = with_interval(figure)
    marked = figure.get("low") is not None and (figure["low"] > 0 or figure["high"] < 0)
    return f"{text} *" if marked else f"{text}  "


def _notes(comparison: Mapping[str, Any]) -> Iterator[str]:
    found = comparison["detectors"]
    for how in dict.fromkeys(row["how"] for row in found.values()):
        names = [name for name, row in found.items() if row["how"] == how]
        yield f"{'All' if len(names) == len(found) else ', '.join(names)}: {how}."
    yield (
        f"* the interval leaves out 0. {len(found) * len(DETECTOR_FIGURES)} intervals stand here and none is corrected for that: "
        "some leave out 0 by chance."
    )
    for key, run in (("only_a", "A"), ("only_b", "B")):
        if comparison[key]:
            yield f"Only in {run}: {', '.join(comparison[key])}."
    changed = list(comparison["settings"].items())
    if changed:
        yield "What differs between the runs (A, B):"
        yield from (
            f"  {name}: {first or '-'}, {second or '-'}"
            for name, (first, second) in changed[:SETTINGS_SHOWN]
        )
        more = len(changed) - SETTINGS_SHOWN
        yield from ([f"  and {more} more settings; --json has them."] if more > 0 else [])
