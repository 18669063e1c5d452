"""classifier_training: per arm, train, publish, evaluate; then one comparison."""

from __future__ import annotations

from kedro.pipeline import Node, Pipeline

from medgan.pipelines.classifier_training import nodes
from medgan.pipelines.classifier_training.config import ARMS, SYNTHESIZER
from medgan.pipelines.training import training_nodes

TRAINING = ["params:classifier_training", "params:classifier", "params:augmentation", "params:seed"]
N_BOOT = "params:evaluation.n_resamples"


def create_pipeline(**_: object) -> Pipeline:
    """One namespace for each arm, and the comparison."""
    evaluations = [f"{arm}.evaluation" for arm in ARMS]
    compare = Node(
        nodes.compare_arms,
        ["images", "splits", *evaluations],
        "results.classifiers",
        name="compare_arms",
    )
    return sum(
        (_arm_pipeline(arm) for arm in ARMS), Pipeline([compare], tags=["classifier_training"])
    )


def _arm_pipeline(arm: str) -> Pipeline:
    synthetic = ["synthetic"] if ARMS[arm].synthetic else []
    judged = ["evaluation", "confusion", "test_scores"]
    evaluate = Node(
        nodes.evaluate_arm,
        ["published", "images", "splits", N_BOOT, "params:seed"],
        judged,
        name="evaluate",
    )
    base = Pipeline(
        [
            *training_nodes(nodes.plan_arm, arm, ["images", "splits", *TRAINING, *synthetic]),
            evaluate,
        ]
    )
    inputs = {"images": "images", "splits": "splits"} | {
        name: f"{SYNTHESIZER}.{name}" for name in synthetic
    }
    return Pipeline(
        base,
        namespace=arm,
        inputs=inputs,
        parameters={*TRAINING, N_BOOT},
        tags=["classifier_training", arm],
    )
