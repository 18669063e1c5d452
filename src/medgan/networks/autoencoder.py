"""A small convolutional autoencoder: strided convolutions to 4x4 and a linear bottleneck."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from medgan.networks.blocks import BASE, channel_widths, flat


class ConvolutionalEncoder(nn.Module):
    """Encode images (N, C, size, size) as latents (N, latent_dim)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)
        layers = [_down(a, b) for a, b in pairwise([channels, *widths])]
        self.convolutions = nn.Sequential(*layers)
        self.to_latents = nn.Linear(widths[-1] * BASE * BASE, latent_dim)

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, size, size) to (N, latent_dim)."""
        return self.to_latents(flat(self.convolutions(images)))


class ConvolutionalDecoder(nn.Module):
    """Decode latents (N, latent_dim) to images (N, C, size, size) in (-1, 1)."""

    def __init__(self, latent_dim: int, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = channel_widths(size, width)[::-1]
        self.from_latents = nn.Linear(latent_dim, widths[0] * BASE * BASE)
        self.convolutions = nn.Sequential(*(_up(a, b) for a, b in pairwise(widths)))
        self.to_image = nn.Sequential(nn.ConvTranspose2d(widths[-1], channels, 4, 2, 1), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        """Map (N, latent_dim) to (N, C, size, size)."""
        hidden = self.from_latents(latents).unflatten(1, (-1, BASE, BASE))
        return self.to_image(self.convolutions(hidden))


def _down(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 4, 2, 1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))


def _up(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2))
