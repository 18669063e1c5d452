"""gan_training: per model, train (resumable, live curves), publish (versioned), plot."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from medgan import models
from medgan.pipelines.gan_training.nodes import plan_model
from medgan.pipelines.training import training_nodes


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each model."""
    return sum((_model_pipeline(name) for name in models.names()), Pipeline([]))


def _model_pipeline(name: str) -> Pipeline:
    shared = ["params:gan_training", "params:augmentation", "params:seed"]
    base = Pipeline(
        training_nodes(plan_model, name, ["images", "splits", "params:settings", *shared])
    )
    parameters = {
        "params:settings": f"params:{name}",
        **{parameter: parameter for parameter in shared},
    }
    return Pipeline(
        base,
        namespace=name,
        inputs={"images", "splits"},
        parameters=parameters,
        tags=["gan_training", name],
    )
