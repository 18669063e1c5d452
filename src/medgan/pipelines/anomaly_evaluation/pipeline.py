"""anomaly_evaluation: score, evaluate, audit and illustrate every detector; then one comparison and
one report.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.anomaly_evaluation.audits import nodes as audits
from medgan.pipelines.anomaly_evaluation.reporting import comparison
from medgan.pipelines.anomaly_evaluation.reporting import nodes as reporting
from medgan.pipelines.anomaly_evaluation.scoring import nodes as scoring
from medgan.pipelines.anomaly_evaluation.scoring import projections
from medgan.pipelines.gathering import by_model, data_node, namespaced, node
from medgan.pipelines.shared import Earlier, EvaluationData

NAME = "anomaly_evaluation"
REFERENCE = projections.REFERENCE
EARLIER = {"earlier": "earlier_evaluations"}
TOGETHER = (
    "comparison",
    "cohort",
    "leakage_audit",
    "data_summary",
    "tested_elsewhere",
    "cut",
    "sample_grids",
    "arms_comparison",
)
"""Inputs of the report that are about no single model."""


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline, one namespace for each chosen model, or for those of the default run."""
    names = models.by_default() if chosen is None else tuple(sorted(chosen))
    detectors = tuple(name for name in models.detectors() if name in names)
    described = EARLIER | {"trained": f"{REFERENCE}.trained"}
    describe = data_node(
        projections.describe_reference_network, described, f"{REFERENCE}.features", name="describe"
    )
    parts = [namespaced(_of_detector(name), NAME, name) for name in detectors]
    together = namespaced([*_of_data(), *_of_all(names, detectors)], NAME)
    return sum([*parts, namespaced([describe], NAME, REFERENCE)], together)


def _of_detector(name: str) -> list[Node]:
    """Create the nodes of one detector."""
    found = {kind: f"{name}.{kind}" for kind in ("trained", "scores", "evaluation")}
    scored = {kind: found[kind] for kind in ("trained", "scores")}
    audited = found | {"leakage_audit": "leakage_audit"}
    if name in models.encoders():
        audited |= {"classifiers": "results.classifiers"}
    masks, elsewhere = {"masks": "masks"}, {"elsewhere": "trained_elsewhere"}

    def validate_externally(data: EvaluationData, elsewhere: Earlier, earlier: Earlier) -> Any:
        return scoring.validate_externally(name, data, elsewhere, earlier)

    return [
        data_node(scoring.score, EARLIER | {"trained": found["trained"]}, f"{name}.scores"),
        data_node(scoring.evaluate, scored | masks, f"{name}.evaluation"),
        data_node(scoring.illustrate, EARLIER | found | masks, f"{name}.illustrations"),
        data_node(validate_externally, EARLIER | elsewhere, f"{name}.external", tags="external"),
        data_node(audits.audit, audited, f"{name}.audit"),
    ]


def _of_data() -> list[Node]:
    """Create the nodes about the data."""
    cohort = ["splits", "quarantine", "exclusions", "leakage_audit"]
    return [
        node(audits.score_shortcuts, ["images", "splits", "params:seed"], "shortcut_scores"),
        node(audits.describe_cohort, cohort, "cohort"),
    ]


def _of_all(names: tuple[str, ...], detectors: tuple[str, ...]) -> list[Node]:
    """Create the nodes that compare and report all models."""
    encoders = tuple(name for name in models.encoders() if name in names)
    features = by_model("features", "features", (REFERENCE,))
    evaluations = by_model("evaluations", "evaluation", detectors)
    compared = evaluations | by_model("audits", "audit", detectors)
    made = {
        **{name: name for name in TOGETHER},
        **by_model("trained", "trained", names),
        **compared,
        **by_model("illustrations", "illustrations", detectors),
        **by_model("external", "external", detectors),
        **features,
        "classifiers": "results.classifiers",
        "quality": "results.quality",
    }
    return [
        data_node(
            comparison.compare_detectors,
            compared | {"shortcut_scores": "shortcut_scores"},
            ["results.detectors", "comparison_table", "comparison"],
        ),
        data_node(
            comparison.projections_page,
            evaluations | by_model("illustrations", "illustrations", encoders) | features,
            "projections_html",
        ),
        data_node(
            reporting.report,
            {f"made.{kind}": dataset for kind, dataset in made.items()},
            ["report_html", "claim"],
            made=reporting.Made,
        ),
    ]
