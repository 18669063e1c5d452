"""gan_training: train (resumable, live curves) and publish (versioned) every model."""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Pipeline

from medgan import models
from medgan.pipelines.gan_training.nodes import plan_model
from medgan.pipelines.gathering import namespaced, training_nodes

NAME = "gan_training"
SHARED = [
    *("params:gan_training", "params:augmentation", "params:seed", "params:scale"),
    "params:backbone_weights",
]


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline, one namespace for each chosen model, or for those of the default run."""
    names = models.by_default() if chosen is None else sorted(chosen)
    parts = (
        training_nodes(plan_model, name, ["images", "splits", f"params:{name}", *SHARED])
        for name in names
    )
    pipelines = (namespaced(part, NAME, name) for name, part in zip(names, parts, strict=True))
    return sum(pipelines, Pipeline([]))
