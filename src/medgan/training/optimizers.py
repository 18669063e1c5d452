"""Optimisers by name, and their state as plain tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from medgan.contracts import OptimizerSpec, Refusal

Factory = Callable[[Sequence[nn.Parameter], OptimizerSpec], Optimizer]


def _adam(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.Adam(parameters, lr=spec.lr, betas=spec.betas, weight_decay=spec.weight_decay)


def _adamw(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.AdamW(parameters, lr=spec.lr, betas=spec.betas, weight_decay=spec.weight_decay)


def _rmsprop(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    return torch.optim.RMSprop(parameters, lr=spec.lr, weight_decay=spec.weight_decay)


OPTIMIZERS: Mapping[str, Factory] = {"adam": _adam, "adamw": _adamw, "rmsprop": _rmsprop}


def build_optimizer(parameters: Sequence[nn.Parameter], spec: OptimizerSpec) -> Optimizer:
    """The optimiser that a spec names.

    Raises:
        Refusal: there is none of that name.
    """
    if spec.name not in OPTIMIZERS:
        raise Refusal(f"There is no optimiser '{spec.name}': use one of {', '.join(OPTIMIZERS)}.")
    return OPTIMIZERS[spec.name](parameters, spec)


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of the state as `<parameter number>.<name>` -> tensor."""
    state = optimizer.state_dict()["state"]
    return {f"{number}.{name}": torch.as_tensor(value).clone() for number, entry in state.items() for name, value in entry.items()}


def restore_optimizer(optimizer: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Puts back what `optimizer_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value.clone()
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
