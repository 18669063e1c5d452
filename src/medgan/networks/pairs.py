"""Discriminators of pairs (Donahue 2017, Zenati 2018): image and latent, two images, two latents."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from medgan.networks.blocks import BASE, channel_widths, flat, initialize
from medgan.networks.dcgan import strided_convolutions


class PairDiscriminator(nn.Module):
    """Map images (N, C, size, size) and latents (N, latent_dim) to logits (N,).

    At width 64 the dense layers have EGBAD's 512 and 1024 units.
    """

    def __init__(
        self,
        latent_dim: int,
        width: int,
        size: int,
        channels: int,
        *,
        batch_norm: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        image_dim, hidden = channel_widths(size, width)[-1] * BASE * BASE, 8 * width
        self.from_images = strided_convolutions(
            width, size, channels, nn.BatchNorm2d if batch_norm else None
        )
        self.from_latents = _dense(latent_dim, hidden, dropout)
        self.join = _dense(image_dim + hidden, 2 * hidden, dropout)
        self.to_logit = nn.Linear(2 * hidden, 1)
        self.apply(initialize)

    def features(self, images: Tensor, latents: Tensor) -> Tensor:
        """Compute f_D, the layer before the logit: (N, D)."""
        parts = [flat(self.from_images(images)), self.from_latents(latents)]
        return self.join(torch.cat(parts, 1))

    def forward(self, images: Tensor, latents: Tensor) -> Tensor:
        """Compute logits (N,)."""
        return self.to_logit(self.features(images, latents)).squeeze(1)


class ImagePairDiscriminator(nn.Module):
    """Map two images (N, C, size, size) to logits (N,), by two halving convolutions of 5x5.

    At width 32 they have the 64 and 128 channels of ALAD's reference code.
    """

    def __init__(self, width: int, size: int, channels: int, dropout: float) -> None:
        super().__init__()
        widths = [2 * channels, 2 * width, 4 * width]
        self.convolutions = nn.Sequential(
            *(
                nn.Sequential(nn.Conv2d(a, b, 5, 2, 2), nn.LeakyReLU(0.2), nn.Dropout(dropout))
                for a, b in pairwise(widths)
            )
        )
        self.to_logit = nn.Linear(widths[-1] * (size // 4) ** 2, 1)
        self.apply(initialize)

    def features(self, images: Tensor, others: Tensor) -> Tensor:
        """Compute f_xx, the layer before the logit: (N, 4 width (size / 4)^2)."""
        return flat(self.convolutions(torch.cat([images, others], 1)))

    def forward(self, images: Tensor, others: Tensor) -> Tensor:
        """Compute logits (N,)."""
        return self.to_logit(self.features(images, others)).squeeze(1)


class LatentPairDiscriminator(nn.Module):
    """Map two latents (N, latent_dim) to logits (N,), by ALAD's layers of 64 and 32 units."""

    def __init__(self, latent_dim: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Sequential(_dense(2 * latent_dim, 64, dropout), _dense(64, 32, dropout))
        self.to_logit = nn.Linear(32, 1)

    def forward(self, latents: Tensor, others: Tensor) -> Tensor:
        """Compute logits (N,)."""
        return self.to_logit(self.hidden(torch.cat([latents, others], 1))).squeeze(1)


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.LeakyReLU(0.2), nn.Dropout(dropout))
