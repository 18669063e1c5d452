"""Every model in its smallest form: a new one is tested by what is tested of all."""

import tempfile
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torchvision.models import get_model

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
    "side": 32,
    "dimensions": 8,
    "candidates": 500,
    "projection": 8,
    "coreset": 0.1,
    "settings": {"width": 4, "latent_dim": 8},
}
"""Fields that configurations share; each model takes those that it knows."""


def tiny(name: str, spec: ImageSpec = SPEC, **changes: Any) -> Any:
    """A model with weights that a seed decides, untrained."""
    module = models.load(name)
    known = {field.name for field in fields(module.Config)}
    with seeded(1, name):
        model = module.build(
            module.Config(
                **{**{key: value for key, value in TINY.items() if key in known}, **changes}
            ),
            spec,
        )
        if name in models.pretrained():
            model.load_pretrained(random_weights(model.config.backbone))
    return model


@cache
def weights_file(network: str = "squeezenet1_1") -> str:
    """A file of random weights, for the whole session."""
    path = Path(tempfile.mkdtemp()) / f"{network}.pth"
    torch.save(random_weights(network), path)
    return str(path)


def random_weights(network: str) -> dict[str, torch.Tensor]:
    """Weights in place of a file's."""
    return get_model(network, weights=None).state_dict()
