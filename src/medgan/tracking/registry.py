"""Data sets and published models as MLflow's own kinds: inputs of runs, versions in the registry.

Each call may be repeated, as all records of a spool may.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from medgan.tracking.spool import Record

CHAMPION = "champion"
DATA, SKILL = "data_hash", "val_auroc"
"""Tags of a version: the data that it was trained on, and its AUROC on their validation images."""
CONTEXT = "mlflow.data.context"


def log_dataset(client: MlflowClient, run_id: str, record: Record) -> None:
    """Log the images of a run as its input. Paths are not logged: they may name patients."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    dataset = Dataset(
        record.name,
        record.text,
        source_type="medgan",
        source=record.values["source"],
        profile=record.values["profile"],
    )
    client.log_inputs(run_id, datasets=[DatasetInput(dataset, [InputTag(CONTEXT, "training")])])


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
