"""Model choice: the latest weights that a criterion does not speak against, and when to give up hoping for better ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Figures = Mapping[str, float]
CHOSEN = "chosen."
"""Prefix of the chosen weights in a checkpoint."""


@dataclass(frozen=True)
class Judge:
    """Figures of a model on held-out images. The loop does not know where they come from: the pipeline hands this in."""

    figures: Callable[[nn.Module], Figures]
    criterion: str | None
    """The figure that chooses, the higher the better, within its standard error `<criterion>_se` if `figures` has one. None takes the last
    weights and logs the figures."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the figures are measured on, for the model card."""


@dataclass
class Selection:
    """The looks at a training, and the weights chosen among those of its last stage.

    Chosen is the latest look that is no more than one standard error below the best (the one-standard-error rule, Breiman 1984): the best
    of several looks is partly luck, and on few images mostly so. On many images the error shrinks, and the best look is the choice.
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

    def consider(self, step: int, figures: Figures, weights: Mapping[str, Tensor], *, eligible: bool) -> None:
        """Notes a look, and copies the weights if they are the choice so far."""
        self.looks.append({"step": step, **figures})
        if not (eligible and self.criterion in figures):
            return
        latest = len(self.looks) - 1
        if self.best is None or self._value(latest) > self._value(self.best):
            self.best = latest
        if self._value(latest) >= self._value(self.best) - self.looks[self.best].get(f"{self.criterion}_se", 0.0):
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
        return {"criterion": self.criterion, "looks": [dict(look) for look in self.looks], "best": self.best, "chosen": self.chosen}

    @classmethod
    def restored(cls, criterion: str | None, notes: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Selection:
        """What `tensors` and `notes` gave."""
        looks = [dict(look) for look in notes.get("looks", ())]
        return cls(criterion, looks, dict(weights), notes.get("best"), notes.get("chosen"))
