"""A tracker that never stops a training: explicit run ids, short timeouts, and a queue for what a
server would not take.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from medgan.nested import not_finite, numbers, texts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlflow import MlflowClient

logger = logging.getLogger(__name__)
SQLITE = "sqlite:///"
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""MLflow's own patience is 248 s a call (fault F36)."""
RETRY_SECONDS = 30.0
Call = Callable[["MlflowClient"], Any]


def store_uri(uri: str, root: Path) -> str:
    """The address of the store, a relative SQLite file taken from the project root: a notebook
    would else make a second one.
    """
    if not uri.startswith(SQLITE):
        return uri
    path = uri.removeprefix(SQLITE)
    return uri if Path(path).is_absolute() else f"{SQLITE}{root / path}"


@dataclass
class Tracker:
    """One MLflow experiment. Calls that fail wait in a queue and are tried again, in their order,
    by the calls after them.
    """

    client: MlflowClient
    experiment_id: str
    _queue: deque[Call] = field(default_factory=deque)
    _retry_at: float = 0.0

    @classmethod
    def open(cls, uri: str, experiment: str, root: Path) -> Tracker:
        """Connects, and on first use makes the store and the experiment.

        Args:
            uri: where MLflow keeps its runs; `sqlite:///mlflow.db` is a file in the project root.
            experiment: name of the experiment, made where it is new.
            root: the project root, which keeps the artifacts of a local store.
        """
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        address = store_uri(uri, root)
        with _migrating(address):
            client = MlflowClient(tracking_uri=address)
            found = client.get_experiment_by_name(experiment)
            artifacts = (root / "mlartifacts").as_uri() if address.startswith(SQLITE) else None
            experiment_id = (
                found.experiment_id
                if found
                else client.create_experiment(experiment, artifact_location=artifacts)
            )
        return cls(client, experiment_id)

    def start(self, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Starts a run, a child of `parent` where one is given, and returns its id."""
        nested = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **nested})
        return str(run.info.run_id)

    def curves(self, run_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Logs rows with a `step`: every other number in them is a metric at that step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, int(row["step"]))
            for row in rows
            for name, value in numbers(row).items()
            if name not in ("step", "epoch")
        ]
        self._batches(run_id, metrics, 1000, "metrics")

    def metrics(self, run_id: str, values: Any) -> None:
        """Logs every finite number of a nested result, and warns of the others: the store would
        keep infinity as 1.8e308 (fault F47).
        """
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        left_out = not_finite(values)
        if left_out:
            logger.warning(
                "%d metrics are not finite and were not logged to MLflow: %s.",
                len(left_out),
                ", ".join(left_out[:5]),
            )
        self._batches(
            run_id,
            [Metric(name, value, now, 0) for name, value in numbers(values).items()],
            1000,
            "metrics",
        )

    def parameters(self, run_id: str, values: Any) -> None:
        """Logs settings, flat."""
        from mlflow.entities import Param

        self._batches(
            run_id, [Param(name, value) for name, value in texts(values).items()], 100, "params"
        )

    def file(self, run_id: str, path: Path, folder: str) -> None:
        """Copies a file to the artifacts of a run."""
        self._send(lambda client: client.log_artifact(run_id, str(path), folder))

    def image(self, run_id: str, path: Path, key: str, step: int) -> None:
        """Logs a picture under a key, with a slider over its steps in the MLflow UI."""
        from PIL import Image

        def log(client: MlflowClient) -> None:
            with Image.open(path) as picture:
                client.log_image(
                    run_id, picture.convert("RGB"), key=key, step=step, synchronous=True
                )

        self._send(log)

    def tag(self, run_id: str, name: str, value: str) -> None:
        """Sets a tag."""
        self._send(lambda client: client.set_tag(run_id, name, value))

    def finish(self, run_id: str, status: str) -> None:
        """Closes a run as FINISHED, FAILED or KILLED."""
        self._send(lambda client: client.set_terminated(run_id, status))

    def finish_children(self, parent: str, status: str) -> None:
        """Closes every child that still reads RUNNING: a signal can fall between the making of a
        run and the note of its id.
        """

        def finish_all(client: MlflowClient) -> None:
            running = f"tags.`mlflow.parentRunId` = '{parent}' and attributes.status = 'RUNNING'"
            for run in client.search_runs([self.experiment_id], filter_string=running):
                client.set_terminated(run.info.run_id, status)

        self._send(finish_all)

    def close(self) -> None:
        """Tries once more to send what is waiting, and says so where that fails."""
        self._retry_at = 0.0
        self._flush()
        if self._queue:
            logger.warning(
                "MLflow did not take %d records of this run; results and checkpoints are complete without them.",
                len(self._queue),
            )

    def _batches(self, run_id: str, items: Iterable[Any], size: int, kind: str) -> None:
        iterator = iter(items)
        while batch := list(islice(iterator, size)):
            self._send(_batch(run_id, kind, batch))

    def _send(self, call: Call) -> None:
        self._queue.append(call)
        if time.monotonic() >= self._retry_at:
            self._flush()

    def _flush(self) -> None:
        try:
            while self._queue:
                self._queue[0](self.client)
                self._queue.popleft()
        except Exception as error:
            if interrupted(error):
                raise
            if not self._retry_at:
                logger.warning(
                    "MLflow does not answer (%s): the run goes on, and its records wait.",
                    type(error).__name__,
                )
            self._retry_at = time.monotonic() + RETRY_SECONDS


def interrupted(error: BaseException) -> bool:
    """Whether a signal is behind an exception: its exit code is 128 and the number of the
    signal.
    """
    link: BaseException | None = error
    while link is not None:
        if getattr(link, "exit_code", 0) > 128:
            return True
        link = link.__cause__ or link.__context__
    return False


def _batch(run_id: str, kind: str, items: list[Any]) -> Call:
    content: dict[str, Any] = {kind: items}
    return lambda client: client.log_batch(run_id, **content)


@contextmanager
def _migrating(address: str) -> Iterator[None]:
    """One process at a time makes or migrates an SQLite store: of two that meet on a fresh one, one
    fails (fault F38).
    """
    if not address.startswith(SQLITE):
        yield
        return
    path = Path(address.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=120):
        yield
