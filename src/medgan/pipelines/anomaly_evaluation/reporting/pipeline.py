"""reporting: compare all detectors, and write the report."""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Node

from medgan import models
from medgan.pipelines.anomaly_evaluation.reporting import comparison, nodes
from medgan.pipelines.anomaly_evaluation.scoring.projections import REFERENCE
from medgan.pipelines.gathering import DATA, by_model, on_data

TOGETHER = {
    name: name
    for name in (
        "comparison",
        "cohort",
        "leakage_audit",
        "data_summary",
        "tested_elsewhere",
        "cut",
        "sample_grids",
        "arms_comparison",
    )
}


def together(names: Collection[str]) -> list[Node]:
    """Create the nodes about all detectors among some models."""
    detectors = tuple(name for name in models.detectors() if name in names)
    encoders = tuple(name for name in models.encoders() if name in names)
    features = by_model("features", "features", (REFERENCE,))
    evaluations = by_model("evaluations", "evaluation", detectors)
    audits = by_model("audits", "audit", detectors)
    projected = by_model("illustrations", "illustrations", encoders)
    made = {
        **TOGETHER,
        **by_model("trained", "trained", tuple(names)),
        **evaluations,
        **audits,
        **by_model("illustrations", "illustrations", detectors),
        **by_model("external", "external", detectors),
        **features,
        "classifiers": "results.classifiers",
        "quality": "results.quality",
    }
    return [
        Node(
            on_data(comparison.compare_detectors),
            DATA | evaluations | audits | {"shortcut_scores": "shortcut_scores"},
            ["results.detectors", "comparison_table", "comparison"],
            name="compare_detectors",
        ),
        Node(
            on_data(comparison.projections_page),
            DATA | evaluations | projected | features,
            "projections_html",
            name="projections_page",
        ),
        Node(
            on_data(nodes.report, made=nodes.Made),
            DATA | {f"made.{kind}": dataset for kind, dataset in made.items()},
            ["report_html", "claim"],
            name="report",
        ),
    ]
