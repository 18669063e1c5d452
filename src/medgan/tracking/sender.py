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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from medgan.errors import UserError
from medgan.files.processes import ProcessIdentity
from medgan.tracking.redaction import redact
from medgan.tracking.registry import log_dataset, register
from medgan.tracking.spool import (
    DATASET,
    END,
    FILE,
    FINISH,
    IMAGE,
    METRICS,
    MODEL,
    PARAMETERS,
    START,
    TAG,
    Record,
    Spool,
)
from medgan.tracking.store import (
    ARTIFACTS,
    limit,
    open_client,
    sqlite_file,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

POLL_SECONDS = 0.2
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 5.0
"""Seconds between two attempts."""
LAST_SECONDS = 12.0
"""How long it goes on without an answer after its training has ended."""
BATCH = 1000
PARAMETERS_BATCH = 100
"""Most metrics and parameters that MLflow takes in one call."""
KEY, HOST, PID, STARTED = "medgan.run", "medgan.host", "medgan.pid", "medgan.process_start"
PARENT = "mlflow.parentRunId"
REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
"""What MLflow answers where the record is at fault, so that no repetition helps."""


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
    _client: MlflowClient | None = None
    _experiments: dict[str, str] = field(default_factory=dict)
    _runs: dict[str, str] = field(default_factory=dict)

    def run(self, own: Spool | None, every_store: bool) -> None:
        """Send what earlier runs have left, close those that were killed, follow the own spool."""
        self._attempt(self._connect)
        self._replay(own, every_store)
        self._close_killed()
        if own is not None and not self._follow(own):
            self._close_killed()  # that is the own training
            own.remove()

    def _connect(self) -> None:
        """Open the store. Seconds for the import, seconds more for the first migration."""
        client, note = open_client(self.uri, self.root, busy=lambda on: self.report.tell(busy=on))
        self.report.tell(note=note or "")
        self._client = client

    def _attempt(self, call: Callable[[], None]) -> None:
        """Repeat a call until MLflow answers, or for LAST_SECONDS once the training has ended."""
        deadline, pause = None, FIRST_PAUSE
        while True:
            try:
                call()
                self.report.tell(problem="", busy=False)
                return
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
            self._close_killed()
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
            ended = record.kind == END
            if record.kind in _SEND:
                self._attempt(lambda record=record: self._send(spool, record))  # type: ignore[misc]
            spool.mark(offset)
            self.report.tell(sent=self.report.sent + 1)
        return ended

    def _send(self, spool: Spool, record: Record) -> None:
        try:
            with limit():
                _SEND[record.kind](self, spool, record)
        except UserError:
            raise
        except Exception as error:
            if not self._is_refused(error):
                raise
            self._require_active(record)
            reason = redact(" ".join(str(error).split()))[:200]
            self.report.tell(note=f"MLflow refused a record ({record.kind}): {reason}")

    def _is_refused(self, error: Exception) -> bool:
        from mlflow.exceptions import MlflowException, RestException

        answered = RestException if self.uri.startswith("http") else MlflowException
        return isinstance(error, answered) and getattr(error, "error_code", "") in REFUSED

    def _require_active(self, record: Record) -> None:
        """Keep the spool of a run that somebody deletes in MLflow while it goes on."""
        with limit():
            found = self.client.get_run(self._id(record.run)).info
        if found.lifecycle_stage != "active":
            raise UserError(
                f"The run {found.run_name} was deleted in MLflow; restore it with `mlflow runs "
                f"restore --run-id {found.run_id}`"
            )

    def _close_killed(self) -> None:
        """Close as KILLED every RUNNING run whose process on this machine is gone."""
        here = ProcessIdentity.own().host
        running = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{here}'"

        def close() -> None:
            with limit():
                places = [found.experiment_id for found in self.client.search_experiments()]
                for run in self.client.search_runs(places, filter_string=running):
                    tags = run.data.tags
                    if ProcessIdentity(here, int(tags[PID]), tags.get(STARTED, "")).is_gone():
                        self.client.set_terminated(run.info.run_id, "KILLED")

        self._attempt(close)

    @property
    def client(self) -> MlflowClient:
        """MLflow's client."""
        if self._client is None:
            raise RuntimeError("the store is not open")
        return self._client

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found is not None and found.lifecycle_stage != "active":
                raise UserError(
                    f"The MLflow experiment '{name}' is deleted; restore it with `mlflow "
                    f"experiments restore --experiment-id {found.experiment_id}`, or set another "
                    "`experiment:` in conf/local/tracking.yml"
                )
            self._experiments[name] = found.experiment_id if found else self._new(name)
        return self._experiments[name]

    def _new(self, name: str) -> str:
        local = sqlite_file(self.uri) is not None
        location = (self.root / ARTIFACTS).as_uri() if local else None
        return str(self.client.create_experiment(name, artifact_location=location))

    def _id(self, key: str) -> str:
        """MLflow's id of one of our runs."""
        if key not in self._runs:
            found = self._found(key)
            if not found:
                raise UserError(
                    f"The run {key} is not in MLflow, which has some of its records: it was "
                    "deleted there"
                )
            self._runs[key] = found[0]
        return self._runs[key]

    def _found(self, key: str) -> list[str]:
        """The ids of a run, the one that was used first: a server that hangs may make it twice."""
        places = [found.experiment_id for found in self.client.search_experiments()]
        runs = self.client.search_runs(places, filter_string=f"tags.`{KEY}` = '{key}'")
        used = sorted(runs, key=lambda run: -len(run.data.metrics) - len(run.data.params))
        return [str(run.info.run_id) for run in used]

    def start(self, spool: Spool, record: Record) -> None:
        """Make a run, unless MLflow has it."""
        if self._found(record.run):
            return
        header = spool.header
        if header is None:
            return
        values, owner = dict(record.values), header.values
        values |= {
            KEY: record.run,
            HOST: owner["host"],
            PID: owner["pid"],
            STARTED: owner["started"],
        }
        if record.text:
            values[PARENT] = self._id(record.text)
        run = self.client.create_run(
            self._experiment(header.name), start_time=record.at, tags=values, run_name=record.name
        )
        self._runs[record.run] = str(run.info.run_id)

    def parameters(self, _: Spool, record: Record) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        items = [Param(name, value) for name, value in record.values.items()]
        for start in range(0, len(items), PARAMETERS_BATCH):
            batch = items[start : start + PARAMETERS_BATCH]
            self.client.log_batch(self._id(record.run), params=batch)

    def metrics(self, _: Spool, record: Record) -> None:
        """Log metrics; the same point sent twice is one point."""
        from mlflow.entities import Metric

        items = [Metric(name, value, at, step) for name, value, step, at in record.points]
        for start in range(0, len(items), BATCH):
            self.client.log_batch(self._id(record.run), metrics=items[start : start + BATCH])

    def tag(self, _: Spool, record: Record) -> None:
        """Set a tag."""
        self.client.set_tag(self._id(record.run), record.name, record.text)

    def file(self, spool: Spool, record: Record) -> None:
        """Copy a file to the artifacts of a run."""
        path = spool.folder / record.text
        if path.exists():  # else it was sent before
            self.client.log_artifact(self._id(record.run), str(path), record.name)
            path.unlink()

    def image(self, spool: Spool, record: Record) -> None:
        """Log an image under a key; the MLflow UI has a slider over its steps."""
        from PIL import Image

        path, run = spool.folder / record.text, self._id(record.run)
        mark = f"images/{record.name}+step+{record.step}+timestamp+{record.at}+"
        if not path.exists():
            return
        if not any(
            file.path.startswith(mark) for file in self.client.list_artifacts(run, "images")
        ):
            with Image.open(path) as picture:
                self.client.log_image(
                    run,
                    picture.convert("RGB"),
                    key=record.name,
                    step=record.step,
                    timestamp=record.at,
                    synchronous=True,
                )
        path.unlink()

    def dataset(self, _: Spool, record: Record) -> None:
        """Log the input of a run."""
        log_dataset(self.client, self._id(record.run), record)

    def model(self, _: Spool, record: Record) -> None:
        """Register a model."""
        register(self.client, self._id(record.run), record)

    def finish(self, _: Spool, record: Record) -> None:
        """Close a run, and delete what a server that hung has made of it besides."""
        run = self._id(record.run)
        self.client.set_terminated(run, record.text, end_time=record.at)
        for twin in self._found(record.run):
            if twin != run:
                self.client.delete_run(twin)


_SEND: Mapping[str, Callable[[Sender, Spool, Record], None]] = {
    START: Sender.start,
    PARAMETERS: Sender.parameters,
    METRICS: Sender.metrics,
    TAG: Sender.tag,
    FILE: Sender.file,
    IMAGE: Sender.image,
    DATASET: Sender.dataset,
    MODEL: Sender.model,
    FINISH: Sender.finish,
}


def _joined(records: Iterable[tuple[int, Record]]) -> Iterator[tuple[int, Record]]:
    """Make one record of the metrics of a run that follow each other: MLflow takes many at once."""
    before: tuple[int, Record] | None = None
    for offset, record in records:
        if before and METRICS == record.kind == before[1].kind and record.run == before[1].run:
            points = [*before[1].points, *record.points]
            if len(points) <= BATCH:
                before = offset, replace(record, points=points)
                continue
        if before:
            yield before
        before = offset, record
    if before:
        yield before


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
