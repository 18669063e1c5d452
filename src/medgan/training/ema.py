"""Exponential moving average of a model's weights (Polyak 1992; for GANs, Yazici 2019)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class WeightAverage:
    """Averages every floating tensor of a model's state, batch norm statistics with it; whole numbers are copied, and so are the buffers of
    parametrisations: spectral norm keeps unit vectors there, whose average is none.

    The decay warms up as (1 + t) / (10 + t), so that a short training is not averaged with its first weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        live = model.state_dict()
        self.weights = {name: value.detach().clone() for name, value in live.items()}
        # References, gathered once: optimisers and batch norm change them in place.
        vectors = {name for name, _ in model.named_buffers() if ".parametrizations." in f".{name}"}
        averaged = [name for name, value in live.items() if value.is_floating_point() and name not in vectors]
        self._averaged = [self.weights[name] for name in averaged], [live[name] for name in averaged]
        self._copied = [(self.weights[name], value) for name, value in live.items() if name not in set(averaged)]

    @torch.no_grad()
    def update(self) -> None:
        """One step of the average, in a few kernels for all tensors together."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(*self._averaged, 1 - decay)
        for mine, live in self._copied:
            mine.copy_(live)

    def tensors(self) -> dict[str, Tensor]:
        """The averaged state and the number of updates, for a checkpoint."""
        return {**self.weights, "__updates__": torch.tensor(self.updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Puts back what `tensors` gave."""
        self.updates = int(tensors["__updates__"])
        for name, value in self.weights.items():
            value.copy_(tensors[name])
