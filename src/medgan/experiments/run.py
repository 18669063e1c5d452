"""Making the records that are missing, one `kedro run` after another; what is killed goes on where
it stopped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from medgan.errors import UserError
from medgan.experiments.plan import SHORTCUTS, Run, Study, runs
from medgan.experiments.records import TestScores, path_of, shortcuts_as_dict, write_record
from medgan.models import PublishedModel
from medgan.nested import leaves
from medgan.project.artifacts import Project
from medgan.project.environment import Environment, given_parameters, require_environment
from medgan.tracking.provenance import provenance

OF_CARD = (
    "published_step",
    "planned_steps",
    "choice",
    "labels_used",
    "figures",
    "training_images",
    "augmentations",
    "budget",
)
OF_PARTS = ("auroc", "validation_auroc")
Say = Callable[[str], None]


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _parts(path: Path) -> dict[str, Any]:
    """The parts of a score without all the rest of their rows."""
    document = _json(path)
    rows = {
        name: {figure: row[figure] for figure in OF_PARTS} for name, row in document["rows"].items()
    }
    return {**document, "rows": rows}


READ: Mapping[str, tuple[str, Callable[[Path], Any]]] = {
    **dict.fromkeys(("evaluation", "quality", "categories"), (".json", _json)),
    "components": (".json", _parts),
    "test_scores": (".parquet", pd.read_parquet),
}
"""What a record holds of a run's documents: how their files end, and how they are read."""


@dataclass(frozen=True)
class Workplace:
    """Where runs are made, and what only this machine knows of them."""

    root: Path
    dataset: str
    """The environment of conf/."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are places, such as `source`; no record holds them."""

    @property
    def folder(self) -> str:
        """The name of the data set below every layer of data/."""
        return Environment(self.root / "conf", self.dataset, self.given).dataset()

    @property
    def reports(self) -> Path:
        """Where the runs leave their figures."""
        return self.root / "data" / "08_reporting" / self.folder

    @property
    def log(self) -> Path:
        """Everything that the runs print."""
        return self.reports / "reproduce.log"


def places(source: str | None, params: str) -> dict[str, str]:
    """`source`, and what `--params` names besides."""
    named = {key: str(value) for key, value in leaves(given_parameters(params))}
    return {**({"source": source} if source else {}), **named}


def missing(
    place: Workplace, study: Study, seeds: Sequence[int], only: Sequence[str] = ()
) -> list[Run]:
    """The runs of which a record is missing, in the order in which they can be made.

    Raises:
        UserError: `only` names a row that the study does not have.
    """
    wrong = next((name for name in only if name not in study.names()), None)
    if wrong is not None:
        raise UserError(
            f"The study of {place.dataset} has no row '{wrong}': use {', '.join(study.names())}."
        )
    wanted = [
        run
        for seed in seeds
        for run in runs(study, seed)
        if not only or set(only) & set(run.records)
    ]
    return [
        run
        for run in wanted
        if not all(_record_path(place, run, name).exists() for name in run.records)
    ]


def reproduce(
    place: Workplace, study: Study, seeds: Sequence[int], only: Sequence[str], say: Say
) -> list[str]:
    """Makes what is missing. A run that fails is said and passed over: the others do not wait for
    it.

    Returns:
        The names of the rows that failed.

    Raises:
        UserError: nothing can be run here, or somebody else is at it.
    """
    require_environment(place.root / "conf", place.dataset)
    if study.not_run and not place.given.get("source"):
        raise UserError(
            f"The study of {place.dataset} waits for its images ({study.not_run}): give SOURCE=PATH."
        )
    todo = missing(place, study, seeds, only)
    place.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place.log.with_suffix(".lock"), timeout=0):
            return _all(place, todo, say)
    except Timeout:
        raise UserError(
            f"Another `make reproduce` is at work on {place.dataset}: wait for it, or stop it first."
        ) from None


def _all(place: Workplace, todo: Sequence[Run], say: Say) -> list[str]:
    prepared: dict[str, Any] | None = None
    failed: list[str] = []
    say(
        f"{place.dataset}: {len(todo)} runs to make; what they print goes to {place.log.relative_to(place.root)}"
    )
    for number, run in enumerate(todo, 1):
        names = ", ".join(run.records)
        started = time.monotonic()
        try:
            if prepared != run.preparation():
                _kedro(place, run.parameters, ("ingestion", "preprocessing"))
                prepared = run.preparation()
            make(place, run)
            say(
                f"{number:3}/{len(todo)}  {names}, seed {run.parameters['seed']}: recorded after {time.monotonic() - started:.0f} s"
            )
        except UserError as refusal:
            failed.append(names)
            say(
                f"{number:3}/{len(todo)}  {names}, seed {run.parameters['seed']}: failed: {refusal}"
            )
    return failed


