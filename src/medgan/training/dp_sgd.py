"""Opacus: gradients of single images, clipped and noised, and their accountant.

The only module that imports it; `pip install medgan[privacy]` installs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from opacus.accountants import create_accountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.grad_sample import GradSampleHooks
from opacus.optimizers import DPOptimizer
from torch import nn
from torch.optim import Optimizer

from medgan.errors import UserError

ACCOUNTANT = "prv"
"""Numerical composition (Gopi 2021), of which Opacus states the upper bound."""


@cache
def epsilon_of(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Compute epsilon after that many updates.

    Args:
        noise_multiplier: standard deviation of the noise as a multiple of the clipping norm.
        sample_rate: probability of an image to be in an update.
        steps: number of updates.
        delta: probability that is left out of the guarantee.
    """
    accountant = create_accountant(ACCOUNTANT)
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta=delta))


@cache
def noise_for(epsilon: float, sample_rate: float, steps: int, delta: float) -> float:
    """Find the least noise multiplier with which that many updates spend at most epsilon.

    Raises:
        UserError: there is none that Opacus' search finds.
    """
    budget = {"target_epsilon": epsilon, "target_delta": delta, "sample_rate": sample_rate}
    try:
        return float(get_noise_multiplier(**budget, steps=steps, accountant=ACCOUNTANT))
    except ValueError as error:
        raise UserError(
            f"`training.privacy`: {steps} updates cannot spend as little as epsilon {epsilon:g}: "
            "give fewer steps, a smaller `training.batch_size` or a larger epsilon."
        ) from error


class PrivateOptimizer(DPOptimizer):
    """Opacus' optimizer, with hooks in the modules from `zero_grad` to `step` only."""

    def __init__(
        self,
        optimizer: Optimizer,
        modules: Sequence[nn.Module],
        rng: torch.Generator,
        noise_multiplier: float,
        max_grad_norm: float,
        expected_batch_size: int,
    ) -> None:
        super().__init__(
            optimizer,
            noise_multiplier=noise_multiplier,
            max_grad_norm=max_grad_norm,
            expected_batch_size=expected_batch_size,
            generator=rng,
        )
        self.modules = modules
        self.hooks: list[GradSampleHooks] = []

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the last update, and record the gradients of single images from now on."""
        super().zero_grad(set_to_none)
        self.hooks = [GradSampleHooks(module) for module in self.modules]

    def step(self, closure: Any = None) -> None:
        """Clip, add noise, update, and stop recording."""
        super().step(closure)
        for hooks in self.hooks:
            hooks.cleanup()
