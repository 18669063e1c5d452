"""scoring: score, evaluate and illustrate a detector; validate one of another data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kedro.pipeline import Node

from medgan.pipelines.anomaly_evaluation.scoring import nodes
from medgan.pipelines.anomaly_evaluation.scoring.projections import (
    REFERENCE,
    describe_reference_network,
)
from medgan.pipelines.cache import Earlier
from medgan.pipelines.gathering import DATA, on_data
from medgan.pipelines.shared import EvaluationData

EARLIER = {"earlier": "earlier_evaluations"}


def detector_nodes(name: str) -> list[Node]:
    """Create the nodes of one detector."""
    found = {kind: f"{name}.{kind}" for kind in ("trained", "scores", "evaluation")}
    scored = {kind: found[kind] for kind in ("trained", "scores")}
    masks, elsewhere = {"masks": "masks"}, {"elsewhere": "trained_elsewhere"}
    return [
        Node(
            on_data(nodes.score),
            DATA | EARLIER | {"trained": found["trained"]},
            f"{name}.scores",
            name="score",
        ),
        Node(on_data(nodes.evaluate), DATA | scored | masks, f"{name}.evaluation", name="evaluate"),
        Node(
            on_data(nodes.illustrate),
            DATA | EARLIER | found | masks,
            f"{name}.illustrations",
            name="illustrate",
        ),
        Node(
            on_data(_validation_of(name)),
            DATA | EARLIER | elsewhere,
            f"{name}.external",
            name="validate_externally",
            tags="external",
        ),
    ]


def _validation_of(name: str) -> Callable[..., Any]:
    def validate_externally(data: EvaluationData, elsewhere: Earlier, earlier: Earlier) -> Any:
        return nodes.validate_externally(name, data, elsewhere, earlier)

    return validate_externally


def reference_nodes() -> list[Node]:
    """Create the node of the supervised feature network."""
    trained = {"trained": f"{REFERENCE}.trained"}
    describe = on_data(describe_reference_network)
    return [Node(describe, DATA | EARLIER | trained, f"{REFERENCE}.features", name="describe")]


def parts(detectors: Iterable[str]) -> dict[str, list[Node]]:
    """Create the nodes of some detectors, and of the reference network."""
    return {
        **{name: detector_nodes(name) for name in detectors},
        REFERENCE: reference_nodes(),
    }
