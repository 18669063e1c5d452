"""One unconditional generator for each class, trained one after the other on its images alone.

With it, a method that knows no labels draws every class, as the classifier arms need it. Each class
has the steps that the configuration gives a stage, and weights of its own; no image of another class
is seen. Its settings are those of the generator; none is tuned here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from medgan import models
from medgan.contracts import (
    NORMAL,
    STAGE_OF_LABEL,
    Batch,
    ImageSpec,
    LossTerms,
    Player,
    TrainingSet,
)
from medgan.errors import UserError

TRAINING_SET = TrainingSet.LABELLED
NAME = "one generator per class"
ON_REQUEST = True


@dataclass(frozen=True)
class Config:
    """Settings of `per_class`."""

    generator: str = "dcgan"
    """A synthesizer that is trained without labels."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Fields of its `Config`; the others have their defaults."""


class PerClass(nn.Module):
    """A generator for each class.

    Raises:
        UserError: the generator does not exist, takes labels, or has no such setting.
    """

    def __init__(self, config: Config, spec: ImageSpec) -> None:
        super().__init__()
        self.config, name = config, config.generator
        if name not in models.unconditional():
            raise UserError(
                f"per_class.model.generator is '{name}': use one of "
                f"{', '.join(models.unconditional())}, which draw images without labels."
            )
        settings = dict(size=spec.size, channels=spec.channels, **config.settings)
        self.generators = nn.ModuleList(
            models.create(name, classes=(NORMAL,), **settings) for _ in spec.classes
        )

    def stages(self) -> Mapping[str, Sequence[Player]]:
        """Return the stages of each generator, class after class."""
        return {
            f"{stage}{STAGE_OF_LABEL}{label}": [_of_class(player, label) for player in players]
            for label, generator in enumerate(self.generators)
            for stage, players in generator.stages().items()  # type: ignore[operator]
        }

    @torch.inference_mode()
    def sample(self, n: int, labels: Tensor | None, rng: torch.Generator) -> Tensor:
        """Generate images (n, C, H, W) of the classes `labels` (n,); of the first of several."""
        if labels is None:
            raise ValueError("one generator for each class draws images of given classes")
        of = labels if labels.ndim == 1 else labels.argmax(1)
        drawn: list[Tensor] = [
            self.generators[label].sample(count, None, rng)  # type: ignore[operator]
            for label, count in enumerate(of.bincount(minlength=len(self.generators)).tolist())
            if count
        ]
        images: Tensor = torch.cat(drawn)[of.argsort(stable=True).argsort().to(drawn[0].device)]
        return images

    @torch.inference_mode()
    def realness(self, images: Tensor) -> Tensor:
        """Return the highest output (N,) of any class's discriminator: the class is not known."""
        outputs = [generator.realness(images) for generator in self.generators]  # type: ignore[operator]
        return torch.stack(outputs).amax(0)


def _of_class(player: Player, label: int) -> Player:
    """Name a player after its class, and hide the labels from it."""

    def loss(batch: Batch) -> LossTerms:
        return player.loss(replace(batch, labels=None))

    return replace(player, name=f"{player.name}_{label}", loss=loss)


def build(config: Config, spec: ImageSpec) -> PerClass:
    """Build an untrained generator for each class."""
    return PerClass(config, spec)
