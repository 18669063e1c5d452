"""Penalties on the gradient of a critic."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator) -> Tensor:
    """E[(|grad D(x')|_2 - 1)^2] on random interpolates x' of real and fake (Gulrajani 2017, eq. 3); a scalar.

    `real` and `fake` are (N, C, H, W). A critic of patches is summed over them. Runs in float32: the norm of a gradient
    is where half precision goes wrong first, and uncompiled: torch.compile knows no second derivatives.
    """
    with torch.autocast(real.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        share = torch.rand(real.shape[0], 1, 1, 1, generator=rng, device=rng.device).to(real.device)
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return torch.square(gradient.flatten(1).norm(2, dim=1) - 1).mean()
