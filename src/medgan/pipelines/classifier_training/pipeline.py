"""classifier_training: train, publish and evaluate every arm; then one comparison."""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.arms import ARMS, BY_DEFAULT, FOREIGN, GENERATOR
from medgan.pipelines.classifier_training import looks, nodes
from medgan.pipelines.gathering import DATA, by_model, namespaced, on_data, training_nodes

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
    project = Node(
        on_data(looks.project_images),
        DATA | {"trained": "real.trained", "synthetic": f"{generator}.synthetic"},
        "images_together",
        name="project_images",
    )
    inputs = by_model("arms", "classification", names) | by_model("saliency", "saliency", names)
    compare = Node(
        on_data(nodes.compare_arms, keeps="together"),
        DATA | inputs | {"together": "images_together"},
        ["results.classifiers", "arms_comparison"],
        name="compare_arms",
    )
    parts = (namespaced(_of_arm(arm), NAME, arm) for arm in names)
    return sum(parts, namespaced([project, compare], NAME))


def _of_arm(arm: str) -> list[Node]:
    added = [f"{ARMS[arm].generator}.synthetic"] if ARMS[arm].synthetic else []
    inputs = DATA | {"trained": f"{arm}.trained"}
    evaluate = Node(on_data(nodes.evaluate_arm), inputs, f"{arm}.classification", name="evaluate")
    explain = Node(
        on_data(looks.explain_arm),
        inputs | {"masks": "masks"},
        f"{arm}.saliency",
        name="explain",
    )
    training = training_nodes(nodes.plan_arm, arm, ["images", "splits", *SETTINGS, *added])
    return [*training, evaluate, explain]
