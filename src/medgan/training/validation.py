"""Model choice: the latest weights that a criterion does not speak against, and when to give up
hoping for better ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from medgan.contracts import Batch, BatchSource, ImageSynthesizer
from medgan.training.runtime import Runtime, generator

Figures = Mapping[str, float]
CHOSEN = "chosen."
"""Prefix of the chosen weights in a checkpoint."""


@dataclass(frozen=True)
class Judge:
    """Figures of a model on held-out images. The loop does not know where they come from: the
    pipeline hands this in.
    """

    figures: Callable[[nn.Module], Figures]
    criterion: str | None
    """The figure that chooses, the higher the better, within its standard error `<criterion>_se` if
    `figures` has one. None takes the last weights and logs the figures."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the figures are measured on, for the model card."""


@dataclass
class Selection:
    """The looks at a training, and the weights chosen among those of its last stage.

    Chosen is the latest look that is no more than one standard error below the best (the
    one-standard-error rule, Breiman 1984): the best of several looks is partly luck, and on few
    images mostly so. On many images the error shrinks, and the best look is the choice.
    """

    criterion: str | None = None
    looks: list[dict[str, float]] = field(default_factory=list)
    """`step` and the figures of every look, in order."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """Those of the chosen look."""
    best: int | None = None
    """Place in `looks` of the highest criterion."""
    chosen: int | None = None
    """Place in `looks` of what is published; None for the last weights."""

    def consider(
        self, step: int, figures: Figures, weights: Mapping[str, Tensor], *, eligible: bool
    ) -> None:
        """Notes a look, and copies the weights if they are the choice so far."""
        self.looks.append({"step": step, **figures})
        if not (eligible and self.criterion in figures):
            return
        latest = len(self.looks) - 1
        if self.best is None or self._value(latest) > self._value(self.best):
            self.best = latest
        if self._value(latest) >= self._value(self.best) - self.looks[self.best].get(
            f"{self.criterion}_se", 0.0
        ):
            self.chosen = latest
            self.weights = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def exhausted(self, patience: int) -> bool:
        """Whether the last `patience` looks brought no higher criterion."""
        return self.best is not None and 0 < patience <= len(self.looks) - 1 - self.best

    def _value(self, place: int) -> float:
        return self.looks[place][str(self.criterion)]

    def tensors(self) -> dict[str, Tensor]:
        """The chosen weights for a checkpoint."""
        return {f"{CHOSEN}{name}": tensor for name, tensor in self.weights.items()}

    def notes(self) -> dict[str, Any]:
        """Everything else for a checkpoint; JSON."""
        return {
            "criterion": self.criterion,
            "looks": [dict(look) for look in self.looks],
            "best": self.best,
            "chosen": self.chosen,
        }

    @classmethod
    def restored(
        cls, criterion: str | None, notes: Mapping[str, Any], weights: Mapping[str, Tensor]
    ) -> Selection:
        """What `tensors` and `notes` gave."""
        looks = [dict(look) for look in notes.get("looks", ())]
        return cls(criterion, looks, dict(weights), notes.get("best"), notes.get("chosen"))


SHOWN = 64
"""Images of a look."""
DIVERSITY = "diversity"
"""Distance between two samples over that between two real images, of one class: about 1 for a
generator as varied as its data.
"""
COLLAPSED_BELOW = 0.3
"""Diversity under which a generator counts as collapsed."""
SETTLED_AFTER = 0.25
"""Share of a training before which nothing is said: an untrained generator draws one grey image."""


@dataclass(frozen=True)
class Look:
    """What was seen."""

    figures: Mapping[str, float] = field(default_factory=dict)
    samples: Tensor | None = None
    """(n, C, H, W) in [-1, 1] from fixed latents, None for a model that draws nothing."""


class Inspector:
    """Looks at copies, so that a look leaves no trace in the training, and a resumed training
    repeats an unbroken one.
    """

    def __init__(
        self, model: nn.Module, batches: BatchSource, runtime: Runtime, judge: Judge | None
    ) -> None:
        self.copy = copy.deepcopy(model).eval()
        self.judge = judge
        self.shown: Tensor | None = None
        self.real = (
            runtime.move(_by_class(batches.draw("inspection", 0, SHOWN)))
            if isinstance(model, ImageSynthesizer)
            else None
        )
        self.real_spread = (
            spread(self.real.images, self.real.labels) if self.real is not None else 0.0
        )

    def look(self, weights: Mapping[str, Tensor], *, judging: bool) -> Look:
        """Samples and their diversity, and the judge's figures if `judging`; a grid that equals the
        last one is not shown again.
        """
        self.copy.load_state_dict(weights)
        figures: dict[str, float] = {}
        samples = None
        if self.real is not None and isinstance(self.copy, ImageSynthesizer):
            labels = self.real.labels
            drawn = self.copy.sample(SHOWN, labels, generator("inspection")).detach().float()
            figures[DIVERSITY] = spread(drawn, labels) / max(self.real_spread, 1e-12)
            samples = None if self.shown is not None and torch.equal(drawn, self.shown) else drawn
            self.shown = drawn
        if judging and self.judge is not None:
            figures |= self.judge.figures(self.copy)
        return Look(figures, samples)


def _by_class(batch: Batch) -> Batch:
    """Sorted by class, so that a grid shows one class after the other."""
    if batch.labels is None or batch.labels.ndim > 1:
        return batch
    order = batch.labels.argsort(stable=True)
    return replace(batch, images=batch.images[order], labels=batch.labels[order])


def spread(images: Tensor, labels: Tensor | None = None) -> float:
    """Mean Euclidean distance between two of the images (N, C, H, W), which with labels (N, ...)
    are of the same class.
    """
    distances = torch.cdist(images.flatten(1).float(), images.flatten(1).float())
    pairs = ~torch.eye(len(images), dtype=torch.bool, device=images.device)
    if labels is not None:
        rows = labels.reshape(len(labels), -1)
        pairs &= (rows[:, None] == rows[None]).all(2)
    return float(distances[pairs].mean()) if pairs.any() else 0.0


def collapse(figures: Mapping[str, float], step: int, total: int) -> str | None:
    """A sentence if the samples are too much alike to be the work of a healthy generator (fault
    F34), else None.
    """
    diversity = figures.get(DIVERSITY)
    if diversity is None or diversity >= COLLAPSED_BELOW or step < SETTLED_AFTER * total:
        return None
    return (
        f"mode collapse? At step {step} two samples differ {diversity:.2f} times as much as two real images do "
        f"(alarm below {COLLAPSED_BELOW}): look at the sample grids, then try a lower learning rate or another adversarial loss."
    )
