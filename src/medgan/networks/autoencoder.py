"""A small convolutional autoencoder: strided convolutions down to 4x4, a linear bottleneck, and
back.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from medgan.networks.blocks import BASE, channel_widths, flat


class ConvolutionalEncoder(nn.Module):
    """Images (N, C, size, size) to latents (N, latent_dim)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        layers = [_down(a, b) for a, b in zip([channels, *widths[:-1]], widths, strict=True)]
        self.convolutions = nn.Sequential(*layers)
        self.to_latents = nn.Linear(widths[-1] * BASE * BASE, latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        """(N, C, size, size) to (N, latent_dim)."""
        latents: Tensor = self.to_latents(flat(self.convolutions(images)))
        return latents


class ConvolutionalDecoder(nn.Module):
    """Latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.from_latents = nn.Linear(latent_dim, widths[0] * BASE * BASE)
        layers = [_up(a, b) for a, b in pairwise(widths)]
        self.convolutions = nn.Sequential(*layers)
        self.to_image = nn.Sequential(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """(N, latent_dim) to (N, C, size, size)."""
        hidden = self.from_latents(latents).unflatten(1, (-1, BASE, BASE))
        images: Tensor = self.to_image(self.convolutions(hidden))
        return images


def _down(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )


def _up(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.ConvTranspose2d(inputs, outputs, 4, 2, 1), nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2)
    )
