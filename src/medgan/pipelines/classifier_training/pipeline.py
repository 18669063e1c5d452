"""classifier_training: per arm, train, publish, evaluate; then one comparison."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines import for_model
from medgan.pipelines.classifier_training import nodes
from medgan.pipelines.classifier_training.config import ARMS, SYNTHESIZER

SHARED = {"params:classifier_training", "params:classifier", "params:augmentation", "params:seed", "params:evaluation.n_boot"}


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each arm, and the comparison."""
    compare = Node(nodes.compare_arms, ["images", *(f"{arm}.evaluation" for arm in ARMS)], "results.classifiers", name="compare_arms")
    return sum((_arm_pipeline(arm) for arm in ARMS), Pipeline([compare], tags=["classifier_training"]))


def _arm_pipeline(arm: str) -> Pipeline:
    synthetic = ["synthetic"] if ARMS[arm].synthetic else []
    data = ["images", "splits", "params:classifier_training", "params:classifier", "params:augmentation", "params:seed"]
    base = Pipeline(
        [
            Node(for_model(nodes.train_arm, arm), [*data, "resume_from", *synthetic], ["checkpoint", "curves"], name="train"),
            Node(for_model(nodes.publish_arm, arm), [*data, "checkpoint", *synthetic], "published", name="publish"),
            Node(
                for_model(nodes.evaluate_arm, arm),
                ["published", "images", "splits", "params:evaluation.n_boot", "params:seed"],
                ["evaluation", "confusion"],
                name="evaluate",
            ),
        ]
    )
    inputs = {"images": "images", "splits": "splits"} | ({"synthetic": f"{SYNTHESIZER}.synthetic"} if synthetic else {})
    return Pipeline(base, namespace=arm, inputs=inputs, parameters=SHARED, tags=["classifier_training", arm])