def make(place: Workplace, run: Run) -> None:
    """One run, and its records."""
    project, started, spent = Project(place.root), time.time(), _cpu_seconds()
    trainings = {
        namespace: project.trainings(place.folder, namespace) for namespace in run.records.values()
    }
    _kedro(place, run.parameters, run.pipelines, run.outputs)
    seconds = {
        "wall": round(time.time() - started, 1),
        "cpu": round(_cpu_seconds() - spent, 1),
        "runs": len(run.records),
    }
    for name, namespace in run.records.items():
        found = _audited(place) if name == SHORTCUTS else _trained(place, run, namespace, started)
        whole = found["training"].get("key") not in trainings[namespace]
        record = {
            "dataset": place.dataset,
            "name": name,
            "model": namespace,
            "seed": run.parameters["seed"],
            "command": f"make reproduce DATASET={place.dataset} SEEDS={run.parameters['seed']} ONLY={name} SOURCE=<where its images are>",
            "parameters": {key: value for key, value in run.parameters.items() if key != "seed"},
            **found,
            "provenance": {
                **provenance(place.root),
                "seconds": {**seconds, "training_included": whole},
            },
        }
        write_record(_record_path(place, run, name), record)


def _audited(place: Workplace) -> dict[str, Any]:
    table = Project(place.root).shortcut_scores(place.folder)
    return {SHORTCUTS: shortcuts_as_dict(table), "training": {}}  # type: ignore[arg-type]  # the run wrote it


def _trained(place: Workplace, run: Run, namespace: str, started: float) -> dict[str, Any]:
    published = Project(place.root).published(place.folder, namespace)
    return {**_documents(place, run, namespace, started), "training": _training(published)}


def _kedro(
    place: Workplace,
    parameters: Mapping[str, Any],
    pipelines: Sequence[str],
    outputs: Sequence[str] = (),
) -> None:
    """One `kedro run`; its output goes to the log.

    Raises:
        UserError: it failed; the last line that it printed.
    """
    given = ",".join(f"{key}={value}" for key, value in {**place.given, **parameters}.items())
    command = [
        sys.executable,
        "-m",
        "medgan",
        "--env",
        place.dataset,
        "--params",
        given,
        "--pipelines",
        ",".join(pipelines),
    ]
    command += ["--to-outputs", ",".join(outputs)] if outputs else []
    with place.log.open("a", encoding="utf-8") as log:
        log.write(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  kedro run {' '.join(command[3:])}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(command, cwd=place.root, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
        try:
            process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
    if process.returncode:
        with place.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(start)
            said = [line.strip() for line in log.read().splitlines() if line.strip()]
        raise UserError(said[-1] if said else f"kedro ended with code {process.returncode}")


def _documents(place: Workplace, run: Run, namespace: str, started: float) -> dict[str, Any]:
    """The figures of a namespace that the run was asked for; a file older than the run would be
    another run's.
    """
    wanted = [
        output.removeprefix(f"{namespace}.")
        for output in run.outputs
        if output.startswith(f"{namespace}.")
    ]
    files = {
        kind: place.reports / namespace / f"{kind}{READ[kind][0]}"
        for kind in wanted
        if kind in READ
    }
    stale = next(
        (path for path in files.values() if not path.exists() or path.stat().st_mtime < started),
        None,
    )
    if stale is not None:
        raise UserError(f"the run did not write {stale.relative_to(place.root)}")
    found = {kind: READ[kind][1](path) for kind, path in files.items()}
    if "test_scores" in found:
        splits = Project(place.root).splits(place.folder)
        found["test_scores"] = TestScores.of(found["test_scores"], splits["group_id"]).as_dict()  # type: ignore[index]  # the run read them
    return found


def _training(published: PublishedModel) -> dict[str, Any]:
    card = published.card
    return {
        "configuration": dict(published.configuration),
        **{key: card[key] for key in OF_CARD if key in card},
        "key": card["training"],
    }


def _cpu_seconds() -> float:
    """Of all children that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _record_path(place: Workplace, run: Run, name: str) -> Path:
    return path_of(place.root, place.dataset, name, int(run.parameters["seed"]))
