"""synthesis: draw from every generator, measure the images and judge their release; the network whose features the
metrics rest on is trained here, on real images.
"""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.gathering import by_model, gathered
from medgan.pipelines.selection import SOURCE
from medgan.pipelines.synthesis import foreign, nodes, release
from medgan.pipelines.training import training_nodes

NAME = "synthesis"
FEATURES = "domain_features"
DATA = {"images": "images", "splits": "splits"}
SETTINGS = {
    "settings.config": "params:synthesis",
    "settings.seed": "params:seed",
    "settings.lpips_weights": "params:lpips_weights",
}


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline: a namespace for each generator among the chosen models, or those of the
    default run; one for the feature network.
    """
    wanted = models.by_default() if chosen is None else chosen
    synthesizers = tuple(name for name in models.synthesizers() if name in wanted)
    compare = Node(
        gathered(nodes.compare_generators),
        DATA
        | by_model("synthetic", "synthetic", synthesizers)
        | by_model("releases", "release", synthesizers),
        ["results.quality", "sample_grids"],
        name="compare_generators",
    )
    parts = {name: [_synthesize(name), _judge_release(name)] for name in synthesizers}
    parts[FEATURES] = _features()
    together = Pipeline([compare], namespace=NAME, prefix_datasets_with_namespace=False, tags=NAME)
    return sum((_part(*part) for part in parts.items()), together)


def create_source_pipeline() -> Pipeline:
    """Create the pipeline of `synthesis.source`, which takes the place of the generators."""
    inputs = {"home": "medigan_packages", "features": f"{FEATURES}.trained"}
    synthesize = Node(
        gathered(foreign.synthesize_from_source, keeps="features", settings=nodes.Settings),
        inputs | DATA | SETTINGS,
        f"{SOURCE}.synthetic",
        name="synthesize",
    )
    add = Node(
        foreign.add_source,
        DATA | {"synthetic": f"{SOURCE}.synthetic", "earlier": "earlier_quality"},
        ["results.quality", "sample_grids"],
        name="compare_generators",
    )
    together = Pipeline([add], namespace=NAME, prefix_datasets_with_namespace=False, tags=NAME)
    return together + _part(SOURCE, [synthesize]) + _part(FEATURES, _features())


def _features() -> list[Node]:
    inputs = ["images", "splits", "params:synthesis"]
    return training_nodes(nodes.plan_domain_features, FEATURES, inputs)


def _part(name: str, part: list[Node]) -> Pipeline:
    return Pipeline(
        part, namespace=f"{NAME}.{name}", prefix_datasets_with_namespace=False, tags=[NAME, name]
    )


def _synthesize(name: str) -> Node:
    trained = {"trained": f"{name}.trained", "features": f"{FEATURES}.trained"}
    function = gathered(nodes.synthesize, keeps="features", settings=nodes.Settings)
    return Node(function, trained | DATA | SETTINGS, f"{name}.synthetic", name="synthesize")


def _judge_release(name: str) -> Node:
    made = {"trained": f"{name}.trained", "synthetic": f"{name}.synthetic"}
    function = gathered(release.judge_release, settings=nodes.Settings)
    inputs = made | DATA | {"leakage": "leakage_audit"} | SETTINGS
    return Node(function, inputs, f"{name}.release", name="judge_release")
