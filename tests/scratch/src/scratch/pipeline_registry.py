import time
import warnings

import torch
from kedro.pipeline import Pipeline, node, pipeline

from medgan.errors import UserError
from medgan.evaluation.results import Section, SynthesisResult
from medgan.metrics.quality import QualityMetric
from medgan.pipeline_registry import EXPECTED
from medgan.training.checkpoints import UNCHANGED, TrainingState
from medgan.training.job import TrainingStep


def prepare(settings):
    if settings.refuse == "prepare":
        raise UserError("images/a.png: cannot be used, replace it.")
    return "prepared"


def train(data, settings):
    for step in range(settings.steps):
        time.sleep(settings.pause)
        row = {"step": step, "stage": "only", "loss": 1.0 / (step + 1)}
        last = step + 1 == settings.steps
        state = TrainingState("key", step + 1, True, {"weight": torch.zeros(1)})
        yield TrainingStep(state if last else UNCHANGED, [row], UNCHANGED)


def judge(training, data):
    if len(training.curves) == 0:
        raise RuntimeError("no curves")
    quality = SynthesisResult({"kid_domain": QualityMetric(value=float(len(data)))})
    return Section("0123", {"toy": quality}), "<html></html>"


def register_pipelines():
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message)
        return pipelines()


def pipelines():
    making = pipeline([node(prepare, "params:toy", "prepared", name="prepare", tags="quick")])
    training = sum(
        (
            pipeline(
                [node(train, ["prepared", f"params:{name}"], f"{name}.training", name="train")],
                namespace=f"training.{name}",
                prefix_datasets_with_namespace=False,
            )
            for name in ("toy", "other")
        ),
        start=Pipeline([]),
    )
    judging = pipeline(
        [
            node(
                judge,
                ["toy.training", "prepared"],
                ["results.quality", "report_html"],
                name="judge",
            )
        ]
    )
    registry = {"making": making, "training": training, "judging": judging}
    return {**registry, "__default__": sum(registry.values(), start=Pipeline([]))}
