"""Losses: adversarial and classification losses, the gradient penalty, reconstruction residuals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from medgan.errors import UserError
from medgan.sharing import own, rows, whole

SMOOTHING = 1 / 20
"""Standard deviation of the Gaussian that smooths residual maps, as a share of the shorter side."""


@dataclass(frozen=True)
class AdversarialLoss:
    """Scalar losses of logits (N,)."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]
    gradient_penalty: float = 0.0
    """Weight of the gradient penalty that is part of the loss; 0 for a loss without one."""


def bce_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute -E[log D(x)] - E[log(1 - D(G(z)))] (Goodfellow 2014, eq. 1)."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


def bce_generator(fake_logits: Tensor) -> Tensor:
    """Compute -E[log D(G(z))], the non-saturating loss (Goodfellow 2014, section 3)."""
    return F.softplus(-fake_logits).mean()


def hinge_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] (Miyato 2018, eq. 16)."""
    return F.relu(1 - real_logits).mean() + F.relu(1 + fake_logits).mean()


def wasserstein_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute E[D(G(z))] - E[D(x)] (Arjovsky 2017)."""
    return fake_logits.mean() - real_logits.mean()


def negative_mean(fake_logits: Tensor) -> Tensor:
    """Compute -E[D(G(z))], the generator loss of the hinge and the Wasserstein loss."""
    return -fake_logits.mean()


