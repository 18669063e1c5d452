"""Prune old versions of the outputs of a run."""

from __future__ import annotations

from pathlib import PurePath

from kedro.io import DataCatalog
from kedro.pipeline import Pipeline

from medgan.datasets.base import StoredDataset


def prune(pipeline: Pipeline, catalog: DataCatalog, keep: int) -> None:
    """Drop all but the newest versions of each versioned output; 0 keeps them all."""
    for name in sorted(pipeline.all_outputs()):
        dataset = catalog.get(name)
        if keep and isinstance(dataset, StoredDataset) and dataset._version:
            for path in dataset._get_versions()[keep:]:
                dataset._fs.rm(str(PurePath(path).parent), recursive=True)
