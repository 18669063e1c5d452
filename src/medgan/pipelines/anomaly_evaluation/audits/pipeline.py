"""audits: audit every detector; score the shortcuts and describe the cohort."""

from __future__ import annotations

from collections.abc import Iterable

from kedro.pipeline import Node

from medgan import models
from medgan.pipelines.anomaly_evaluation.audits import nodes
from medgan.pipelines.gathering import DATA, on_data


def parts(detectors: Iterable[str]) -> dict[str, list[Node]]:
    """Create the node of each detector."""
    return {name: [_audit(name)] for name in detectors}


def _audit(name: str) -> Node:
    inputs = {kind: f"{name}.{kind}" for kind in ("trained", "scores", "evaluation")}
    inputs |= {"leakage_audit": "leakage_audit"}
    if name in models.encoders():
        inputs |= {"classifiers": "results.classifiers"}
    return Node(on_data(nodes.audit), DATA | inputs, f"{name}.audit", name="audit")


def together() -> list[Node]:
    """Create the nodes about the data."""
    return [
        Node(
            nodes.score_shortcuts,
            ["images", "splits", "params:seed"],
            "shortcut_scores",
            name="score_shortcuts",
        ),
        Node(
            nodes.describe_cohort,
            ["splits", "quarantine", "exclusions", "leakage_audit"],
            "cohort",
            name="describe_cohort",
        ),
    ]
