"""The six pipelines, in the order of the data flow; `kedro run` runs them all."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Collection
from typing import Any

from kedro.framework.project import pipelines as project_pipelines
from kedro.pipeline import Pipeline

from medgan import models
from medgan.pipelines.arms import ALL, SOURCE, SOURCE_ARMS, with_all_models

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
    """The pipelines by name, with their sum as `__default__`, and the same of all models as
    `all_models`; its parts, such as `all_models.gan_training`, are there where they are requested.
    `medigan` is `synthesis` with a source of others in place of the generators, and
    `medigan.classifier_training` has the arms that train on its images.

    Only the requested ones where a command names them (`kedro run --pipeline ingestion`): to import
    the nodes of the others takes about a second.
    """
    requested = project_pipelines._requested_pipelines  # as in Kedro's `find_pipelines`
    everything = requested is None or "__default__" in requested
    names = [name for name in PIPELINES if everything or name in (requested or ())]
    every = [ALL] if requested is None else [name for name in _of_all_models() if name in requested]
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message)
        pipelines = {name: _create(name) for name in names}
        if everything:
            pipelines["__default__"] = sum(pipelines.values(), start=Pipeline([]))
        for name in every:
            parts = [_create(part, models.names()) for part in _of_all_models()[name]]
            pipelines[name] = sum(parts, start=Pipeline([]))
        for name, part in {SOURCE: "synthesis", SOURCE_ARMS: "classifier_training"}.items():
            if requested is None or name in requested:
                module: Any = importlib.import_module(f"medgan.pipelines.{part}.pipeline")
                pipelines[name] = module.create_source_pipeline()
    return pipelines


def _of_all_models() -> dict[str, tuple[str, ...]]:
    """The pipelines of all models, and the pipelines that each of them has."""
    return {ALL: PIPELINES, **{with_all_models(name): (name,) for name in PIPELINES}}


def _create(name: str, chosen: Collection[str] | None = None) -> Pipeline:
    module = importlib.import_module(f"medgan.pipelines.{name}.pipeline")
    pipeline: Pipeline = module.create_pipeline(chosen=chosen)
    return pipeline
