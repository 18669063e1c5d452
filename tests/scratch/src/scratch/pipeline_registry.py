import time

from kedro.pipeline import Pipeline, node, pipeline

from medgan.errors import UserError
from medgan.training.checkpoints import UNCHANGED


def prepare(settings):
    if settings.refuse == "prepare":
        raise UserError("images/a.png: cannot be used, replace it.")
    return "prepared"


def train(data, settings, resume):
    for step in range(settings.steps):
        time.sleep(settings.pause)
        yield UNCHANGED, [{"step": step, "stage": "only", "loss": 1.0 / (step + 1)}]


def judge(curves, data):
    if len(curves) == 0:
        raise RuntimeError("no curves")
    return {"data": "0123", "rows": {"toy": {"note": data}}}, "<html></html>"


def register_pipelines():
    making = pipeline([node(prepare, "params:toy", "prepared", name="prepare")])
    base = [
        node(
            train,
            ["prepared", "params:settings", "resume_from"],
            ["checkpoint", "curves"],
            name="train",
        )
    ]
    training = sum(
        (
            pipeline(
                base,
                namespace=name,
                inputs={"prepared"},
                parameters={"params:settings": f"params:{name}"},
            )
            for name in ("toy", "other")
        ),
        start=Pipeline([]),
    )
    judging = pipeline(
        [node(judge, ["toy.curves", "prepared"], ["results.quality", "report_html"], name="judge")]
    )
    registry = {"making": making, "training": training, "judging": judging}
    return {**registry, "__default__": sum(registry.values(), start=Pipeline([]))}
