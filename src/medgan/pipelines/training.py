"""The nodes of every training, in whichever pipeline it stands."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kedro.pipeline import Node

from medgan.pipelines.shared import plot_curves
from medgan.training.job import TrainingJob, publish, train


def training_nodes(plan: Callable[..., TrainingJob], name: str, inputs: list[str]) -> list[Node]:
    """Plan, train, publish and plot: `plan(name, *inputs)` gives the job."""
    planned = partial(plan, name)
    planned.__name__ = plan.__name__  # type: ignore[attr-defined]
    return [
        Node(planned, inputs, "job", name="plan"),
        Node(train, ["job", "resume_from"], ["checkpoint", "curves", "snapshots"], name="train"),
        Node(publish, ["job", "checkpoint"], "published", name="publish"),
        Node(plot_curves, ["job", "curves"], "curves_figure", name="plot_curves"),
    ]
