"""What a run needs before its first node, and the command that makes what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from kedro.io import AbstractDataset, DataCatalog
from kedro.pipeline import Pipeline

from medgan.errors import UserError
from medgan.nested import leaves


def require_inputs(
    pipeline: Pipeline,
    catalog: DataCatalog,
    registry: Mapping[str, Pipeline],
    run: Mapping[str, Any],
) -> None:
    """Checks the free inputs of a run.

    Args:
        pipeline: the nodes that will run.
        catalog: the data sets.
        registry: all pipelines, in the order of the data flow.
        run: Kedro's `run_params`: environment and runtime parameters for the command in the
            message.

    Raises:
        UserError: an input is not there; names it, and the command that makes it.
    """
    missing = missing_inputs(pipeline, catalog)
    if missing:
        makers = _makers(missing, catalog, registry)
        names = ", ".join(sorted(missing))
        remedy = (
            f"make {'it' if len(missing) == 1 else 'them'} with `{_command(makers, run)}`"
            if makers
            else "no pipeline makes it"
        )
        raise UserError(f"Missing {'input' if len(missing) == 1 else 'inputs'} {names}: {remedy}.")


def missing_inputs(pipeline: Pipeline, catalog: DataCatalog) -> set[str]:
    """Free inputs that are neither there nor optional."""
    free = (
        name
        for name in pipeline.inputs()
        if not name.startswith("params:") and name != "parameters"
    )
    return {name for name in free if not _present(catalog.get(name))}


def _present(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a data set can be loaded; one that does not say (`_exists`) is asked when it
    loads.
    """
    if dataset is None:
        return False
    metadata = getattr(dataset, "metadata", None) or {}
    optional = getattr(dataset, "optional", False) or metadata.get("optional", False)
    silent = type(dataset)._exists is AbstractDataset._exists
    return bool(optional or silent or dataset.exists())


def _makers(
    missing: Iterable[str], catalog: DataCatalog, registry: Mapping[str, Pipeline]
) -> list[str]:
    """The pipelines that make these data sets and whatever those need in turn, in the order of the
    registry.
    """
    wanted, makers = set(missing), set[str]()
    while wanted:
        found = {
            name
            for name, pipeline in registry.items()
            if name != "__default__" and wanted & pipeline.all_outputs()
        } - makers
        makers |= found
        wanted = set[str]().union(*(missing_inputs(registry[name], catalog) for name in found))
    return [name for name in registry if name in makers]


def _command(makers: list[str], run: Mapping[str, Any]) -> str:
    option = f"--pipeline {makers[0]}" if len(makers) == 1 else f"--pipelines {','.join(makers)}"
    environment = f" --env {run['env']}" if run.get("env") else ""
    parameters = ",".join(
        f"{key}={value}" for key, value in leaves(run.get("runtime_params") or {})
    )
    return f"kedro run {option}{environment}" + (
        f" --params {shlex.quote(parameters)}" if parameters else ""
    )
