"""Make the records that are missing, one `kedro run` after another.

A run that is killed goes on where it stopped when `make reproduce` is started again.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from medgan.errors import UserError
from medgan.evaluation.score_table import units_in
from medgan.experiments import records
from medgan.experiments.plan import SHORTCUTS, Experiment, Run, runs
from medgan.files.documents import from_json
from medgan.images.manifest import listing
from medgan.nested import leaves
from medgan.pipelines import outputs as made_of
from medgan.pipelines.outputs import Audit, Classification, Evaluation, Synthetic
from medgan.project.artifacts import Project
from medgan.project.environment import Environment, require_environment
from medgan.project.given import given_parameters, written
from medgan.tracking.provenance import provenance

Say = Callable[[str], None]


@dataclass(frozen=True)
class Workplace:
    """Where runs are made, and the paths of this machine."""

    root: Path
    dataset: str
    """Name of the experiment."""
    experiment: Experiment
    given: Mapping[str, str] = field(default_factory=dict)
    """Parameters that are paths, such as `source`; no record holds them."""

    @property
    def environment(self) -> str:
        """The environment of conf/."""
        return self.experiment.environment or self.dataset

    def configuration(self) -> Environment:
        """What all runs have in common."""
        return self.experiment.environment_in(self.root / "conf", self.dataset, **self.given)

    @property
    def project(self) -> Project:
        """The files of the runs."""
        return Project(self.root)

    @property
    def folder(self) -> str:
        """The name of the dataset below every layer of data/."""
        return self.configuration().dataset()

    @property
    def reports(self) -> Path:
        """Where the runs write their results."""
        return self.root / "data" / "08_reporting" / self.folder

    @property
    def log(self) -> Path:
        """Everything that the runs print."""
        return self.reports / "reproduce.log"


def places(source: str | None, params: str) -> dict[str, str]:
    """Return `source`, and the paths that `--params` gives."""
    named = {key: str(value) for key, value in leaves(given_parameters(params))}
    return {**({"source": source} if source else {}), **named}


def missing(place: Workplace, seeds: Sequence[int], only: Sequence[str] = ()) -> list[Run]:
    """Return the runs without a record, in the order in which they can be made.

    Raises:
        UserError: `only` names a row that the experiment does not have.
    """
    experiment = place.experiment
    names = experiment.names()
    wrong = [name for name in only if name not in names]
    if wrong:
        has = f"The experiment on {place.dataset} has no row '{wrong[0]}'"
        raise UserError(f"{has}: use {', '.join(names)}.")
    return [
        run
        for seed in seeds
        for run in runs(experiment, seed)
        if not only or set(only) & set(run.records)
        if not all(
            records.path_of(place.root, place.dataset, one, seed).exists() for one in run.records
        )
    ]


def reproduce(place: Workplace, seeds: Sequence[int], only: Sequence[str], say: Say) -> list[str]:
    """Make what is missing. A run that fails is reported, and the others are still made.

    Returns:
        The names of the rows that failed.

    Raises:
        UserError: nothing can be run here, no run could read the images, or another process is at
            work.
    """
    require_environment(place.root / "conf", place.environment)
    experiment = place.experiment
    if experiment.not_run and not place.given.get("source"):
        raise UserError(
            f"The images of {place.dataset} are needed ({experiment.not_run}): give SOURCE=PATH."
        )
    todo = missing(place, seeds, only)
    if todo:
        _check_source(place.configuration())
    place.log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(place.log.with_suffix(".lock"), timeout=0):
            return _make_all(place, todo, say)
    except Timeout:
        raise UserError(
            f"Another `make reproduce` is at work on {place.dataset}: wait for it, or stop it "
            "first."
        ) from None


def _check_source(shared: Environment) -> None:
    """Raise `UserError` where every run would: for wrong parameters, a source that cannot be opened,
    or labels that nobody declared.
    """
    listing(shared.source().check().open(), shared.parameters()["ingestion"])


def _make_all(place: Workplace, todo: Sequence[Run], say: Say) -> list[str]:
    prepared: dict[str, Any] | None = None
    failed: list[str] = []
    log = place.log.relative_to(place.root)
    say(f"{place.dataset}: {len(todo)} runs to make; their output goes to {log}")
    for number, run in enumerate(todo, 1):
        names, started = ", ".join(run.records), time.monotonic()
        line = f"{number:3}/{len(todo)}  {names}, seed {run.seed}"
        try:
            if prepared != run.preparation():
                _kedro(place, run.parameters, ("ingestion", "preprocessing"))
                prepared = run.preparation()
            make(place, run)
            say(f"{line}: recorded after {time.monotonic() - started:.0f} s")
        except UserError as error:
            failed.append(names)
            say(f"{line}: failed: {error}")
    return failed


def make(place: Workplace, run: Run) -> None:
    """Make one run, and its records."""
    project, started, spent = place.project, time.time(), _cpu_seconds()
    earlier = {one: project.trainings(place.folder, one) for one in run.records.values()}
    _kedro(place, run.parameters, run.pipelines, run.outputs)
    wall, cpu = round(time.time() - started, 1), round(_cpu_seconds() - spent, 1)
    for name, namespace in run.records.items():
        training = records.Training() if name == SHORTCUTS else _training(place, namespace)
        whole = training.key not in earlier[namespace]
        seconds = records.Seconds(wall, cpu, len(run.records), training_included=whole)
        made = {**provenance(place.root), "seconds": vars(seconds)}
        record = records.Record(
            dataset=place.dataset,
            name=name,
            model=namespace,
            seed=run.seed,
            command=f"make reproduce DATASET={place.dataset} SEEDS={run.seed} ONLY={shlex.quote(name)} "
            "SOURCE=<where its images are>",
            parameters={key: value for key, value in run.parameters.items() if key != "seed"},
            training=training,
            provenance=from_json(records.Provenance, made),
            **_results(place, run, namespace),
        )
        records.write_record(place.root, record)


def _results(place: Workplace, run: Run, namespace: str) -> dict[str, Any]:
    """Return the results of a namespace that the run was asked for, by field of the record; of a
    setting that is tried, what validation says of it.
    """
    found: dict[str, Any] = {}
    for output in run.outputs:
        if output.split(".")[0] in (namespace, "shortcut_scores"):
            made = place.project.read(place.folder, output)
            if made is None:
                raise UserError(f"the run did not write {output}")
            found |= _recorded(place, made)
    return {"validation": found["evaluation"].validation} if run.validation_only else found


def _recorded(place: Workplace, made: Any) -> dict[str, Any]:
    """Return the parts of an output that are recorded, by field of the record."""
    match made:
        case Evaluation():
            validation = units_in(made.scores, "val", made.evaluation)
            return {
                "evaluation": made.evaluation,
                "test_scores": records.ImageScores.of(made.test_scores, _splits(place)),
                "validation_scores": records.ImageScores.of(validation, _splits(place)),
                "components": made.components and records.Components.of(made.components),
                "localisation": made.localisation and replace(made.localisation, per_category={}),
            }
        case Classification():
            scores = records.ImageScores.of(made.test_scores, _splits(place))
            return {"evaluation": made.evaluation, "test_scores": scores}
        case Audit():
            return {"categories": made.categories}
        case Synthetic():
            return {"quality": made.quality}
        case made_of.ShortcutScores():
            return {"shortcuts": records.ShortcutScores.of(made.shortcut_scores, _splits(place))}
    return {}


def _splits(place: Workplace) -> pd.DataFrame:
    splits = place.project.splits(place.folder)
    if splits is None:
        raise UserError("the splits are missing")
    return splits


def _training(place: Workplace, namespace: str) -> records.Training:
    published = place.project.published(place.folder, namespace)
    card = {**published.card, "configuration": published.configuration}
    return from_json(records.Training, {**card, "key": card["training"]})


def _cpu_seconds() -> float:
    """Return the CPU time of all children that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def _kedro(
    place: Workplace,
    parameters: Mapping[str, Any],
    pipelines: Sequence[str],
    outputs: Sequence[str] = (),
) -> None:
    """Make one `kedro run`; its output goes to the log.

    Raises:
        UserError: it failed; the last line that it printed.
    """
    # A run that was killed must not stop one with another seed.
    given = written({**place.given, **parameters, "fresh": "true"})
    options = ["--env", place.environment, "--params", given, "--pipelines", ",".join(pipelines)]
    options += ["--to-outputs", ",".join(outputs)] if outputs else []
    with place.log.open("a", encoding="utf-8") as log:
        log.write(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M:%S}  kedro run {' '.join(options)}\n")
        log.flush()
        start = log.tell()
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "medgan", *options],
            cwd=place.root,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
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
