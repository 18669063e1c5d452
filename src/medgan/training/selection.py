"""Model choice: the weights that a criterion liked best, and when to give up hoping for better ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

Figures = Mapping[str, float]
BEST = "best."
"""Prefix of the chosen weights in a checkpoint."""


@dataclass(frozen=True)
class Judge:
    """Figures of a model on held-out images. The loop does not know where they come from: the pipeline hands this in."""

    figures: Callable[[nn.Module], Figures]
    criterion: str | None
    """The figure that chooses, the higher the better; None takes the last weights and logs the figures."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the figures are measured on, for the model card."""


@dataclass
class Selection:
    """The looks at a training, and the best weights among those of its last stage."""

    criterion: str | None = None
    looks: list[dict[str, float]] = field(default_factory=list)
    """`step` and the figures of every look, in order."""
    best: dict[str, Tensor] = field(default_factory=dict)
    chosen: int | None = None
    """Place in `looks` of the one that is published; None for the last weights."""

    def consider(self, step: int, figures: Figures, weights: Mapping[str, Tensor], *, eligible: bool) -> None:
        """Notes a look, and copies the weights if they are the best so far; a tie stays with the earlier step."""
        self.looks.append({"step": step, **figures})
        value = figures.get(self.criterion) if self.criterion and eligible else None
        if value is not None and (self.chosen is None or value > self.looks[self.chosen][str(self.criterion)]):
            self.chosen = len(self.looks) - 1
            self.best = {name: tensor.detach().clone() for name, tensor in weights.items()}

    def exhausted(self, patience: int) -> bool:
        """Whether the last `patience` looks brought nothing better."""
        return 0 < patience <= len(self.looks) - 1 - (self.chosen if self.chosen is not None else len(self.looks))

    def tensors(self) -> dict[str, Tensor]:
        """The best weights for a checkpoint."""
        return {f"{BEST}{name}": tensor for name, tensor in self.best.items()}

    def notes(self) -> dict[str, Any]:
        """Everything else for a checkpoint; JSON."""
        return {"criterion": self.criterion, "looks": [dict(look) for look in self.looks], "chosen": self.chosen}

    @classmethod
    def restored(cls, criterion: str | None, notes: Mapping[str, Any], best: Mapping[str, Tensor]) -> Selection:
        """What `tensors` and `notes` gave."""
        return cls(criterion, [dict(look) for look in notes.get("looks", ())], dict(best), notes.get("chosen"))
