"""The DCGAN generator and discriminator (Radford, Metz, Chintala 2015), at any power-of-two size
from 32 px on.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medgan.contracts import Batch
from medgan.networks.blocks import BASE, channel_widths, flat, initialize


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class Generator(nn.Module):
    """Latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.latent_dim = latent_dim
        self.project = nn.Sequential(
            nn.ConvTranspose2d(latent_dim, widths[0], BASE, 1, 0, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(*(_up(a, b) for a, b in pairwise(widths)))
        self.to_image = nn.Sequential(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())
        self.apply(initialize)

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) to (N, C, size, size)."""
        hidden: Tensor = self.blocks(self.project(latents[:, :, None, None]))
        images: Tensor = self.to_image(hidden)
        return images


class ConditionalGenerator(nn.Module):
    """Latents (N, latent_dim) times an embedding of the class, then the DCGAN generator (Odena
    2017).

    Labels are (N,), or (N, classes) multi-hot: the embedding of several classes is the sum of
    theirs.
    """

    def __init__(self, latent_dim: int, classes: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        self.embedding = nn.Embedding(classes, latent_dim)
        self.generator = Generator(latent_dim, width, size, channels)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """(N, latent_dim) and labels to (N, C, size, size)."""
        embedded = self.embedding(labels) if labels.ndim == 1 else labels @ self.embedding.weight
        images: Tensor = self.generator(latents * embedded)
        return images


def strided_convolutions(
    width: int, size: int, channels: int, *, batch_norm: bool
) -> nn.Sequential:
    """(N, C, size, size) to (N, C', 4, 4). The first layer has no batch norm (Radford 2015)."""
    widths = channel_widths(size, width)
    layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
    for inputs, outputs in pairwise(widths):
        layers.append(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=not batch_norm))
        layers.extend([nn.BatchNorm2d(outputs)] if batch_norm else [])
        layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


class Discriminator(nn.Module):
    """Images (N, C, size, size) to features (N, C', 4, 4) by strided convolutions, and on to logits
    (N,).

    `batch_norm=False` leaves batch norm out, as a gradient penalty needs.
    """

    def __init__(self, width: int, size: int, channels: int, *, batch_norm: bool = True) -> None:
        super().__init__()
        features = channel_widths(size, width)[-1]
        self.feature_dim = features * BASE * BASE
        self.convolutions = strided_convolutions(width, size, channels, batch_norm=batch_norm)
        self.to_logit = nn.Conv2d(features, 1, BASE, 1, 0)
        self.apply(initialize)

    def features(self, images: Tensor) -> Tensor:
        """f_D, the layer before the logit: (N, feature_dim)."""
        return flat(self.convolutions(images))

    def logits(self, features: Tensor) -> Tensor:
        """(N, feature_dim) to (N,)."""
        logits: Tensor = self.to_logit(features.view(len(features), -1, BASE, BASE))
        return flat(logits).squeeze(1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N,)."""
        return self.logits(self.features(images))


class AuxiliaryDiscriminator(nn.Module):
    """A DCGAN discriminator with a second head for the class (Odena 2017): logits (N,), and what
    the head makes of the features.

    `head` is a factory of (feature_dim, classes). Dropout before both heads is Odena's appendix A.
    """

    def __init__(
        self,
        width: int,
        size: int,
        channels: int,
        classes: int,
        head: Callable[[int, int], nn.Module] = nn.Linear,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.trunk = Discriminator(width, size, channels)
        self.dropout = nn.Dropout(dropout)
        self.to_classes = head(self.trunk.feature_dim, classes)

    def forward(self, images: Tensor) -> tuple[Tensor, Any]:
        """Logits of real (N,), and those of the classes (N, classes) where the head is linear."""
        features = self.dropout(self.trunk.features(images))
        return self.trunk.logits(features), self.to_classes(features)


class ProxyHead(nn.Module):
    """Features (N, feature_dim) to unit vectors (N, dim), and the proxies of the classes, unit
    vectors (classes, dim) (Kang 2021).
    """

    def __init__(self, feature_dim: int, classes: int, dim: int = 512) -> None:
        super().__init__()
        self.project = nn.Linear(feature_dim, dim)
        self.proxies = nn.Embedding(classes, dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Unit vectors of the images and of the classes."""
        return F.normalize(self.project(features), dim=1), F.normalize(self.proxies.weight, dim=1)


def draw(generator: nn.Module, n: int, latent_dim: int, rng: torch.Generator) -> Tensor:
    """(n, C, H, W) images of an unconditional generator, of latents from N(0, 1)."""
    images: Tensor = generator(
        normal_latents(n, latent_dim, rng, next(generator.parameters()).device)
    )
    return images


def latents_for(batch: Batch, latent_dim: int) -> Tensor:
    """(N, latent_dim) from N(0, 1), one for each image of a batch, by its own generator."""
    return normal_latents(len(batch.images), latent_dim, batch.rng, batch.images.device)


def normal_latents(n: int, latent_dim: int, rng: torch.Generator, device: torch.device) -> Tensor:
    """(n, latent_dim) from N(0, 1)."""
    return torch.randn(n, latent_dim, generator=rng, device=rng.device).to(device)
