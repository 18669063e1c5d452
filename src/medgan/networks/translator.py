"""Image translator and patch discriminator of StarGAN (Choi 2018), used by HealthyGAN."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from medgan.networks.blocks import halvings

SLOPE = 0.01
"""Negative slope of the discriminator's LeakyReLU."""


class Translator(nn.Module):
    """Map images (N, C, H, W) to a head (N, head_channels, H, W) without a last activation.

    7x7 convolution, two halvings, residual blocks, two doublings, 7x7 convolution; zero padding.
    """

    def __init__(self, channels: int, head_channels: int, width: int, residual_blocks: int) -> None:
        super().__init__()
        widths = [width, 2 * width, 4 * width]
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 7, padding=3, bias=False),
            _norm(width),
            nn.ReLU(),
            *(_down(a, b) for a, b in pairwise(widths)),
            *(TranslatorBlock(widths[-1]) for _ in range(residual_blocks)),
            *(_up(a, b) for a, b in pairwise(widths[::-1])),
            nn.Conv2d(width, head_channels, 7, padding=3, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, head_channels, H, W)."""
        return self.layers(images)


class TranslatorBlock(nn.Module):
    """x + norm(convolution(ReLU(norm(convolution(x)))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _norm(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            _norm(width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        residual: Tensor = self.body(features)
        return features + residual


class PatchDiscriminator(nn.Module):
    """Map images (N, C, size, size) to logits (N, 1, 4, 4), one per patch.

    Stride-2 convolutions down to 4x4, each twice as wide as the last; no normalization, as a
    gradient penalty needs.
    """

    def __init__(self, width: int, size: int, channels: int) -> None:
        super().__init__()
        widths = [channels, *(width * 2**level for level in range(halvings(size)))]
        layers = [
            nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(SLOPE))
            for a, b in pairwise(widths)
        ]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 3, padding=1, bias=False))

    def features(self, images: Tensor) -> Tensor:
        """Compute f_D, the layer before the logits: (N, D, 4, 4)."""
        return self.layers[:-1](images)

    def forward(self, images: Tensor) -> Tensor:
        """Compute logits (N, 1, 4, 4)."""
        return self.layers(images)


def _norm(channels: int) -> nn.Module:
    """Build an instance norm without running statistics: the same in training and eval mode."""
    return nn.InstanceNorm2d(channels, affine=True)


def _down(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, _norm(outputs), nn.ReLU())


def _up(inputs: int, outputs: int) -> nn.Sequential:
    convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
    return nn.Sequential(convolution, _norm(outputs), nn.ReLU())
