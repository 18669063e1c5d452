"""The classifier arms: what each trains on and is compared with; and the pipelines that models and
arms are in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from medgan import models

GENERATOR = "acgan"
"""The generator of the arms whose name says no other."""
FOREIGN = "medigan"
"""In place of a generator, `synthesis.source`: a package of medigan, which draws one class."""
ALL = "all_models"
"""The pipeline of all models; `all_models.gan_training` is one of its parts."""
SOURCE = FOREIGN
"""The pipeline that takes the place of `synthesis` where `synthesis.source` is given."""
SOURCE_ARMS = f"{SOURCE}.classifier_training"
"""The one that takes the place of `classifier_training` there."""


@dataclass(frozen=True)
class Arm:
    """What an arm trains on."""

    title: str
    real: bool = True
    """The real training images."""
    augmented: bool = False
    """Classical augmentation, as far as the anatomy allows it (`augmentation.allowed`)."""
    synthetic: bool = False
    """Synthetic images of every class from `generator`."""
    pretraining: bool = False
    """The synthetic images alone for a share of the steps, then the real ones alone."""
    mixup: bool = False
    """Images and labels are blended in pairs."""
    generator: str = GENERATOR


PLAIN: Mapping[str, Arm] = {
    "real": Arm("real"),
    "classical": Arm("classical", augmented=True),
    "gan": Arm("GAN", synthetic=True),
    "gan_classical": Arm("GAN + classical", augmented=True, synthetic=True),
    "synthetic_only": Arm("synthetic alone", real=False, synthetic=True),
    "synthetic_first": Arm("synthetic, then real", synthetic=True, pretraining=True),
    "mixup": Arm("mixup", mixup=True),
}
BY_DEFAULT = ("real", "classical", "gan", "gan_classical")
"""The arms of a plain `kedro run`; the others run where they are named."""


def arms() -> dict[str, Arm]:
    """Return every arm by name: with another generator than acgan, `gan_per_class` for example.

    All of them share splits, seed, initial weights, optimizer, number of steps and batch size.
    """
    others = [name for name in models.conditional() if name != GENERATOR]
    drawn = {name: arm for name, arm in PLAIN.items() if arm.synthetic}
    beside_real = {name: arm for name, arm in drawn.items() if arm.real and not arm.pretraining}
    further = {
        f"{name}_{generator}": replace(arm, title=f"{arm.title} ({generator})", generator=generator)
        for generator, added in {**dict.fromkeys(others, drawn), FOREIGN: beside_real}.items()
        for name, arm in added.items()
    }
    return {**PLAIN, **further}


ARMS = arms()


def compared_with(name: str) -> tuple[str, ...]:
    """Return the arms that an arm is compared with: `real`, and `classical` where it takes synthetic
    images.
    """
    others = ("real", "classical") if ARMS[name].synthetic else ("real",)
    return () if name == "real" else others


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
