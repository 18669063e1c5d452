"""A run that the app has started: its process, its progress, its curves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from medgan import models
from medgan.errors import UserError
from medgan.project.artifacts import Project
from medgan.project.lock import RunLock

SCALES = ("smoke", "cpu")
COMMAND = ("-m", "medgan", "--verbose", "--env", "{environment}", "--params", "scale={scale}")
"""What this interpreter runs; `read_progress` needs the line of each node."""
STEP = re.compile(r"^\d\d:\d\d:\d\d +(\d+)/(\d+) +(\S+)", re.MULTILINE)
"""A line of a run: time, number of the node, number of nodes, name of the node."""
TAIL = 200_000
"""Bytes of the log that are looked at."""
LAST_LINES = 15
STOPPED = frozenset((128 + signal.SIGINT, -signal.SIGINT))
"""Exit codes of a run that Ctrl-C has stopped, the second one before it had loaded medgan."""
ERROR = re.compile(r"^Error: (.+)$", re.MULTILINE)
"""The sentence with which a command ends."""


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    done: int
    total: int
    node: str
    tail: str
    """The last lines of its log."""
    error: str
    """Why it has ended, where it says so."""


@dataclass
class StartedRun:
    """A `kedro run` in a process of its own, which goes on when the page is closed."""

    process: subprocess.Popen[bytes]
    log: Path
    since: float = field(default_factory=time.time)
    """When it was started, in seconds."""
    stopping: bool = False

    @classmethod
    def start(cls, root: Path, environment: str, scale: str) -> StartedRun:
        """Start a run.

        Args:
            root: the project.
            environment: the folder of conf/, which is also the name of the data set.
            scale: one of SCALES.

        Raises:
            UserError: another run is at work on the data set.
        """
        RunLock(root / "data", environment).require_free()
        log = root / "build" / f"run-{environment}.log"
        log.parent.mkdir(exist_ok=True)
        words = [word.format(environment=environment, scale=scale) for word in COMMAND]
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603  # no shell, and checked names
                [sys.executable, *words],
                cwd=root,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log)

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self.process.poll()

    def stop(self) -> None:
        """Ask the run to save its step and end, as Ctrl-C does."""
        if self.code is None and not self.stopping:  # a second signal would end it at once
            self.stopping = True
            os.killpg(self.process.pid, signal.SIGINT)

    def progress(self) -> Progress:
        """Read the log."""
        return read_progress(self.log)


class StartedRuns:
    """The runs that this server has started in a project, the last one of each environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._runs: dict[str, StartedRun] = {}
        self._lock = threading.Lock()

    def of(self, environment: str) -> StartedRun | None:
        """Return the last run of an environment, or None."""
        return self._runs.get(environment)

    def start(self, environment: str, scale: str) -> None:
        """Start a run, unless one of ours is at work: a button may be pressed twice, by two people.

        Raises:
            UserError: somebody else's run is at work on the data set.
        """
        with self._lock:
            last = self.of(environment)
            if last is None or last.code is not None:
                self._runs[environment] = StartedRun.start(self.root, environment, scale)


def read_progress(log: Path) -> Progress:
    """Read how far a run is from its log."""
    try:
        content = log.open("rb")
    except FileNotFoundError:  # somebody has tidied up
        return Progress(0, 1, "its log was deleted", "", "")
    with content as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
        text = file.read().decode(errors="replace").replace("\r", "\n")
    steps = STEP.findall(text)
    number, total, node = steps[-1] if steps else ("0", "1", "starting")
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    errors = ERROR.findall(text)
    return Progress(
        int(number), int(total), node, "\n".join(lines[-LAST_LINES:]), errors[-1] if errors else ""
    )


def newest_curves(
    project: Project, dataset: str, since: float = 0.0
) -> tuple[str, pd.DataFrame] | None:
    """Return the model whose curves were written last, and these; None where none were written
    since a time in seconds.
    """
    found = []
    for name in models.names():
        path = project.curves_file(dataset, name)
        if path.exists() and path.stat().st_mtime >= since:
            found.append((path.stat().st_mtime, name))
    if not found:
        return None
    name = max(found)[1]
    training = project.catalog(dataset).load(f"{name}.training")
    curves: pd.DataFrame = training.curves
    return name, curves


def losses(curves: pd.DataFrame) -> pd.DataFrame:
    """Return the terms of the players by step, without validations and speed."""
    terms = [
        name for name in curves if "/" in str(name) and not str(name).startswith("validation/")
    ]
    return curves.set_index("step")[terms]


def other_run(project: Project, dataset: str) -> str:
    """Say which run of somebody else is at work on a data set; empty where there is none."""
    try:
        RunLock(project.root / "data", dataset).require_free()
    except UserError as error:
        return str(error)
    return ""
