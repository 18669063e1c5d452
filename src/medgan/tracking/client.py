"""A tracker that never stops a training: short timeouts, and a queue while a server is down."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from medgan.errors import chain
from medgan.nested import not_finite, numbers, texts

if TYPE_CHECKING:
    from mlflow import MlflowClient

logger = logging.getLogger(__name__)
SQLITE = "sqlite:///"
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""By default MLflow waits up to 248 s for a call."""
RETRY_SECONDS = 30.0
BATCH = {"metrics": 1000, "params": 100}
"""Most items that MLflow takes in one call."""
Call = Callable[["MlflowClient"], Any]


def store_uri(uri: str, root: Path) -> str:
    """The address of the store; a relative SQLite file lies in the project root.

    Relative to the working directory, a notebook would make a second store.
    """
    if not uri.startswith(SQLITE):
        return uri
    path = uri.removeprefix(SQLITE)
    return uri if Path(path).is_absolute() else f"{SQLITE}{root / path}"


@dataclass
class Tracker:
    """One MLflow experiment.

    Calls that fail wait in a queue, and later calls send them first, in their order.
    """

    client: MlflowClient
    experiment_id: str
    _queue: deque[Call] = field(default_factory=deque)
    _retry_at: float = 0.0

    @classmethod
    def open(cls, uri: str, experiment: str, root: Path) -> Tracker:
        """Connect; make the store and the experiment if they do not exist.

        Args:
            uri: where MLflow keeps its runs; `sqlite:///mlflow.db` is a file in the project root.
            experiment: name of the experiment.
            root: the project root, which keeps the artifacts of a local store.
        """
        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        address = store_uri(uri, root)
        with _migrating(address):
            client = MlflowClient(tracking_uri=address)
            found = client.get_experiment_by_name(experiment)
            if found:
                return cls(client, found.experiment_id)
            artifacts = (root / "mlartifacts").as_uri() if address.startswith(SQLITE) else None
            return cls(client, client.create_experiment(experiment, artifact_location=artifacts))

    def start(self, name: str, tags: Mapping[str, str], parent: str | None = None) -> str:
        """Start a run, a child of `parent` if given; return its id."""
        nested = {"mlflow.parentRunId": parent} if parent else {}
        run = self.client.create_run(self.experiment_id, run_name=name, tags={**tags, **nested})
        return str(run.info.run_id)

    def curves(self, run_id: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Log rows with a `step`: every other number in them is a metric at that step."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, int(row["step"]))
            for row in rows
            for name, value in numbers(row).items()
            if name not in ("step", "epoch")
        ]
        self._batches(run_id, "metrics", metrics)

    def metrics(self, run_id: str, values: Any) -> None:
        """Log every finite number of a nested result; warn of the others.

        MLflow would store infinity as 1.8e308.
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
        metrics = [Metric(name, value, now, 0) for name, value in numbers(values).items()]
        self._batches(run_id, "metrics", metrics)

    def parameters(self, run_id: str, values: Any) -> None:
        """Log nested settings by their dotted names."""
        from mlflow.entities import Param

        params = [Param(name, value) for name, value in texts(values).items()]
        self._batches(run_id, "params", params)

    def file(self, run_id: str, path: Path, folder: str) -> None:
        """Copy a file to the artifacts of a run."""
        self._send(lambda client: client.log_artifact(run_id, str(path), folder))

    def image(self, run_id: str, path: Path, key: str, step: int) -> None:
        """Log an image under a key; the MLflow UI has a slider over its steps."""
        from PIL import Image

        def log(client: MlflowClient) -> None:
            with Image.open(path) as picture:
                client.log_image(
                    run_id, picture.convert("RGB"), key=key, step=step, synchronous=True
                )

        self._send(log)

    def tag(self, run_id: str, name: str, value: str) -> None:
        """Set a tag."""
        self._send(lambda client: client.set_tag(run_id, name, value))

    def finish(self, run_id: str, status: str) -> None:
        """Close a run as FINISHED, FAILED or KILLED."""
        self._send(lambda client: client.set_terminated(run_id, status))

    def finish_children(self, parent: str, status: str) -> None:
        """Close every child that is still RUNNING.

        A signal between the creation of a run and the note of its id leaves such a child.
        """

        def finish_all(client: MlflowClient) -> None:
            running = f"tags.`mlflow.parentRunId` = '{parent}' and attributes.status = 'RUNNING'"
            for run in client.search_runs([self.experiment_id], filter_string=running):
                client.set_terminated(run.info.run_id, status)

        self._send(finish_all)

    def close(self) -> None:
        """Try once more to send the queue; warn if that fails."""
        self._retry_at = 0.0
        self._flush()
        if self._queue:
            logger.warning(
                "MLflow did not take %d records of this run; "
                "results and checkpoints are complete without them.",
                len(self._queue),
            )

    def _batches(self, run_id: str, kind: str, items: list[Any]) -> None:
        for start in range(0, len(items), BATCH[kind]):
            batch = {kind: items[start : start + BATCH[kind]]}
            self._send(partial(_log_batch, run_id, batch))

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
    """Whether a signal caused an exception: its exit code is 128 plus the signal number."""
    return any(getattr(link, "exit_code", 0) > 128 for link in chain(error))


@contextmanager
def _migrating(address: str) -> Iterator[None]:
    """Let one process at a time make or migrate an SQLite store; two at once fail."""
    if not address.startswith(SQLITE):
        yield
        return
    path = Path(address.removeprefix(SQLITE))
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock", timeout=120):
        yield


def _log_batch(run_id: str, batch: Mapping[str, Any], client: Any) -> None:
    client.log_batch(run_id, **batch)
