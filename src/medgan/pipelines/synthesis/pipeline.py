"""synthesis: per generator, draw, look, judge; the judge's feature network is trained here, on real
images.
"""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.shared import embed
from medgan.pipelines.synthesis import nodes
from medgan.pipelines.training import training_nodes

PARAMETERS = ["params:synthesis", "params:seed"]
EVALUATION = "params:evaluation"
FEATURES = "domain_features"


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each generator and one for the feature network, and the comparison."""
    quality = [f"{name}.quality" for name in models.synthesizers()]
    collect = Node(
        nodes.collect_quality,
        ["images", "splits", *quality],
        "results.quality",
        name="collect_quality",
    )
    together = Pipeline([collect], tags=["synthesis"]) + _features_pipeline()
    return sum((_generator_pipeline(name) for name in models.synthesizers()), together)


def _features_pipeline() -> Pipeline:
    """The network, and its features of the images that the detectors describe too."""
    described = Node(
        embed,
        ["published", "images", "splits", EVALUATION, "params:seed", "cached_embeddings"],
        "embeddings",
        name="embed",
    )
    base = Pipeline(
        [
            *training_nodes(
                nodes.plan_domain_features, FEATURES, ["images", "splits", *PARAMETERS]
            ),
            described,
        ]
    )
    parameters = {*PARAMETERS, EVALUATION}
    return Pipeline(
        base,
        namespace=FEATURES,
        inputs={"images", "splits"},
        parameters=parameters,
        tags=["synthesis", FEATURES],
    )


def _generator_pipeline(name: str) -> Pipeline:
    base = Pipeline(
        [
            Node(
                nodes.synthesize,
                ["published", "params:synthesis", "params:seed"],
                "synthetic",
                name="synthesize",
            ),
            Node(
                nodes.sample_grid,
                ["synthetic", "images", "params:synthesis"],
                "samples",
                name="sample_grid",
            ),
            Node(
                nodes.assess,
                [
                    "synthetic",
                    "images",
                    "splits",
                    "features",
                    "params:synthesis",
                    "params:lpips_weights",
                    "params:seed",
                ],
                "quality",
                name="assess",
            ),
        ]
    )
    inputs = {
        "images": "images",
        "splits": "splits",
        "published": f"{name}.published",
        "features": f"{FEATURES}.published",
    }
    return Pipeline(
        base,
        namespace=name,
        inputs=inputs,
        parameters={*PARAMETERS, "params:lpips_weights"},
        tags=["synthesis", name],
    )
