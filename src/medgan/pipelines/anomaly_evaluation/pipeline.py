"""anomaly_evaluation: score, evaluate, audit and illustrate every detector; then one comparison and
one report.
"""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.anomaly_evaluation.audits import pipeline as audits
from medgan.pipelines.anomaly_evaluation.reporting import pipeline as reporting
from medgan.pipelines.anomaly_evaluation.scoring import pipeline as scoring

NAME = "anomaly_evaluation"


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline, one namespace for each chosen model, or for those of the default run."""
    names = models.by_default() if chosen is None else tuple(sorted(chosen))
    detectors = tuple(name for name in models.detectors() if name in names)
    audited = audits.parts(detectors)
    parts = (
        _namespaced([*nodes, *audited.get(name, [])], name)
        for name, nodes in scoring.parts(detectors).items()
    )
    return sum(parts, _namespaced([*audits.together(), *reporting.together(names)]))


def _namespaced(nodes: list[Node], *names: str) -> Pipeline:
    return Pipeline(
        nodes,
        namespace=".".join([NAME, *names]),
        prefix_datasets_with_namespace=False,
        tags=[NAME, *names],
    )
