"""Optimizers by name, and their state as plain tensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.contracts import OptimizerSpec
from medgan.errors import UserError

Factory = Callable[[Sequence[nn.Parameter], OptimizerSpec], Optimizer]


def _adam(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.Adam(
        parameters, lr=spec.lr, betas=spec.betas, weight_decay=spec.weight_decay
    )


def _adamw(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.AdamW(
        parameters, lr=spec.lr, betas=spec.betas, weight_decay=spec.weight_decay
    )


def _rmsprop(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.RMSprop(parameters, lr=spec.lr, weight_decay=spec.weight_decay)


OPTIMIZERS: Mapping[str, Factory] = {"adam": _adam, "adamw": _adamw, "rmsprop": _rmsprop}


def build_optimizer(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    """The optimizer that a spec names.

    Raises:
        UserError: there is none of that name.
    """
    if spec.name not in OPTIMIZERS:
        raise UserError(f"There is no optimizer '{spec.name}': use one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[spec.name](parameters, spec)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of the state as `<parameter number>.<name>` -> tensor."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": torch.as_tensor(value).clone()
        for number, entry in state.items()
        for name, value in entry.items()
    }


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value.clone()
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "none": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}
"""Share of the falling part that is done, in [0, 1), to the factor of the learning rate."""


def rate_factor(decay: str, decay_from: float, step: int, steps: int) -> float:
    """The factor of the learning rate at `step` of `steps`: 1 up to the share `decay_from`, then
    down the schedule.
    """
    flat = decay_from * steps
    return SCHEDULES[decay](max(0.0, step - flat) / max(1.0, steps - flat))


class WeightAverage:
    """Averages every floating tensor of a model's state, batch norm statistics with it; whole
    numbers are copied, and so are the buffers of parametrisations: spectral norm keeps unit vectors
    there, whose average is none.

    The decay warms up as (1 + t) / (10 + t), so that a short training is not averaged with its
    first weights.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        live = model.state_dict()
        self.weights = {name: value.detach().clone() for name, value in live.items()}
        # References, gathered once: optimizers and batch norm change them in place.
        vectors = {name for name, _ in model.named_buffers() if ".parametrizations." in f".{name}"}
        averaged = [
            name
            for name, value in live.items()
            if value.is_floating_point() and name not in vectors
        ]
        self._averaged = (
            [self.weights[name] for name in averaged],
            [live[name] for name in averaged],
        )
        self._copied = [
            (self.weights[name], value) for name, value in live.items() if name not in set(averaged)
        ]

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
