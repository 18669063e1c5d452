"""Track a run in MLflow without waiting for MLflow: records go to the disk, and are sent beside."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medgan.errors import UserError, chain
from medgan.files.processes import cpu_ticks
from medgan.nested import not_finite, numbers, texts
from medgan.tracking.redaction import redact
from medgan.tracking.sender import Report
from medgan.tracking.spool import FOLDER, Record, Spool, now
from medgan.tracking.store import is_folder, require_store, sqlite_file

logger = logging.getLogger(__name__)
BUSY_SECONDS = 120.0
"""How long to wait while MLflow is imported and its store is made, which nothing holds up."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a tracker, in seconds."""

    silent: float
    """While it does not answer."""
    total: float
    """In all."""


RUN_ENDS = Patience(3.0, 3.0)
RUN_ENDS_FILE = Patience(3.0, 60.0)
"""A file on this machine takes what is there."""
WORKING_TICKS = 5
"""Processor time of the sender that tells a machine with much to do from a silent tracker."""
REPLAY = Patience(30.0, 3600.0)


class Courier:
    """The process `medgan.tracking.sender` of a run, and what it reports."""

    def __init__(self, root: Path, uri: str, *words: str, quiet: bool = False) -> None:
        self.report = Report()
        self._quiet = quiet
        self._heard = time.monotonic()
        self.patience = RUN_ENDS_FILE if sqlite_file(uri) else RUN_ENDS
        self._address = redact(uri)
        self._warned: set[str] = set()
        package = str(Path(__file__).parents[2])  # a script may have put it on its own sys.path
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "medgan.tracking.sender", str(root), *words],
            env={**os.environ, "MLFLOW_TRACKING_URI": uri, "PYTHONPATH": os.pathsep.join(paths)},
            cwd=root,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the training, whose records are still sent
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with suppress(ValueError, TypeError):
                before, self.report = self.report, Report(**json.loads(line))
                if self.report.busy or self.report.sent != before.sent:
                    self._heard = time.monotonic()
                self._show()

    def _show(self) -> None:
        """Warn of a problem and of each note once."""
        report, outage = self.report, "outage"
        if report.problem and not self._quiet and outage not in self._warned:
            self._warned.add(outage)
            logger.warning("%s: the run goes on, and its records wait.", self.problem())
        if report.note and not self._quiet and report.note not in self._warned:
            self._warned.add(report.note)
            logger.warning("%s", report.note)

    def problem(self) -> str:
        """Why MLflow takes nothing."""
        problem = self.report.problem
        if " " in problem:  # a sentence
            return problem
        return f"MLflow at {self._address} does not answer ({problem or 'no answer'})"

    def finish(self, interrupted: bool = False) -> bool:
        """Wait until all is sent or MLflow is silent; True if all is sent.

        After a signal it waits for RUN_ENDS at most, and the process goes on by itself.
        """
        with suppress(OSError):
            if self._process.stdin:
                self._process.stdin.close()
        patience = RUN_ENDS if interrupted else self.patience
        began = self._heard = time.monotonic()
        worked = cpu_ticks(self._process.pid)
        while self._process.poll() is None and not self.report.done:
            moment, busy = time.monotonic(), self.report.busy and not interrupted
            if cpu_ticks(self._process.pid) > worked + WORKING_TICKS:  # slow, but not silent
                self._heard, worked = moment, cpu_ticks(self._process.pid)
            began = moment if busy else began
            silence = BUSY_SECONDS if busy else patience.silent
            if moment - began > patience.total or moment - self._heard > silence:
                break
            time.sleep(0.02)
        if not interrupted or self.report.done:
            self.kill()
        return self.report.done

    def kill(self) -> None:
        """End the process, which does no harm at any moment."""
        self._process.kill()
        self._process.wait()
        self._reader.join(1.0)


