"""Nodes that train and publish a model, for every pipeline that trains."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kedro.pipeline import Node

from medgan.pipelines.shared import publish_model, train_model
from medgan.training.job import TrainingJob


def training_nodes(plan: Callable[..., TrainingJob], name: str, inputs: list[str]) -> list[Node]:
    """Train and publish: `plan(name, *inputs)` gives the job.

    The training yields, and each yield is saved at once, so its outputs cannot be versioned; the
    published model is.
    """
    run, choose = partial(train_model, plan, name), partial(publish_model, plan, name)
    run.__name__, choose.__name__ = "train_model", "publish_model"  # type: ignore[attr-defined]
    return [
        Node(
            run, ["earlier_trainings", "params:compute", *inputs], f"{name}.training", name="train"
        ),
        Node(choose, [f"{name}.training", *inputs], f"{name}.trained", name="publish"),
    ]
