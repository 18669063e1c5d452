"""Adversarial losses on logits. Each pair is what D minimises and what G minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class AdversarialLoss:
    """`discriminator(real_logits, fake_logits)` and `generator(fake_logits)`, both scalars; logits are (N,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    gradient_penalty: float = 0.0
    """Weight of the penalty that belongs to the loss; 0 where it has none."""


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """-E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow 2014, eq. 1)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def bce_generator(fake_logits: Tensor) -> Tensor:
    """-E[log D(G(z))], the non-saturating form (Goodfellow 2014, section 3)."""
    return F.softplus(-fake_logits).mean()


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Miyato 2018, eq. 16)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """E[D(G(z))] - E[D(x)] (Arjovsky 2017)."""
    return fake_logits.mean() - real_logits.mean()


def negative_mean(fake_logits: Tensor) -> Tensor:
    """-E[D(G(z))], what G minimises with the hinge and the Wasserstein loss."""
    return -fake_logits.mean()


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """1/2 E[(D(x) - 1)^2] + 1/2 E[D(G(z))^2] (Mao 2017, eq. 9)."""
    return 0.5 * (torch.square(real_logits - 1).mean() + torch.square(fake_logits).mean())


def least_squares_generator(fake_logits: Tensor) -> Tensor:
    """1/2 E[(D(G(z)) - 1)^2] (Mao 2017, eq. 9)."""
    return 0.5 * torch.square(fake_logits - 1).mean()


def pairwise_accuracy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Share of the pairs (x, G(z)) in which D ranks the real image higher: a detached scalar, 0.5 is chance.

    Unlike the share of logits above 0 it needs no threshold, so that it means the same with every loss; a Wasserstein critic has none.
    """
    gaps = real_logits.detach().flatten()[:, None] - fake_logits.detach().flatten()[None]
    return (gaps > 0).float().mean() + 0.5 * (gaps == 0).float().mean()


ADVERSARIAL: Mapping[str, AdversarialLoss] = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
    "hinge": AdversarialLoss(hinge_discriminator, negative_mean),
    "lsgan": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "wgan_gp": AdversarialLoss(wasserstein_discriminator, negative_mean, gradient_penalty=10.0),
}
