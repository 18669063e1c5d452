"""SNGAN as tutorials train it: the hinge loss and `torch.nn.utils.spectral_norm`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LATENTS = 128


def spectrally_normalized(network: nn.Module) -> nn.Module:
    """Normalize every convolution and linear layer."""
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.utils.spectral_norm(module)
    return network


def steps(
    generator: nn.Module, discriminator: nn.Module, batches: Iterator[Tensor], n_critic: int
) -> Callable[[], Any]:
    """Return a function that makes one step: D `n_critic` times, then G."""
    of_d = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.0, 0.9))
    of_g = torch.optim.Adam(generator.parameters(), 2e-4, (0.0, 0.9))

    def step() -> None:
        for _ in range(n_critic):
            real = next(batches)
            fake = generator(torch.randn(len(real), LATENTS)).detach()
            of_d.zero_grad()
            loss = F.relu(1 - discriminator(real)).mean() + F.relu(1 + discriminator(fake)).mean()
            loss.backward()
            of_d.step()
        of_g.zero_grad()
        (-discriminator(generator(torch.randn(len(real), LATENTS))).mean()).backward()
        of_g.step()

    return step
