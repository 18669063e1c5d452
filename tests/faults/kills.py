"""`make kills`: SIGKILL trainings and starts at random moments; compare what is left with runs that
nobody stopped.

    python -m tests.faults.kills [--kills 200] [--starts 50] [--seed 7] [--json FILE]

Trainings run as forks of a process that has imported everything, so that most kills meet a step or
a save; starts are the processes that a user starts, on no store or one of an older MLflow.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from medgan import models
from medgan.files.digest import file_digest
from medgan.files.integrity import MANIFEST
from medgan.pipelines.arms import ARMS
from tests.conftest import ROOT, environment, kedro_command
from tests.end_to_end.project import make_project
from tests.tracking.forked import Fork, Forks, preload
from tests.tracking.stores import older_store

SEED = 7
MOST_KILLS = 3
"""Kills of one training, or one start, before it may end."""
SECONDS = 300.0
"""Longest time for one run."""
CATALOG = "source: {type: medgan.datasets.images.ImageSourceDataset, kind: phantoms, images: 48, patients: 24}\n"
OFTEN = "{name}: {{training: {{checkpoint_every: 1, report_every: 1}}}}\n"
RUN = ("run", "--env", "tiny", "--params", "scale=smoke")
VERSION = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
SPEED = "images_per_second"


class Process(Protocol):
    """A fork or a subprocess."""

    pid: int

    def poll(self) -> int | None: ...


@dataclass(frozen=True)
class Subject:
    """A project of which one command is killed, and what that command leaves undisturbed."""

    project: Path
    start: Callable[[Path], Process]

    @cached_property
    def untouched(self) -> tuple[float, dict[str, str]]:
        """Seconds of a run that is not killed, and what it leaves."""
        copy = Path(f"{self.project}-untouched")
        shutil.copytree(self.project, copy)
        began = time.monotonic()
        code = ended(self.start(copy))
        if code:
            raise RuntimeError(f"an undisturbed run ends with {code}: {last_words(copy)}")
        return time.monotonic() - began, contents(copy)


@dataclass
class Tally:
    """Kills by outcome, and what was wrong."""

    kills: int = 0
    finished: int = 0
    faults: list[str] = field(default_factory=list)
    exits: Counter[str] = field(default_factory=Counter)

    def line(self) -> str:
        """A sentence with the numbers."""
        met = self.exits["killed"]
        return (
            f"{self.kills} kills, {met} of them before the command had ended; {self.finished} "
            f"runs afterwards; {len(self.faults)} faults"
        )


def round_of_kills(subject: Subject, rng: random.Random, most: int, tally: Tally) -> None:
    """Kill a command up to `most` times, let it end, and compare."""
    seconds, expected = subject.untouched
    with tempfile.TemporaryDirectory(dir=subject.project.parent) as temporary:
        project = Path(temporary) / "project"
        shutil.copytree(subject.project, project)
        found = []
        for _ in range(rng.randint(1, min(most, MOST_KILLS))):
            process = subject.start(project)
            moment = time.monotonic() + rng.uniform(0, seconds)
            while time.monotonic() < moment and process.poll() is None:
                time.sleep(0.002)
            tally.kills += 1
            tally.exits["killed" if process.poll() is None else "ended"] += 1
            kill(process, project, everything=rng.random() < 0.5)
            found += store_faults(project)
        code = ended(subject.start(project))
        while processes_in(project):
            time.sleep(0.05)
        tally.finished += 1
        found += [f"exit code {code}: {last_words(project)}"] if code else []
        found += differences(expected, contents(project)) + open_runs(project)
        tally.faults += [f"{subject.project.name}, kill {tally.kills}: {one}" for one in found]


def kill(process: Process, project: Path, everything: bool) -> None:
    """SIGKILL a command, and with `everything` the process that sends its records too."""
    numbers = processes_in(project) if everything else []
    if process.poll() is None:
        os.kill(process.pid, signal.SIGKILL)
    for number in numbers:
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
    ended(process)


def ended(process: Process) -> int:
    """The exit code of a process that ends by itself."""
    deadline = time.monotonic() + SECONDS
    while (code := process.poll()) is None:
        if time.monotonic() > deadline:
            os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.01)
    return code


def processes_in(project: Path) -> list[int]:
    """The processes that work in a project."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if link.readlink() == project:
                found.append(int(link.parent.name))
    return found


def contents(project: Path) -> dict[str, str]:
    """Names of all files, without the numbers of versions, and digests of the trainings."""
    found = {}
    for path in sorted(project.rglob("*")):
        name = VERSION.sub("VERSION", str(path.relative_to(project)))
        if path.is_dir() or name.startswith(("mlartifacts", "run.log")) or "__pycache__" in name:
            continue
        while name in found:  # of another version
            name += " again"
        found[name] = digest(path) if "06_models" in name else ""
    return found


def digest(path: Path) -> str:
    """A digest of a file of a training, without what the clock has a share in."""
    if path.name == "curves.csv":
        return pd.read_csv(path).drop(columns=SPEED, errors="ignore").to_csv()
    return "" if path.name in (".curves.csv.sha256", MANIFEST) else file_digest(path)


def differences(expected: dict[str, str], found: dict[str, str]) -> list[str]:
    """What a run has left that another has not, or with other content."""
    names = [*expected, *(name for name in found if name not in expected)]
    words = {(True, False): "is missing", (False, True): "was left behind"}
    return [
        f"{name} {words.get((name in expected, name in found), 'differs')}"
        for name in names
        if expected.get(name) != found.get(name)
    ]


