"""The calls of MLflow that records ask for. Each may be repeated, as all records of a spool may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from medgan.errors import UserError
from medgan.files.processes import ProcessIdentity
from medgan.tracking.redaction import redact
from medgan.tracking.spool import Kind, Record, Spool
from medgan.tracking.store import ARTIFACTS, limit, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

KEY, HOST, PID, STARTED = "medgan.run", "medgan.host", "medgan.pid", "medgan.process_start"
PARENT = "mlflow.parentRunId"
CHAMPION = "champion"
DATA, SKILL = "data_hash", "val_auroc"
"""Tags of a version: the data that it was trained on, and its AUROC on their validation images."""
CONTEXT = "mlflow.data.context"
REFUSED = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}
"""What MLflow answers where the record is at fault, so that no repetition helps."""


class Writer:
    """Writes records to a store of MLflow."""

    def __init__(self, client: MlflowClient, root: Path, uri: str) -> None:
        self.client, self.root, self.uri = client, root, uri
        self._experiments: dict[str, str] = {}
        self._runs: dict[str, str] = {}

    def write(self, spool: Spool, record: Record) -> str:
        """Make the call of a record; return why MLflow refuses it, empty where it does not."""
        try:
            with limit():
                CALLS[record.kind](self, spool, record)
        except UserError:
            raise
        except Exception as error:
            if not self._is_refused(error):
                raise
            self._require_active(record)
            return redact(" ".join(str(error).split()))[:200]
        return ""

    def close_killed(self) -> None:
        """Close as KILLED every RUNNING run whose process on this machine is gone."""
        here = ProcessIdentity.own().host
        running = f"attributes.status = 'RUNNING' and tags.`{HOST}` = '{here}'"
        with limit():
            for run in self.client.search_runs(self._places(), filter_string=running):
                tags = run.data.tags
                if ProcessIdentity(here, int(tags[PID]), tags.get(STARTED, "")).is_gone():
                    self.client.set_terminated(run.info.run_id, "KILLED")

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

    def _places(self) -> list[str]:
        return [found.experiment_id for found in self.client.search_experiments()]

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
        runs = self.client.search_runs(self._places(), filter_string=f"tags.`{KEY}` = '{key}'")
        used = sorted(runs, key=lambda run: -len(run.data.metrics) - len(run.data.params))
        return [str(run.info.run_id) for run in used]

    def start(self, spool: Spool, record: Record) -> None:
        """Make a run, unless MLflow has it."""
        header = spool.header
        if header is None or self._found(record.run):
            return
        owner = header.values
        tags = {KEY: record.run, HOST: owner["host"], PID: owner["pid"], STARTED: owner["started"]}
        tags |= {PARENT: self._id(record.text)} if record.text else {}
        run = self.client.create_run(
            self._experiment(header.name),
            start_time=record.at,
            tags={**record.values, **tags},
            run_name=record.name,
        )
        self._runs[record.run] = str(run.info.run_id)

    def parameters(self, _: Spool, record: Record) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        items = [Param(name, value) for name, value in record.values.items()]
        self.client.log_batch(self._id(record.run), params=items)

    def metrics(self, _: Spool, record: Record) -> None:
        """Log metrics; the same point sent twice is one point."""
        from mlflow.entities import Metric

        items = [Metric(name, value, at, step) for name, value, step, at in record.points]
        self.client.log_batch(self._id(record.run), metrics=items)

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
        if not path.exists():
            return
        mark = f"images/{record.name}+step+{record.step}+timestamp+{record.at}+"
        known = self.client.list_artifacts(run, "images")
        if not any(file.path.startswith(mark) for file in known):
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
        """Log the images of a run as its input; their paths are not logged: they may name patients."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        about = {"source": record.values["source"], "profile": record.values["profile"]}
        dataset = Dataset(record.name, record.text, source_type="medgan", **about)
        given = DatasetInput(dataset, [InputTag(CONTEXT, "training")])
        self.client.log_inputs(self._id(record.run), datasets=[given])

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


CALLS: Mapping[Kind, Callable[[Writer, Spool, Record], None]] = {
    "start": Writer.start,
    "parameters": Writer.parameters,
    "metrics": Writer.metrics,
    "tag": Writer.tag,
    "file": Writer.file,
    "image": Writer.image,
    "dataset": Writer.dataset,
    "model": Writer.model,
    "finish": Writer.finish,
}
"""Kind of a record -> its call; the other kinds are about the spool itself."""


def register(client: MlflowClient, run_id: str, record: Record) -> None:
    """Register a model whose files are artifacts of a run; make it the champion if it is one.

    It is the champion unless another version on the same data has a higher validation AUROC.
    """
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # it exists; anything else fails at the next call
        client.create_registered_model(record.name)
    versions = client.search_model_versions(f"name='{record.name}'")
    made = next((one for one in versions if one.run_id == run_id), None)
    if made is None:
        source = f"{client.get_run(run_id).info.artifact_uri}/{record.text}"
        made = client.create_model_version(record.name, source, run_id, tags=dict(record.values))
    if _surpasses(made, _champion(client, record.name)):
        client.set_registered_model_alias(record.name, CHAMPION, made.version)


def _champion(client: MlflowClient, name: str) -> ModelVersion | None:
    aliases = client.get_registered_model(name).aliases
    return client.get_model_version(name, aliases[CHAMPION]) if CHAMPION in aliases else None


def _surpasses(made: ModelVersion, champion: ModelVersion | None) -> bool:
    if champion is None or made.tags.get(DATA) != champion.tags.get(DATA):
        return True
    return float(made.tags.get(SKILL, 1)) >= float(champion.tags.get(SKILL, 0))