@dataclass
class Tracker:
    """One MLflow experiment, for one `kedro run`. No method waits for MLflow."""

    spool: Spool
    experiment: str
    store: str
    """Where records may be sent, without credentials; empty for any place."""
    courier: Courier | None = None
    _failed: bool = False

    @classmethod
    def open(cls, uri: str, experiment: str, root: Path) -> Tracker:
        """Start the process that makes the store and the experiment. Nothing is recorded yet.

        Args:
            uri: where MLflow keeps its runs; `sqlite:///mlflow.db` is a file in the project root.
            experiment: name of the experiment.
            root: the project root, which keeps the records and the artifacts of a local store.
        """
        spool = Spool.new(root)
        tracker = cls(spool, experiment, "" if is_folder(uri) else redact(uri))
        try:
            tracker.courier = Courier(root, uri, str(spool.folder))
        except OSError as error:
            logger.warning("MLflow could not be started (%s): records wait.", error.strerror)
        return tracker

    def start(self, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Start a run, a child of `parent` if given; return our id of it."""
        key = uuid.uuid4().hex
        self._add(Record("start", key, name, text=parent or "", values=tags))
        return key

    def curves(self, run: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows with a `step`: every other number in them is a metric at that step."""
        points = [
            (name, value, int(row["step"]), now())
            for row in rows
            for name, value in numbers(row).items()
            if name not in ("step", "epoch")
        ]
        self._add(Record("metrics", run, points=points))

    def metrics(self, run: str, values: Any) -> None:
        """Log every finite number of a nested result; warn of the others.

        MLflow would store infinity as 1.8e308.
        """
        left_out = not_finite(values)
        if left_out:
            logger.warning(
                "%d metrics are not finite and were not logged to MLflow: %s.",
                len(left_out),
                ", ".join(left_out[:5]),
            )
        points = [(name, value, 0, now()) for name, value in numbers(values).items()]
        self._add(Record("metrics", run, points=points))

    def parameters(self, run: str, values: Any) -> None:
        """Log nested settings by their dotted names."""
        self._add(Record("parameters", run, values=texts(values)))

    def file(self, run: str, path: Path, folder: str) -> None:
        """Copy a file to the artifacts of a run."""
        self._add(Record("file", run, folder), path)

    def image(self, run: str, path: Path, key: str, step: int) -> None:
        """Log an image under a key; the MLflow UI has a slider over its steps."""
        self._add(Record("image", run, key, step=step), path)

    def tag(self, run: str, name: str, value: str) -> None:
        """Set a tag."""
        self._add(Record("tag", run, name, value))

    def dataset(self, run: str, name: str, digest: str, source: str, profile: str) -> None:
        """Log images as the input of a run; `source` and `profile` are JSON."""
        self._add(
            Record("dataset", run, name, digest, values={"source": source, "profile": profile})
        )

    def model(self, run: str, name: str, folder: str, tags: Mapping[str, str]) -> None:
        """Register a model whose files are in an artifact folder of a run."""
        self._add(Record("model", run, name, folder, values=tags))

    def finish(self, run: str, status: str) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        self._add(Record("finish", run, text=status))

    def close(self, interrupted: bool = False) -> None:
        """Say that the run is over; warn where MLflow has not taken all of it."""
        if self.courier is not None and not self.spool.folder.exists():
            self.courier.kill()
            return
        self._add(Record("end"))
        if self.courier is None or self.courier.finish(interrupted) or interrupted:
            return
        logger.warning(
            "%s: %d records of this run wait in %s. The next run sends them, or `medgan tracking "
            "replay`; results and checkpoints are complete without them.",
            self.courier.problem(),
            self.spool.count(),
            FOLDER,
        )

    def _add(self, record: Record, path: Path | None = None) -> None:
        try:
            if not self.spool.folder.exists():
                self.spool.make(self.experiment, self.store)
            kept = record if path is None else replace(record, text=self.spool.keep(path))
            self.spool.append(kept)
        except OSError as error:
            if not self._failed:
                self._failed = True
                logger.warning(
                    "Records for MLflow could not be written to %s (%s): the run goes on.",
                    FOLDER,
                    error.strerror,
                )


def replayed(root: Path, uri: str, every_store: bool) -> str:
    """Send the records that earlier runs have left; return a sentence on what was done.

    Args:
        root: the project root.
        uri: where MLflow keeps its runs.
        every_store: also send records that were made for another store.

    Raises:
        UserError: MLflow does not answer, or refuses them.
    """
    require_store(uri)
    before = len(Spool.waiting(root))
    if not before:
        return "No records wait to be sent to MLflow."
    courier = Courier(root, uri, *(["--all"] if every_store else []), quiet=True)
    courier.patience = REPLAY
    done, sent = courier.finish(), courier.report.replayed
    left = Spool.waiting(root)
    elsewhere = {spool.header.text for spool in left if spool.header} - {redact(uri)}
    waiting = f"{_runs(len(left))} still in {FOLDER}"
    if not done:
        raise UserError(f"{courier.problem()}: {_runs(sent)} sent, {waiting}.")
    if courier.report.note and left:
        raise UserError(f"{courier.report.note} {_runs(sent)} sent, {waiting}.")
    others = f" {waiting}, of {', '.join(sorted(elsewhere))}: add --all." if elsewhere else ""
    return f"{_runs(sent)} sent to MLflow at {redact(uri)}.{others}"


def _runs(number: int) -> str:
    return f"{number} run" if number == 1 else f"{number} runs"


def interrupted(error: BaseException) -> bool:
    """Whether a signal caused an exception: its exit code is 128 plus the signal number."""
    return any(getattr(link, "exit_code", 0) > 128 for link in chain(error))
