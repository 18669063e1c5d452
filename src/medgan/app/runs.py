"""A run that the app has started: its process, its progress, its curves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
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
STOPPED = 128 + signal.SIGINT
"""Exit code of a run that Ctrl-C has stopped."""


@dataclass(frozen=True)
class Progress:
    """Where a run is."""

    done: int
    total: int
    node: str
    tail: str
    """The last lines of its log."""


@dataclass
class StartedRun:
    """A `kedro run` in a process of its own, which goes on when the page is closed."""

    process: subprocess.Popen[bytes]
    log: Path

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
        if self.code is None:
            os.killpg(self.process.pid, signal.SIGINT)

    def progress(self) -> Progress:
        """Read the log."""
        return read_progress(self.log)


def read_progress(log: Path) -> Progress:
    """Read how far a run is from its log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        text = file.read().decode(errors="replace").replace("\r", "\n")
    steps = STEP.findall(text)
    number, total, node = steps[-1] if steps else ("0", "1", "starting")
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return Progress(int(number), int(total), node, "\n".join(lines[-LAST_LINES:]))


def newest_curves(project: Project, dataset: str) -> tuple[str, pd.DataFrame] | None:
    """Return the model whose training state was written last, and its curves; None without one."""
    found = []
    for name in models.names():
        path = project.curves_file(dataset, name)
        if path.exists():
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
