"""synthesis: draw from every generator, measure the images and judge their release; the network whose features the
metrics rest on is trained here, on real images.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from kedro.pipeline import Node, Pipeline

from medgan import models
from medgan.pipelines.arms import SOURCE
from medgan.pipelines.gathering import Outputs, by_model, gathered, namespaced, node, training_nodes
from medgan.pipelines.synthesis import foreign, nodes, release
from medgan.pipelines.synthesis.quality import RealData, describe_real_images

NAME = "synthesis"
FEATURES = "domain_features"
INPUTS = ["images", "splits", "params:synthesis"]
DATA = {
    "data.images": "images",
    "data.splits": "splits",
    "data.config": "params:synthesis",
    "data.seed": "params:seed",
    "data.lpips_weights": "params:lpips_weights",
}
"""The inputs of `RealData` but the network of domain features."""
WITH_FEATURES = DATA | {"data.features": f"{FEATURES}.trained"}


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline: a namespace for each generator among the chosen models, or those of the
    default run; one for the feature network.
    """
    wanted = models.by_default() if chosen is None else chosen
    synthesizers = tuple(name for name in models.synthesizers() if name in wanted)
    learners = tuple(name for name in models.conditional() if name in synthesizers)
    describe = _node(
        describe_real_images,
        WITH_FEATURES | {"earlier": "earlier_trainings"},
        "real_images",
        tags=FEATURES,
    )
    compare = _node(
        nodes.compare_generators,
        WITH_FEATURES
        | by_model("synthetic", "synthetic", synthesizers)
        | by_model("releases", "release", synthesizers)
        | {f"learners.{name}": f"{name}_learner.trained" for name in learners},
        ["results.quality", "sample_grids"],
    )
    parts = {name: _of_generator(name) for name in synthesizers}
    for name in learners:  # a classifier of the images of a generator that draws every class
        inputs = [*INPUTS, f"{name}.synthetic"]
        parts[name] += training_nodes(nodes.plan_learner, f"{name}_learner", inputs)
    parts[FEATURES] = _features()
    together = namespaced([describe, compare], NAME)
    return sum((namespaced(part, NAME, name) for name, part in parts.items()), together)


def create_source_pipeline() -> Pipeline:
    """Create the pipeline of `synthesis.source`, which takes the place of the generators."""
    inputs, drawn = WITH_FEATURES | {"home": "medigan_packages"}, f"{SOURCE}.synthetic"
    synthesize = _node(foreign.synthesize_from_source, inputs, drawn, "synthesize")
    shown = ["results.quality", "sample_grids"]
    inputs_of_all = ["images", "splits", drawn, "earlier_quality"]
    add = node(foreign.add_source, inputs_of_all, shown, "compare_generators")
    parts = {SOURCE: [synthesize], FEATURES: _features()}
    return sum(
        (namespaced(part, NAME, name) for name, part in parts.items()), namespaced([add], NAME)
    )


def _node(
    function: Callable[..., Any],
    inputs: dict[str, str],
    outputs: Outputs,
    name: str = "",
    tags: str | None = None,
) -> Node:
    """Create a node of a function that takes real images as `data`."""
    gather = gathered(function, keeps="features", data=RealData)
    return node(gather, inputs, outputs, name, tags)


def _features() -> list[Node]:
    return training_nodes(nodes.plan_domain_features, FEATURES, INPUTS)


def _of_generator(name: str) -> list[Node]:
    trained = {"trained": f"{name}.trained"}
    made = trained | {"synthetic": f"{name}.synthetic", "leakage": "leakage_audit"}
    return [
        _node(
            nodes.synthesize,
            WITH_FEATURES | trained | {"real": "real_images"},
            f"{name}.synthetic",
        ),
        _node(release.judge_release, DATA | made, f"{name}.release"),
    ]
