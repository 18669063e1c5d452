"""Exponential moving average of a model's weights (Polyak 1992; for GANs, Yazici 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages every floating tensor of a model's state, batch norm statistics with it; whole numbers are copied.

    The decay warms up as (1 + t) / (10 + t), so that a short training is not averaged with its first weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.weights = {name: value.detach().clone() for name, value in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """One step of the average."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - decay)
            else:
                self.weights[name].copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged state and the number of updates, for a checkpoint."""
        return {**self.weights, "__updates__": torch.tensor(self.updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        self.updates = int(tensors["__updates__"])
        for name, value in self.weights.items():
            value.copy_(tensors[name])
