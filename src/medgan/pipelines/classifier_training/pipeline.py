"""classifier_training: train, publish and evaluate every arm; then one comparison."""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.arms import ARMS, BY_DEFAULT, FOREIGN, GENERATOR
from medgan.pipelines.classifier_training import looks, nodes
from medgan.pipelines.gathering import by_model, data_node, namespaced, training_nodes

NAME = "classifier_training"
SETTINGS = ["params:classifier_training", "params:classifier", "params:augmentation", "params:seed"]


def create_pipeline(chosen: Collection[str] | None = None, **_: object) -> Pipeline:
    """Create the pipeline, one namespace an arm: those of the default run, or those whose
    generators are among the chosen models.
    """
    every = [name for name, arm in ARMS.items() if chosen and arm.generator in chosen]
    return _arms(BY_DEFAULT if chosen is None else tuple(every), GENERATOR)


def create_source_pipeline() -> Pipeline:
    """Create the pipeline of the arms that train on the images of `synthesis.source`, with `real`
    and `classical` beside them.
    """
    added = [name for name, arm in ARMS.items() if arm.generator == FOREIGN]
    return _arms(("real", "classical", *added), FOREIGN)


def _arms(names: tuple[str, ...], generator: str) -> Pipeline:
    """Create the pipeline of some arms; `generator` draws what is projected beside real images."""
    project = data_node(
        looks.project_images,
        {"trained": "real.trained", "synthetic": f"{generator}.synthetic"},
        "images_together",
    )
    inputs = by_model("arms", "classification", names) | by_model("saliency", "saliency", names)
    compare = data_node(
        nodes.compare_arms,
        inputs | {"together": "images_together"},
        ["results.classifiers", "arms_comparison"],
        keeps="together",
    )
    parts = (namespaced(_of_arm(arm), NAME, arm) for arm in names)
    return sum(parts, namespaced([project, compare], NAME))


def _of_arm(arm: str) -> list[Node]:
    added = [f"{ARMS[arm].generator}.synthetic"] if ARMS[arm].synthetic else []
    inputs = {"trained": f"{arm}.trained"}
    explained = inputs | {"masks": "masks"}
    evaluate = data_node(nodes.evaluate_arm, inputs, f"{arm}.classification", name="evaluate")
    explain = data_node(looks.explain_arm, explained, f"{arm}.saliency", name="explain")
    training = training_nodes(nodes.plan_arm, arm, ["images", "splits", *SETTINGS, *added])
    return [*training, evaluate, explain]