def rows(project: Path, query: str) -> list[tuple[str, ...]]:
    """What the store of a project answers."""
    with closing(sqlite3.connect(project / "mlflow.db", timeout=30)) as store:
        return store.execute(query).fetchall()


def open_runs(project: Path) -> list[str]:
    """The runs that a finished command has left open."""
    found = rows(project, "SELECT name, status FROM runs")
    return [f"MLflow run {name} is {status}" for name, status in found if status == "RUNNING"]


def store_faults(project: Path) -> list[str]:
    """What a kill has made of the store."""
    if not (project / "mlflow.db").exists():
        return []
    try:
        (answer,) = rows(project, "PRAGMA integrity_check")
        versions = rows(project, "SELECT version_num FROM alembic_version")
    except sqlite3.Error as error:
        return [f"the store is broken: {error}"]
    return [] if answer == ("ok",) and len(versions) == 1 else [f"the store: {answer}, {versions}"]


def last_words(project: Path) -> str:
    """The end of what a command has said."""
    return " ".join((project / "run.log").read_text(errors="replace").split())[-500:]


def command(project: Path, words: Sequence[str], sender: Any = Forks) -> int:
    """Run a command of a project in this process, and return its exit code.

    Args:
        project: its root.
        words: the command.
        sender: starts the process that sends records to MLflow.
    """
    from kedro.framework.project import configure_project

    from medgan.cli.main import cli
    from medgan.tracking import client

    log = os.open(project / "run.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in (1, 2):
        os.dup2(log, number)
    os.chdir(project)
    client.subprocess = sender
    configure_project("medgan")
    sys.argv = ["medgan", *words]
    try:
        cli(list(words), prog_name="medgan")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def forked(*words: str, sender: Any = Forks) -> Callable[[Path], Fork]:
    """A command in a fork of this process, which has imported everything."""
    return lambda project: Fork(lambda: command(project, words, sender))


def subprocessed(*words: str) -> Callable[[Path], Process]:
    """A command as a user starts it."""

    def start(project: Path) -> Process:
        with (project / "run.log").open("a") as log:
            return subprocess.Popen(
                kedro_command(*words), cwd=project, env=environment(), stdout=log, stderr=log
            )

    return start


TRAINED = (*models.by_default(), "critic_neighbours")
"""Those of the default run, and one that is fitted after its training."""


def trainings(folder: Path) -> list[Subject]:
    """One project for each model and arm that needs no other training, ready to train it."""
    names = [*TRAINED, "real", "classical"]
    base = make_project(folder / "base")
    (base / "conf" / "tiny" / "catalog.yml").write_text(CATALOG)
    settings = "".join(OFTEN.format(name=name) for name in [*TRAINED, "classifier_training"])
    (base / "conf" / "tiny" / "parameters.yml").write_text(settings)
    code = ended(forked(*RUN, "--pipelines", "ingestion,preprocessing")(base))
    if code:
        raise RuntimeError(last_words(base))
    found = []
    for name in names:
        pipeline = "classifier_training" if name in ARMS else "gan_training"
        subject = Subject(folder / name, forked(*RUN, "--namespaces", f"{pipeline}.{name}"))
        shutil.copytree(base, subject.project)
        found.append(subject)
    return found


def starts(folder: Path) -> list[Subject]:
    """The toy project without a store, and with one of an older MLflow."""
    found = []
    for name, older in (("new", False), ("older", True)):
        project = folder / name
        shutil.copytree(ROOT / "tests" / "scratch", project)
        (project / "conf" / "local").mkdir(exist_ok=True)
        if older:
            older_store(project / "mlflow.db")
        found.append(Subject(project, subprocessed("run")))
    return found


def campaign(subjects: list[Subject], kills: int, rng: random.Random) -> Tally:
    """Kill the commands of the subjects one after the other."""
    tally, number = Tally(), 0
    while tally.kills < kills:
        round_of_kills(subjects[number % len(subjects)], rng, kills - tally.kills, tally)
        number += 1
        print(f"\r{tally.line()}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return tally


def load_everything() -> None:
    """Import what every fork needs."""
    import torch
    from kedro.framework.project import configure_project, pipelines

    from medgan.training import fit  # noqa: F401

    torch.set_num_threads(1)
    configure_project("medgan")
    dict(pipelines)
    for name in models.names():
        models.load(name)
    preload()


def main(arguments: list[str] | None = None) -> int:
    """0 where every command ended as if nobody had killed it."""
    parser = argparse.ArgumentParser(prog="kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of trainings")
    parser.add_argument("--starts", type=int, default=50, help="kills of commands that start")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    options = parser.parse_args(arguments)
    rng, began, tallies = random.Random(options.seed), time.monotonic(), {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if options.starts:
            tallies["starts"] = campaign(starts(folder), options.starts, rng)
        if options.kills:
            load_everything()
            tallies["trainings"] = campaign(trainings(folder), options.kills, rng)
    for name, tally in tallies.items():
        print("\n".join([f"{name}: {tally.line()}", *tally.faults]))
    if options.json:
        document = {name: vars(tally) for name, tally in tallies.items()}
        options.json.write_text(json.dumps(document, indent=1) + "\n")
    print(f"{time.monotonic() - began:.0f} s")
    return int(any(tally.faults for tally in tallies.values()))


if __name__ == "__main__":
    sys.exit(main())
