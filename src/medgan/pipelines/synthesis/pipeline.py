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
from medgan.pipelines.synthesis.quality import Settings, describe_real_images
from medgan.pipelines.training import training_nodes

NAME = "synthesis"
FEATURES = "domain_features"
INPUTS = ["images", "splits", "params:synthesis"]
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
    learners = tuple(name for name in models.conditional() if name in synthesizers)
    compare = Node(
        gathered(nodes.compare_generators, keeps="features"),
        DATA
        | {"features": f"{FEATURES}.trained"}
        | by_model("synthetic", "synthetic", synthesizers)
        | by_model("releases", "release", synthesizers)
        | {f"learners.{name}": f"{name}_learner.trained" for name in learners},
        ["results.quality", "sample_grids"],
        name="compare_generators",
    )
    parts = {
        name: [
            _synthesize(name),
            _judge_release(name),
            *(_learner(name) if name in learners else []),
        ]
        for name in synthesizers
    }
    parts[FEATURES] = _features()
    together = Pipeline(
        [_describe(), compare], namespace=NAME, prefix_datasets_with_namespace=False, tags=NAME
    )
    return sum((_part(*part) for part in parts.items()), together)


def create_source_pipeline() -> Pipeline:
    """Create the pipeline of `synthesis.source`, which takes the place of the generators."""
    inputs = {"home": "medigan_packages", "features": f"{FEATURES}.trained"}
    synthesize = Node(
        gathered(foreign.synthesize_from_source, keeps="features", settings=Settings),
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
    return training_nodes(nodes.plan_domain_features, FEATURES, INPUTS)


def _part(name: str, part: list[Node]) -> Pipeline:
    return Pipeline(
        part, namespace=f"{NAME}.{name}", prefix_datasets_with_namespace=False, tags=[NAME, name]
    )


def _synthesize(name: str) -> Node:
    trained = {
        "trained": f"{name}.trained",
        "features": f"{FEATURES}.trained",
        "real": "real_images",
    }
    function = gathered(nodes.synthesize, keeps="features", settings=Settings)
    return Node(function, trained | DATA | SETTINGS, f"{name}.synthetic", name="synthesize")


def _learner(name: str) -> list[Node]:
    """Train a classifier on the images of a generator that draws every class."""
    return training_nodes(nodes.plan_learner, f"{name}_learner", [*INPUTS, f"{name}.synthetic"])


def _describe() -> Node:
    inputs = {"features": f"{FEATURES}.trained", "earlier": "earlier_trainings"}
    function = gathered(describe_real_images, keeps="features", settings=Settings)
    return Node(
        function,
        inputs | DATA | SETTINGS,
        "real_images",
        name="describe_real_images",
        tags=FEATURES,
    )


def _judge_release(name: str) -> Node:
    made = {"trained": f"{name}.trained", "synthetic": f"{name}.synthetic"}
    function = gathered(release.judge_release, settings=Settings)
    inputs = made | DATA | {"leakage": "leakage_audit"} | SETTINGS
    return Node(function, inputs, f"{name}.release", name="judge_release")
