"""Build nodes: functions that get their inputs as the types that they take, in namespaces."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from inspect import signature
from typing import Any

from kedro.pipeline import Node, Pipeline

from medgan.evaluation.results import LeftOut
from medgan.pipelines.shared import EvaluationData, publish_model, train_model
from medgan.training.job import TrainingJob

Outputs = str | list[str]


def node(
    function: Callable[..., Any],
    inputs: list[str] | dict[str, str],
    outputs: Outputs,
    name: str = "",
    tags: str | None = None,
) -> Node:
    """Create a node that is named after its function, if it has no other name."""
    return Node(function, inputs, outputs, name=name or function.__name__, tags=tags)


def namespaced(nodes: list[Node], *names: str) -> Pipeline:
    """Put nodes into the namespace `<name>.<name>`, and give them these tags."""
    return Pipeline(
        nodes, namespace=".".join(names), prefix_datasets_with_namespace=False, tags=names
    )


def training_nodes(plan: Callable[..., TrainingJob], name: str, inputs: list[str]) -> list[Node]:
    """Train and publish a model: `plan(name, *inputs)` gives the job.

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


def by_model(kind: str, dataset: str, names: tuple[str, ...]) -> dict[str, str]:
    """Name the inputs of which `gathered` makes one mapping: `{model}.<dataset>` of each model."""
    return {f"{kind}.{name}": f"{name}.{dataset}" for name in names}


def gathered(
    function: Callable[..., Any], keeps: str = "", **types: Callable[..., Any]
) -> Callable[..., Any]:
    """Call a function with typed arguments.

    Inputs `<kind>.<name>` become the fields of `types[kind]`, or a mapping where there is no such
    type. What is None is left out of both, so a field of something optional needs a default.

    A model that is left out has no entry in a mapping; its reason stands in the argument
    `left_out`, where the function has one. A function of one model is not called at all: its
    output is left out too. Only the input that `keeps` names is handed on as `LeftOut`.
    """
    told = "left_out" in signature(function).parameters

    @wraps(function)
    def typed(**inputs: Any) -> Any:
        nested: dict[str, Any] = {"left_out": {}} if told else {}
        for path, value in inputs.items():
            *kinds, name = path.split(".")
            place = nested
            for kind in kinds:
                place = place.setdefault(kind, {})
            if isinstance(value, LeftOut) and name != keeps:
                if not kinds:
                    return value
                if told:
                    nested["left_out"][name] = value.reason
            elif value is not None or not kinds:
                place[name] = value
        return function(
            **{name: types[name](**v) if name in types else v for name, v in nested.items()}
        )

    return typed


DATA = {
    "data.images": "images",
    "data.splits": "splits",
    "data.config": "params:evaluation",
    "data.seed": "params:seed",
}
"""The inputs of `EvaluationData`."""


def data_node(
    function: Callable[..., Any],
    inputs: dict[str, str],
    outputs: Outputs,
    *,
    name: str = "",
    tags: str | None = None,
    keeps: str = "",
    **types: Callable[..., Any],
) -> Node:
    """Create a `gathered` node of a function that takes `data`."""
    gather = gathered(function, keeps, data=EvaluationData, **types)
    return node(gather, DATA | inputs, outputs, name, tags)
