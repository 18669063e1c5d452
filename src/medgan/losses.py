"""Adversarial losses on logits. Each pair is what D minimises and what G minimises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medgan.errors import UserError


@dataclass(frozen=True)
class AdversarialLoss:
    """`discriminator(real_logits, fake_logits)` and `generator(fake_logits)`, both scalars; logits
    are (N,).
    """

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
    """Share of the pairs (x, G(z)) in which D ranks the real image higher: a detached scalar, 0.5
    is chance.

    Unlike the share of logits above 0 it needs no threshold, so that it means the same with every
    loss; a Wasserstein critic has none.
    """
    gaps = real_logits.detach().flatten()[:, None] - fake_logits.detach().flatten()[None]
    return (gaps > 0).float().mean() + 0.5 * (gaps == 0).float().mean()


ADVERSARIAL: Mapping[str, AdversarialLoss] = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
    "hinge": AdversarialLoss(hinge_discriminator, negative_mean),
    "lsgan": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "wgan_gp": AdversarialLoss(wasserstein_discriminator, negative_mean, gradient_penalty=10.0),
}


def multi_hot(labels: Tensor, classes: int) -> Tensor:
    """(N, K) float32: 1 for each class of an image."""
    return F.one_hot(labels, classes).float() if labels.ndim == 1 else labels.float()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """-E[log softmax(logits)_y]: an image has one class (Odena 2017, eq. 3).

    Raises:
        UserError: labels that allow several.
    """
    if labels.ndim != 1:
        raise UserError(
            "Cross-entropy needs images of one class each, these may have several: use class_loss: bce or d2d_ce."
        )
    return F.cross_entropy(logits, labels)


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """One yes or no for each class, -E[y log s + (1 - y) log(1 - s)] with s = sigmoid(logit),
    averaged over images and classes.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), multi_hot(labels, logits.shape[1]))


def data_to_data_cross_entropy(
    features: Tensor,
    proxies: Tensor,
    labels: Tensor,
    positive_margin: float,
    negative_margin: float,
    temperature: float,
) -> Tensor:
    """D2D-CE (Kang 2021), the mean over i of

        -log[p_i / (p_i + sum over j with y_j != y_i of exp(max(f_i.f_j - m_n, 0) / tau))],   p_i =
        exp(min(f_i.v_i - m_p, 0) / tau).

    An image is drawn to the proxy of its class and pushed from the images of other classes, until
    m_p and m_n; beyond them it feels nothing. All exponents of an image, p_i's with them, go
    through one log-sum-exp: a shift of the negatives alone would change the loss.

    Args:
        features: (N, D) of unit norm, f.
        proxies: (K, D) of unit norm, one for each class; v_i is the sum over the classes of image
            i, scaled to unit norm.
        labels: (N,) or (N, K). Two images count as different where their label rows differ.
        positive_margin: m_p, the similarity to its proxy that is enough.
        negative_margin: m_n, the similarity to another class that is no trouble.
        temperature: tau.
    """
    rows = multi_hot(labels, len(proxies))
    own = F.normalize(rows @ proxies, dim=1)
    different = (rows[:, None] != rows[None]).any(2)
    attraction = ((features * own).sum(1, keepdim=True) - positive_margin).clamp(
        max=0
    ) / temperature
    repulsion = (features @ features.T - negative_margin).clamp(min=0) / temperature
    exponents = torch.cat([attraction, repulsion.masked_fill(~different, -torch.inf)], dim=1)
    return (exponents.logsumexp(1) - attraction.squeeze(1)).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator
) -> Tensor:
    """E[(|grad D(x')|_2 - 1)^2] on random interpolates x' of real and fake (Gulrajani 2017, eq. 3);
    a scalar.

    `real` and `fake` are (N, C, H, W). A critic of patches is summed over them. Runs in float32:
    the norm of a gradient is where half precision goes wrong first, and uncompiled: torch.compile
    knows no second derivatives.
    """
    with torch.autocast(real.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        share = torch.rand(real.shape[0], 1, 1, 1, generator=rng, device=rng.device).to(real.device)
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return torch.square(gradient.flatten(1).norm(2, dim=1) - 1).mean()


def l1_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Sum of |a - b| over everything but the first dimension: (N,). A sum, as in AnoGAN and EGBAD:
    a mean changes the balance of terms.
    """
    return (a - b).abs().flatten(1).sum(1)


def mse_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Mean of (a - b)^2 over everything but the first dimension: (N,)."""
    return torch.square(a - b).flatten(1).mean(1)


def residual_map(a: Tensor, b: Tensor) -> Tensor:
    """|a - b| averaged over channels: (N, 1, H, W)."""
    return (a - b).abs().mean(1, keepdim=True)
