"""The six pipelines, in the order of the data flow; `kedro run` runs them all."""

from __future__ import annotations

import importlib
import warnings

from kedro.framework.project import pipelines as project_pipelines
from kedro.pipeline import Pipeline

PIPELINES = (
    "ingestion",
    "preprocessing",
    "gan_training",
    "synthesis",
    "classifier_training",
    "anomaly_evaluation",
)
EXPECTED = (
    r"One or more dataset names contain .\.. characters",
    r"The node producing outputs .* is made from a .partial. function",
)
"""Kedro's warnings about names that it shall read as namespaces, and about functions of partials."""


def register_pipelines() -> dict[str, Pipeline]:
    """The pipelines by name, with their sum as `__default__`.

    Only the requested ones where a command names them (`kedro run --pipeline ingestion`): to import
    the nodes of the others takes about a second.
    """
    requested = project_pipelines._requested_pipelines  # as in Kedro's `find_pipelines`
    everything = requested is None or "__default__" in requested
    names = [name for name in PIPELINES if everything or name in (requested or ())]
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message)
        pipelines = {name: _create(name) for name in names}
        if everything:
            pipelines["__default__"] = sum(pipelines.values(), start=Pipeline([]))
    return pipelines


def _create(name: str) -> Pipeline:
    module = importlib.import_module(f"medgan.pipelines.{name}.pipeline")
    pipeline: Pipeline = module.create_pipeline()
    return pipeline
