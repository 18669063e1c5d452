"""anomaly_evaluation: per detector, score and evaluate; then one comparison and one report."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.anomaly_evaluation import external, maps, nodes, runs

ARMS = ("real", "classical", "gan", "gan_classical")
"""Arms whose confusion matrices the report shows where they have been trained."""


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each detector, the comparison, and the report."""
    together = Pipeline([_compare(), _report()], tags=["anomaly_evaluation"])
    return sum((_detector_pipeline(name) for name in models.detectors()), together)


def _detector_pipeline(name: str) -> Pipeline:
    parameters = ["params:evaluation", "params:seed"]
    base = Pipeline(
        [
            Node(nodes.score, ["published", "images", "splits", *parameters, "cached_maps"], ["scores", "anomaly_maps"], name="score"),
            Node(
                nodes.evaluate,
                ["published", "scores", "splits", *parameters],
                ["evaluation", "confusion", "histogram"],
                name="evaluate",
            ),
            *_maps(parameters),
            Node(
                external.validate_externally,
                ["published_from", "evaluation_from", "splits_from", "external_so_far", "images", "splits", *parameters],
                "external",
                name="validate_externally",
                tags="external",
            ),
            Node(runs.keep_scores, ["scores", "splits", "evaluation"], "test_scores", name="keep_scores"),
        ]
    )
    shared = {"images", "masks", "splits", "splits_from"}
    return Pipeline(base, namespace=name, inputs=shared, parameters=set(parameters), tags=["anomaly_evaluation", name])


def _maps(parameters: list[str]) -> list[Node]:
    """The heat maps of a detector, and its pixel-level figures."""
    return [
        Node(
            maps.illustrate,
            ["published", "scores", "anomaly_maps", "images", "masks", "splits", "evaluation", *parameters],
            ["heatmaps", "heatmaps_closest", "heatmaps_random"],
            name="illustrate",
        ),
        Node(maps.localise, ["anomaly_maps", "images", "masks", "splits", *parameters], "localisation", name="localise"),
    ]


def _compare() -> Node:
    detectors = models.detectors()
    inputs = ["images", "splits", *(f"{name}.evaluation" for name in detectors), *(f"{name}.scores" for name in detectors)]
    return Node(
        nodes.compare,
        inputs,
        ["results.detectors", "comparison_table", "roc_figure", "pr_figure", "forest_figure"],
        name="compare_detectors",
    )


def _report() -> Node:
    inputs = {
        "detectors": "results.detectors",
        "classifiers": "results.classifiers",
        "quality": "results.quality",
        "images": "images",
        "splits": "splits",
        "config": "params:evaluation",
        "seed": "params:seed",
        **{name: f"{name}_figure" for name in ("forest", "roc", "pr")},
        **{f"{kind}_{name}": f"{name}.{kind}" for name in models.detectors() for kind in ("heatmaps", "confusion", "histogram")},
        **{f"samples_{name}": f"{name}.samples" for name in models.synthesizers()},
        **{f"curves_{name}": f"{name}.curves_figure" for name in models.names()},
        **{f"published_{name}": f"{name}.published" for name in models.names()},
        **{f"confusion_{arm}": f"{arm}.confusion" for arm in ARMS},
    }
    return Node(nodes.report, inputs, "report_html", name="report")
