"""WGAN-GP as tutorials train it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

PENALTY, LATENTS = 10.0, 128


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    """Compute the penalty between real and generated images."""
    share = torch.rand(len(real), 1, 1, 1)
    between = (share * real + (1 - share) * fake).requires_grad_(True)
    logits = critic(between)
    (gradient,) = torch.autograd.grad(
        logits, between, torch.ones_like(logits), create_graph=True, retain_graph=True
    )
    return ((gradient.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()


def steps(
    generator: nn.Module, critic: nn.Module, batches: Iterator[Tensor], n_critic: int
) -> Callable[[], Any]:
    """Return a function that makes one step: the critic `n_critic` times, then the generator."""
    of_critic = torch.optim.Adam(critic.parameters(), 1e-4, (0.0, 0.9))
    of_generator = torch.optim.Adam(generator.parameters(), 1e-4, (0.0, 0.9))

    def step() -> None:
        for _ in range(n_critic):
            real = next(batches)
            fake = generator(torch.randn(len(real), LATENTS))
            of_critic.zero_grad()
            loss = critic(fake).mean() - critic(real).mean()
            loss = loss + PENALTY * gradient_penalty(critic, real.data, fake.data)
            loss.backward()
            of_critic.step()
        of_generator.zero_grad()
        loss = -critic(generator(torch.randn(len(real), LATENTS))).mean()
        loss.backward()
        of_generator.step()

    return step