def least_squares_discriminator(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute 1/2 E[(D(x) - 1)^2] + 1/2 E[D(G(z))^2] (Mao 2017, eq. 9)."""
    return 0.5 * (torch.square(real_logits - 1).mean() + torch.square(fake_logits).mean())


def least_squares_generator(fake_logits: Tensor) -> Tensor:
    """Compute 1/2 E[(D(G(z)) - 1)^2] (Mao 2017, eq. 9)."""
    return 0.5 * torch.square(fake_logits - 1).mean()


ADVERSARIAL: Mapping[str, AdversarialLoss] = {
    "bce": AdversarialLoss(bce_discriminator, bce_generator),
    "hinge": AdversarialLoss(hinge_discriminator, negative_mean),
    "lsgan": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "wgan_gp": AdversarialLoss(wasserstein_discriminator, negative_mean, gradient_penalty=10.0),
}


def pairwise_accuracy(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Compute the share of pairs (x, G(z)) in which D ranks x higher: a detached scalar, 0.5 is
    chance.

    It needs no threshold, so it is comparable between losses; a Wasserstein critic has no
    threshold.
    """
    real, fake = whole(real_logits.detach()).flatten(), whole(fake_logits.detach()).flatten()
    gaps = real[:, None] - fake[None]
    return (gaps > 0).float().mean() + 0.5 * (gaps == 0).float().mean()


def multi_hot(labels: Tensor, classes: int) -> Tensor:
    """Convert labels (N,) or (N, K) to float32 (N, K) with 1 for each class of an image."""
    return F.one_hot(labels, classes).float() if labels.ndim == 1 else labels.float()


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute -E[log softmax(logits)_y] for logits (N, K) and labels (N,) (Odena 2017, eq. 3).

    Raises:
        UserError: if the labels are multi-hot.
    """
    if labels.ndim != 1:
        raise UserError(
            "Cross-entropy needs images of one class each, these may have several: "
            "use class_loss: bce or d2d_ce."
        )
    return F.cross_entropy(logits, labels)


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Compute -E[y log s + (1 - y) log(1 - s)], s = sigmoid(logits), over images and classes."""
    return F.binary_cross_entropy_with_logits(logits.float(), multi_hot(labels, logits.shape[1]))


def data_to_data_cross_entropy(
    features: Tensor,
    proxies: Tensor,
    labels: Tensor,
    positive_margin: float,
    negative_margin: float,
    temperature: float,
) -> Tensor:
    """Compute the D2D-CE loss (Kang 2021), the mean over i of

        -log[p_i / (p_i + sum over j with y_j != y_i of exp(max(f_i.f_j - m_n, 0) / tau))]
        p_i = exp(min(f_i.v_i - m_p, 0) / tau)

    Args:
        features: f, (N, D) of unit norm.
        proxies: (K, D) of unit norm, one per class; v_i is the sum over the classes of image i,
            scaled to unit norm.
        labels: (N,) or (N, K). Two images differ where their label rows differ.
        positive_margin: m_p, the similarity to its proxy above which an image is not attracted.
        negative_margin: m_n, the similarity below which images of other classes are not repelled.
        temperature: tau.
    """
    hot = whole(multi_hot(labels, len(proxies))).to(proxies.dtype)
    features = whole(features)
    centers = F.normalize(hot @ proxies, dim=1)
    different = (hot[:, None] != hot[None]).any(2)
    similarity = (features * centers).sum(1, keepdim=True)
    attraction = (similarity - positive_margin).clamp(max=0) / temperature
    repulsion = (features @ features.T - negative_margin).clamp(min=0) / temperature
    # p_i is in the same log-sum-exp as the negatives: to shift only these would change the loss.
    exponents = torch.cat([attraction, repulsion.masked_fill(~different, -torch.inf)], dim=1)
    return (exponents.logsumexp(1) - attraction.squeeze(1)).mean()


def gradient_penalty(
    critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor, rng: torch.Generator
) -> Tensor:
    """Compute E[(|grad D(x')|_2 - 1)^2] for random interpolates x' (Gulrajani 2017, eq. 3).

    `real` and `fake` are (N, C, H, W). The output of a patch critic is summed over its patches.
    """
    # Gradient norms overflow first in half precision; torch.compile has no second derivatives.
    with torch.autocast(real.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        drawn = torch.rand(rows(len(real)), 1, 1, 1, generator=rng, device=rng.device)
        share = own(drawn).to(real.device)
        between = (share * real + (1 - share) * fake).detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        return torch.square(gradient.flatten(1).norm(2, dim=1) - 1).mean()


def r1_penalty(critic: Callable[[Tensor], Tensor], real: Tensor) -> Tensor:
    """Compute E |grad D(x)|^2 on real images (N, C, H, W) (Mescheder 2018, eq. 9 without gamma/2)."""
    with torch.autocast(real.device.type, enabled=False), torch.compiler.set_stance("force_eager"):
        images = real.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(critic(images).sum(), images, create_graph=True)
        return torch.square(gradient).flatten(1).sum(1).mean()


def l1_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Compute the sum of |a - b| over all dimensions but the first: (N,).

    AnoGAN and EGBAD take sums; means would change the balance of their terms.
    """
    return (a - b).abs().flatten(1).sum(1)


def mse_per_image(a: Tensor, b: Tensor) -> Tensor:
    """Compute the mean of (a - b)^2 over all dimensions but the first: (N,)."""
    return torch.square(a - b).flatten(1).mean(1)


def residual_map(a: Tensor, b: Tensor) -> Tensor:
    """Compute |a - b| averaged over channels and smoothed, (N, 1, H, W): single pixels differ by
    noise, and neighbours together by anomalies (decision 0037).
    """
    return smoothed((a - b).abs().mean(1, keepdim=True))


def smoothed(maps: Tensor) -> Tensor:
    """Convolve (N, 1, H, W) with a Gaussian whose standard deviation is SMOOTHING of the shorter
    side, cut off at three of them; borders are mirrored.
    """
    sigma = SMOOTHING * min(maps.shape[2:])
    reach = max(1, round(3 * sigma))
    places = torch.arange(-reach, reach + 1, device=maps.device, dtype=maps.dtype)
    weights = torch.exp(-0.5 * (places / sigma) ** 2)
    weights = weights / weights.sum()
    padded = F.pad(maps, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, weights.view(1, 1, -1, 1)), weights.view(1, 1, 1, -1))
