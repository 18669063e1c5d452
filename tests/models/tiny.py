"""Every model in its smallest form: a new one is tested by what is tested of all."""

from dataclasses import fields
from typing import Any

from medgan import models
from medgan.contracts import ImageSpec
from medgan.training.runtime import seeded

SPEC = ImageSpec(32, 1, ("normal", "bacterial", "viral"))
TINY = {
    "latent_dim": 8,
    "width": 4,
    "search_steps": 5,
    "warm_start": 8,
    "n_critic": 2,
    "residual_blocks": 1,
}
"""Fields that configurations share; each model takes those that it knows."""


def tiny(name: str, spec: ImageSpec = SPEC, **changes: Any) -> Any:
    """A model with weights that a seed decides, untrained."""
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    with seeded(1, name):
        return module.build(
            module.Config(
                **{**{key: value for key, value in TINY.items() if key in known}, **changes}
            ),
            spec,
        )
