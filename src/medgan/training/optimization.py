"""Optimizers and their state, learning rate schedules, and averaged weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.contracts import OptimizerSpec
from medgan.errors import UserError
from medgan.training.checkpoints import UPDATES

OPTIMIZERS: Mapping[str, Callable[[Sequence[nn.Parameter], OptimizerSpec], Optimizer]] = {
    "adam": lambda parameters, spec: torch.optim.Adam(
        parameters, spec.lr, spec.betas, weight_decay=spec.weight_decay
    ),
    "adamw": lambda parameters, spec: torch.optim.AdamW(
        parameters, spec.lr, spec.betas, weight_decay=spec.weight_decay
    ),
    "rmsprop": lambda parameters, spec: torch.optim.RMSprop(
        parameters, spec.lr, weight_decay=spec.weight_decay
    ),
}
SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "none": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}
"""Factor of the learning rate as a function of the completed share of the decay, in [0, 1)."""


def build_optimizer(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    """Build the optimizer that a spec names.

    Raises:
        UserError: if there is no such optimizer.
    """
    if spec.name not in OPTIMIZERS:
        raise UserError(f"There is no optimizer '{spec.name}': use one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[spec.name](parameters, spec)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Copy the state of an optimizer as `<parameter number>.<name>` -> tensor."""
    return {
        f"{number}.{name}": torch.as_tensor(value).clone()
        for number, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore the state that `optimizer_tensors` returned."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value.clone()
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


def rate_factor(decay: str, decay_from: float, step: int, steps: int) -> float:
    """Compute the factor of the learning rate at `step` of `steps`.

    It is 1 up to the share `decay_from` of the steps and follows the schedule `decay` afterwards.
    """
    flat = decay_from * steps
    return SCHEDULES[decay](max(0.0, step - flat) / max(1.0, steps - flat))


class WeightAverage:
    """Exponential moving average of the floating-point tensors of a model's state.

    Integers are copied, and so are the buffers of parametrizations: spectral norm keeps unit
    vectors there, whose average is no unit vector. The decay warms up as (1 + t) / (10 + t), so
    that the average of a short training is not dominated by the initial weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        live = model.state_dict()  # references: optimizers and batch norm update them in place
        self.weights = {name: value.detach().clone() for name, value in live.items()}
        vectors = {name for name, _ in model.named_buffers() if ".parametrizations." in f".{name}"}
        averaged = [n for n in live if live[n].is_floating_point() and n not in vectors]
        self._averaged = [self.weights[n] for n in averaged], [live[n] for n in averaged]
        self._copied = [(self.weights[n], live[n]) for n in live.keys() - set(averaged)]

    @torch.no_grad()
    def update(self) -> None:
        """Update the average with the current weights."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        torch._foreach_lerp_(*self._averaged, 1 - decay)
        for average, value in self._copied:
            average.copy_(value)

    def tensors(self) -> dict[str, Tensor]:
        """Return the averaged state and the number of updates, for a checkpoint."""
        return {**self.weights, UPDATES: torch.tensor(self.updates)}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned."""
        self.updates = int(tensors[UPDATES])
        for name, value in self.weights.items():
            value.copy_(tensors[name])
