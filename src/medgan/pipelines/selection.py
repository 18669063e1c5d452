"""The models of a run: those of the default run, all of them, or a source of others."""

from __future__ import annotations

from medgan import models

ALL = "all_models"
"""The pipeline of all models; `all_models.gan_training` is one of its parts."""

SOURCE = "medigan"
"""The pipeline that takes the place of `synthesis` where `synthesis.source` is given."""


def with_all_models(pipeline: str) -> str:
    """Name the pipeline that has all models, such as `all_models.gan_training`."""
    if pipeline == "__default__":
        return ALL
    return pipeline if pipeline.partition(".")[0] == ALL else f"{ALL}.{pipeline}"


def pipeline_of(model: str, pipeline: str) -> str:
    """Name the pipeline in which a model is, given its name for the default run."""
    return pipeline if model in models.by_default() else with_all_models(pipeline)
