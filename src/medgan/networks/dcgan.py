"""DCGAN generator and discriminator (Radford 2015), their variants for ACGAN, and latents."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.contracts import Batch
from medgan.networks.blocks import BASE, Norm, channel_widths, flat, initialize
from medgan.sharing import own, rows


class Generator(nn.Module):
    """Map latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.project = _up(latent_dim, widths[0], stride=1, padding=0)
        self.blocks = nn.Sequential(*(_up(a, b) for a, b in pairwise(widths)))
        self.to_image = nn.Sequential(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
        self.apply(initialize)

    def forward(self, latents: Tensor) -> Tensor:
        """Generate images (N, C, size, size)."""
        hidden: Tensor = self.blocks(self.project(latents[:, :, None, None]))
        return self.to_image(hidden)


class ConditionalGenerator(nn.Module):
    """A DCGAN generator of latents times the embedding of the class (Odena 2017)."""

    def __init__(self, latent_dim: int, classes: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(classes, latent_dim)
        self.generator = Generator(latent_dim, width, size, channels)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Generate images of labels (N,) or multi-hot (N, classes), whose embeddings are summed."""
        embedded = self.embedding(labels) if labels.ndim == 1 else labels @ self.embedding.weight
        return self.generator(latents * embedded)


class ModulatedBatchNorm(nn.Module):
    """Batch norm whose scale and shift are linear in a condition (Dumoulin 2017, de Vries 2017)."""

    def __init__(self, channels: int, condition_dim: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.modulation = nn.Linear(condition_dim, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, features: Tensor, condition: Tensor) -> Tensor:
        """Modulate (N, C, H, W) by conditions (N, condition_dim)."""
        scale, shift = self.modulation(condition)[:, :, None, None].chunk(2, 1)
        return (1 + scale) * self.norm(features) + shift


class ModulatedGenerator(nn.Module):
    """A DCGAN generator of latents and classes whose batch norms are modulated.

    By the class, it has class-conditional batch norm (Miyato, Koyama 2018, without their residual
    network); by latent and class, it is self-modulated (Chen 2019, section 2, eq. 4: z + embedding).
    """

    def __init__(
        self,
        latent_dim: int,
        classes: int,
        width: int,
        size: int,
        channels: int,
        *,
        self_modulated: bool,
    ) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.self_modulated = self_modulated
        self.embedding = nn.Embedding(classes, latent_dim)
        pairs = [(latent_dim, widths[0]), *pairwise(widths)]
        self.convolutions = nn.ModuleList(
            nn.ConvTranspose2d(a, b, BASE, 2 if level else 1, 1 if level else 0, bias=False)
            for level, (a, b) in enumerate(pairs)
        )
        self.to_image = nn.Sequential(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
        self.apply(initialize)
        self.norms = nn.ModuleList(ModulatedBatchNorm(b, latent_dim) for _, b in pairs)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Generate images of labels (N,) or multi-hot (N, classes), whose embeddings are summed."""
        embedded = self.embedding(labels) if labels.ndim == 1 else labels @ self.embedding.weight
        condition = latents + embedded if self.self_modulated else embedded
        hidden = latents[:, :, None, None]
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            hidden = F.relu(norm(convolution(hidden), condition))
        return self.to_image(hidden)


class Discriminator(nn.Module):
    """Map images (N, C, size, size) to logits (N,) by strided convolutions.

    A gradient penalty needs a norm other than that of batches.
    """

    def __init__(
        self, width: int, size: int, channels: int, norm: Norm | None = nn.BatchNorm2d
    ) -> None:
        super().__init__()
        features = channel_widths(size, width)[-1]
        self.feature_dim = features * BASE * BASE
        self.convolutions = strided_convolutions(width, size, channels, norm)
        self.to_logit = nn.Conv2d(features, 1, BASE, 1, 0)
        self.apply(initialize)

    def features(self, images: Tensor) -> Tensor:
        """Compute f_D, the layer before the logit: (N, feature_dim)."""
        return flat(self.convolutions(images))

    def logits(self, features: Tensor) -> Tensor:
        """Compute logits (N,) of features (N, feature_dim)."""
        logits: Tensor = self.to_logit(features.view(len(features), -1, BASE, BASE))
        return flat(logits).squeeze(1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N,)."""
        return self.logits(self.features(images))


class AuxiliaryDiscriminator(nn.Module):
    """A DCGAN discriminator with a second head for the class (Odena 2017, with its dropout).

    `head` is a factory of (feature_dim, classes).
    """

    def __init__(
        self,
        width: int,
        size: int,
        channels: int,
        classes: int,
        head: Callable[[int, int], nn.Module] = nn.Linear,
        dropout: float = 0.5,
        norm: Norm | None = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        self.trunk = Discriminator(width, size, channels, norm)
        self.dropout = nn.Dropout(dropout)
        self.to_classes = head(self.trunk.feature_dim, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Any]:
        """Compute logits (N,), and the output of the head: logits (N, classes) if it is linear."""
        features = self.dropout(self.trunk.features(images))
        return self.trunk.logits(features), self.to_classes(features)


class ProxyHead(nn.Module):
    """Project features to unit vectors and hold one unit vector per class (Kang 2021)."""

    def __init__(self, feature_dim: int, classes: int, dim: int = 512) -> None:
        super().__init__()
        self.project = nn.Linear(feature_dim, dim)
        self.proxies = nn.Embedding(classes, dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return unit vectors (N, dim) of features (N, feature_dim), and proxies (classes, dim)."""
        return F.normalize(self.project(features), dim=1), F.normalize(self.proxies.weight, dim=1)


def strided_convolutions(width: int, size: int, channels: int, norm: Norm | None) -> nn.Sequential:
    """Build (N, C, size, size) to (N, C', 4, 4); the first layer has no norm."""
    widths = channel_widths(size, width)
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=norm is None))
        layers.extend([norm(outputs)] if norm else [])
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


def _up(inputs: int, outputs: int, stride: int = 2, padding: int = 1) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, BASE, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


def latents_for(batch: Batch, latent_dim: int) -> Tensor:
    """Draw latents (N, latent_dim) from N(0, 1) for the images of a batch, by its generator."""
    count, device = rows(len(batch.images)), batch.images.device
    return own(normal_latents(count, latent_dim, batch.rng, device))


def normal_latents(n: int, latent_dim: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """Draw latents (n, latent_dim) from N(0, 1)."""
    return torch.randn(n, latent_dim, generator=rng, device=rng.device).to(device)
