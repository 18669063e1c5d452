"""anomaly_evaluation: score, evaluate, audit and illustrate every detector; then one comparison and
one report.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.anomaly_evaluation.audits import pipeline as audits
from medgan.pipelines.anomaly_evaluation.reporting import pipeline as reporting
from medgan.pipelines.anomaly_evaluation.scoring import pipeline as scoring

NAME = "anomaly_evaluation"


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline, one namespace a model."""
    audited = audits.parts()
    models = (
        _namespaced([*nodes, *audited.get(name, [])], name)
        for name, nodes in scoring.parts().items()
    )
    return sum(models, _namespaced([*audits.together(), *reporting.together()]))


def _namespaced(nodes: list[Node], *names: str) -> Pipeline:
    return Pipeline(
        nodes,
        namespace=".".join([NAME, *names]),
        prefix_datasets_with_namespace=False,
        tags=[NAME, *names],
    )
