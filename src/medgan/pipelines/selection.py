"""The models of a run: those of the default run, all of them, or a source of others."""

from __future__ import annotations

from medgan import models
from medgan.pipelines.arms import ARMS, BY_DEFAULT, FOREIGN

ALL = "all_models"
"""The pipeline of all models; `all_models.gan_training` is one of its parts."""

SOURCE = FOREIGN
"""The pipeline that takes the place of `synthesis` where `synthesis.source` is given."""
SOURCE_ARMS = f"{SOURCE}.classifier_training"
"""The one that takes the place of `classifier_training` there."""


def with_all_models(pipeline: str) -> str:
    """Name the pipeline that has all models, such as `all_models.gan_training`; those of a source
    have no others.
    """
    if pipeline == "__default__":
        return ALL
    return pipeline if pipeline.partition(".")[0] in (ALL, SOURCE) else f"{ALL}.{pipeline}"


def on_request() -> set[str]:
    """Return the models and classifier arms that are not in the default run."""
    every, default = {*models.names(), *ARMS}, {*models.by_default(), *BY_DEFAULT}
    return every - default


def pipeline_of(name: str, pipeline: str) -> str:
    """Name the pipeline in which a model or arm is, given its name for the default run."""
    if name in ARMS and ARMS[name].generator == FOREIGN:
        return SOURCE_ARMS
    return with_all_models(pipeline) if name in on_request() else pipeline
