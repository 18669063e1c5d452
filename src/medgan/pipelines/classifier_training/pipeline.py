"""classifier_training: train, publish and evaluate every arm; then one comparison."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.classifier_training import nodes
from medgan.pipelines.classifier_training.config import ARMS, SYNTHESIZER
from medgan.pipelines.gathering import by_model, gathered
from medgan.pipelines.training import training_nodes

NAME = "classifier_training"
SETTINGS = ["params:classifier_training", "params:classifier", "params:augmentation", "params:seed"]


def create_pipeline(**_: object) -> Pipeline:
    """Create the pipeline, one namespace an arm."""
    compare = Node(
        gathered(nodes.compare_arms),
        {"images": "images", "splits": "splits"} | by_model("arms", "classification", tuple(ARMS)),
        ["results.classifiers", "confusion_matrices"],
        name="compare_arms",
    )
    together = Pipeline([compare], namespace=NAME, prefix_datasets_with_namespace=False, tags=NAME)
    return sum((_arm_pipeline(arm) for arm in ARMS), together)


def _arm_pipeline(arm: str) -> Pipeline:
    added = [f"{SYNTHESIZER}.synthetic"] if ARMS[arm].synthetic else []
    inputs = {
        "trained": f"{arm}.trained",
        "images": "images",
        "splits": "splits",
        "n_resamples": "params:evaluation.n_resamples",
        "seed": "params:seed",
    }
    evaluate = Node(
        gathered(nodes.evaluate_arm),
        inputs,
        f"{arm}.classification",
        name="evaluate",
    )
    training = training_nodes(nodes.plan_arm, arm, ["images", "splits", *SETTINGS, *added])
    return Pipeline(
        [*training, evaluate],
        namespace=f"{NAME}.{arm}",
        prefix_datasets_with_namespace=False,
        tags=[NAME, arm],
    )
