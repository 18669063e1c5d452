"""gan_training: per model, train (resumable, live curves), publish (versioned), plot."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines import for_model
from medgan.pipelines.gan_training import nodes


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each model."""
    return sum((_model_pipeline(name) for name in models.names()), Pipeline([]))


def _model_pipeline(name: str) -> Pipeline:
    data = ["images", "splits", "params:settings", "params:seed"]
    base = Pipeline(
        [
            Node(for_model(nodes.train_model, name), [*data, "resume_from"], ["checkpoint", "curves"], name="train"),
            Node(for_model(nodes.publish_model, name), [*data, "checkpoint"], "published", name="publish"),
            Node(for_model(nodes.plot_curves, name), "curves", "curves_figure", name="plot_curves"),
        ]
    )
    shared = {"params:settings": f"params:{name}", "params:seed": "params:seed"}
    return Pipeline(base, namespace=name, inputs={"images", "splits"}, parameters=shared, tags=["gan_training", name])
