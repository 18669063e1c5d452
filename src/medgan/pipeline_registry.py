"""The six pipelines, in the order of the data flow; `kedro run` runs them all."""

from __future__ import annotations

import importlib

from kedro.pipeline import Pipeline

PIPELINES = (
    "ingestion",
    "preprocessing",
    "gan_training",
    "synthesis",
    "classifier_training",
    "anomaly_evaluation",
)


def register_pipelines() -> dict[str, Pipeline]:
    """Every pipeline by its name, and their sum as `__default__`."""
    pipelines = {name: _create(name) for name in PIPELINES}
    return {**pipelines, "__default__": sum(pipelines.values(), start=Pipeline([]))}


def _create(name: str) -> Pipeline:
    pipeline: Pipeline = importlib.import_module(
        f"medgan.pipelines.{name}.pipeline"
    ).create_pipeline()
    return pipeline
