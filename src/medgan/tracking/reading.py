"""Read earlier runs from MLflow: their settings, metrics and logged files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from medgan.errors import UserError
from medgan.tracking.store import (
    answering,
    limit,
    open_client,
    require_store,
    sqlite_file,
    store_uri,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
ID_LENGTH = 4
"""Fewest letters that are read as the start of a run id."""
MOST = 500
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
PLACES = {"latest": 0, "previous": 1}
"""Among the runs that evaluated something."""
UNFINISHED = ("RUNNING", "SCHEDULED", "KILLED")


@dataclass(frozen=True)
class TrackedRun:
    """One `kedro run`, or a child of one, in MLflow."""

    run_id: str
    name: str
    status: str
    started: datetime
    """UTC."""
    tags: Mapping[str, str]
    settings: Mapping[str, str]
    metrics: Mapping[str, Any]
    """Nested, as they were before they were logged."""

    @property
    def title(self) -> str:
        """Name, start and the first letters of the id."""
        return f"{self.name}, {self.started:%Y-%m-%d %H:%M} UTC, {self.run_id[:8]}"


class RunArchive:
    """The runs of one experiment, newest first."""

    def __init__(self, client: MlflowClient, uri: str, experiment_id: str, experiment: str) -> None:
        self._client = client
        self._uri = uri
        self._experiment_id = experiment_id
        self._experiment = experiment

    @classmethod
    def open(cls, uri: str, experiment: str, root: Path) -> RunArchive:
        """Connect to an existing store.

        Raises:
            UserError: there is no store, it does not answer, or it has no such experiment.
        """
        require_store(uri)
        path = sqlite_file(store_uri(uri, root))
        if path is not None and not path.exists():
            raise UserError(
                "There is no MLflow store here yet: `kedro run` makes it; or give two results.json "
                "files."
            )
        with answering(uri):
            client, _ = open_client(uri, root)
            with limit():
                found = client.get_experiment_by_name(experiment)
        if found is None:
            raise UserError(
                f"MLflow has no runs of '{experiment}' yet: make one with `kedro run`, or name "
                "another data set with --env."
            )
        if found.lifecycle_stage != "active":
            raise UserError(
                f"The MLflow experiment '{experiment}' is deleted: restore it with `mlflow "
                f"experiments restore --experiment-id {found.experiment_id}`, or give two "
                "results.json files."
            )
        return cls(client, uri, str(found.experiment_id), experiment)

    def runs(self) -> list[TrackedRun]:
        """The parent runs."""
        found = self._search(order_by=["attributes.start_time DESC"], max_results=MOST * 20)
        return [_tracked(run) for run in found if PARENT not in run.data.tags][:MOST]

    def evaluated(self) -> list[TrackedRun]:
        """The parent runs that evaluated a detector and were not killed."""
        query = "metrics.`auroc.value` >= 0"
        parents = {run.data.tags.get(PARENT) for run in self._search(filter_string=query)}
        return [
            run for run in self.runs() if run.run_id in parents and run.status not in UNFINISHED
        ]

    def find(self, words: str) -> TrackedRun:
        """Find a run by the start of its id, `latest`, `previous`, its start time or its name.

        A start time is 2026-05-01 or 2026-05-01T12:30, UTC. Of several matches, the newest that
        evaluated a detector counts, or else the newest.

        Raises:
            UserError: there is none, or several ids begin with `words`.
        """
        if words in PLACES:
            found = self.evaluated()[PLACES[words] :]
            if found:
                return found[0]
            raise UserError(
                f"There is no {words} run of '{self._experiment}' that evaluated a detector: make "
                "one with `kedro run`; `medgan compare` lists all."
            )
        runs = self.runs()
        if found := _matching(words, runs):
            evaluated = {run.run_id for run in self.evaluated()} if len(found) > 1 else set()
            return min(found, key=lambda run: run.run_id not in evaluated)
        known = "; ".join(run.title for run in runs[:3]) or "none"
        raise UserError(
            f"MLflow has no run '{words}' of '{self._experiment}': the newest are {known}. "
            "`medgan compare` lists more."
        )

    def children(self, run: TrackedRun) -> dict[str, TrackedRun]:
        """The child runs by their namespace."""
        query = f"tags.`{PARENT}` = '{run.run_id}'"
        found = self._search(filter_string=query, max_results=MOST)
        return {
            str(child.data.tags.get("namespace", child.info.run_name)): _tracked(child)
            for child in found
        }

    def artifact(self, run: TrackedRun, path: str) -> bytes | None:
        """The content of a logged file; None if the run has no such file."""
        folder = str(Path(path).parent)
        with answering(self._uri), limit(), tempfile.TemporaryDirectory() as where:
            if path not in {file.path for file in self._client.list_artifacts(run.run_id, folder)}:
                return None
            return Path(self._client.download_artifacts(run.run_id, path, where)).read_bytes()

    def _search(self, **query: Any) -> list[Run]:
        with answering(self._uri), limit():
            return list(self._client.search_runs([self._experiment_id], **query))


def nested(metrics: Mapping[str, float]) -> dict[str, Any]:
    """`{"auroc.value": 0.9}` as `{"auroc": {"value": 0.9}}`.

    A number whose name is the prefix of other names becomes `value` beside them.
    """
    tree: dict[str, Any] = {}
    for name, value in sorted(metrics.items()):
        *path, last = name.split(".")
        place = tree
        for part in path:
            inner = place.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = place[part] = {"value": inner}
            place = inner
        place[last] = value
    return tree


def _tracked(run: Run) -> TrackedRun:
    about, data = run.info, run.data
    return TrackedRun(
        about.run_id,
        about.run_name,
        about.status,
        started=datetime.fromtimestamp(about.start_time / 1000, UTC),
        tags=dict(data.tags),
        settings=dict(data.params),
        metrics=nested(data.metrics),
    )


def _matching(words: str, runs: Sequence[TrackedRun]) -> list[TrackedRun]:
    """The run whose id begins with `words`, else runs that started then, else those of the name."""
    of_id = [run for run in runs if run.run_id.startswith(words.lower())]
    if of_id and len(words) >= ID_LENGTH:
        if len(of_id) > 1:
            problem = f"{len(of_id)} runs have ids that begin with '{words}'"
            raise UserError(f"{problem}: give more letters.")
        return of_id
    start = words.replace(" ", "T")
    of_date = [run for run in runs if run.started.isoformat().startswith(start)]
    of_name = [run for run in runs if run.name == words]
    return of_date if of_date and DATE.match(words) else of_name
