"""The process that sends spools to MLflow: `python -m medgan.tracking.sender ROOT [SPOOL] [--all]`.

It is a process of its own, since MLflow takes seconds to import and a call may hang: neither holds
up a training, and a process can be killed. It prints a `Report` as a line of JSON whenever
something has changed, and ends when its standard input does. The address of the store, which may
contain a password, comes as the variable MLFLOW_TRACKING_URI.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from medgan.errors import UserError
from medgan.tracking.redaction import redact
from medgan.tracking.spool import Record, Spool
from medgan.tracking.store import open_client
from medgan.tracking.writing import CALLS, Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")
POLL_SECONDS = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two attempts."""
LAST_SECONDS = 12.0
"""How long it goes on without an answer after its training has ended."""
BATCH = 1000
"""Most metrics that MLflow takes in one call."""


@dataclass
class Report:
    """What the training, or `medgan tracking replay`, is told."""

    busy: bool = True
    """Whether it works on this machine (imports, migrates), which no outage holds up."""
    sent: int = 0
    """Calls that MLflow has answered."""
    replayed: int = 0
    """Earlier runs that MLflow now has in full."""
    problem: str = ""
    """Why MLflow takes nothing; empty as soon as it does."""
    note: str = ""
    """A sentence for the user."""
    done: bool = False
    """All is sent."""

    def tell(self, **changes: bool | int | str) -> None:
        """Change it, and print it where that changed anything."""
        before = asdict(self)
        for name, value in changes.items():
            setattr(self, name, value)
        if asdict(self) != before:
            with suppress(OSError):  # the training is gone
                print(json.dumps(asdict(self)), flush=True)  # noqa: T201


@dataclass
class Sender:
    """Sends the records of spools, each as often as MLflow needs."""

    root: Path
    uri: str
    report: Report
    leaving: threading.Event
    """Set when the training has ended or was killed."""
    _writer: Writer = field(init=False)

    def run(self, own: Spool | None, every_store: bool) -> None:
        """Send what earlier runs have left, close those that were killed, follow the own spool."""
        self._writer = Writer(self._attempt(self._connect), self.root, self.uri)
        self._replay(own, every_store)
        self._attempt(self._writer.close_killed)
        if own is not None and not self._follow(own):
            self._attempt(self._writer.close_killed)  # that is the own training
            own.remove()

    def _connect(self) -> MlflowClient:
        """Open the store. Seconds for the import, seconds more for the first migration."""
        client, note = open_client(self.uri, self.root, busy=lambda on: self.report.tell(busy=on))
        self.report.tell(note=note or "")
        return client

    def _attempt(self, call: Callable[[], T]) -> T:
        """Repeat a call until MLflow answers, or for LAST_SECONDS once the training has ended."""
        deadline, pause = None, FIRST_PAUSE
        while True:
            try:
                answer = call()
                self.report.tell(problem="", busy=False)
                return answer
            except UserError:
                raise
            except Exception as error:
                self.report.tell(problem=type(error).__name__, busy=False)
                if self.leaving.is_set():
                    deadline = deadline or time.monotonic() + LAST_SECONDS
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(FIRST_PAUSE)
                self.leaving.wait(pause)
                pause = min(pause * 1.5, LONGEST_PAUSE)

    def _replay(self, own: Spool | None, every_store: bool) -> None:
        for spool in Spool.waiting(self.root):
            header = spool.header
            if header is None or (own is not None and spool.folder == own.folder):
                continue
            if not every_store and header.text and header.text != redact(self.uri):
                continue
            try:
                with FileLock(spool.folder / "lock", timeout=0):
                    self._finish(spool)
            except Timeout:
                continue  # its own process sends it
            except UserError as error:
                self.report.tell(note=f"{error}.")

    def _finish(self, spool: Spool) -> None:
        """Send what an earlier run has left; remove the spool unless its process goes on."""
        owner = spool.owner
        if self._send_all(spool) or (owner is not None and owner.is_gone()):
            self._attempt(self._writer.close_killed)
            spool.remove()
            self.report.tell(replayed=self.report.replayed + 1)

    def _follow(self, own: Spool) -> bool:
        """Send what the training appends; True when it said that it has finished."""
        while own.header is None and not self.leaving.wait(POLL_SECONDS):
            pass
        if own.header is None:
            return True
        with FileLock(own.folder / "lock"):
            ended = self._send_all(own)
            while not ended and not self.leaving.wait(POLL_SECONDS):
                ended = self._send_all(own)
            ended = ended or self._send_all(own)
        if ended:
            own.remove()
        return ended

    def _send_all(self, spool: Spool) -> bool:
        """Send all lines that are there; True where the last of them says that the run is over."""
        ended = False
        for offset, record in _joined(spool.records(spool.sent)):
            ended = record.kind == "end"
            if record.kind in CALLS:
                self._attempt(lambda record=record: self._send(spool, record))  # type: ignore[misc]
            spool.mark(offset)
            self.report.tell(sent=self.report.sent + 1)
        return ended

    def _send(self, spool: Spool, record: Record) -> None:
        if reason := self._writer.write(spool, record):
            self.report.tell(note=f"MLflow refused a record ({record.kind}): {reason}")


def _joined(records: Iterable[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    """Make one record of the metrics of a run that follow each other: MLflow takes many at once."""
    before: tuple[int, Record] | None = None
    for offset, record in records:
        joined = before and _with_points(before[1], record)
        if before and not joined:
            yield before
        before = offset, joined or record
    if before:
        yield before


def _with_points(first: Record, second: Record) -> Record | None:
    """Two records of metrics of one run as one, where MLflow takes that many at once."""
    points = [*first.points, *second.points]
    alike = first.kind == second.kind == "metrics" and first.run == second.run
    return replace(second, points=points) if alike and len(points) <= BATCH else None


def _wait_for_end(leaving: threading.Event) -> None:
    with suppress(OSError):
        sys.stdin.read()
    leaving.set()


def main(root: str, *words: str) -> int:
    """Send the spool, if one is given, after those of earlier runs; return the exit code."""
    leaving, report = threading.Event(), Report()
    threading.Thread(target=_wait_for_end, args=(leaving,), daemon=True).start()
    sender = Sender(Path(root), os.environ["MLFLOW_TRACKING_URI"], report, leaving)
    folders = [word for word in words if not word.startswith("--")]
    try:
        sender.run(Spool(Path(folders[0])) if folders else None, "--all" in words)
    except Exception as error:
        said = str(error).rstrip(".") if isinstance(error, UserError) else type(error).__name__
        report.tell(problem=said, busy=False)
        return 1
    report.tell(done=True, busy=False)
    return 0


if __name__ == "__main__":
    os._exit(main(*sys.argv[1:]))  # MLflow takes seconds to end
