"""Check the inputs of a run before its first node; name the command that makes missing ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset, AbstractVersionedDataset, DataCatalog
from kedro.pipeline import Pipeline

from medgan.errors import UserError
from medgan.project.environment import Environment


def require_inputs(
    pipeline: Pipeline,
    catalog: DataCatalog,
    registry: Mapping[str, Pipeline],
    run: Mapping[str, Any],
) -> None:
    """Check the free inputs of a run.

    Args:
        pipeline: the nodes that will run.
        catalog: the data sets.
        registry: all pipelines, in the order of the data flow.
        run: Kedro's `run_params`; its environment and parameters go into the command.

    Raises:
        UserError: an input is missing; names it, and the command that makes it.
    """
    missing = missing_inputs(pipeline, catalog)
    if not missing:
        return
    makers = _makers(missing, catalog, registry)
    given = run.get("runtime_params") or {}
    command = Environment(Path("conf"), run.get("env"), given).command(*makers)
    one = len(missing) == 1
    remedy = (
        f"make {'it' if one else 'them'} with `{command}`" if makers else "no pipeline makes it"
    )
    raise UserError(
        f"Missing {'input' if one else 'inputs'} {', '.join(sorted(missing))}: {remedy}."
    )


def require_versions(catalog: DataCatalog, versions: Mapping[str, str]) -> None:
    """Check `--load-versions`.

    Raises:
        UserError: a data set is not versioned, or does not have this version.
    """
    for name, version in versions.items():
        dataset = catalog.get(name)
        if not isinstance(dataset, AbstractVersionedDataset) or dataset._version is None:
            raise UserError(f"--load-versions: {name} is not versioned in the catalog.")
        if not dataset.exists():
            known = dataset.list_versions(full_path=False)
            newest = f"the newest are {', '.join(known[:3])}" if known else "it has none yet"
            raise UserError(f"--load-versions: {name} has no version {version}: {newest}.")


def missing_inputs(pipeline: Pipeline, catalog: DataCatalog) -> set[str]:
    """Free inputs that are neither there nor optional."""
    free = (
        name
        for name in pipeline.inputs()
        if not name.startswith("params:") and name != "parameters"
    )
    return {name for name in free if not _present(catalog.get(name))}


def _present(dataset: AbstractDataset[Any, Any] | None) -> bool:
    """Whether a data set can be loaded; one without `_exists` fails when it loads."""
    if dataset is None:
        return False
    metadata = getattr(dataset, "metadata", None) or {}
    optional = getattr(dataset, "optional", False) or metadata.get("optional", False)
    silent = type(dataset)._exists is AbstractDataset._exists
    return bool(optional or silent or dataset.exists())


def _makers(
    missing: Iterable[str], catalog: DataCatalog, registry: Mapping[str, Pipeline]
) -> list[str]:
    """The pipelines that make these data sets and their inputs, in the order of the registry; the
    first where several make one.
    """
    wanted, makers = set(missing), set[str]()
    while wanted:
        first = {
            output: name
            for name, pipeline in reversed([*registry.items()])
            if name != "__default__"
            for output in wanted & pipeline.all_outputs()
        }
        found = set(first.values()) - makers
        makers |= found
        wanted = set[str]().union(*(missing_inputs(registry[name], catalog) for name in found))
    return [name for name in registry if name in makers]
